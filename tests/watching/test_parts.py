"""The small parts: hints that are merged, mounts that are read, a git that is busy."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from training_watch.watching.git import busy
from training_watch.watching.mounts import gives_events, mount_of, mounts, mounts_in, parsed
from training_watch.watching.paths import below, holds, shown
from training_watch.watching.touched import FOLDERS, NAMES, Touched

# ---- touched ------------------------------------------------------------------------------------


def test_a_name_is_counted_once() -> None:
    touched = Touched()
    assert not touched
    for name in (b"a", b"b", b"a"):
        touched.name(b"/x", name)
    touched.name(b"/y", b"a")
    assert touched
    assert touched.count == 3
    assert touched.noisiest == b"/x/a"
    assert touched.folders == {b"/x": {b"a", b"b"}, b"/y": {b"a"}}


def test_merging_is_the_same_as_hearing_all() -> None:
    one, other, both = Touched(), Touched(), Touched()
    for number in range(100):
        for touched in (one if number % 3 else other, both):
            touched.name(b"/%d" % (number % 4), b"%d" % (number % 30))
    one.merge(other)
    assert one.folders == both.folders
    assert one.count == both.count


def test_a_whole_folder_outweighs_its_names() -> None:
    touched, other = Touched(), Touched()
    touched.name(b"/x", b"a")
    touched.folder(b"/x")
    touched.name(b"/x", b"b")
    assert touched.folders == {b"/x": set()}
    assert touched.count == 2
    other.name(b"/x", b"a")
    other.merge(touched)
    assert other.folders == {b"/x": set()}


def test_very_many_names_become_folders_and_very_many_folders_everything() -> None:
    touched = Touched()
    for number in range(NAMES + 1):
        touched.name(b"/x", b"%d" % number)
    assert touched.folders == {b"/x": set()}
    assert touched.count == NAMES + 1
    assert not touched.everything
    for number in range(FOLDERS):
        touched.folder(b"/%d" % number)
    assert touched.everything
    assert touched.folders == {}


def test_the_noisiest_is_found_among_very_many() -> None:
    touched = Touched()
    for number in range(20_000):
        touched.name(b"/x", b"%d" % number)
        if number % 10 == 0:
            touched.name(b"/x", b"log")
    assert touched.noisiest == b"/x/log"
    assert len(touched._noise) <= 64


def test_the_first_cause_of_everything_stays() -> None:
    touched, other = Touched(), Touched()
    touched.all("one")
    other.all("two")
    touched.merge(other)
    assert touched.cause == "one"


# ---- paths --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folder", "path", "is_held"),
    [
        (b"/a", b"/a", True),
        (b"/a", b"/a/b", True),
        (b"/a", b"/ab", False),
        (b"/a", b"/a!", False),
        (b"/", b"/a", True),
        (b"/a/b", b"/a", False),
    ],
)
def test_a_folder_holds_what_is_below_it(folder: bytes, path: bytes, *, is_held: bool) -> None:
    assert holds(folder, path) is is_held
    if path != folder:
        assert (below(folder)[0] < path < below(folder)[1]) is is_held


def test_a_path_is_shown_on_one_line_and_can_be_encoded() -> None:
    text = shown("/a\nb/\x1b[31m/ü/".encode() + b"\xff")
    assert text == "/a\\nb/\\x1b[31m/ü/\\xff"
    text.encode()


# ---- mounts -------------------------------------------------------------------------------------

MOUNTINFO = rb"""21 1 0:20 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
22 21 0:21 / /home rw shared:2 master:3 - btrfs /dev/sdb rw
23 22 0:22 / /home/x/my\040docs rw - nfs4 server:/docs rw
24 22 0:23 / /home/x/my\040docs/local rw - tmpfs tmpfs rw
25 21 0:24 / /over rw - ext4 /dev/sdc rw
26 25 0:25 / /over rw - fuse.sshfs host:/ rw
no such line
27 21 0:26 / /cut
"""


@pytest.mark.parametrize(
    ("path", "point", "fstype"),
    [
        (b"/etc", b"/", "ext4"),
        (b"/home", b"/home", "btrfs"),
        (b"/homes", b"/", "ext4"),
        (b"/home/x/my docs/a", b"/home/x/my docs", "nfs4"),
        (b"/home/x/my docs/local/a", b"/home/x/my docs/local", "tmpfs"),
        (b"/over/a", b"/over", "fuse.sshfs"),
    ],
)
def test_a_path_is_on_the_mount_with_the_longest_name_and_of_equals_the_last(
    path: bytes, point: bytes, fstype: str
) -> None:
    mount = mount_of(parsed(MOUNTINFO), path)
    assert (mount.point, mount.fstype) == (point, fstype)


def test_mounts_below_a_folder_are_found() -> None:
    assert [mount.fstype for mount in mounts_in(parsed(MOUNTINFO), b"/home/x")] == ["nfs4", "tmpfs"]


def test_the_mounts_of_this_machine_are_read() -> None:
    assert mount_of(mounts(), b"/proc/self").fstype == "proc"


@pytest.mark.parametrize(
    ("fstype", "does"), [("ext4", True), ("fuse.gocryptfs", True), ("nfs4", False), ("fuse.sshfs", False), ("9p", False)]
)  # fmt: skip
def test_what_others_may_change_gives_no_events(fstype: str, *, does: bool) -> None:
    assert gives_events(fstype) is does


# ---- git ----------------------------------------------------------------------------------------


def git(top: Path, *words: str) -> None:
    names = ["-c", "user.name=x", "-c", "user.email=x@y", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *names, *words], cwd=top, check=False, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a branch that can't be merged without a conflict."""
    top = tmp_path / "repository"
    (top / "docs").mkdir(parents=True)
    git(top, "init")
    for branch, text in (("main", "one"), ("side", "two"), ("main", "three")):
        git(top, "checkout", "-B" if branch == "side" else "-b", branch)
        git(top, "checkout", branch)
        (top / "docs/a.md").write_text(text, encoding="utf-8")
        git(top, "add", ".")
        git(top, "commit", "-m", text)
    return top


def test_git_at_rest_is_not_busy(repository: Path, tmp_path: Path) -> None:
    assert busy(os.fsencode(repository / "docs")) is None
    assert busy(os.fsencode(tmp_path)) is None


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("merge", "side"), "a merge"),
        (("rebase", "side"), "a rebase"),
        (("cherry-pick", "side"), "a cherry-pick"),
        (("revert", "--no-edit", "HEAD~1"), "a revert"),
    ],
)
def test_git_is_busy_until_a_conflict_is_settled(repository: Path, words: tuple[str, ...], what: str) -> None:
    git(repository, *words)
    assert busy(os.fsencode(repository / "docs")) == f"{what} in {repository}"
    git(repository, words[0], "--abort")
    assert busy(os.fsencode(repository / "docs")) is None


def test_git_is_busy_while_it_holds_its_lock(repository: Path, tmp_path: Path) -> None:
    (repository / ".git/index.lock").touch()
    (tmp_path / "link").symlink_to(repository / "docs")
    assert busy(os.fsencode(tmp_path / "link")) == f"a checkout or commit in {repository}"


def test_a_worktree_is_busy_on_its_own(repository: Path, tmp_path: Path) -> None:
    git(repository, "worktree", "add", str(tmp_path / "tree"), "side")
    (repository / ".git/worktrees/tree/index.lock").touch()
    assert busy(os.fsencode(tmp_path / "tree/docs")) == f"a checkout or commit in {tmp_path / 'tree'}"
    assert busy(os.fsencode(repository)) is None
