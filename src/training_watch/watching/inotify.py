"""Hints from the kernel: a watch on each folder, kept in step with a tree that changes meanwhile.

Watches are put on folders, never on files, and on a folder before it is listed, so that what appears in
between is seen twice rather than not at all. A missing root is waited for at the nearest folder above
that exists. Whatever is not certain becomes a hint at everything.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from training_watch.watching.ignore import Ignore
from training_watch.watching.paths import ancestors, holds, join, shown
from training_watch.watching.touched import Touched

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
# On a folder above a root. MASK_ADD, because it may be one that is watched for its content.
ABOVE = CREATE | DELETE | MOVED_FROM | MOVED_TO | DELETE_SELF | MOVE_SELF | ATTRIB | ONLYDIR | MASK_ADD

# No event tells that a folder above a root was renamed, so roots are looked at now and then. Arbitrary.
LOOK = 60.0
# The least time between two rebuilds, so that a storm of overflows isn't answered by one of walks. Arbitrary.
REBUILD = 10.0
# How many ignored names are remembered as such, so that a constant writer costs little. Arbitrary.
DEAF = 10_000

Identity = tuple[int, int, int, int, int]


class Inotify:
    """Raises ImportError without inotify-simple, and OSError where the kernel refuses a watch.

    After an error it is to be closed. `fileno` changes when the watches are rebuilt.
    """

    def __init__(self, roots: Sequence[bytes], ignore: Ignore, at: float) -> None:
        self._ignore = ignore
        self._roots: dict[bytes, Identity | None] = dict.fromkeys(sorted(roots, key=len))
        self._folders: dict[int, bytes] = {}
        self._watches: dict[bytes, int] = {}
        self._above: set[int] = set()
        self._deaf: set[tuple[int, str]] = set()
        self._stale = ""
        self._rebuilt_at = at - REBUILD
        self._look_at = at
        self._inotify = _new()
        try:
            self._look(at, Touched())
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int:
        fd: int = self._inotify.fileno()
        return fd

    @property
    def folders(self) -> int:
        """How many folders are watched."""
        return len(self._watches)

    def due(self) -> float:
        """When `read` is to be called even if nothing happens."""
        return min(self._look_at, self._rebuilt_at + REBUILD) if self._stale else self._look_at

    def read(self, at: float) -> Touched:
        """The hints since the last call; never blocks."""
        touched = Touched()
        heard = set[tuple[int, str]]()
        for wd, mask, _, name in self._inotify.read(timeout=0):
            if mask & (Q_OVERFLOW | UNMOUNT | IGNORED) or not name:
                self._about_a_watch(wd, mask, at, touched)
                continue
            if wd in self._above:
                self._look_at = at
            folder = self._folders.get(wd)
            if folder is None:
                continue  # from before its watch was removed
            if mask & ISDIR:
                self._folder_changed(folder, os.fsencode(name), mask, at, touched)
            elif (wd, name) not in heard:
                heard.add((wd, name))
                self._file_changed(wd, folder, name, touched)
        if self._stale and at >= self._rebuilt_at + REBUILD:
            self._rebuild(at, touched)
        if at >= self._look_at:
            self._look(at, touched)
        return touched

    def renew(self) -> None:
        """Watch what isn't and should be, such as a folder that became readable unseen."""
        for root, identity in self._roots.items():
            if identity is not None:
                self._arm(root)

    def close(self) -> None:
        self._inotify.close()

    # ---- events ------------------------------------------------------------------------------

    def _about_a_watch(self, wd: int, mask: int, at: float, touched: Touched) -> None:
        folder = self._folders.get(wd)
        if mask & Q_OVERFLOW:
            # inotify(7): events are lost from here on, and with them folders that should be watched.
            self._owe_rebuild("the kernel's queue overflowed", touched)
        elif mask & UNMOUNT:
            # An IN_IGNORED follows, and then silence, whatever becomes of the path.
            self._owe_rebuild(f"{shown(folder) if folder else 'a file system'} was unmounted", touched)
        elif mask & IGNORED:
            self._above.discard(wd)
            self._folders.pop(wd, None)
            # It may be that of an older folder of this name, heard after the newer one was armed.
            if folder is not None and self._watches.get(folder) == wd:
                del self._watches[folder]
        if wd in self._above:
            self._look_at = at
        if folder in self._roots and not mask & UNMOUNT:
            if mask & (DELETE_SELF | MOVE_SELF | IGNORED) and self._watches.get(folder, wd) == wd:
                # A new folder may have the old one's inode number, so a comparison wouldn't tell.
                self._roots[folder] = None
                touched.all(f"{shown(folder)} was removed or renamed")
            self._look_at = at

    def _folder_changed(self, folder: bytes, name: bytes, mask: int, at: float, touched: Touched) -> None:
        path = join(folder, name)
        if path in self._roots:
            self._look_at = at
            return
        if self._ignore.ignored(path, is_folder=True):
            return
        if mask & (CREATE | MOVED_TO):
            self._arm(path)
        elif mask & MOVED_FROM:
            # Watches follow the inode: left alone they would speak of a place outside, or by an old name.
            self._disarm(path)
        elif mask & ATTRIB:
            readable = os.access(path, os.R_OK | os.X_OK, effective_ids=True)
            if readable and path in self._watches:
                return  # a touch
            self._arm(path)
        touched.name(folder, name)

    def _file_changed(self, wd: int, folder: bytes, text: str, touched: Touched) -> None:
        if (wd, text) in self._deaf:
            return
        name = os.fsencode(text)
        if self._ignore.is_rules(name):
            self._ignore.forget()
            self._owe_rebuild(f"{shown(join(folder, name))} changed", touched)
        elif self._ignore.ignored(join(folder, name), is_folder=False):
            if len(self._deaf) >= DEAF:
                self._deaf.clear()
            self._deaf.add((wd, text))
        else:
            touched.name(folder, name)

    # ---- watches -----------------------------------------------------------------------------

    def _arm(self, top: bytes) -> None:
        """Watch a folder and all below it."""
        to_do = [top]
        while to_do:
            folder = to_do.pop()
            try:
                wd = self._inotify.add_watch(folder, ROOT if folder in self._roots else FOLDER)
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.EPERM):
                    continue  # gone, which is an event of its own, or not ours to read
                raise
            self._remember(wd, folder)
            to_do.extend(self._subfolders(folder))

    def _remember(self, wd: int, folder: bytes) -> None:
        # The kernel has one watch for an inode, by whatever path: it may be known by an older one, and
        # this path by an older inode. Both are in the past.
        known_as = self._folders.get(wd)
        if known_as is not None and known_as != folder:
            self._watches.pop(known_as, None)
        older = self._watches.get(folder)
        if older is not None and older != wd:
            self._unwatch(older)
        self._folders[wd] = folder
        self._watches[folder] = wd

    def _subfolders(self, folder: bytes) -> list[bytes]:
        found = []
        with suppress(OSError), os.scandir(folder) as listing:
            for entry in listing:
                if (
                    entry.is_dir(follow_symlinks=False)
                    and entry.path not in self._roots
                    and not self._ignore.ignored(entry.path, is_folder=True)
                ):
                    found.append(entry.path)
        return found

    def _disarm(self, top: bytes) -> None:
        for folder in [folder for folder in self._watches if holds(top, folder)]:
            self._unwatch(self._watches.pop(folder))
            if folder in self._roots and folder != top:  # a root inside another
                self._roots[folder] = None
                self._look_at = 0.0

    def _unwatch(self, wd: int) -> None:
        self._folders.pop(wd, None)
        if wd not in self._above:
            with suppress(OSError):  # EINVAL: the kernel has removed it already
                self._inotify.rm_watch(wd)

    def _owe_rebuild(self, cause: str, touched: Touched) -> None:
        self._stale = cause
        touched.all(cause)

    def _rebuild(self, at: float, touched: Touched) -> None:
        """Begin anew with nothing remembered: what was known may be wrong in any way."""
        # A new instance, because removing watches one by one fills the queue with an IN_IGNORED for each.
        self._inotify.close()
        self._inotify = _new()
        self._folders.clear()
        self._watches.clear()
        self._above.clear()
        self._deaf.clear()
        touched.all(self._stale)
        self._stale = ""
        self._rebuilt_at = at
        self._roots = dict.fromkeys(self._roots)
        self._look(at, touched)

    # ---- roots -------------------------------------------------------------------------------

    def _look(self, at: float, touched: Touched) -> None:
        """See which roots came, went or were replaced, and watch what is there instead."""
        self._look_at = at + LOOK
        for root, before in list(self._roots.items()):
            now = _identity(root)
            if now is not None and now == before:
                continue
            if before is not None:
                self._disarm(root)
            if now is not None:
                self._arm(root)
            self._roots[root] = now
            if now != before:
                touched.all(f"{shown(root)} {'is there' if now else 'is missing'}")
        self._watch_above(at)

    def _watch_above(self, at: float) -> None:
        needed = set[int]()
        for root, identity in self._roots.items():
            if identity is None or os.path.islink(root):
                wd = self._watched_above(root)
                if wd is not None:
                    needed.add(wd)
            if identity is None and _identity(root) is not None:
                self._look_at = at  # it came while its folder was about to be watched
        for wd in self._above - needed:
            self._above.discard(wd)
            if wd not in self._folders:
                self._unwatch(wd)
        self._above = needed

    def _watched_above(self, root: bytes) -> int | None:
        """The watch on the nearest folder above `root` that exists."""
        for folder in ancestors(root):
            try:
                wd: int = self._inotify.add_watch(folder, ABOVE)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ELOOP):
                    raise
            else:
                return wd
        return None


def _new() -> INotify:
    # A missing package is an ordinary failure: it is told, and the tree is polled.
    from inotify_simple import INotify  # noqa: PLC0415

    return INotify(nonblocking=True)


def _identity(root: bytes) -> Identity | None:
    """Which folder a path leads to, and who may read it; None where it leads to none."""
    try:
        found = os.stat(root)
    except OSError:
        return None
    if not stat.S_ISDIR(found.st_mode):
        return None
    return found.st_dev, found.st_ino, found.st_mode, found.st_uid, found.st_gid
