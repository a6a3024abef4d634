"""The choice between inotify and polling, and what is said about it."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from logging import INFO, WARNING
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from needs import lacking
from watching.confined import IMPOSSIBLE
from watching.tree import INTERVAL, Tree

TESTS = Path(__file__).parent.parent
NOBODY = 65534


@pytest.mark.usefixtures("namespaces")
@pytest.mark.parametrize(
    "scene",
    [
        "too_few_watches",
        "too_few_instances",
        "too_few_watches_later",
        "no_watch_at_all",
        "gaps_go_with_their_folders",
        "inotify_or_nothing",
        "unmounted_root",
        "moved_to_another_disk",
        "mounted_inside",
        "unmounted_inside",
        "partly_seen",
        "on_a_network",
    ],
)
def test_in_namespaces_of_its_own(tmp_path: Path, scene: str) -> None:
    done = subprocess.run(
        ["unshare", "-Urm", sys.executable, "-m", "watching.confined", scene, tmp_path],
        cwd=TESTS,
        text=True,
        capture_output=True,
        check=False,
        timeout=60,
    )
    if done.returncode == IMPOSSIBLE:
        lacking(f"no limits of our own here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr


def test_an_event_makes_the_descriptor_readable(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    waiting = select.poll()
    for fd, events in tree.watcher.descriptors().items():
        waiting.register(fd, events)
    assert waiting.poll(0) == []
    tree.write("a.md")
    assert waiting.poll(5000)
    assert tree.hear().folders == {tree.roots[0]: {b"a.md"}}
    assert waiting.poll(0) == []
    tree.close()


def test_an_overflow_costs_no_change(tmp_path: Path) -> None:
    queue = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text(encoding="ascii"))
    if queue > 20_000:
        pytest.skip(f"a queue of {queue} events is too long to fill")
    tree = Tree(tmp_path)
    tree.write("a.md")
    tree.train()
    for number in range(queue // 2 + 100):
        path = tree.root / f"{number % 50}.tmp"
        path.touch()
        path.unlink()
    tree.write("late/deep/b.md")
    assert not tree.hear().everything  # the storm may go on
    heard = tree.later(1)
    assert heard.everything
    assert "overflow" in heard.cause
    tree.see()
    assert tree.pending() == {"late/deep/b.md"}
    tree.write("late/deep/c.md")  # what was made while events were lost is watched
    assert tree.hear().folders == {os.fsencode(tree.root / "late/deep"): {b"c.md"}}
    tree.close()


def test_a_storm_of_rebuilds_is_answered_by_few(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    instances = []
    for number in range(20):
        tree.at += 1
        tree.write(".gitignore", f"{number}\n")
        assert tree.watcher.read(tree.at).everything
        assert tree.watcher._inotify is not None
        if tree.watcher._inotify._kernel not in instances:
            instances.append(tree.watcher._inotify._kernel)
    assert len(instances) == 2
    due = tree.watcher.due()
    assert due is not None
    assert due <= tree.at + 10
    tree.close()


def test_everything_is_compared_now_and_then(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    assert not tree.later(9 * INTERVAL)
    due = tree.watcher.due()
    assert due is not None
    assert tree.later(INTERVAL).everything
    assert not tree.later(1)
    tree.close()


def test_polling_after_a_night_asleep_looks_once(tmp_path: Path) -> None:
    tree = Tree(tmp_path, "poll")
    assert tree.watcher.due() == tree.at + INTERVAL
    tree.at += 100 * INTERVAL
    assert tree.watcher.read(tree.at).everything
    assert not tree.watcher.read(tree.at)
    assert tree.watcher.due() == tree.at + INTERVAL
    assert tree.watcher.descriptors() == {}
    tree.close()


def test_ignored_folders_are_not_watched_and_ignored_writes_are_no_hints(tmp_path: Path) -> None:
    tree = Tree(tmp_path, patterns=["logs/", "*.log"])
    tree.write("logs/deep/x.md")
    tree.write(".git/objects/ab/cd")
    tree.write("sub/a.md")
    tree.train()
    assert tree.watcher.condition.folders == 2
    for number in range(100):
        tree.write("noise.log", str(number))
        tree.write("logs/deep/x.md", str(number))
        assert not tree.hear()
    tree.close()


def test_a_touched_folder_is_no_hint(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.write("sub/a.md")
    tree.train()
    os.utime(tree.root / "sub")
    os.utime(tree.root)
    (tree.root / "sub").chmod(0o700)
    assert not tree.hear()
    tree.close()


def test_folders_are_watched_or_not_as_soon_as_the_rules_change(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.write("sub/a.md")
    tree.hear()
    for rules, folders in (("sub/\n", 1), ("", 2)):
        tree.write(".gitignore", rules)
        tree.later(60)
        assert tree.watcher.condition.folders == folders
    tree.close()


def test_watches_do_not_pile_up(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    for number in range(50):
        path = tree.write(f"{number}/deep/a.md")
        tree.hear()
        path.parent.parent.rename(tmp_path / f"out{number}" if number % 2 else tree.root / "renamed")
        tree.hear()
        if not number % 2:
            path = tree.root / "renamed/deep/a.md"
            path.unlink()
            path.parent.rmdir()
            path.parent.parent.rmdir()
        tree.hear()
    assert tree.watcher.condition.folders == 1
    assert tree.watcher._inotify is not None
    assert len(tree.watcher._inotify.watches.folders) == 1
    tree.close()


def test_a_root_that_comes_and_goes_is_told_once_each_time(tmp_path: Path) -> None:
    tree = Tree(tmp_path, make=False)
    tree.later(1)
    tree.root.mkdir()
    tree.hear()
    tree.later(60)
    tree.root.rmdir()
    tree.hear()
    tree.later(60)
    assert tree.said == [
        (WARNING, f"{tree.root} is not there: waiting for it"),
        (INFO, f"{tree.root} is there"),
        (WARNING, f"{tree.root} is not there: waiting for it"),
    ]
    assert tree.watcher.condition.mode == "waiting"
    tree.close()


def test_a_missing_package_is_told_and_the_tree_is_polled(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty/inotify_simple.py").write_text("raise ImportError", encoding="utf-8")
    program = (
        "import sys; from pathlib import Path; from watching.tree import Tree;"
        "tree = Tree(Path(sys.argv[1]), mode='auto');"
        "assert tree.watcher.condition.mode == 'polling';"
        "assert 'inotify-simple' in tree.watcher.condition.cause; tree.close()"
    )
    path = os.pathsep.join([str(tmp_path / "empty"), *sys.path])
    subprocess.run(
        [sys.executable, "-c", program, tmp_path],
        cwd=TESTS,
        env={**os.environ, "PYTHONPATH": path},
        check=True,
        timeout=60,
    )


@pytest.fixture
def mortal() -> Iterator[Path]:
    """A folder of somebody who isn't root, and that somebody's eyes."""
    with TemporaryDirectory() as place:
        if os.geteuid() == 0:
            os.chown(place, NOBODY, NOBODY)
            os.seteuid(NOBODY)
            yield Path(place)
            os.seteuid(0)
        else:
            yield Path(place)


def test_what_may_not_be_read_is_counted_and_kept(mortal: Path) -> None:
    tree = Tree(mortal)
    tree.write("a.md")
    tree.write("sub/deep/c.md")
    tree.train()
    (tree.root / "sub").chmod(0)
    (tree.root / "a.md").chmod(0)
    assert tree.see().unreadable == 2
    assert tree.pending() == {"a.md"}
    assert tree.see_all().unreadable == 2
    (tree.root / "sub").chmod(0o755)
    (tree.root / "a.md").chmod(0o644)
    assert tree.see().unreadable == 0
    assert tree.pending() == set()
    tree.close()


def test_a_folder_that_becomes_readable_is_watched(mortal: Path) -> None:
    (mortal / "docs/sub/deep").mkdir(parents=True)
    (mortal / "docs/sub").chmod(0)
    tree = Tree(mortal, make=False)
    assert tree.watcher.condition.folders == 1
    tree.see_all()
    (mortal / "docs/sub").chmod(0o755)
    tree.see()
    assert tree.watcher.condition.folders == 3
    tree.write("sub/deep/c.md")
    tree.see()
    assert tree.pending() == {"sub/deep/c.md"}
    tree.close()


def test_a_folder_that_a_run_could_not_read_is_owed_when_it_can_be(mortal: Path) -> None:
    tree = Tree(mortal)
    tree.write("a.md")
    tree.write("sub/deep/c.md")
    tree.train()
    (tree.root / "sub").chmod(0)
    tree.write("a.md", "changed")
    tree.see()
    assert tree.pending() == {"a.md"}
    tree.train()
    assert tree.snapshot.pending() is None  # nothing that a run could read is owed
    (tree.root / "sub").chmod(0o755)
    tree.see()
    assert tree.snapshot.pending() is not None
    assert tree.pending() == {"sub/deep/c.md"}
    tree.train()
    tree.close()


def test_a_folder_that_was_closed_for_a_moment_during_a_run_is_owed(mortal: Path) -> None:
    tree = Tree(mortal)
    tree.write("sub/deep/c.md")
    tree.train()
    tree.begin()
    (tree.root / "sub").chmod(0)
    tree.snapshot.stir(tree.hear())
    (tree.root / "sub").chmod(0o755)
    tree.snapshot.stir(tree.hear())
    tree.snapshot.succeed()
    assert tree.pending() == {"sub/deep/c.md"}
    tree.close()


def test_watching_anew_is_no_move_of_anything(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.write("sub/a.md")
    tree.train()
    tree.later(60)
    tree.write(".gitignore", "*.log\n")
    heard = tree.hear()
    assert heard.everything
    assert heard.moved == {}
    tree.write("sub/a.md", "changed")
    assert tree.hear().count == 1
    tree.close()
