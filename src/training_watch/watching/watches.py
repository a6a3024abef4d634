"""Which folder has which watch, and which could not be had.

Watches are put on folders, never on files, and on a folder before it is listed, so that what appears in
between is seen twice rather than not at all. Where the kernel refuses one, the folder is a gap: the rest
of the tree stays watched, and the gap is somebody else's to look into.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterable
from contextlib import suppress
from enum import StrEnum

from training_watch.watching.ignore import Ignore
from training_watch.watching.kernel import FOLDER, ROOT, Kernel
from training_watch.watching.mounts import Terrain
from training_watch.watching.paths import ancestors

GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
# More gaps than this become one at the root. Arbitrary: as many as a person may read of, and cheap to poll.
GAPS = 1_000


class Cause(StrEnum):
    """Why a folder isn't watched."""

    LIMIT = "limit"  # inotify_add_watch(2): ENOSPC, the limit on watches
    REMOTE = "remote"  # a file system that doesn't tell of all changes
    FORBIDDEN = "forbidden"  # not ours to read


class Watches:
    """The watches of one inotify instance, each on a folder.

    `folders` by their numbers; `gaps` are the tops of what isn't watched. `kept`: numbers that somebody else needs too.
    """

    def __init__(self, kernel: Kernel, roots: Collection[bytes], ignore: Ignore, terrain: Terrain) -> None:
        self.terrain = terrain
        self.folders: dict[int, bytes] = {}
        self.gaps: dict[bytes, Cause] = {}
        self.kept: Collection[int] = ()
        self._kernel = kernel
        self._roots = roots
        self._ignore = ignore
        self._numbers: dict[bytes, int] = {}
        self._confirmed: set[int] | None = None
        self._new: list[bytes] = []

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, folder: bytes) -> bool:
        return folder in self._numbers

    def number(self, folder: bytes) -> int | None:
        return self._numbers.get(folder)

    def recall(self, folder: bytes) -> bool:
        """Watch a folder that is known from before, without a look into it; whether that could be done."""
        try:
            self._remember(self._kernel.add(folder, ROOT if folder in self._roots else FOLDER), folder)
        except OSError as error:
            if error.errno not in GONE | {errno.ENOSPC, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG}:
                raise
            return False
        return True

    def arm(self, top: bytes) -> None:
        """Watch a folder and all below it. Raises OSError for what is no matter of this folder alone."""
        to_do = [top]
        while to_do:
            folder = to_do.pop()
            cause = Cause.REMOTE if folder in self.terrain.remote else self._watch(folder)
            if cause is not None:
                self._gap(folder, cause)
            elif folder in self._numbers:
                to_do.extend(self._subfolders(folder))

    def disarm(self, tops: Iterable[bytes]) -> list[bytes]:
        """Watch folders and all below them no longer; the roots among these are returned."""
        gone = set(tops)
        below = [f for f in self._numbers if f in gone or any(above in gone for above in ancestors(f))]
        for folder in below:
            self._unwatch(self._numbers.pop(folder))
        for folder in [f for f in self.gaps if f in gone or any(above in gone for above in ancestors(f))]:
            del self.gaps[folder]
        return [folder for folder in below if folder in self._roots and folder not in gone]

    def verify(self, roots: Iterable[bytes]) -> list[bytes]:
        """Watch what should be watched and nothing else; what wasn't before is returned.

        It mends what no event told of: a mount, a watch that was refused, a name that changed unheard.
        """
        self._confirmed, self._new = set(), []
        self.gaps.clear()
        for root in roots:
            self.arm(root)
        for wd in self.folders.keys() - self._confirmed:
            folder = self.folders[wd]
            if self._numbers.get(folder) == wd:
                del self._numbers[folder]
            self._unwatch(wd)
        self._confirmed = None
        return self._new

    def retry(self) -> list[bytes]:
        """Try once more what the limit forbade; what is watched now is returned."""
        tops = [folder for folder, cause in self.gaps.items() if cause is Cause.LIMIT]
        for top in tops:
            del self.gaps[top]
            self.arm(top)
        return [top for top in tops if top not in self.gaps]

    def forget(self, wd: int) -> None:
        """The kernel has removed a watch."""
        folder = self.folders.pop(wd, None)
        # It may be that of an older folder of this name, heard after the newer one was armed.
        if folder is not None and self._numbers.get(folder) == wd:
            del self._numbers[folder]

    def _watch(self, folder: bytes) -> Cause | None:
        try:
            wd = self._kernel.add(folder, ROOT if folder in self._roots else FOLDER)
        except OSError as error:
            if error.errno in GONE:
                return None  # an event of its own
            if error.errno == errno.ENOSPC:
                return Cause.LIMIT
            if error.errno in (errno.EACCES, errno.EPERM, errno.ENAMETOOLONG):
                return Cause.FORBIDDEN
            raise
        self.gaps.pop(folder, None)
        self._remember(wd, folder)
        return None

    def _gap(self, folder: bytes, cause: Cause) -> None:
        self.gaps[folder] = cause
        if len(self.gaps) > GAPS:
            self.gaps = dict.fromkeys(self._roots, cause)

    def _remember(self, wd: int, folder: bytes) -> None:
        # The kernel has one watch for an inode, by whatever path: it may be known by an older one, and
        # this path by an older inode. Both are in the past.
        known_as = self.folders.get(wd)
        if known_as is None and self._confirmed is not None:
            self._new.append(folder)
        elif known_as is not None and known_as != folder:
            self._numbers.pop(known_as, None)
        older = self._numbers.get(folder)
        if older is not None and older != wd:
            self._unwatch(older)
        self.folders[wd] = folder
        self._numbers[folder] = wd
        if self._confirmed is not None:
            self._confirmed.add(wd)

    def _subfolders(self, folder: bytes) -> list[bytes]:
        found = list[bytes]()
        with suppress(OSError):
            # The watch stands already: a folder that is made after this count is an event.
            here = os.stat(folder)
            if here.st_nlink == 2 and here.st_dev in self.terrain.counting:
                return found
            with os.scandir(folder) as listing:
                for entry in listing:
                    if (
                        entry.is_dir(follow_symlinks=False)
                        and entry.path not in self._roots
                        and not self._ignore.ignored(entry.path, is_folder=True)
                    ):
                        found.append(entry.path)
        return found

    def _unwatch(self, wd: int) -> None:
        self.folders.pop(wd, None)
        if wd not in self.kept:
            self._kernel.remove(wd)
