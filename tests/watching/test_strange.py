"""Trees that nobody would make on purpose: very flat, very deep, closed, full of odd names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from watching.tree import INTERVAL, Backend, Tree

NOBODY = 65534
PATH_MAX = 4096  # <linux/limits.h>


def test_ten_thousand_files_in_one_folder_are_seen_and_one_of_them_changed_is_one_change(tree: Tree) -> None:
    names = [f"flat/{number}.md" for number in range(10_000)]
    for name in names:
        tree.write(name, name)
    assert tree.see().news == 10_000
    tree.train()
    tree.write(names[4711], "changed")
    assert tree.see().news == 1
    assert tree.pending() == {names[4711]}
    shutil.rmtree(tree.root / "flat")
    assert tree.see().news == 10_000
    tree.train()


def test_hundreds_of_folders_one_below_the_other_are_watched_to_the_last(tree: Tree) -> None:
    name = "d/" * 300 + "x.md"
    tree.write(name)
    tree.see()
    assert tree.pending() == {name}
    tree.train()
    tree.write(name, "changed")
    tree.see()
    assert tree.pending() == {name}


@pytest.fixture
def abyss(tree: Tree) -> None:
    """Folders below each other until no path from the top can name them, with a file at the bottom."""
    here = os.open(tree.root, os.O_RDONLY)
    for _ in range(PATH_MAX // 200 + 5):
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("x.md", os.O_WRONLY | os.O_CREAT, dir_fd=here))
    os.close(here)


@pytest.mark.usefixtures("abyss")
def test_what_is_too_deep_for_a_path_is_counted_as_unreadable_and_the_rest_is_compared(tree: Tree) -> None:
    tree.write("a.md", "changed")
    assert tree.see_all().unreadable == 1
    assert tree.pending() == {"a.md"}
    tree.train()
    tree.write("sub/deep/d.md", "changed")
    assert tree.see_all().unreadable == 1
    assert tree.pending() == {"sub/deep/d.md"}


@pytest.mark.usefixtures("abyss")
def test_what_is_too_deep_for_a_path_keeps_nothing_else_from_being_heard_at_once(tree: Tree) -> None:
    tree.see()
    tree.train()
    assert tree.watcher.condition.mode == ("inotify" if tree.backend == "inotify" else "polling")
    tree.write("sub/deep/d.md", "changed")
    assert tree.hear()
    tree.see()
    assert tree.pending() == {"sub/deep/d.md"}


def test_hidden_files_and_names_of_dots_are_content(tree: Tree) -> None:
    names = {".hidden.md", ".config/x.md", "...", "sub/..a", "a.md.md"}
    for name in names:
        tree.write(name)
    tree.see()
    assert tree.pending() == names


def test_a_folder_named_as_a_file_of_rules_is_a_folder(tree: Tree) -> None:
    (tree.root / "sub/.gitignore").mkdir()
    tree.write("sub/new.md")
    tree.see()
    assert tree.pending() == {"sub/new.md"}


def test_a_folder_made_and_removed_again_and_again_is_nothing_in_the_end(tree: Tree) -> None:
    for number in range(200):
        tree.write("busy/deep/x.md", str(number))
        shutil.rmtree(tree.root / "busy")
    tree.see()
    assert tree.pending() == set()
    tree.write("busy/deep/x.md")
    tree.see()
    assert tree.pending() == {"busy/deep/x.md"}


def test_a_file_that_grows_without_end_is_one_change_at_each_look(tree: Tree) -> None:
    with (tree.root / "log.txt").open("ab", buffering=0) as file:
        for _ in range(5):
            for number in range(1000):
                file.write(b"line %d\n" % number)
            heard = tree.hear()
            assert tree.backend == "poll" or heard.count == 1
            assert tree.see().news == 1
    assert tree.pending() == {"log.txt"}


# ---- what may not be read -----------------------------------------------------------------------


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder of somebody who isn't root, and that somebody's eyes."""
    with TemporaryDirectory() as place:
        if os.geteuid() != 0:
            yield Path(place)
            return
        os.chown(place, NOBODY, NOBODY)
        os.seteuid(NOBODY)
        yield Path(place)
        os.seteuid(0)


@pytest.fixture
def closed(place: Path, backend: Backend) -> Iterator[Tree]:
    tree = Tree(place, backend)
    for name in ("a.md", "sub/c.md", "sub/deep/d.md"):
        tree.write(name, f"text of {name}")
    tree.train()
    yield tree
    tree.close()


def test_a_folder_that_may_not_be_read_is_no_deletion_and_is_counted(closed: Tree) -> None:
    (closed.root / "sub").chmod(0)
    assert closed.see().unreadable == 1
    assert closed.see_all().unreadable == 1
    assert closed.pending() == set()
    (closed.root / "sub").chmod(0o755)
    assert closed.see().unreadable == 0
    assert closed.pending() == set()
    closed.write("sub/deep/d.md", "changed")
    closed.see()
    assert closed.pending() == {"sub/deep/d.md"}


def test_a_change_behind_closed_doors_is_found_when_they_open(closed: Tree) -> None:
    with (closed.root / "sub/deep/d.md").open("ab", buffering=0) as file:
        (closed.root / "sub").chmod(0)
        closed.see()
        file.write(b"more")
        closed.see()
    (closed.root / "sub").chmod(0o755)
    closed.see()
    assert closed.pending() == {"sub/deep/d.md"}


def test_a_folder_that_may_be_listed_but_not_entered_is_no_deletion(closed: Tree) -> None:
    (closed.root / "sub").chmod(0o444)
    assert closed.see().unreadable > 0
    assert closed.see_all().unreadable > 0
    assert closed.pending() == set()
    (closed.root / "sub").chmod(0o755)
    assert closed.see().unreadable == 0
    assert closed.pending() == set()


def test_a_root_that_may_not_be_read_is_no_deletion(closed: Tree) -> None:
    closed.root.chmod(0)
    closed.later(60)
    assert closed.see_all().unreadable > 0
    assert closed.snapshot.pending() is None
    closed.root.chmod(0o755)
    closed.later(60)
    closed.see()
    assert closed.pending() == set()
    closed.write("sub/deep/d.md", "changed")
    closed.see()
    assert closed.pending() == {"sub/deep/d.md"}


def test_a_root_below_a_folder_that_may_not_be_entered_is_absent(place: Path, backend: Backend) -> None:
    above = place / "above"
    (above / "docs").mkdir(parents=True)
    tree = Tree(place, backend, make=False, roots=[above / "docs"])
    tree.root = above / "docs"
    tree.write("a.md")
    tree.train()
    above.chmod(0)
    tree.later(60)
    assert tree.see().absent == tuple(tree.roots)
    assert tree.snapshot.pending() is None
    above.chmod(0o755)
    tree.write("a.md", "changed")
    tree.later(60)
    tree.see()
    assert tree.pending() == {"a.md"}
    tree.close()


def test_a_file_that_may_not_be_read_is_owed_once_and_not_again_at_each_look(closed: Tree) -> None:
    (closed.root / "a.md").chmod(0)
    assert closed.see().unreadable == 1
    assert closed.pending() == {"a.md"}
    closed.train()
    for _ in range(3):
        closed.later(10 * INTERVAL)
        assert closed.see().news == 0
    assert closed.pending() == set()
    (closed.root / "a.md").chmod(0o644)
    closed.see()
    assert closed.pending() == {"a.md"}
