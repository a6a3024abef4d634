"""Files and folders that change their names, singly, in turn and at once."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import unicodedata
from pathlib import Path

import pytest

from needs import lacking
from watching.tree import Tree

SUB = {"sub/c.md", "sub/deep/d.md"}


def exchange(one: Path, other: Path) -> None:
    """renameat2(2) with RENAME_EXCHANGE: `mv --exchange`, and how some programs deploy."""
    libc = ctypes.CDLL(None, use_errno=True)
    here, both = -100, 2  # AT_FDCWD <fcntl.h>, RENAME_EXCHANGE <linux/fs.h>
    if libc.renameat2(here, os.fsencode(one), here, os.fsencode(other), both):
        lacking(f"no exchange of names here: {os.strerror(ctypes.get_errno())}")


def changes_are_heard(tree: Tree, *names: str) -> None:
    """Each of these files, when written now, is pending after the next look."""
    tree.train()
    for name in names:
        tree.write(name, (tree.root / name).read_text() + ", and more")
    tree.see()
    assert tree.pending() == set(names)
    tree.train()


# ---- files --------------------------------------------------------------------------------------


def test_a_renamed_file_is_gone_by_one_name_and_there_by_another(tree: Tree) -> None:
    (tree.root / "a.md").rename(tree.root / "sub/deep/moved.md")
    tree.see()
    assert tree.pending() == {"a.md", "sub/deep/moved.md"}
    (tree.root / "sub/deep/moved.md").rename(tree.root / "a.md")
    tree.see()
    assert tree.pending() == set()


def test_a_file_renamed_over_another_is_two_changes(tree: Tree) -> None:
    (tree.root / "a.md").rename(tree.root / "b.md")
    tree.see()
    assert tree.pending() == {"a.md", "b.md"}


def test_a_file_that_moves_out_is_gone_and_one_that_moves_in_is_new(tree: Tree, tmp_path: Path) -> None:
    (tree.root / "a.md").rename(tmp_path / "out.md")
    tree.see()
    assert tree.pending() == {"a.md"}
    (tmp_path / "out.md").rename(tree.root / "in.md")
    tree.see()
    assert tree.pending() == {"a.md", "in.md"}


def test_two_files_that_exchange_names_are_two_changes_and_none_when_they_change_back(tree: Tree) -> None:
    exchange(tree.root / "a.md", tree.root / "sub/c.md")
    tree.see()
    assert tree.pending() == {"a.md", "sub/c.md"}
    exchange(tree.root / "a.md", tree.root / "sub/c.md")
    tree.see()
    assert tree.pending() == set()


def test_two_files_of_the_same_text_that_exchange_names_are_no_change(tree: Tree) -> None:
    tree.write("b.md", "text of a.md")
    tree.train()
    exchange(tree.root / "a.md", tree.root / "b.md")
    tree.see()
    assert tree.pending() == set()


def test_a_name_in_other_letters_is_another_name(tree: Tree) -> None:
    (tree.root / "a.md").rename(tree.root / "A.md")
    (tree.root / "sub").rename(tree.root / "Sub")
    tree.see()
    assert tree.pending() == {"a.md", "A.md", *SUB, "Sub/c.md", "Sub/deep/d.md"}
    changes_are_heard(tree, "A.md", "Sub/deep/d.md")


def test_names_that_look_the_same_are_two(tree: Tree) -> None:
    composed, taken_apart = (unicodedata.normalize(form, "é.md") for form in ("NFC", "NFD"))
    tree.write(composed, "one")
    tree.train()
    (tree.root / composed).rename(tree.root / taken_apart)
    tree.see()
    assert tree.pending() == {composed, taken_apart}
    tree.write(composed, "one")
    tree.see()
    assert tree.pending() == {taken_apart}


# ---- folders ------------------------------------------------------------------------------------


def test_a_folder_renamed_away_and_back_is_no_change(tree: Tree) -> None:
    (tree.root / "sub").rename(tree.root / "away")
    tree.see()
    (tree.root / "away").rename(tree.root / "sub")
    tree.see()
    assert tree.pending() == set()
    changes_are_heard(tree, "sub/deep/d.md")


def test_a_folder_renamed_away_and_back_between_two_looks_is_no_change(tree: Tree, tmp_path: Path) -> None:
    for away in (tree.root / "away", tmp_path / "away"):
        (tree.root / "sub").rename(away)
        away.rename(tree.root / "sub")
        tree.see()
        assert tree.pending() == set()
        changes_are_heard(tree, "sub/deep/d.md")


def test_two_folders_that_exchange_names_are_compared(tree: Tree) -> None:
    tree.write("other/x.md")
    tree.train()
    exchange(tree.root / "sub", tree.root / "other")
    tree.see()
    assert tree.pending() == {*SUB, "other/x.md", "other/c.md", "other/deep/d.md", "sub/x.md"}
    exchange(tree.root / "sub", tree.root / "other")
    tree.see()
    assert tree.pending() == set()


def test_two_folders_that_exchanged_names_are_both_still_watched(tree: Tree) -> None:
    tree.write("other/x.md")
    tree.train()
    exchange(tree.root / "sub", tree.root / "other")
    tree.see()
    changes_are_heard(tree, "sub/x.md", "other/c.md", "other/deep/d.md")
    (tree.root / "other/deep").rename(tree.root / "sub/deep")
    tree.see()
    changes_are_heard(tree, "sub/deep/d.md")


def test_a_folder_exchanged_with_one_outside_is_compared_and_the_other_not_heard(
    tree: Tree, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep/d.md").write_text("text of sub/deep/d.md")
    exchange(tree.root / "sub", outside)
    tree.see()
    assert tree.pending() == {"sub/c.md"}
    tree.train()
    (outside / "c.md").write_text("not ours any more")
    assert tree.backend == "poll" or not tree.hear()
    assert tree.see().news == 0
    changes_are_heard(tree, "sub/deep/d.md")


def test_a_folder_and_a_file_that_exchange_names_are_compared(tree: Tree) -> None:
    exchange(tree.root / "sub", tree.root / "a.md")
    tree.see()
    assert tree.pending() == {*SUB, "a.md", "sub", "a.md/c.md", "a.md/deep/d.md"}
    changes_are_heard(tree, "sub", "a.md/deep/d.md")


def test_two_folders_that_exchange_names_by_way_of_a_third_are_watched(tree: Tree) -> None:
    tree.write("other/x.md")
    tree.train()
    (tree.root / "sub").rename(tree.root / "third")
    (tree.root / "other").rename(tree.root / "sub")
    (tree.root / "third").rename(tree.root / "other")
    tree.see()
    changes_are_heard(tree, "sub/x.md", "other/c.md", "other/deep/d.md")


def test_a_folder_replaced_at_once_by_a_changed_copy_is_compared_and_watched(
    tree: Tree, tmp_path: Path
) -> None:
    shutil.copytree(tree.root / "sub", tmp_path / "new")
    (tmp_path / "new/c.md").write_text("changed in the copy")
    (tree.root / "sub").rename(tmp_path / "old")
    (tmp_path / "new").rename(tree.root / "sub")
    tree.see()
    assert tree.pending() == {"sub/c.md"}
    tree.train()
    (tmp_path / "old/c.md").write_text("not ours any more")
    assert tree.backend == "poll" or not tree.hear()
    assert tree.see().news == 0
    changes_are_heard(tree, "sub/c.md", "sub/deep/d.md")


def test_a_folder_renamed_onto_an_empty_one_takes_its_place(tree: Tree) -> None:
    (tree.root / "empty").mkdir()
    tree.see()
    (tree.root / "sub").rename(tree.root / "empty")
    tree.see()
    assert tree.pending() == {*SUB, "empty/c.md", "empty/deep/d.md"}
    changes_are_heard(tree, "empty/deep/d.md")


def test_a_folder_that_moves_out_of_one_that_moves_too_is_followed(tree: Tree) -> None:
    (tree.root / "sub").rename(tree.root / "moved")
    (tree.root / "moved/deep").rename(tree.root / "deep")
    (tree.root / "moved").rename(tree.root / "deep/moved")
    tree.see()
    assert tree.pending() == {*SUB, "deep/d.md", "deep/moved/c.md"}
    changes_are_heard(tree, "deep/d.md", "deep/moved/c.md")


def test_a_write_by_a_descriptor_from_before_its_folder_was_renamed_is_seen(tree: Tree) -> None:
    with (tree.root / "sub/deep/d.md").open("ab", buffering=0) as file:
        (tree.root / "sub").rename(tree.root / "renamed")
        tree.train()
        file.write(b"more")
        tree.see()
        assert tree.pending() == {"renamed/deep/d.md"}


def test_a_renamed_folder_with_an_unseen_change_in_it_is_seen_whole(tree: Tree) -> None:
    tree.write("sub/deep/d.md", "changed")
    (tree.root / "sub").rename(tree.root / "renamed")
    tree.write("renamed/deep/new.md")
    tree.see()
    assert tree.pending() == {*SUB, "renamed/c.md", "renamed/deep/d.md", "renamed/deep/new.md"}


def test_a_folder_that_is_ignored_by_its_new_name_is_forgotten_and_comes_back_by_its_old_one(
    tree: Tree,
) -> None:
    (tree.root / "sub").rename(tree.root / "__pycache__")
    tree.see()
    assert tree.pending() == SUB
    tree.train()
    tree.write("__pycache__/deep/d.md", "nobody's business")
    assert tree.backend == "poll" or not tree.hear()
    (tree.root / "__pycache__").rename(tree.root / "sub")
    tree.see()
    assert tree.pending() == SUB
    changes_are_heard(tree, "sub/deep/d.md")


def test_a_folder_that_is_made_while_one_looks_is_seen_whole(tree: Tree, tmp_path: Path) -> None:
    names = {f"copy/{number % 7}/{number % 5}/{number % 3}/{number}.md" for number in range(500)}
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    with subprocess.Popen(["cp", "-r", tmp_path / "copy", tree.root]) as copying:
        while copying.poll() is None:
            tree.see()
    tree.see()
    assert tree.pending() == names
    changes_are_heard(tree, *sorted(names)[::50])


# ---- roots --------------------------------------------------------------------------------------


def test_a_root_exchanged_with_another_folder_is_compared_and_watched(tree: Tree, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tree.root, other)
    (other / "a.md").write_text("changed in the copy")
    exchange(tree.root, other)
    tree.later(60)
    tree.see()
    assert tree.pending() == {"a.md"}
    tree.train()
    (other / "b.md").write_text("not ours any more")
    assert tree.see().news == 0
    changes_are_heard(tree, "a.md", "sub/deep/d.md")


@pytest.mark.parametrize("kind", ["file", "dangling link", "loop"])
def test_a_root_that_is_no_folder_any_more_is_absent(tree: Tree, tmp_path: Path, kind: str) -> None:
    tree.root.rename(tmp_path / "away")
    match kind:
        case "file":
            tree.root.write_text("no folder")
        case "dangling link":
            tree.root.symlink_to("nowhere")
        case "loop":
            tree.root.symlink_to(tree.root.name)
    assert tree.see().absent == tuple(tree.roots)
    assert tree.snapshot.pending() is None
    assert tree.watcher.condition.mode == "waiting"
    tree.root.unlink()
    (tmp_path / "away").rename(tree.root)
    assert tree.see().absent == ()
    assert tree.pending() == set()
    changes_are_heard(tree, "sub/deep/d.md")
