"""What people and programs do to a tree, and what each back end makes of it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from watching.tree import Backend, Tree


def test_an_atomic_save_is_one_change(tree: Tree) -> None:
    new = tree.write("a.md.tmp123", "new text")
    new.rename(tree.root / "a.md")
    assert tree.see().news == 1
    assert tree.pending() == {"a.md"}


def test_a_save_in_the_manner_of_vim_is_one_change(tree: Tree) -> None:
    (tree.root / "4913").touch()
    (tree.root / "4913").unlink()
    tree.write(".a.md.swp", "swap")
    (tree.root / "a.md").rename(tree.root / "a.md~")
    tree.write("a.md", "new text")
    assert tree.see().news == 1
    (tree.root / "a.md~").unlink()
    (tree.root / ".a.md.swp").unlink()
    tree.see()
    assert tree.pending() == {"a.md"}


@pytest.mark.parametrize("times", [None, (0, 0), (4_000_000_000, 4_000_000_000)])
def test_a_touch_is_no_change(tree: Tree, times: tuple[int, int] | None) -> None:
    os.utime(tree.root / "a.md", times)
    assert tree.see().news == 0
    assert tree.pending() == set()


def test_a_change_of_permissions_is_no_change(tree: Tree) -> None:
    (tree.root / "a.md").chmod(0o640)
    (tree.root / "sub").chmod(0o750)
    assert tree.see().news == 0
    assert tree.pending() == set()


def test_a_rewrite_with_the_same_text_is_no_change(tree: Tree) -> None:
    tree.write("a.md", "text of a.md")
    assert tree.see().news == 0
    assert tree.pending() == set()


def test_reading_is_no_change_and_not_even_a_hint(tree: Tree) -> None:
    (tree.root / "a.md").read_text()
    list(tree.root.iterdir())
    heard = tree.hear()
    assert tree.backend == "poll" or not heard
    assert tree.see().news == 0


def test_a_change_and_back_is_no_change(tree: Tree) -> None:
    tree.write("a.md", "other")
    tree.see()
    assert tree.pending() == {"a.md"}
    tree.write("a.md", "text of a.md")
    tree.see()
    assert tree.pending() == set()


def test_a_rewrite_with_an_older_time_is_a_change(tree: Tree) -> None:
    path = tree.write("a.md", "TEXT of a.md")
    os.utime(path, (0, 0))
    tree.see()
    assert tree.pending() == {"a.md"}


def test_a_file_in_folders_that_are_new_is_seen(tree: Tree) -> None:
    tree.write("x/y/z/new.md")
    tree.see()
    assert tree.pending() == {"x/y/z/new.md"}
    tree.write("x/y/later.md")
    tree.see()
    assert tree.pending() == {"x/y/z/new.md", "x/y/later.md"}


def test_a_copied_tree_is_seen_whole(tree: Tree, tmp_path: Path) -> None:
    for number in range(300):
        path = tmp_path / f"elsewhere/d{number % 20}/e{number % 7}/{number}.md"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(number))
    shutil.copytree(tmp_path / "elsewhere", tree.root / "copy")
    assert tree.see().news == 300
    for number in range(20):  # each of the new folders is watched
        tree.write(f"copy/d{number}/more.md")
    assert tree.see().news == 20


def test_a_folder_that_moves_in_is_seen_and_watched(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "other/in").mkdir(parents=True)
    (tmp_path / "other/in/f.md").write_text("f")
    (tmp_path / "other").rename(tree.root / "other")
    tree.see()
    assert tree.pending() == {"other/in/f.md"}
    tree.train()
    tree.write("other/in/f.md", "changed")
    tree.see()
    assert tree.pending() == {"other/in/f.md"}


def test_a_folder_that_moves_out_is_gone_and_no_longer_watched(tree: Tree, tmp_path: Path) -> None:
    (tree.root / "sub").rename(tmp_path / "out")
    tree.see()
    assert tree.pending() == {"sub/c.md", "sub/deep/d.md"}
    tree.train()
    (tmp_path / "out/deep/d.md").write_text("not ours")
    heard = tree.hear()
    assert tree.backend == "poll" or not heard
    assert tree.see().news == 0


def test_a_folder_renamed_twice_is_followed(tree: Tree) -> None:
    (tree.root / "sub").rename(tree.root / "sub2")
    (tree.root / "sub2").rename(tree.root / "sub3")
    tree.see()
    names = {"sub/c.md", "sub/deep/d.md", "sub3/c.md", "sub3/deep/d.md"}
    assert tree.pending() == names
    tree.train()
    tree.write("sub3/deep/d.md", "changed")
    tree.see()
    assert tree.pending() == {"sub3/deep/d.md"}


def test_a_folder_that_moves_into_a_new_one_is_still_watched(tree: Tree, tmp_path: Path) -> None:
    (tree.root / "new").mkdir()
    (tree.root / "sub").rename(tree.root / "new/sub")
    tree.see()
    tree.train()
    tree.write("new/sub/c.md", "changed")
    tree.see()
    assert tree.pending() == {"new/sub/c.md"}
    folders = tree.watcher.condition.folders
    (tree.root / "new/sub").rename(tmp_path / "out")
    tree.hear()
    assert tree.watcher.condition.folders == (folders - 2 if tree.backend == "inotify" else 0)


def test_a_folder_that_somebody_still_holds_open_can_be_made_again(tree: Tree, tmp_path: Path) -> None:
    held = os.open(tree.root / "sub/deep", os.O_RDONLY)
    shutil.rmtree(tree.root / "sub")
    tree.write("sub/deep/d.md", "new")
    tree.see()
    os.close(held)  # only now does the kernel speak of the old folder's end
    tree.see()
    (tree.root / "sub/deep").rename(tmp_path / "out")
    tree.see()
    (tmp_path / "out/d.md").write_text("not ours")
    assert tree.backend == "poll" or not tree.hear()
    assert tree.watcher.condition.folders == (2 if tree.backend == "inotify" else 0)


def test_a_folder_is_told_from_one_whose_name_begins_alike(tree: Tree) -> None:
    tree.write("sub2/e.md")
    tree.write("sub!/f.md")
    tree.train()
    for name, files in (("sub!", {"sub!/f.md"}), ("sub", {"sub/c.md", "sub/deep/d.md"})):
        shutil.rmtree(tree.root / name)
        tree.see()
        assert tree.pending() == files
        tree.see_all()
        assert tree.pending() == files
        tree.train()


def test_a_folder_deleted_and_made_again_is_watched(tree: Tree) -> None:
    for _ in range(3):
        shutil.rmtree(tree.root / "sub")
        tree.write("sub/c.md", "text of sub/c.md")
    tree.see()
    assert tree.pending() == {"sub/deep/d.md"}
    tree.write("sub/c.md", "changed")
    tree.see()
    assert tree.pending() == {"sub/c.md", "sub/deep/d.md"}


def test_a_file_that_becomes_a_folder_and_back(tree: Tree) -> None:
    (tree.root / "a.md").unlink()
    tree.write("a.md/inner.md")
    tree.see()
    assert tree.pending() == {"a.md", "a.md/inner.md"}
    shutil.rmtree(tree.root / "a.md")
    tree.write("a.md", "text of a.md")
    tree.see()
    assert tree.pending() == set()


def test_a_deletion_is_a_change(tree: Tree) -> None:
    (tree.root / "a.md").unlink()
    (tree.root / "sub/deep/d.md").unlink()
    assert tree.see().news == 2
    assert tree.pending() == {"a.md", "sub/deep/d.md"}


def test_an_emptied_root_is_a_change(tree: Tree) -> None:
    for path in tree.root.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    found = tree.see_all()
    assert found.absent == ()
    assert tree.pending() == {"a.md", "b.md", "sub/c.md", "sub/deep/d.md"}


def test_links_are_followed_to_files_and_not_to_folders(tree: Tree, tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("one")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/inside.md").write_text("x")
    (tree.root / "loop").symlink_to(".")
    (tree.root / "self").symlink_to("self")
    (tree.root / "dangling").symlink_to("nowhere")
    (tree.root / "to-folder").symlink_to(tmp_path / "folder")
    (tree.root / "to-file").symlink_to(outside)
    tree.see()
    assert tree.pending() == {"loop", "self", "dangling", "to-folder", "to-file"}
    tree.train()
    outside.write_text("two")
    tree.see_all()
    assert tree.pending() == {"to-file"}
    tree.train()
    (tree.root / "dangling").unlink()
    (tree.root / "dangling").symlink_to("elsewhere")
    tree.see()
    assert tree.pending() == {"dangling"}


@pytest.mark.parametrize(
    "name",
    [b"new\nline.md", b"not-\xff\xfe-utf8.md", b"-rf", b"$(id)", b"n" * 255, b" ", "ü".encode(), b"a\\b"],
    ids=["newline", "not UTF-8", "dash", "shell", "255 bytes", "space", "umlaut", "backslash"],
)
def test_any_name_is_a_name(tree: Tree, name: bytes) -> None:
    folder = os.path.join(os.fsencode(tree.root), name)
    os.mkdir(folder)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(b"text")
    tree.see()
    pending = tree.snapshot.pending()
    assert pending is not None
    assert pending.sample == (os.path.join(folder, name),)


def test_what_is_no_file_is_no_content_and_is_never_opened(tree: Tree) -> None:
    os.mkfifo(tree.root / "fifo")
    os.mkfifo(tree.root / ".gitignore")
    (tree.root / "a.md").unlink()
    os.mkfifo(tree.root / "a.md")
    tree.see()
    assert tree.pending() == {"a.md"}
    assert b"fifo" not in b" ".join(tree.known())


def test_what_editors_leave_behind_is_ignored(tree: Tree) -> None:
    for name in ("a.md~", ".#a.md", "#a.md#", "x___jb_tmp___", ".goutputstream-XYZ", ".git/index", "f.part"):
        tree.write(name)
    assert tree.see().news == 0


def test_a_changed_rule_alone_is_no_change_and_a_newly_included_file_is(tree: Tree) -> None:
    tree.write("log/x.log")
    tree.write(".gitignore", "*.log\nsub/\nb.md\n")
    tree.see()
    assert tree.pending() == set()
    tree.write("sub/c.md", "changed, but ignored")
    tree.see()
    assert tree.pending() == set()
    tree.write(".gitignore", "sub/\nb.md\n")
    tree.see()
    assert tree.pending() == {"log/x.log"}
    tree.later(60)  # rules that change quickly one after another are taken together
    (tree.root / ".gitignore").unlink()
    tree.see()
    tree.later(60)
    tree.see()
    assert tree.pending() == {"b.md", "log/x.log", "sub/c.md", "sub/deep/d.md"}
    tree.train()
    tree.write("sub/deep/d.md", "again")
    tree.see()
    assert tree.pending() == {"sub/deep/d.md"}


# ---- roots --------------------------------------------------------------------------------------


def test_a_root_that_is_missing_at_first_is_waited_for(tmp_path: Path, backend: Backend) -> None:
    tree = Tree(tmp_path / "not/yet", backend, make=False, roots=[tmp_path / "not/yet/there/docs"])
    tree.root = tmp_path / "not/yet/there/docs"
    assert tree.watcher.condition.mode == "waiting"
    assert tree.see_all().absent == tuple(tree.roots)
    tree.write("a.md")
    assert tree.see().absent == ()
    assert tree.watcher.condition.mode == ("inotify" if backend == "inotify" else "polling")
    assert tree.pending() == {"a.md"}
    tree.write("b.md")
    tree.see()
    assert tree.pending() == {"a.md", "b.md"}
    tree.close()


def test_a_root_that_is_missing_is_no_deletion(tree: Tree) -> None:
    tree.write("b.md", "owed")
    tree.see()
    away = tree.root.with_name("away")
    tree.root.rename(away)
    assert tree.see().absent == tuple(tree.roots)
    assert tree.snapshot.pending() is None
    assert tree.watcher.condition.mode == "waiting"
    away.rename(tree.root)
    assert tree.see().absent == ()
    assert tree.pending() == {"b.md"}
    tree.write("a.md", "changed")
    tree.see()
    assert tree.pending() == {"a.md", "b.md"}


def test_a_root_that_is_deleted_and_made_again_is_watched(tree: Tree) -> None:
    for text in ("one", "two"):
        shutil.rmtree(tree.root)
        tree.see()
        assert tree.snapshot.pending() is None
        tree.write("a.md", text)
        tree.see()
        assert "a.md" in tree.pending()
        tree.write("new/n.md", text)
        tree.see()
        assert "new/n.md" in tree.pending()
        tree.train()


def test_a_root_that_is_replaced_at_once_is_watched(tree: Tree) -> None:
    for text in ("one", "two"):
        tree.root.rename(tree.root.with_name(f"old-{text}"))
        tree.root.mkdir()
        tree.write("a.md", text)
        tree.see()
        assert "a.md" in tree.pending()
        tree.train()
        tree.write("a.md", text * 2)
        tree.see()
        assert tree.pending() == {"a.md"}


def test_a_root_that_is_a_link_switched_elsewhere_is_followed(tmp_path: Path, backend: Backend) -> None:
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        (tmp_path / version / "a.md").write_text(version)
    (tmp_path / "docs").symlink_to("v1")
    tree = Tree(tmp_path, backend, make=False)
    tree.train()
    (tmp_path / "next").symlink_to("v2")
    (tmp_path / "next").rename(tmp_path / "docs")
    tree.see()
    assert tree.pending() == {"a.md"}
    tree.train()
    (tmp_path / "v2/a.md").write_text("more")
    tree.see()
    assert tree.pending() == {"a.md"}
    tree.close()


def test_a_root_below_a_folder_that_was_renamed_is_found_missing_in_time(
    tmp_path: Path, backend: Backend
) -> None:
    tree = Tree(tmp_path / "above", backend)
    tree.write("a.md")
    tree.train()
    (tmp_path / "above").rename(tmp_path / "elsewhere")
    tree.later(60)
    assert tree.see().absent == tuple(tree.roots)
    assert tree.snapshot.pending() is None
    (tmp_path / "elsewhere").rename(tmp_path / "above")
    tree.write("a.md", "changed")
    tree.see()
    assert tree.pending() == {"a.md"}
    tree.close()


def test_a_root_inside_another_is_watched_when_the_outer_comes_back(tmp_path: Path, backend: Backend) -> None:
    tree = Tree(tmp_path, backend, roots=[tmp_path / "docs", tmp_path / "docs/mid/inner"])
    tree.write("mid/inner/b.md")
    tree.train()
    for folder in (tree.root, tree.root / "mid"):
        folder.rename(tmp_path / "away")
        (tmp_path / "away").rename(folder)
        tree.see()
        tree.write("mid/inner/b.md", f"changed in {folder}")
        tree.see()
        assert tree.pending() == {"mid/inner/b.md"}
        tree.train()
        tree.write("mid/inner/b.md", f"changed again in {folder}")
        tree.see()
        assert tree.pending() == {"mid/inner/b.md"}
        tree.train()
    tree.close()


def test_one_of_two_roots_may_be_missing(tmp_path: Path, backend: Backend) -> None:
    tree = Tree(tmp_path, backend, roots=[tmp_path / "docs", tmp_path / "docs/inner"])
    tree.write("a.md")
    tree.write("inner/b.md")
    tree.train()
    shutil.rmtree(tree.root / "inner")
    assert tree.see().absent == (os.fsencode(tree.root / "inner"),)
    assert tree.see_all().files == 1
    assert tree.snapshot.pending() is None
    assert "inner: not there" in tree.watcher.condition.cause
    tree.write("a.md", "changed")
    tree.see()
    pending = tree.snapshot.pending()
    assert pending is not None
    assert pending.sample == (os.fsencode(tree.root / "a.md"),)
    tree.write("inner/b.md", "changed")
    tree.see()
    assert tree.pending() == {"a.md", "inner/b.md"}
    tree.close()
