"""One folder as it is now: its names, their kinds and stamps, for little more than the system calls.

Nothing is remembered and nothing decided here. A listing is a fact about one instant, and its fingerprint
is equal to an older one's only if every name and every stamp in it is.

    names ──statx(2), 500 at a time──▶ records of the kernel's own shape ──columns──▶ fingerprint
                                                                         └─only where it differs──▶ stamps

An object for each file would cost as much as asking the kernel for it.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from array import array
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import repeat
from typing import NamedTuple

from training_watch.watching.content import FITTING, GONE, Pace, Stamp, link_stamp

# A root may be a link to a folder; below it no link is followed.
FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NONBLOCK
ENCODING, ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
# How many names are looked at between two yields. Arbitrary: about a millisecond.
PIECE = 500
KIND = 0o170000
SECOND = 1_000_000_000

# <linux/stat.h>, struct statx, 256 bytes on every architecture: stx_mode at 28, stx_ino at 32, stx_size at 40,
# stx_ctime at 96 and stx_mtime at 112, each as seconds and, 8 bytes on, nanoseconds.
RECORD = 256
MODE = 28 // 2
INODE, SIZE, CTIME, CTIME_NS, MTIME, MTIME_NS = 4, 5, 12, 13, 14, 15
COLUMNS = (INODE, SIZE, CTIME, CTIME_NS, MTIME, MTIME_NS)
# AT_SYMLINK_NOFOLLOW; STATX_TYPE, STATX_MODE, STATX_MTIME, STATX_CTIME, STATX_INO, STATX_SIZE
NOFOLLOW, WANTED = 0x100, 0x1 | 0x2 | 0x40 | 0x80 | 0x100 | 0x200

# Takes a folder's descriptor, a name, flags, a mask and where to write; 0, or -1 where it can't be had.
Statx = Callable[[int, bytes, int, int, ctypes.c_void_p], int]


def _refused(*_: object) -> int:
    return -1


# Where a C library or a sandbox has none, each name is asked for by itself.
STATX: Statx = getattr(ctypes.CDLL(None), "statx", _refused)


class Piece(NamedTuple):
    """Some names, and of each its mode and, in a column for each number of its stamp, where it stands."""

    names: list[bytes]
    modes: list[int]
    columns: list[bytes]


@dataclass(slots=True)
class Listing:
    """Names in a folder. `unknown` are there, but what they are may not be asked."""

    pieces: list[Piece] = field(default_factory=list)
    folders: list[bytes] = field(default_factory=list)
    links: dict[bytes, Stamp] = field(default_factory=dict)
    unknown: list[bytes] = field(default_factory=list)

    def __contains__(self, name: bytes) -> bool:
        return any(name in piece.names for piece in self.pieces)

    def fingerprint(self, rules: bytes) -> bytes:
        """A name for all that is listed, and for the rules by which it is looked at; 16 bytes."""
        told = [rules]
        for names, modes, columns in self.pieces:
            told += [b"%d " % len(names), b"\0".join(names), array("H", modes).tobytes(), *columns]
        if self.links:
            told.append(repr(sorted(self.links.items())).encode())
        return blake2b(b"".join(told), digest_size=16).digest()

    def files(self) -> Iterator[tuple[bytes, Stamp]]:
        """What has content, with its stamp: regular files, and links."""
        yield from self.links.items()
        for names, modes, columns in self.pieces:
            numbers = [memoryview(column).cast("q") for column in columns]
            for name, mode, inode, size, ctime, ctime_ns, mtime, mtime_ns in zip(
                names, modes, *numbers, strict=True
            ):
                if mode & KIND == stat.S_IFREG:
                    changed, written = ctime * SECOND + ctime_ns, mtime * SECOND + mtime_ns
                    yield name, (size & FITTING, written & FITTING, changed & FITTING, inode & FITTING)


class Records:
    """Room for PIECE records as statx(2) fills them in."""

    def __init__(self, statx: Statx = STATX) -> None:
        self._statx = statx
        self._room = ctypes.create_string_buffer(RECORD * PIECE)
        start = ctypes.addressof(self._room)
        # Made once: a pointer for each call would be an object for each file after all.
        self._slots = [ctypes.c_void_p(start + RECORD * at) for at in range(PIECE)]
        view = memoryview(self._room).cast("B")
        self._halves, self._words = view.cast("H"), view.cast("q")

    def read(self, fd: int, names: list[bytes], listing: Listing) -> None:
        """Add names in an open folder to its listing; what is gone meanwhile is left out."""
        results = list(map(self._statx, repeat(fd), names, repeat(NOFOLLOW), repeat(WANTED), self._slots))
        if any(results):
            names = self._read_again(fd, names, results, listing)
        modes = self._halves[MODE : RECORD // 2 * len(names) : RECORD // 2].tolist()
        words = self._words[: RECORD // 8 * len(names)]
        columns = [words[column :: RECORD // 8].tobytes() for column in COLUMNS]
        listing.pieces.append(Piece(names, modes, columns))
        for at, mode in enumerate(modes):
            kind = mode & KIND
            if kind == stat.S_IFDIR:
                listing.folders.append(names[at])
            elif kind == stat.S_IFLNK:
                self._link(fd, names[at], listing)

    def _link(self, fd: int, name: bytes, listing: Listing) -> None:
        try:
            found = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except OSError:
            listing.unknown.append(name)
        else:
            listing.links[name] = link_stamp(name, found, dir_fd=fd)

    def _read_again(self, fd: int, names: list[bytes], results: list[int], listing: Listing) -> list[bytes]:
        """Ask for names by themselves that were refused; those that are known afterwards, in the order of their records."""
        known = list[bytes]()
        for at, (name, result) in enumerate(zip(names, results, strict=True)):
            to = len(known)
            if result:
                try:
                    self._write(to, os.stat(name, dir_fd=fd, follow_symlinks=False))
                except OSError as error:
                    if error.errno not in GONE:
                        listing.unknown.append(name)
                    continue
            elif to != at:
                ctypes.memmove(self._slots[to], self._slots[at], RECORD)
            known.append(name)
        return known

    def _write(self, at: int, found: os.stat_result) -> None:
        self._halves[RECORD // 2 * at + MODE] = found.st_mode
        first = RECORD // 8 * at
        inode = found.st_ino & FITTING
        times = (*divmod(found.st_ctime_ns, SECOND), *divmod(found.st_mtime_ns, SECOND))
        for column, value in zip(COLUMNS, (inode, found.st_size, *times), strict=True):
            self._words[first + column] = value


def listed(folder: bytes, records: Records, pace: Pace, *, follow: bool) -> Generator[None, None, Listing]:
    """List a folder; a link in place of it is followed only if asked. Raises OSError where it can't be listed.

    Names are looked up from the open folder, so that a folder that is replaced meanwhile gives no mixture.
    """
    listing = Listing()
    fd = os.open(folder, FLAGS if follow else FLAGS | os.O_NOFOLLOW)
    try:
        # One call for all names: encoding them one by one takes longer than asking the kernel for them.
        text = "\0".join(os.listdir(fd))
        names = text.encode(ENCODING, ERRORS).split(b"\0") if text else []
        for start in range(0, len(names), PIECE):
            piece = names[start : start + PIECE]
            records.read(fd, piece, listing)
            if pace.spend(len(piece)):
                yield
    finally:
        os.close(fd)
    return listing
