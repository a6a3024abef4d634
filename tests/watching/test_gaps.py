"""What happened while nobody looked: the watcher was down, cut short, or looked by a wrong clock."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from training_watch.events import Moment
from watching.tree import Backend, Tree, everything, exhausted


@pytest.fixture
def trained(tmp_path: Path, backend: Backend) -> Iterator[Tree]:
    """A tree that was trained, and whose watcher is down."""
    tree = Tree(tmp_path, backend)
    for name in ("a.md", "b.md", "sub/c.md", "sub/deep/d.md"):
        tree.write(name, f"text of {name}")
    tree.train()
    tree.close()
    yield tree
    tree.close()


def started_again(tree: Tree) -> Tree:
    """The daemon starts anew: it watches, and compares everything once."""
    again = Tree(tree.root.parent, tree.backend, make=False)
    again.see_all()
    return again


def test_what_changed_while_it_was_down_is_found_when_it_starts(trained: Tree) -> None:
    trained.write("a.md", "TEXT OF A.MD")
    trained.write("x/y/new.md")
    (trained.root / "b.md").unlink()
    (trained.root / "sub").rename(trained.root / "moved")
    again = started_again(trained)
    assert again.pending() == {
        "a.md", "x/y/new.md", "b.md", "sub/c.md", "sub/deep/d.md", "moved/c.md", "moved/deep/d.md",
    }  # fmt: skip
    again.close()


def test_what_changed_and_changed_back_while_it_was_down_is_nothing(trained: Tree) -> None:
    trained.write("a.md", "other")
    trained.write("a.md", "text of a.md")
    shutil.rmtree(trained.root / "sub/deep")
    trained.write("sub/deep/d.md", "text of sub/deep/d.md")
    again = started_again(trained)
    assert again.pending() == set()
    again.close()


def test_a_change_whose_time_was_set_back_while_it_was_down_is_found(trained: Tree) -> None:
    path = trained.root / "a.md"
    found = path.stat()
    path.write_text("TEXT OF A.MD")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    again = started_again(trained)
    assert again.pending() == {"a.md"}
    again.close()


def test_what_was_pending_is_still_pending_after_a_restart(trained: Tree) -> None:
    trained.write("a.md", "owed")
    first = started_again(trained)
    before = first.snapshot.pending()
    first.close()
    second = Tree(trained.root.parent, trained.backend, make=False)
    assert second.snapshot.pending() == before
    second.see_all()
    assert second.snapshot.pending() == before
    second.close()


def test_a_change_between_the_watch_and_the_first_comparison_is_seen(trained: Tree) -> None:
    again = Tree(trained.root.parent, trained.backend, make=False)
    again.write("a.md", "changed")
    again.see_all()
    assert again.pending() == {"a.md"}
    again.write("sub/deep/d.md", "changed")
    again.see()
    assert again.pending() == {"a.md", "sub/deep/d.md"}
    again.close()


def test_a_comparison_that_was_cut_short_is_made_up_for_after_a_restart(trained: Tree) -> None:
    names = {f"many/{number}.md" for number in range(2000)}
    for name in names:
        trained.write(name)
    first = Tree(trained.root.parent, trained.backend, make=False)
    steps = first.snapshot.compare(everything(), first.moment(), running=False)
    next(steps)
    steps.close()
    first.close()
    again = started_again(trained)
    assert again.pending() == names
    again.close()


def test_a_tree_that_came_back_from_a_copy_is_no_change(trained: Tree, tmp_path: Path) -> None:
    subprocess.run(["cp", "-a", trained.root, tmp_path / "backup"], check=True)
    shutil.rmtree(trained.root)
    subprocess.run(["cp", "-r", tmp_path / "backup", trained.root], check=True)  # with other times
    again = started_again(trained)
    assert again.pending() == set()
    again.write("sub/deep/d.md", "changed")
    again.see()
    assert again.pending() == {"sub/deep/d.md"}
    again.close()


def test_a_root_that_went_while_it_was_down_is_absent_and_waited_for(trained: Tree, tmp_path: Path) -> None:
    trained.root.rename(tmp_path / "away")
    again = started_again(trained)
    assert again.snapshot.pending() is None
    assert again.watcher.condition.mode == "waiting"
    (tmp_path / "away/a.md").write_text("changed meanwhile")
    (tmp_path / "away").rename(trained.root)
    again.see()
    assert again.pending() == {"a.md"}
    again.close()


def test_a_change_during_a_run_that_outlives_the_daemon_is_kept(trained: Tree) -> None:
    first = started_again(trained)
    first.write("a.md", "what the run reads")
    first.begin()
    first.close()
    trained.write("a.md", "what it doesn't")
    again = Tree(trained.root.parent, trained.backend, make=False)
    again.see_all(running=True)
    again.snapshot.succeed()
    assert again.pending() == {"a.md"}
    again.close()


@pytest.mark.parametrize("years", [-30, -1, 1, 30])
def test_a_clock_that_is_years_off_finds_the_same(tree: Tree, years: int) -> None:
    off = datetime.now(UTC) + timedelta(days=365 * years)
    for text in ("one", "two"):
        tree.write("a.md", text)
        exhausted(tree.snapshot.compare(everything(), Moment("boot", tree.at, off), running=False))
        assert tree.pending() == {"a.md"}
        tree.train()
    found = exhausted(tree.snapshot.compare(everything(), Moment("boot", tree.at, off), running=False))
    assert found.news == 0
    assert tree.pending() == set()
