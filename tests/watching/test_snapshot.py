"""What is owed after what happened: nothing is lost, and nothing is trained for nothing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from training_watch.events import Moment
from training_watch.watching.compare import Comparison
from training_watch.watching.content import UNSETTLED, Content, Pace, content
from training_watch.watching.rows import Batch, Rows
from training_watch.watching.snapshot import FEW, PENDING, Snapshot
from training_watch.watching.touched import Touched
from watching.tree import Tree, everything, exhausted


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    tree = Tree(tmp_path)
    for name in ("a.md", "b.md", "sub/c.md"):
        tree.write(name, f"text of {name}")
    tree.train()
    yield tree
    tree.close()


# ---- runs ---------------------------------------------------------------------------------------


def test_at_first_everything_is_owed(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    assert tree.snapshot.pending() is None
    for number in range(7):
        tree.write(f"{number}.md")
    assert tree.see_all().news == 7
    pending = tree.snapshot.pending()
    assert pending is not None
    assert pending.count == 7
    assert [os.path.basename(path) for path in pending.sample] == [b"%d.md" % n for n in range(5)]
    tree.train()
    tree.close()


def test_a_failed_run_leaves_all_owed_under_the_same_name(tree: Tree) -> None:
    tree.write("a.md", "new")
    tree.see()
    before = tree.snapshot.pending()
    tree.begin()
    tree.snapshot.fail()
    assert tree.snapshot.pending() == before


def test_very_many_are_not_counted_again_while_somebody_counts_them_and_a_few_always_are(tree: Tree) -> None:
    many = FEW + 10
    for number in range(many):
        tree.write(f"new-{number:04}.md")
    tree.see_all()
    counted = tree.snapshot.pending()
    assert counted is not None
    said = replace(counted, count=many + 1, content="as it was said", sample=())
    assert tree.snapshot.pending(said) == replace(said, sample=counted.sample)
    assert tree.snapshot.pending(replace(said, count=FEW)) == counted, "there are more than were counted"
    tree.train()
    tree.write("a.md", "new")
    tree.see()
    few = tree.snapshot.pending(said)
    assert few is not None
    assert few.count == 1


def test_what_was_seen_when_and_read_first_by_which_run_is_remembered(tree: Tree) -> None:
    path = tree.roots[0] + b"/a.md"
    first = tree.snapshot.known(path)
    assert first is not None
    assert (first.there, first.pending, first.run) == (True, False, None)
    tree.write("a.md", "new")
    tree.see()
    second = tree.snapshot.known(path)
    assert second is not None
    assert (second.pending, second.seen_at) != (False, first.seen_at)
    tree.begin()
    tree.snapshot.succeed(7)
    tree.begin()
    tree.snapshot.succeed(8)
    third = tree.snapshot.known(path)
    assert third is not None
    assert (third.pending, third.run) == (False, 7)
    assert third.seen_at == second.seen_at
    assert tree.snapshot.known_below(tree.roots[0]) == (3, 0)
    (tree.root / "a.md").unlink()
    tree.see()
    gone = tree.snapshot.known(path)
    assert gone is not None
    assert (gone.there, gone.pending, gone.run) == (False, True, 7)
    assert tree.snapshot.known_below(tree.roots[0]) == (2, 1)
    assert tree.snapshot.known(tree.roots[0] + b"/never.md") is None


def test_a_run_that_may_have_read_something_else_is_not_said_to_have_read_it(tree: Tree) -> None:
    tree.begin()
    tree.write("a.md", "during the run")
    tree.see(running=True)
    tree.snapshot.succeed(9)
    known = tree.snapshot.known(tree.roots[0] + b"/a.md")
    assert known is not None
    assert (known.pending, known.unknown, known.run) == (True, True, None)


def test_content_has_a_name_that_is_the_same_only_for_the_same_content(tree: Tree) -> None:
    names = []
    for text in ("new", "newer", "new"):
        tree.write("a.md", text)
        tree.see()
        pending = tree.snapshot.pending()
        assert pending is not None
        names.append(pending.content)
    assert names[0] == names[2] != names[1]
    (tree.root / "a.md").unlink()
    tree.see()
    pending = tree.snapshot.pending()
    assert pending is not None
    assert pending.content not in names


def test_a_change_during_a_run_is_kept(tree: Tree) -> None:
    tree.begin()
    tree.write("a.md", "new")
    tree.see(running=True)
    tree.snapshot.succeed()
    assert tree.pending() == {"a.md"}
    tree.train()


def test_a_change_and_back_during_a_run_is_kept(tree: Tree) -> None:
    tree.begin()
    tree.write("a.md", "new")
    tree.see(running=True)
    tree.write("a.md", "text of a.md")
    tree.see(running=True)
    tree.snapshot.succeed()
    assert tree.pending() == {"a.md"}
    tree.train()


def test_a_change_and_back_between_two_looks_during_a_run_is_kept(tree: Tree) -> None:
    tree.begin()
    tree.write("a.md", "new")
    tree.write("a.md", "text of a.md")
    tree.see(running=True)
    tree.snapshot.succeed()
    assert tree.pending() == {"a.md"}


def test_a_change_and_back_during_a_run_that_failed_leaves_what_it_was(tree: Tree) -> None:
    tree.begin()
    tree.write("a.md", "new")
    tree.see(running=True)
    tree.write("a.md", "text of a.md")
    tree.see(running=True)
    tree.snapshot.fail()
    assert tree.pending() == set()


def test_a_file_that_existed_only_during_a_run_is_owed(tree: Tree) -> None:
    tree.begin()
    tree.write("x.md").unlink()
    tree.write("new/y.md")
    tree.see(running=True)
    shutil.rmtree(tree.root / "new")
    tree.see(running=True)
    tree.snapshot.succeed()
    assert tree.pending() == {"x.md", "new/y.md"}
    tree.train()
    assert set(tree.known()) == {os.fsencode(tree.root / name) for name in ("a.md", "b.md", "sub/c.md")}


def test_a_file_that_came_and_went_with_everything_hinted_is_owed(tree: Tree) -> None:
    tree.begin()
    tree.write("x.md").unlink()
    tree.touched.all("a test says so")
    tree.see(running=True)
    tree.snapshot.succeed()
    assert tree.pending() == {"x.md"}


def test_an_ignored_file_that_existed_only_during_a_run_is_not_owed(tree: Tree) -> None:
    tree.begin()
    tree.write("x.swp").unlink()
    tree.see(running=True)
    tree.snapshot.succeed()
    assert tree.pending() == set()


def test_a_file_that_existed_only_between_runs_is_not_owed(tree: Tree) -> None:
    tree.write("x.md")
    tree.see()
    assert tree.pending() == {"x.md"}
    (tree.root / "x.md").unlink()
    tree.see()
    assert tree.pending() == set()


def test_a_file_deleted_before_a_run_and_back_for_a_moment_during_it_is_owed(tree: Tree) -> None:
    (tree.root / "a.md").unlink()
    tree.begin()
    tree.write("a.md").unlink()
    tree.see(running=True)
    tree.snapshot.succeed()
    assert tree.pending() == {"a.md"}


def test_a_deletion_during_a_run_is_kept(tree: Tree) -> None:
    tree.begin()
    (tree.root / "a.md").unlink()
    tree.see(running=True)
    tree.snapshot.succeed()
    assert tree.pending() == {"a.md"}
    pending = tree.snapshot.pending()
    assert pending is not None
    assert pending.own
    tree.train()
    assert tree.pending() == set()


def test_a_rewrite_during_a_run_stays_in_mind_when_its_file_is_read_once_more(tree: Tree) -> None:
    tree.begin()
    tree.write("a.md", "text of a.md")
    just_now = Moment("boot", tree.at, datetime.now(UTC))
    exhausted(tree.snapshot.compare(everything(), just_now, running=True))
    tree.see_all(running=True)
    tree.snapshot.succeed()
    assert tree.pending() == {"a.md"}


def test_a_change_before_a_run_is_trained_and_one_during_it_is_its_own(tree: Tree) -> None:
    tree.write("b.md", "new")
    tree.begin()
    tree.write("a.md", "new")
    tree.see(running=True)
    tree.snapshot.succeed()
    pending = tree.snapshot.pending()
    assert pending is not None
    assert pending.own
    assert tree.pending() == {"a.md"}
    tree.write("sub/c.md", "by a person")
    tree.see()
    pending = tree.snapshot.pending()
    assert pending is not None
    assert not pending.own


def test_own_is_forgotten_by_a_run_that_stirs_nothing(tree: Tree) -> None:
    tree.begin()
    tree.write("a.md", "new")
    tree.see(running=True)
    tree.snapshot.fail()
    pending = tree.snapshot.pending()
    assert pending is not None
    assert pending.own
    tree.begin()
    tree.snapshot.fail()
    pending = tree.snapshot.pending()
    assert pending is not None
    assert not pending.own


def test_another_process_may_begin_a_run_before_a_comparison_is_written(tree: Tree) -> None:
    path = os.fsencode(tree.write("a.md", "new"))
    seen = exhausted_content(path)
    other = Snapshot(tree.connection, "docs.service", tree.roots, tree.ignore)
    exhausted(other.compare(everything(), tree.moment(), running=False))
    other.begin()
    Rows(tree.connection, "docs.service").write(
        Batch(puts=[(path, seen, False)]), tree.moment(), alone_since=0
    )
    other.succeed()
    assert tree.pending() == set()


def exhausted_content(path: bytes) -> Content:
    steps = content(path, Pace())
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Content = end.value
            return found


# ---- absence ------------------------------------------------------------------------------------


def test_what_is_on_an_absent_root_while_a_run_succeeds_was_not_trained(tree: Tree) -> None:
    away = tree.root.with_name("away")
    tree.root.rename(away)
    tree.begin()
    tree.snapshot.succeed()
    assert tree.snapshot.pending() is None
    away.rename(tree.root)
    tree.see_all()
    assert tree.pending() == {"a.md", "b.md", "sub/c.md"}


def test_a_root_that_goes_in_the_middle_of_a_comparison_is_absent(tree: Tree) -> None:
    for number in range(2000):
        tree.write(f"many/{number % 10}/{number}.md")
    tree.train()
    steps = tree.snapshot.compare(everything(), tree.moment(), running=False)
    next(steps)
    tree.root.rename(tree.root.with_name("away"))
    found = exhausted(steps)
    assert found.absent == tuple(tree.roots)
    assert found.news == 0
    tree.root.with_name("away").rename(tree.root)
    assert tree.see_all().news == 0
    assert tree.pending() == set()


def test_what_is_below_no_root_any_more_is_forgotten(tree: Tree) -> None:
    inner = [os.fsencode(tree.root / "sub")]
    other = Snapshot(tree.connection, "docs.service", inner, tree.ignore)
    tree.write("a.md", "changed")
    exhausted(other.compare(everything(), tree.moment(), running=False))
    assert other.pending() is None
    assert set(tree.known()) == {os.fsencode(tree.root / "sub/c.md")}


def test_units_do_not_see_each_other_s_rows(tree: Tree) -> None:
    other = Snapshot(tree.connection, "other.service", tree.roots, tree.ignore)
    assert exhausted(other.compare(everything(), tree.moment(), running=False)).news == 3
    other.begin()
    assert other.pending() is not None
    assert tree.snapshot.pending() is None


# ---- stamps -------------------------------------------------------------------------------------


def test_a_file_written_a_moment_ago_is_read_again_whatever_its_stamp_says(tree: Tree) -> None:
    path = tree.write("a.md", "one")
    now = Moment("boot", tree.at, datetime.now(UTC))
    hinted = Touched()
    hinted.name(os.fsencode(tree.root), b"a.md")
    exhausted(tree.snapshot.compare(hinted, now, running=False))
    # What a second write in the same tick would look like: other text under the stamp that is known.
    path.write_text("two")
    found = path.stat()
    tree.connection.execute(
        "UPDATE files SET mtime_ns = ?, ctime_ns = ? WHERE path = ?",
        (found.st_mtime_ns, found.st_ctime_ns, os.fsencode(path)),
    )
    assert exhausted(tree.snapshot.compare(Touched(), tree.moment(), running=False)).news == 1
    assert not tree.connection.execute("SELECT path FROM files WHERE racy").fetchall()


def test_an_old_file_is_not_read_again(tree: Tree) -> None:
    path = tree.root / "a.md"
    tree.connection.execute("UPDATE files SET digest = x'aa' WHERE path = ?", (os.fsencode(path),))
    tree.see_all()
    assert tree.known()[os.fsencode(path)] == b"\xaa"


def test_a_file_that_changes_while_it_is_read_is_owed_until_it_is_read_in_peace(tree: Tree) -> None:
    path = tree.write("big.md", b"x" * (12 << 20))
    steps = tree.snapshot.compare(everything(), tree.moment(), running=False)
    for text in range(1000):
        try:
            next(steps)
        except StopIteration:
            break
        with path.open("ab") as file:
            file.write(b"%d" % text)
    assert tree.known()[os.fsencode(path)] == UNSETTLED
    tree.snapshot.begin()
    tree.snapshot.succeed()
    assert tree.pending() == {"big.md"}
    tree.train()
    assert len(tree.known()[os.fsencode(path)]) == 20


def test_a_date_beyond_all_reason_is_a_date(tree: Tree) -> None:
    path = tree.write("a.md", "new")
    try:
        os.utime(path, (250_000_000_000, 250_000_000_000))
    except OSError:
        pytest.skip("this file system has no such dates")
    tree.see()
    assert tree.pending() == {"a.md"}


# ---- steps --------------------------------------------------------------------------------------


def test_a_comparison_does_its_work_in_steps_and_holds_nothing_between_them(tree: Tree) -> None:
    for number in range(3000):
        tree.write(f"many/{number}.md")
    tree.write("big.md", b"x" * (20 << 20))
    steps = tree.snapshot.compare(everything(), tree.moment(), running=False)
    count = 0
    for _ in steps:
        count += 1
        assert not tree.connection.in_transaction
    assert count >= 3000 // 500 + 20 // 4
    assert tree.see_all().files == 3004


def test_an_abandoned_comparison_is_made_up_for_by_the_next(tree: Tree) -> None:
    for number in range(3000):
        tree.write(f"many/{number}.md")
    steps = tree.snapshot.compare(everything(), tree.moment(), running=False)
    next(steps)
    steps.close()
    tree.see_all()
    assert len(tree.pending()) == 3000


def test_what_is_pending_is_found_without_reading_the_rest(tree: Tree) -> None:
    plan = [row[3] for row in tree.connection.execute("EXPLAIN QUERY PLAN " + PENDING, ("docs.service",))]
    assert plan == ["SEARCH files USING INDEX files_pending (unit=?)"]


def test_a_hint_is_looked_at_without_reading_the_rest(tree: Tree) -> None:
    tree.write("a.md", "new")
    tree.write("new/b.md", "new")
    tree.hear()
    statements: list[str] = []
    tree.connection.set_trace_callback(statements.append)
    tree.see()
    tree.connection.set_trace_callback(None)
    for statement in statements:
        if statement.startswith(("SELECT", "UPDATE", "DELETE")) and " mounts " not in statement:
            plan = [row[3] for row in tree.connection.execute("EXPLAIN QUERY PLAN " + statement)]
            assert not any(step.startswith("SCAN") or step.endswith("(unit=?)") for step in plan), statement


# ---- news ---------------------------------------------------------------------------------------


def test_the_moment_of_the_last_news_is_remembered(tree: Tree) -> None:
    tree.at += 100
    tree.write("a.md", "new")
    tree.see()
    noticed = tree.snapshot.noticed()
    assert noticed is not None
    assert noticed.elapsed == tree.at
    tree.at += 100
    os.utime(tree.root / "a.md")
    tree.see()
    assert tree.snapshot.noticed() == noticed
    later = Moment("other boot", 1.5, datetime.now(UTC) + timedelta(days=1))
    tree.snapshot.notice(later)
    assert tree.snapshot.noticed() == later


# ---- what a run may not have read -----------------------------------------------------------------


def test_a_folder_that_was_elsewhere_for_a_moment_during_a_run_is_owed(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.write("a.md")
    tree.write("sub/deep/d.md")
    tree.train()
    tree.begin()
    (tree.root / "sub").rename(tmp_path / "out")
    (tmp_path / "out").rename(tree.root / "sub")
    tree.snapshot.stir(tree.hear())
    tree.see_all(running=True)
    tree.snapshot.succeed()
    assert tree.pending() == {"sub/deep/d.md"}
    tree.close()


def test_a_root_that_was_elsewhere_for_a_moment_during_a_run_is_owed(tree: Tree) -> None:
    tree.begin()
    tree.root.rename(tree.root.with_name("away"))
    tree.hear()
    tree.see(running=True)
    tree.root.with_name("away").rename(tree.root)
    tree.see_all(running=True)
    tree.snapshot.succeed()
    assert tree.pending() == {"a.md", "b.md", "sub/c.md"}


def test_names_that_moved_before_a_run_began_say_nothing_of_it() -> None:
    touched = Touched()
    touched.move(b"/docs/early", 10.0)
    touched.move(b"/docs/late", 30.0)
    touched.forget_names(20.0)
    assert touched.moved == {b"/docs/late": 30.0}


def test_very_many_folders_that_moved_are_all_of_them() -> None:
    touched = Touched()
    for number in range(2000):
        touched.move(b"/docs/%d" % number, float(number))
    assert len(touched.moved) <= 1001
    assert b"/" in touched.moved


# ---- a slip in the paths ------------------------------------------------------------------------


def looking_at(tree: Tree, *roots: Path) -> Snapshot:
    """The same unit's snapshot by a configuration with other paths."""
    return Snapshot(tree.connection, "docs.service", [os.fsencode(root) for root in roots], tree.ignore)


def seen(snapshot: Snapshot, tree: Tree, *, running: bool = False) -> Comparison:
    return exhausted(snapshot.compare(everything(), tree.moment(), running=running))


def rows(tree: Tree) -> set[str]:
    tables = ("files", "folders", "roots", "mounts")
    found = [tree.connection.execute(f"SELECT path FROM {table}").fetchall() for table in tables]  # noqa: S608
    return {os.path.relpath(os.fsdecode(path), tree.root) for each in found for (path,) in each}


def test_a_slip_in_the_paths_and_its_correction_forget_nothing(tree: Tree) -> None:
    tree.connection.execute(
        "INSERT INTO mounts VALUES ('docs.service', ?)", (os.fsencode(tree.root / "sub"),)
    )
    slip = looking_at(tree, tree.root.with_name("dcos"))
    tree.write("sub/c.md", "edited meanwhile")
    assert seen(slip, tree).absent == (os.fsencode(tree.root.with_name("dcos")),)
    assert slip.pending() is None
    assert list(slip.folders()) == []
    tree.connection.execute("DELETE FROM mounts")
    tree.see_all()
    assert tree.pending() == {"sub/c.md"}


def test_what_is_pending_is_so_no_longer_while_its_folder_is_in_no_path(tree: Tree) -> None:
    tree.connection.execute(
        "INSERT INTO mounts VALUES ('docs.service', ?)", (os.fsencode(tree.root / "sub"),)
    )
    tree.write("sub/c.md", "new")
    tree.see()
    assert looking_at(tree, tree.root).pending() is not None
    slip = looking_at(tree, tree.root.with_name("dcos"))
    assert slip.pending() is None
    assert not slip.is_pending()
    assert slip.absent() == (os.fsencode(tree.root.with_name("dcos")),)


def test_a_run_while_a_folder_is_in_no_path_has_not_read_it(tree: Tree) -> None:
    tree.write("sub0", "its name is the first after those in sub")
    tree.train()
    slip = looking_at(tree, tree.root / "sub", tree.root / "dcos")
    seen(slip, tree)
    slip.begin()
    slip.succeed()
    assert slip.pending() is None
    tree.see_all()
    assert tree.pending() == {"a.md", "b.md", "sub0"}


def test_a_run_that_fails_while_a_folder_is_in_no_path_leaves_what_was_trained(tree: Tree) -> None:
    slip = looking_at(tree, tree.root.with_name("dcos"))
    seen(slip, tree)
    slip.begin()
    slip.fail()
    tree.see_all()
    assert tree.pending() == set()


def test_what_a_run_read_is_in_doubt_when_its_folder_was_in_no_path_before_it_ended(tree: Tree) -> None:
    tree.begin()
    tree.write("a.md", "new")
    tree.write("a.md", "text of a.md")
    slip = looking_at(tree, tree.root.with_name("dcos"))
    seen(slip, tree, running=True)
    slip.succeed()
    tree.see_all()
    assert tree.pending() == {"a.md", "b.md", "sub/c.md"}


def test_what_is_in_no_path_is_forgotten_once_all_paths_are_there(tree: Tree) -> None:
    (tree.root / "empty").mkdir()
    tree.train()
    tree.connection.execute(
        "INSERT INTO mounts VALUES ('docs.service', ?)", (os.fsencode(tree.root / "empty"),)
    )
    before = rows(tree)
    slip = looking_at(tree, tree.root / "sub", tree.root / "dcos")
    seen(slip, tree)
    assert rows(tree) == before
    (tree.root / "dcos").mkdir()
    hinted = Touched()
    hinted.name(os.fsencode(tree.root / "sub"), b"c.md")
    exhausted(slip.compare(hinted, tree.moment(), running=False))
    assert rows(tree) >= before, "only a whole comparison knows that all are there"
    seen(slip, tree)
    assert rows(tree) == {"sub", "sub/c.md", "dcos"}
