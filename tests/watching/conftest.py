from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from watching.tree import Backend, Tree


@pytest.fixture(params=["inotify", "poll"])
def backend(request: pytest.FixtureRequest) -> Backend:
    chosen: Backend = request.param
    return chosen


@pytest.fixture
def tree(tmp_path: Path, backend: Backend) -> Iterator[Tree]:
    """A tree with a few trained documents, seen by each back end in turn."""
    tree = Tree(tmp_path, backend)
    for name in ("a.md", "b.md", "sub/c.md", "sub/deep/d.md"):
        tree.write(name, f"text of {name}")
    tree.train()
    yield tree
    tree.close()
