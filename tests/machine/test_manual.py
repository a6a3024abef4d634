"""The manual's own lines, as somebody runs them who reads it: each block of a page, from its top to its bottom."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from examples import DOCS, Block, agrees, blocks, questions
from machine.machine import Machine
from machine.waiting import eventually

# A busy machine of two cores may take its time over a training, and a start that was deferred a minute.
ANSWERED_WITHIN = 90


@pytest.fixture(scope="module")
def reader(suite: str) -> Iterator[Machine]:
    """A user named as the manual has it, with the clone where the manual has it, and a quiet dvc."""
    with Machine(suite, user="you", home="/home/you") as booted:
        booted.copy_project("training-watch")
        yield booted


@pytest.mark.parametrize("page", ["first-training.md", "own-command.md"])
def test_a_reader_gets_what_the_page_shows(reader: Machine, page: str) -> None:
    for block in blocks(DOCS / page):
        match block.kind:
            case "sh":
                reader.user(["bash", "-euc", block.text], env={"DVC_NO_ANALYTICS": "1"}, timeout=600)
            case "console":
                _ask(reader, block)


def _ask(reader: Machine, block: Block) -> None:
    for question in questions(block):
        printed = ""

        def answered(command: str = question.command, shown: str = question.answer) -> bool:
            nonlocal printed
            printed = reader.user(command, check=False).stdout
            return agrees(shown, printed)

        eventually(
            answered,
            ANSWERED_WITHIN,
            f"{block.place}: `{question.command}` prints what the page shows",
            every=0.5,
            also=lambda: f"it printed:\n{printed}",  # noqa: B023 - of this round
        )
