"""A folder's listing: the same facts by the quick way and by the slow one."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from training_watch.watching.content import Pace, stamp_of
from training_watch.watching.listing import PIECE, STATX, Listing, Records, listed


def refused(*_: object) -> int:
    return -1


def listing_of(folder: Path, statx: Callable[..., int] = STATX) -> Listing:
    steps = listed(os.fsencode(folder), Records(statx), Pace(), follow=False)
    try:
        while True:
            next(steps)
    except StopIteration as end:
        found: Listing = end.value
        return found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(2 * PIECE + 7):
        (tmp_path / f"{number}.md").write_text("x" * number)
    for name in (b"new\nline", b"not-\xff-utf8", b"\xc3\xbc"):
        (tmp_path / os.fsdecode(name)).write_text("text")
    (tmp_path / "sub").mkdir()
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("0.md")
    (tmp_path / "dangling").symlink_to("nowhere")
    os.utime(tmp_path / "1.md", ns=(-1, -1))
    return tmp_path


def test_it_says_what_lstat_says(folder: Path) -> None:
    listing = listing_of(folder)
    expected = {}
    for name in os.listdir(os.fsencode(folder)):
        path = os.path.join(os.fsencode(folder), name)
        stamp = stamp_of(path, os.lstat(path))
        if stamp is not None and not os.path.isdir(path):
            expected[name] = stamp
    assert dict(listing.files()) == expected
    assert listing.folders == [b"sub"]
    assert listing.unknown == []
    assert b"fifo" in listing


def test_without_statx_it_says_the_same(folder: Path) -> None:
    quick, slow = listing_of(folder), listing_of(folder, refused)
    assert dict(slow.files()) == dict(quick.files())
    assert slow.folders == quick.folders
    assert slow.fingerprint(b"") == quick.fingerprint(b"")


def test_a_name_that_goes_while_it_is_looked_at_is_left_out(folder: Path) -> None:
    def one_goes(fd: int, name: bytes, flags: int, mask: int, to: ctypes.c_void_p) -> int:
        if name in (b"3.md", b"700.md"):
            (folder / os.fsdecode(name)).unlink(missing_ok=True)
        return STATX(fd, name, flags, mask, to)

    listing = listing_of(folder, one_goes)
    assert dict(listing.files()) == dict(listing_of(folder).files())
    assert b"3.md" not in listing
    assert listing.unknown == []


@pytest.mark.parametrize(
    "act",
    [
        lambda folder: (folder / "5.md").write_text("other"),
        lambda folder: os.utime(folder / "5.md"),
        lambda folder: (folder / "5.md").rename(folder / "renamed.md"),
        lambda folder: (folder / "5.md").unlink(),
        lambda folder: (folder / "0.md").write_text("the target of a link"),
        lambda folder: (folder / "nowhere").write_text("what dangled leads somewhere"),
        lambda folder: (folder / "sub2").mkdir(),
        lambda folder: (folder / "sub").rmdir(),
    ],
)
def test_whatever_changes_changes_its_fingerprint(folder: Path, act: Callable[[Path], object]) -> None:
    before = listing_of(folder).fingerprint(b"")
    assert listing_of(folder).fingerprint(b"") == before
    act(folder)
    assert listing_of(folder).fingerprint(b"") != before


def test_other_rules_are_another_fingerprint(folder: Path) -> None:
    listing = listing_of(folder)
    assert listing.fingerprint(b"some") != listing.fingerprint(b"others")


@pytest.mark.usefixtures("folder")
def test_a_link_in_place_of_a_folder_is_not_followed_unless_asked(tmp_path: Path) -> None:
    (tmp_path / "to-sub").symlink_to("sub")
    with pytest.raises(OSError, match=r"to-sub"):
        next(listed(os.fsencode(tmp_path / "to-sub"), Records(), Pace(), follow=False))
