"""The page of hard cases names only tests that there are."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs/hard-cases.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| what")]


def functions() -> Iterator[tuple[str, Path]]:
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                yield node.name, path


PLACES = dict(functions())


@pytest.mark.parametrize("row", ROWS, ids=[row.split("|")[1].strip() for row in ROWS])
def test_each_case_is_tested(row: str) -> None:
    named = re.findall(r"`(test_\w+)(?:\[([^`]+)\])?`", row.split("|")[3])
    assert named
    for name, example in named:
        assert name in PLACES
        # Where an example is named, its text stands beside the test: in its table, or in the scenes it plays.
        beside = "".join(path.read_text() for path in PLACES[name].parent.glob("*.py"))
        assert example in beside
