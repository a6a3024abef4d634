"""How programs save a document: whatever the steps, one change, and none where the text is the same."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from watching.tree import Tree

# Each does a program's steps one by one and yields between them.
Save = Callable[[Path, str], Iterator[None]]


def beside(path: Path, name: str) -> Path:
    return path.with_name(name.format(path.name))


def in_place(path: Path, text: str) -> Iterator[None]:
    with path.open("r+b", buffering=0) as file:
        file.truncate()
        yield
        for letter in text:
            file.write(letter.encode())
    yield


def renamed_over(name: str) -> Save:
    def save(path: Path, text: str) -> Iterator[None]:
        new = beside(path, name)
        new.touch()
        yield
        new.write_text(text)
        yield
        new.rename(path)
        yield

    return save


def vim(path: Path, text: str, *, keeps_backup: bool = False) -> Iterator[None]:
    swap, backup, probe = beside(path, ".{}.swp"), beside(path, "{}~"), beside(path, "4913")
    swap.write_text("swap")
    yield
    probe.touch()
    yield
    probe.unlink()
    path.rename(backup)
    yield
    path.write_text(text)
    yield
    if not keeps_backup:
        backup.unlink()
    swap.unlink()
    yield


def vim_that_keeps_its_backup(path: Path, text: str) -> Iterator[None]:
    yield from vim(path, text, keeps_backup=True)


def vim_that_copies_its_backup(path: Path, text: str) -> Iterator[None]:
    backup = beside(path, "{}~")
    shutil.copy2(path, backup)
    yield
    yield from in_place(path, text)
    backup.unlink()
    yield


def emacs(path: Path, text: str) -> Iterator[None]:
    lock, draft, backup = beside(path, ".#{}"), beside(path, "#{}#"), beside(path, "{}~")
    lock.symlink_to("somebody@host.4711:1700000000")
    yield
    draft.write_text(text)
    yield
    path.rename(backup)
    yield
    path.write_text(text)
    yield
    draft.unlink()
    lock.unlink()
    yield


def nano_with_a_backup(path: Path, text: str) -> Iterator[None]:
    shutil.copy2(path, beside(path, "{}~"))
    yield
    yield from in_place(path, text)


def jetbrains(path: Path, text: str) -> Iterator[None]:
    new, old = beside(path, "{}___jb_tmp___"), beside(path, "{}___jb_old___")
    new.write_text(text)
    yield
    path.rename(old)
    yield
    new.rename(path)
    yield
    old.unlink()
    yield


def libreoffice(path: Path, text: str) -> Iterator[None]:
    lock, new = beside(path, ".~lock.{}#"), beside(path, "lu4711x2ab.tmp")
    lock.write_text(",somebody,host,01.01.2026 12:00,file:///;")
    yield
    new.write_text(text)
    yield
    shutil.copyfile(new, path)
    yield
    new.unlink()
    lock.unlink()
    yield


def word(path: Path, text: str) -> Iterator[None]:
    owner, new, old = beside(path, "~${}"), beside(path, "1A2B3C4D.tmp"), beside(path, "~WRL0001.tmp")
    owner.write_text("somebody")
    yield
    new.write_text(text)
    yield
    path.rename(old)
    yield
    new.rename(path)
    yield
    old.unlink()
    owner.unlink()
    yield


def sed(path: Path, text: str) -> Iterator[None]:
    subprocess.run(["sed", "-i", f"s/.*/{text}/", path], check=True)
    yield


def deleted_and_made_anew(path: Path, text: str) -> Iterator[None]:
    path.unlink()
    yield
    path.write_text(text)
    yield


def rsync(path: Path, text: str) -> Iterator[None]:
    new = beside(path, ".{}.Xy12Ab")
    new.write_text(text)
    yield
    os.utime(new, (1_000_000_000, 1_000_000_000))
    new.rename(path)
    yield


def rsync_in_place(path: Path, text: str) -> Iterator[None]:
    with path.open("r+b", buffering=0) as file:
        file.write(text.encode())
        yield
        file.truncate()
    os.utime(path, (1_000_000_000, 1_000_000_000))
    yield


def dropbox(path: Path, text: str) -> Iterator[None]:
    cache = path.parent / ".dropbox.cache"
    cache.mkdir()
    new = cache / "f4711"
    new.write_text(text)
    yield
    new.rename(path)
    yield


SAVES: dict[str, Save] = {
    "vim": vim,
    "vim, backup": vim_that_keeps_its_backup,
    "vim, backupcopy=yes": vim_that_copies_its_backup,
    "vim, nowritebackup": in_place,
    "emacs": emacs,
    "nano -B": nano_with_a_backup,
    "VS Code": in_place,
    "JetBrains": jetbrains,
    "Kate": renamed_over("{}.AbCdEf"),  # QSaveFile
    "gedit": renamed_over(".goutputstream-A1B2C3"),  # GIO
    "Sublime Text": renamed_over(".subl4a1.tmp"),
    "LibreOffice": libreoffice,
    "Word": word,
    "sed -i": sed,
    "git checkout": deleted_and_made_anew,
    "rsync": rsync,
    "rsync --inplace": rsync_in_place,
    "Syncthing": renamed_over(".syncthing.{}.tmp"),
    "Nextcloud": renamed_over(".{}.~1a2b3c4d"),
    "Dropbox": dropbox,
    "rclone": renamed_over("{}.1a2b3c4d.partial"),
    "Firefox": renamed_over("Xy12.{}.part"),
}
saves = pytest.mark.parametrize("save", SAVES.values(), ids=SAVES)


@saves
def test_a_save_is_one_change_however_it_is_done(tree: Tree, save: Save) -> None:
    for _ in save(tree.root / "a.md", "new text"):
        pass
    assert tree.see().news == 1
    assert tree.pending() == {"a.md"}


@saves
def test_a_save_that_is_looked_at_after_each_step_is_one_change_in_the_end(tree: Tree, save: Save) -> None:
    for _ in save(tree.root / "a.md", "new text"):
        tree.see()
    assert tree.pending() == {"a.md"}


@saves
def test_a_save_of_the_same_text_is_no_change(tree: Tree, save: Save) -> None:
    for _ in save(tree.root / "a.md", "text of a.md"):
        tree.hear()
    tree.see()
    assert tree.pending() == set()


@saves
def test_a_save_during_a_run_is_kept(tree: Tree, save: Save) -> None:
    tree.begin()
    for _ in save(tree.root / "a.md", "new text"):
        tree.see(running=True)
    tree.snapshot.succeed()
    assert "a.md" in tree.pending()
    tree.train()


@pytest.mark.parametrize(
    "name",
    [
        ".a.md.swp", ".a.md.swo", ".a.md.un~", "a.md~", ".#a.md", "#a.md#", ".a.md.kate-swp",
        ".~lock.a.odt#", "~$a.docx", ".goutputstream-A1B2C3", "a.md___jb_tmp___", "a.md___jb_old___",
        ".syncthing.a.md.tmp", "a.iso.part", ".nfs000000000001", ".fuse_hidden000000010000001",
        ".DS_Store", ".ipynb_checkpoints/a.ipynb", "__pycache__/a.pyc", ".svn/wc.db", ".hg/dirstate",
        ".jj/repo/store/x",
        ".sync_1a2b3c.db", ".sync_1a2b3c.db-wal", ".sync_1a2b3c.db-shm", "._sync_1a2b3c.db", ".owncloudsync.log",
        ".dropbox", ".dropbox.cache/x", ".stfolder/x", ".stversions/a~20260101-120000.md",
        ".obsidian/workspace.json", ".obsidian/workspace-mobile.json", ".Trash-1000/files/a.md",
        "Thumbs.db", "desktop.ini", ".directory", "._a.md", ".a.md.~1a2b3c4d", "a.md.1a2b3c4d.partial",
        "a.iso.crdownload", "a.iso.filepart",
    ],
)  # fmt: skip
def test_what_a_program_keeps_beside_a_document_for_itself_is_no_content(tree: Tree, name: str) -> None:
    for text in ("one", "two"):
        tree.write(name, text)
        tree.write(f"sub/deep/{name}", text)
        assert tree.see().news == 0
        assert tree.see_all().news == 0
    assert tree.pending() == set()
