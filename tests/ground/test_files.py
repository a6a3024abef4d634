"""Whole files and locks."""

import subprocess
import sys
from pathlib import Path

import pytest

from training_watch.files import Busy, lock, write_whole


def no_pause(_: float) -> None:
    """The lock is free or it isn't: nothing is to be waited for."""


def test_a_file_is_replaced_whole_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "a" / "file"
    write_whole(file, "one")
    write_whole(file, "two")
    assert file.read_text() == "two"
    assert list(file.parent.iterdir()) == [file]


def test_a_write_that_fails_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    (tmp_path / "file" / "inside").write_text("old")
    with pytest.raises(OSError, match="directory"):
        write_whole(tmp_path / "file", "new")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_lock_keeps_others_out_until_its_holder_dies(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holding = (
        "import sys; from training_watch.files import lock; from pathlib import Path\n"
        "with lock(Path(sys.argv[1]), within=0, pause=lambda s: None):\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holding, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Busy, match="locked"), lock(path, within=0.1, pause=no_pause):
            pass
        holder.kill()
        holder.wait()
    with lock(path, within=0, pause=no_pause):
        pass


def test_a_child_does_not_inherit_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with lock(path, within=0, pause=no_pause):
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with lock(path, within=0, pause=no_pause):
            pass
    finally:
        child.kill()
        child.wait()
