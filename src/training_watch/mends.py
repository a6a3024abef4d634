"""What the system refused → one line: where, in the system's own words, and what a person can do about it."""

from __future__ import annotations

import errno
import os
import shlex
import sqlite3
from pathlib import Path

_ROOM = "make room: `df -h {}`"
_ALLOW = "let your user in: `namei -l {}`"
_MISPLACED = "something else is in its place: `ls -ld {}`"
_MENDS = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EACCES: _ALLOW,
    errno.EPERM: _ALLOW,
    errno.EROFS: "mount it writable: `findmnt -T {}`",
    errno.ENOENT: "see which part of it is missing: `namei -l {}`",
    errno.ENOTDIR: "see which part of it is no folder: `namei -l {}`",
    errno.EISDIR: _MISPLACED,
    errno.EEXIST: _MISPLACED,
    errno.EINVAL: _MISPLACED,
    errno.ENAMETOOLONG: "give it a shorter name",
    errno.EMFILE: "allow more open files: `ulimit -n`",
    errno.ENFILE: "allow more open files: `sysctl fs.file-max`",
}
_OF_THE_DATABASE = {
    sqlite3.SQLITE_BUSY: "another process writes to it: try again",
    sqlite3.SQLITE_LOCKED: "another process writes to it: try again",
    sqlite3.SQLITE_FULL: _ROOM,
    sqlite3.SQLITE_READONLY: _ALLOW,
    sqlite3.SQLITE_PERM: _ALLOW,
    sqlite3.SQLITE_CANTOPEN: "see what is in its place: `namei -l {}`",
}
# The kernel's log tells of disks that fail.
_ELSE = "see `ls -ld {}` and `journalctl -k`"


def refused(path: Path | str | None, error: OSError | sqlite3.Error) -> str:
    """One line on an error at `path`; where that is None, at the file that the error names, if any."""
    if isinstance(error, OSError):
        where = path if path is not None else error.filename
        what = error.strerror or str(error)
        mend = _MENDS.get(error.errno or 0, _ELSE)
    else:
        where, what = path, str(error)
        # The first byte of an extended code says which kind it is (sqlite.org/rescode.html).
        mend = _OF_THE_DATABASE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF, _ELSE)
    if not isinstance(where, str | bytes | os.PathLike):
        return f"{what}: see `journalctl -k`"
    name = os.fsdecode(where)
    return f"{name}: {what}; {mend.format(shlex.quote(name))}"
