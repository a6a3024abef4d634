"""One file's content as a digest, and the stamp by which to tell that it needn't be read again.

Files are read a piece at a time: a generator here yields wherever its caller may want to do something
else for a moment. Nothing is opened that could block or act: no FIFO, no device.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator
from hashlib import blake2b
from typing import NamedTuple

DIGEST_SIZE = 20
# The digest of a file that kept changing while it was read. It is never taken for a trained one.
UNSETTLED = b"\0"
# In front of the digest of a file that couldn't be read, which is made from its stamp.
UNREADABLE = b"unreadable:"
TRIES = 3
CHUNK = 1 << 20
# A write in the same tick of the kernel's clock leaves the same stamp (git calls this "racy"); FAT has the coarsest
# tick in use, two seconds. A write to mapped memory leaves it too, until the page is written out: that takes
# 30 s and 5 s more (vm.dirty_expire_centisecs, vm.dirty_writeback_centisecs).
TICK_NS = 40_000_000_000
# One step of work: as many stats, or that share of 4 MiB read. Arbitrary: some milliseconds.
STEP = 500
STEP_BYTES = 4 << 20

# SQLite's integers have 64 bits and a sign; inodes have no sign, and a date may be beyond the year 2262.
FITTING = (1 << 63) - 1
FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
OUT_OF_RESOURCES = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
GONE = frozenset({errno.ENOENT, errno.ENOTDIR})

# Size, mtime_ns, ctime_ns, inode: what changes when a file does. Compared for equality only, because times
# go backwards too. A plain tuple: naming its fields would cost as much as the call that fills it.
Stamp = tuple[int, int, int, int]


class Content(NamedTuple):
    stamp: Stamp
    digest: bytes
    changed_ns: int


class Pace:
    """Says when a step of work is done."""

    __slots__ = ("_spent",)

    def __init__(self) -> None:
        self._spent = 0.0

    def spend(self, stats: float) -> bool:
        self._spent += stats
        if self._spent < STEP:
            return False
        self._spent = 0.0
        return True


def stamp_of(path: bytes, found: os.stat_result) -> Stamp | None:
    """The stamp of what lstat(2) found; None for what has no content, such as a FIFO."""
    kind = stat.S_IFMT(found.st_mode)
    if kind == stat.S_IFREG:
        return _stamp(found)
    return link_stamp(path, found) if kind == stat.S_IFLNK else None


def link_stamp(path: bytes, found: os.stat_result, *, dir_fd: int | None = None) -> Stamp:
    """A link's stamp is its own and its target's folded into one: it changes when either does."""
    own = _stamp(found)
    try:
        target = os.stat(path, dir_fd=dir_fd)
    except OSError:
        return own
    if not stat.S_ISREG(target.st_mode):
        return own
    its = _stamp(target)
    return own[0] ^ its[0], own[1] ^ its[1], own[2] ^ its[2], own[3] ^ its[3]


def racy(changed_ns: int, now_ns: int) -> bool:
    """A later write could leave the same stamp.

    Only the ctime counts: a write always sets it, and nobody can choose it, as they can the mtime.
    """
    return changed_ns >= now_ns - TICK_NS


def content(path: bytes, pace: Pace) -> Generator[None, None, Content | None]:
    """What is at `path` now; None where nothing is that has content. Raises OSError without resources."""
    found: os.stat_result | None = None
    for _ in range(TRIES):
        try:
            found = os.lstat(path)
            if stat.S_ISLNK(found.st_mode):
                digest = yield from _link(path, pace)
            elif stat.S_ISREG(found.st_mode):
                digest = yield from _regular(path, found, pace)
            else:
                return None
            stamp = stamp_of(path, found)
        except OSError as error:
            if error.errno in OUT_OF_RESOURCES:
                raise
            if error.errno in GONE:
                return None
            if found is None:
                raise
            return _unreadable(found)
        if digest is not None and stamp is not None:
            return Content(stamp, digest, _changed_ns(path, found))
    if found is None:
        return None
    return Content(_stamp(found), UNSETTLED, FITTING)


def _regular(path: bytes, found: os.stat_result, pace: Pace) -> Generator[None, None, bytes | None]:
    """The digest of the file that lstat found; None where it changed meanwhile."""
    try:
        fd = os.open(path, FLAGS | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link took its place since it was looked at
            return None
        raise
    try:
        hasher = blake2b(digest_size=DIGEST_SIZE)
        left = found.st_size
        while left > 0:
            # No more than there is: a buffer of a megabyte for each small file costs more than all else here.
            chunk = os.read(fd, min(left, CHUNK))
            hasher.update(chunk)
            left -= len(chunk)
            if not chunk or (left and not _same(found, os.fstat(fd))):
                return None
            if pace.spend(len(chunk) * STEP / STEP_BYTES):
                yield
        return hasher.digest() if _same(found, os.fstat(fd)) else None
    finally:
        os.close(fd)


def _link(path: bytes, pace: Pace) -> Generator[None, None, bytes | None]:
    """The digest of the target's name and, where that leads to a regular file, of its content."""
    name = os.readlink(path)
    hasher = blake2b(b"link\0" + name + b"\0", digest_size=DIGEST_SIZE)
    try:
        target = os.path.realpath(path, strict=True)
        found = os.stat(target)
        if stat.S_ISREG(found.st_mode):
            digest = yield from _regular(target, found, pace)
            if digest is None:
                return None
            hasher.update(digest)
    except OSError as error:  # dangling, a loop, not ours to read: the name is all that there is
        if error.errno in OUT_OF_RESOURCES:
            raise
    return hasher.digest()


def _unreadable(found: os.stat_result) -> Content:
    stamp = _stamp(found)
    text = b"%d %d" % (found.st_size, found.st_mtime_ns)
    digest = UNREADABLE + blake2b(text, digest_size=DIGEST_SIZE).digest()
    return Content(stamp, digest, found.st_ctime_ns)


def _changed_ns(path: bytes, found: os.stat_result) -> int:
    if not stat.S_ISLNK(found.st_mode):
        return found.st_ctime_ns
    try:
        return max(found.st_ctime_ns, os.stat(path).st_ctime_ns)
    except OSError:
        return found.st_ctime_ns


def _stamp(found: os.stat_result) -> Stamp:
    return (
        found.st_size & FITTING,
        found.st_mtime_ns & FITTING,
        found.st_ctime_ns & FITTING,
        found.st_ino & FITTING,
    )


def _same(before: os.stat_result, now: os.stat_result) -> bool:
    # Not the inode: overlayfs may give another through an open file than by name (kernel docs, overlayfs).
    return (
        stat.S_ISREG(now.st_mode)
        and before.st_size == now.st_size
        and before.st_mtime_ns == now.st_mtime_ns
        and before.st_ctime_ns == now.st_ctime_ns
    )
