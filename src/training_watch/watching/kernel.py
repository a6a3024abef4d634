"""inotify(7) as it is: one instance, its watches by number, and its events as they come.

    IN_Q_OVERFLOW  events are lost from here on, with wd -1
    IN_UNMOUNT     followed by IN_IGNORED, and then silence, whatever becomes of the path
    IN_IGNORED     the watch is gone; its number is not given again until all others have been
    one inode has one watch, by whatever path it was added; adding it again returns the same number

Reading bytes and understanding them are two functions.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inotify_simple import INotify

# <sys/inotify.h>
MODIFY, ATTRIB, CLOSE_WRITE = 0x2, 0x4, 0x8
MOVED_FROM, MOVED_TO, CREATE, DELETE = 0x40, 0x80, 0x100, 0x200
DELETE_SELF, MOVE_SELF = 0x400, 0x800
UNMOUNT, Q_OVERFLOW, IGNORED, ISDIR = 0x2000, 0x4000, 0x8000, 0x40000000
ONLYDIR, DONT_FOLLOW, EXCL_UNLINK, MASK_ADD = 0x1000000, 0x2000000, 0x4000000, 0x20000000

# Never OPEN, ACCESS or CLOSE_NOWRITE: a training reads every document. MODIFY, because a writer may keep
# its file open for hours. ATTRIB, because some file systems report nothing else of a change.
CONTENT = MODIFY | ATTRIB | CLOSE_WRITE | MOVED_FROM | MOVED_TO | CREATE | DELETE | DELETE_SELF | MOVE_SELF
# EXCL_UNLINK: a deleted file that somebody still writes to is none of ours.
ROOT = CONTENT | ONLYDIR | EXCL_UNLINK
FOLDER = ROOT | DONT_FOLLOW
# On the folders above a root: that they move themselves, and where a name in them is waited for, names too.
# MASK_ADD, because such a folder may be one that is watched for its content.
SELF = DELETE_SELF | MOVE_SELF | ONLYDIR | MASK_ADD
NAMES = SELF | CREATE | DELETE | MOVED_FROM | MOVED_TO | ATTRIB

# struct inotify_event: int wd; uint32_t mask, cookie, len; char name[]
HEADER = Struct("iIII")

# A read of about 2,000 events; after one that gave more than FULL bytes there may be more.
GULP = 1 << 16
FULL = GULP // 2

Event = tuple[int, int, int, bytes]


class Kernel:
    """One inotify instance. Raises ImportError without inotify-simple, and OSError where the kernel refuses."""

    def __init__(self) -> None:
        # A missing package is an ordinary failure: it is told, and the tree is polled.
        from inotify_simple import INotify  # noqa: PLC0415

        self._inotify: INotify = INotify(nonblocking=True)

    def fileno(self) -> int:
        fd: int = self._inotify.fileno()
        return fd

    def add(self, folder: bytes, mask: int) -> int:
        """Watch a folder, or change how it is watched. Raises OSError as inotify_add_watch(2) does."""
        wd: int = self._inotify.add_watch(folder, mask)
        return wd

    def remove(self, wd: int) -> None:
        with suppress(OSError):  # EINVAL: the kernel has removed it already
            self._inotify.rm_watch(wd)

    def read(self) -> bytes:
        """What is queued, at most GULP bytes of it; nothing where nothing is. Never blocks."""
        try:
            return os.read(self.fileno(), GULP)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        self._inotify.close()


def events(data: bytes) -> Iterator[Event]:
    """Watch number, mask, cookie and name of each event in what was read."""
    position, end = 0, len(data)
    unpack, size = HEADER.unpack_from, HEADER.size
    while position < end:
        wd, mask, cookie, length = unpack(data, position)
        position += size
        yield wd, mask, cookie, data[position : position + length].rstrip(b"\0") if length else b""
        position += length
