"""What is remembered of folders: enough to pass over what is unchanged and to watch at once, never enough to miss."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ground.aged import age
from training_watch.database import open_database
from training_watch.events import Outcome
from training_watch.runs import Runs
from training_watch.watching.ignore import Ignore
from training_watch.watching.snapshot import Snapshot
from training_watch.watching.watcher import Watcher
from watching.tree import Tree, everything, exhausted


def trusted(tree: Tree) -> set[str]:
    rows = tree.connection.execute("SELECT path FROM folders WHERE fingerprint NOT NULL").fetchall()
    return {os.path.relpath(os.fsdecode(row[0]), tree.root) for row in rows}


def asked_for_rows(tree: Tree, act: Callable[[], object]) -> int:
    """How often the rows of a folder's files are read meanwhile."""
    statements: list[str] = []
    tree.connection.set_trace_callback(statements.append)
    act()
    tree.connection.set_trace_callback(None)
    return sum("files_by_folder" in statement for statement in statements)


def test_an_unchanged_tree_is_walked_without_a_look_at_its_rows(tree: Tree) -> None:
    tree.see_all()
    assert trusted(tree) == {".", "sub", "sub/deep"}
    assert asked_for_rows(tree, tree.see_all) == 0
    tree.write("sub/c.md", "changed")
    assert asked_for_rows(tree, tree.see_all) == 1


def test_a_row_written_after_a_hint_takes_the_trust_from_its_folder_and_all_above(tree: Tree) -> None:
    tree.see_all()
    tree.write("sub/c.md", "changed")
    tree.touched.name(os.fsencode(tree.root / "sub"), b"c.md")
    exhausted(tree.snapshot.compare(tree.touched, tree.moment(), running=False))
    assert trusted(tree) == {"sub/deep"}


@pytest.mark.parametrize("gone", ["new", "new/inner"])
def test_a_folder_that_was_seen_by_a_hint_and_vanished_unheard_is_missed(tree: Tree, gone: str) -> None:
    tree.see_all()
    tree.write("new/inner/x.md")
    tree.touched.name(os.fsencode(tree.root), b"new")
    exhausted(tree.snapshot.compare(tree.touched, tree.moment(), running=False))
    assert tree.pending() == {"new/inner/x.md"}
    shutil.rmtree(tree.root / gone)
    tree.see_all()
    assert tree.pending() == set()


def test_a_file_that_comes_back_with_the_stamp_of_before_is_seen(tree: Tree, tmp_path: Path) -> None:
    """As on file systems where a rename leaves all times as they are."""
    tree.see_all()
    (tree.root / "sub/c.md").rename(tmp_path / "away")
    tree.touched.name(os.fsencode(tree.root / "sub"), b"c.md")
    exhausted(tree.snapshot.compare(tree.touched, tree.moment(), running=False))
    assert tree.pending() == {"sub/c.md"}
    (tmp_path / "away").rename(tree.root / "sub/c.md")
    stamp = tree.root / "sub/c.md"
    fresh = tree.connection.execute(
        "SELECT ctime_ns FROM files WHERE path = ?", (os.fsencode(stamp),)
    ).fetchone()
    assert fresh is not None
    tree.see_all()
    assert tree.pending() == set()


def test_a_newly_included_file_is_seen_in_a_folder_that_looks_as_it_did(tree: Tree) -> None:
    tree.write("sub/x.log")
    ignoring = Ignore(tree.roots, ["*.log"], gitignore=True)
    for _ in range(2):
        exhausted(
            Snapshot(tree.connection, "docs.service", tree.roots, ignoring).compare(
                everything(), tree.moment(), running=False
            )
        )
    assert tree.pending() == set()
    tree.see_all()
    assert tree.pending() == {"sub/x.log"}


def test_what_is_listed_while_another_process_writes_is_not_trusted(tree: Tree, tmp_path: Path) -> None:
    tree.write("a.md", "changed")
    steps = tree.snapshot.compare(everything(), tree.moment(), running=False)
    other = open_database(tmp_path / "state.db", say=print)
    other.execute("INSERT INTO starts VALUES ('i', 'u', 'hand', 0)")
    other.close()
    exhausted(steps)
    assert trusted(tree) == {"sub", "sub/deep"}
    tree.see_all()
    assert trusted(tree) == {".", "sub", "sub/deep"}


def ran(tree: Tree, unit: str, job: str, times: int = 1) -> None:
    for _ in range(times):
        number = tree.connection.execute("SELECT count(*) FROM runs").fetchone()[0]
        runs = Runs(tree.connection, unit, job)
        runs.begin(f"run-{number}", tree.moment(), "content")
        runs.finish(f"run-{number}", tree.moment(), Outcome.SUCCEEDED, status="0", self_fed=False)


@pytest.mark.parametrize("version", [1, 2, 3])
def test_an_older_database_is_taken_over_with_its_rows(tree: Tree, tmp_path: Path, version: int) -> None:
    ran(tree, "docs.service", "docs")
    age(tree.connection, version, {"docs.service": "docs"})
    said: list[str] = []
    again = open_database(tmp_path / "state.db", say=said.append)
    snapshot = Snapshot(again, "docs.service", tree.roots, tree.ignore)
    exhausted(snapshot.compare(everything(), tree.moment(), running=False))
    assert snapshot.pending() is None
    assert said == []
    again.close()


def test_an_older_database_has_the_rows_of_the_name_that_the_unit_last_ran_by(
    tree: Tree, tmp_path: Path
) -> None:
    other = Snapshot(tree.connection, "stale.service", tree.roots, tree.ignore)
    exhausted(other.compare(everything(), tree.moment(), running=False))
    other.begin()
    other.succeed()
    tree.write("a.md", "new")
    tree.train()
    ran(tree, "docs.service", "stale", times=2)
    ran(tree, "docs.service", "docs")
    age(tree.connection, 3, {"docs.service": "docs", "stale.service": "stale"})
    again = open_database(tmp_path / "state.db", say=print)
    trained = dict(again.execute("SELECT path, trained FROM files WHERE unit = 'docs.service'").fetchall())
    assert trained == tree.known()
    assert again.execute("SELECT DISTINCT unit FROM files").fetchall() == [("docs.service",)]
    again.close()


# ---- armed from memory ---------------------------------------------------------------------------


def watcher_of(tree: Tree, patterns: tuple[str, ...] = ()) -> Watcher:
    return Watcher(
        tree.roots, Ignore(tree.roots, patterns, gitignore=True),
        mode="auto", poll_interval=300.0, rescan_interval=3600.0, say=lambda _, __: None,
    )  # fmt: skip


@pytest.fixture
def trained(tmp_path: Path) -> Tree:
    tree = Tree(tmp_path)
    for name in ("a.md", "sub/c.md", "sub/deep/d.md"):
        tree.write(name)
    tree.train()
    tree.watcher.close()
    return tree


def test_remembered_folders_are_watched_before_any_is_listed(trained: Tree) -> None:
    watcher = watcher_of(trained)
    watcher.arm(0.0, trained.snapshot.folders())
    assert watcher.condition.folders == 3
    trained.write("sub/deep/d.md", "changed")
    due = watcher.due()
    assert due is not None
    assert due <= 0.0
    assert watcher.read(0.0).folders == {os.fsencode(trained.root / "sub/deep"): {b"d.md"}}
    watcher.close()


def test_what_came_and_went_since_is_found_at_the_first_read(trained: Tree, tmp_path: Path) -> None:
    trained.write("new/inner/e.md")
    (trained.root / "sub").rename(tmp_path / "out")
    watcher = watcher_of(trained)
    watcher.arm(0.0, trained.snapshot.folders())
    heard = watcher.read(0.0)
    assert heard.trees == {os.fsencode(trained.root / "new"), os.fsencode(trained.root / "new/inner")}
    assert watcher.condition.folders == 3
    (tmp_path / "out/c.md").write_text("not ours")
    assert not watcher.read(0.0)
    trained.write("new/inner/e.md", "changed")
    assert watcher.read(0.0).count == 1
    watcher.close()


def test_remembered_folders_that_are_ignored_now_are_not_watched(trained: Tree) -> None:
    watcher = watcher_of(trained, ("sub/",))
    watcher.arm(0.0, trained.snapshot.folders())
    watcher.read(0.0)
    assert watcher.condition.folders == 1
    trained.write("sub/deep/d.md", "nobody's business")
    assert not watcher.read(0.0)
    watcher.close()


def test_a_remembered_name_that_is_another_folder_now_is_watched_as_that(
    trained: Tree, tmp_path: Path
) -> None:
    (trained.root / "sub").rename(tmp_path / "out")
    (tmp_path / "other").mkdir()
    (trained.root / "sub").symlink_to(tmp_path / "other")
    watcher = watcher_of(trained)
    watcher.arm(0.0, trained.snapshot.folders())
    watcher.read(0.0)
    (tmp_path / "other/x.md").write_text("behind a link")
    assert not watcher.read(0.0)
    watcher.close()


# ---- above ---------------------------------------------------------------------------------------


def test_a_folder_above_that_is_renamed_is_heard_at_once(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "one/two")
    tree.write("a.md")
    tree.train()
    (tmp_path / "one").rename(tmp_path / "other")
    assert tree.hear().everything
    assert tree.watcher.condition.mode == "waiting"
    (tmp_path / "other").rename(tmp_path / "one")
    assert tree.hear().everything
    tree.write("a.md", "changed")
    assert tree.hear().count == 1
    tree.close()


def test_a_link_above_that_is_switched_is_heard_at_once(tmp_path: Path) -> None:
    for version in ("v1", "v2"):
        (tmp_path / version / "docs").mkdir(parents=True)
        (tmp_path / version / "docs/a.md").write_text(version)
    (tmp_path / "current").symlink_to("v1")
    tree = Tree(tmp_path, make=False, roots=[tmp_path / "current/docs"])
    tree.root = tmp_path / "current/docs"
    tree.train()
    (tmp_path / "next").symlink_to("v2")
    (tmp_path / "next").rename(tmp_path / "current")
    assert tree.hear().everything
    tree.see()
    assert tree.pending() == {"a.md"}
    tree.train()
    (tmp_path / "v2/docs/a.md").write_text("more")
    assert tree.hear().count == 1
    tree.close()


def test_what_happens_beside_the_folders_above_wakes_nobody(tmp_path: Path) -> None:
    tree = Tree(tmp_path / "one/two")
    due = tree.watcher.due()
    for folder in (tmp_path, tmp_path / "one"):
        (folder / "beside.txt").write_text("nobody's business")
        (folder / "beside.txt").unlink()
    assert not tree.hear()
    assert tree.watcher.due() == due
    tree.close()


# ---- a rush --------------------------------------------------------------------------------------


def test_in_a_rush_it_pauses_between_gulps_and_loses_nothing(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    heard = set[bytes]()
    pauses = 0
    for number in range(200):
        tree.write(f"{number}.md")
        tree.at += 0.0002
        if not any(event for fd, event in tree.watcher.descriptors().items() if event == 1):
            pauses += 1
            due = tree.watcher.due()
            assert due is not None
            assert due <= tree.at + 0.005
            continue
        heard |= tree.watcher.read(tree.at).folders.get(tree.roots[0], set())
    tree.at += 1.0
    heard |= tree.watcher.read(tree.at).folders.get(tree.roots[0], set())
    assert pauses > 100
    assert heard == {b"%d.md" % number for number in range(200)}
    tree.write("calm.md")
    tree.watcher.read(tree.at + 1)
    assert len(tree.watcher.descriptors()) == 2  # listening again
    tree.close()
