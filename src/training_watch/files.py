"""Files that are either whole or not there, and locks between processes."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_whole(path: Path, text: str, *, mode: int = 0o600, durable: bool = True) -> None:
    """Write `text` so that a reader, a crash and a power cut each find the old file or the new one.

    The order is the whole point: the file's bytes are on the disk before its name is, and the name
    before this returns. Without `durable` a power cut may take it: for what is true only while a
    process lives. Raises OSError.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not by way of tempfile, which brings 13 modules and half a megabyte along.
    new = path.with_name(f".{path.name}.{os.urandom(6).hex()}.new")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(fd, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(fd, mode)
            if durable:
                os.fsync(fd)
        os.replace(new, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(new)
        raise
    if durable:
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in `folder` durable (fsync(2): the file's own fsync doesn't)."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    except OSError as error:
        # Some network and FUSE file systems refuse to sync a folder; there the rename is all there is.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(fd)


def read_small(path: Path, most: int) -> bytes:
    """The first `most` bytes of a regular file.

    Anything else is an error at once: a FIFO would be waited for, a device may have no end. Raises OSError.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, "not a regular file", str(path))
        with open(fd, "rb", closefd=False) as file:
            return file.read(most)
    finally:
        os.close(fd)


class Busy(Exception):
    """Somebody else holds the lock."""


@contextmanager
def lock(path: Path, *, within: float, pause: Callable[[float], None]) -> Iterator[int]:
    """Hold an exclusive flock(2) on `path`; its file descriptor is yielded.

    Tries for `within` seconds, then raises Busy. The kernel gives the lock back when the process
    ends, however it ends; children don't inherit it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        waited = 0.0
        while not _locked(fd):
            if waited >= within:
                raise Busy(f"{path} is locked by another process: try again in a minute")
            pause(0.05)
            waited += 0.05
        yield fd
    finally:
        os.close(fd)


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
