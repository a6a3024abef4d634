"""The ways in which the bytes of a file change, by name or behind its back."""

from __future__ import annotations

import ctypes
import mmap
import os
import subprocess
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path

import pytest

from needs import lacking
from training_watch.events import Moment
from watching.tree import INTERVAL, Tree, everything, exhausted


def in_time(tree: Tree) -> None:
    """What no event tells of is found by the regular comparison."""
    tree.later(10 * INTERVAL)
    tree.see()


# ---- through a descriptor -----------------------------------------------------------------------


def test_a_file_that_stays_open_for_hours_is_seen_at_each_write(tree: Tree) -> None:
    with (tree.root / "a.md").open("ab", buffering=0) as file:
        for number in range(3):
            file.write(b"%d" % number)
            assert tree.see().news == 1
            assert tree.pending() == {"a.md"}
            tree.train()
    tree.see()
    assert tree.pending() == set()


@pytest.mark.parametrize("length", [0, 3, 100])
def test_a_file_cut_or_stretched_is_a_change(tree: Tree, length: int) -> None:
    os.truncate(tree.root / "a.md", length)
    tree.see()
    assert tree.pending() == {"a.md"}


def test_an_emptied_file_is_a_change_and_an_empty_one_is_a_file(tree: Tree) -> None:
    tree.write("a.md", "")
    tree.write("new.md", "")
    tree.see()
    assert tree.pending() == {"a.md", "new.md"}
    tree.write("a.md", "text of a.md")
    (tree.root / "new.md").unlink()
    tree.see()
    assert tree.pending() == set()


def test_room_taken_for_a_file_is_a_change(tree: Tree) -> None:
    with (tree.root / "a.md").open("r+b") as file:
        os.posix_fallocate(file.fileno(), 0, 10_000)
    tree.see()
    assert tree.pending() == {"a.md"}


def test_a_hole_punched_into_a_file_is_a_change(tree: Tree) -> None:
    path = tree.write("big.md", b"x" * 65536)
    tree.train()
    libc = ctypes.CDLL(None, use_errno=True)
    libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_long, ctypes.c_long]
    keep_size_and_punch_hole = 0x1 | 0x2  # <linux/falloc.h>
    with path.open("r+b") as file:
        if libc.fallocate(file.fileno(), keep_size_and_punch_hole, 4096, 4096):
            lacking(f"this file system has no holes: {os.strerror(ctypes.get_errno())}")
    tree.see()
    assert tree.pending() == {"big.md"}


def test_bytes_copied_by_the_kernel_are_a_change(tree: Tree, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("TEXT OF A.MD")
    with source.open("rb") as one, (tree.root / "a.md").open("r+b") as other:
        os.copy_file_range(one.fileno(), other.fileno(), 12)
    tree.see()
    assert tree.pending() == {"a.md"}


def test_a_file_made_without_a_name_is_seen_when_it_gets_one(tree: Tree) -> None:
    folder = os.open(tree.root, os.O_PATH)
    fd = os.open(tree.root, os.O_TMPFILE | os.O_RDWR)
    os.write(fd, b"text")
    tree.see()
    assert tree.pending() == set()
    os.link(f"/proc/self/fd/{fd}", "new.md", src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=True)
    os.close(fd)
    os.close(folder)
    tree.see()
    assert tree.pending() == {"new.md"}


def test_writes_to_a_deleted_file_that_is_still_open_are_not_even_a_hint(tree: Tree) -> None:
    with (tree.root / "a.md").open("ab", buffering=0) as file:
        (tree.root / "a.md").unlink()
        tree.see()
        assert tree.pending() == {"a.md"}
        tree.train()
        file.write(b"nobody will read this")
        assert tree.backend == "poll" or not tree.hear()
    tree.see()
    assert tree.pending() == set()


def test_a_write_through_a_mapping_is_found_in_time(tree: Tree) -> None:
    path = tree.root / "a.md"
    with path.open("r+b") as file:
        mapping = mmap.mmap(file.fileno(), 0)
    tree.train()
    before = path.stat().st_ctime_ns
    mapping[:4] = b"TEXT"
    mapping.flush()
    if path.stat().st_ctime_ns == before:
        pytest.skip("this file system gives no date to such a write")
    in_time(tree)
    assert tree.pending() == {"a.md"}
    mapping.close()


def test_an_event_about_attributes_alone_leads_to_a_look(tree: Tree) -> None:
    path = tree.root / "a.md"
    with path.open("r+b") as file:
        mapping = mmap.mmap(file.fileno(), 0)
    tree.train()
    mapping[:4] = b"TEXT"  # no event tells of it
    mapping.close()
    path.chmod(0o640)
    tree.see()
    assert tree.pending() == {"a.md"}


def test_a_second_write_to_a_page_that_is_not_written_out_is_found_too(tree: Tree) -> None:
    path = tree.root / "a.md"
    with path.open("r+b") as file:
        mapping = mmap.mmap(file.fileno(), 0)
    tree.train()
    mapping[:4] = b"one "
    ten_seconds_later = Moment("boot", tree.at, datetime.now(UTC) + timedelta(seconds=10))
    exhausted(tree.snapshot.compare(everything(), ten_seconds_later, running=False))
    mapping[:4] = b"two "  # gets no date: the page may be written to already (mm/memory.c, wp_page_shared)
    mapping.close()
    in_time(tree)
    assert tree.known()[os.fsencode(path)] == blake2b(b"two  of a.md", digest_size=20).digest()


# ---- by another name ----------------------------------------------------------------------------


def test_a_second_name_is_a_file_of_its_own(tree: Tree) -> None:
    os.link(tree.root / "a.md", tree.root / "twin.md")
    tree.see()
    assert tree.pending() == {"twin.md"}
    (tree.root / "twin.md").unlink()
    tree.see()
    assert tree.pending() == set()


def test_a_write_by_one_of_two_names_is_found_under_both(tree: Tree) -> None:
    os.link(tree.root / "a.md", tree.root / "sub/twin.md")
    tree.train()
    tree.write("a.md", "new")
    tree.see()
    assert "a.md" in tree.pending()
    tree.see_all()
    assert tree.pending() == {"a.md", "sub/twin.md"}
    tree.train()
    in_time(tree)
    assert tree.pending() == set()


def test_a_write_by_a_name_outside_the_tree_is_found_in_time(tree: Tree, tmp_path: Path) -> None:
    os.link(tree.root / "a.md", tmp_path / "outside.md")
    tree.train()
    (tmp_path / "outside.md").write_text("new")
    in_time(tree)
    assert tree.pending() == {"a.md"}


def test_a_name_outside_the_tree_that_goes_is_no_change(tree: Tree, tmp_path: Path) -> None:
    os.link(tree.root / "a.md", tmp_path / "outside.md")
    tree.train()
    (tmp_path / "outside.md").unlink()
    tree.see_all()
    assert tree.pending() == set()


# ---- what is no content -------------------------------------------------------------------------


def test_an_owner_an_attribute_and_a_time_of_reading_are_no_content(tree: Tree) -> None:
    path = tree.root / "a.md"
    found = path.stat()
    os.chown(path, found.st_uid, found.st_gid)
    try:
        os.setxattr(path, "user.comment", b"by a virus scanner")
    except OSError as error:
        lacking(f"no extended attributes here: {error}")
    os.utime(path, ns=(found.st_atime_ns + 1_000_000_000, found.st_mtime_ns))
    assert tree.see().news == 0
    assert tree.pending() == set()


def test_an_empty_folder_is_no_content(tree: Tree) -> None:
    (tree.root / "empty/inside").mkdir(parents=True)
    assert tree.see().news == 0
    tree.train()
    (tree.root / "empty/inside").rmdir()
    (tree.root / "empty").rmdir()
    assert tree.see().news == 0
    assert tree.pending() == set()


# ---- times --------------------------------------------------------------------------------------


def test_a_write_whose_time_is_set_back_is_a_change(tree: Tree) -> None:
    path = tree.root / "a.md"
    found = path.stat()
    path.write_text("TEXT OF A.MD")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert path.stat().st_size == found.st_size
    tree.see()
    assert tree.pending() == {"a.md"}


def test_a_file_of_the_same_size_and_time_renamed_over_is_a_change(tree: Tree, tmp_path: Path) -> None:
    path, new = tree.root / "a.md", tmp_path / "new"
    found = path.stat()
    new.write_text("TEXT OF A.MD")
    os.utime(new, ns=(found.st_atime_ns, found.st_mtime_ns))
    new.rename(path)
    tree.see()
    assert tree.pending() == {"a.md"}


@pytest.mark.parametrize("time", [-1, 0, 4_000_000_000], ids=["before 1970", "1970", "2096"])
def test_a_write_that_claims_to_be_of_another_age_is_a_change(tree: Tree, time: int) -> None:
    os.utime(tree.write("a.md", "new"), (time, time))
    os.utime(tree.write("new.md"), (time, time))
    tree.see()
    assert tree.pending() == {"a.md", "new.md"}
    tree.train()


@pytest.mark.parametrize("option", ["-a", "-p", "--reflink=auto"])
def test_a_copy_with_its_old_times_is_a_change(tree: Tree, tmp_path: Path, option: str) -> None:
    source = tmp_path / "source.md"
    source.write_text("TEXT OF A.MD")
    os.utime(source, (1_000_000_000, 1_000_000_000))
    for name in ("a.md", "new.md"):
        subprocess.run(["cp", option, source, tree.root / name], check=True)
    tree.see()
    assert tree.pending() == {"a.md", "new.md"}


def test_an_archive_unpacked_over_the_tree_is_seen_whole(tree: Tree, tmp_path: Path) -> None:
    other = tmp_path / "other"
    for name, text in (("a.md", "TEXT OF A.MD"), ("b.md", "text of b.md"), ("x/y/new.md", "new")):
        path = other / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        os.utime(path, (1_000_000_000, 1_000_000_000))
    subprocess.run(["tar", "-C", other, "-cf", tmp_path / "a.tar", "."], check=True)
    subprocess.run(["tar", "-C", tree.root, "-xf", tmp_path / "a.tar"], check=True)
    tree.see()
    assert tree.pending() == {"a.md", "x/y/new.md"}
    tree.train()
    subprocess.run(["tar", "-C", tree.root, "-xf", tmp_path / "a.tar"], check=True)
    tree.see()
    assert tree.pending() == set()


# ---- sizes --------------------------------------------------------------------------------------


def test_one_byte_at_the_end_of_a_large_file_with_holes_is_a_change(tree: Tree) -> None:
    path = tree.write("image.bin", "")
    os.truncate(path, 64 << 20)
    tree.see()
    assert tree.pending() == {"image.bin"}
    tree.train()
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"x")
    assert tree.see().news == 1
    assert tree.pending() == {"image.bin"}
