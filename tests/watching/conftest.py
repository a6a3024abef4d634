from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from needs import lacking
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


@pytest.fixture(scope="module")
def namespaces() -> None:
    try:
        subprocess.run(["unshare", "-Urm", "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        lacking("no user namespaces here")
