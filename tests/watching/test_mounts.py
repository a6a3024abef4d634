"""Mounts in a tree, over it and under it; the scenes are in `mounted`, whose names are the claims."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from needs import lacking
from watching.mounted import IMPOSSIBLE, SCENES
from watching.tree import Backend

TESTS = Path(__file__).parent.parent


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize("scene", SCENES)
def test_with_mounts(tmp_path: Path, backend: Backend, scene: str) -> None:
    done = subprocess.run(
        ["unshare", "-Urm", sys.executable, "-m", "watching.mounted", scene, backend, tmp_path],
        cwd=TESTS,
        text=True,
        capture_output=True,
        check=False,
        timeout=60,
    )
    if done.returncode == IMPOSSIBLE:
        lacking(f"no such mounts here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
