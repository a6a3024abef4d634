"""Hints from the kernel: its events, and a set of watches kept in step with a tree that changes meanwhile.

    events ──▶ a name was touched         ──▶ Touched
           ──▶ a folder came, went, moved ──▶ watches, and Touched
           ──▶ events were lost           ──▶ all watches anew, once the storm is over

Whatever is not certain becomes a hint at everything.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterable, Sequence

from training_watch.watching.above import Above
from training_watch.watching.ignore import Ignore
from training_watch.watching.kernel import (
    ATTRIB,
    CREATE,
    DELETE,
    DELETE_SELF,
    FULL,
    IGNORED,
    ISDIR,
    MOVE_SELF,
    MOVED_FROM,
    MOVED_TO,
    Q_OVERFLOW,
    UNMOUNT,
    Kernel,
    events,
)
from training_watch.watching.mounts import Terrain
from training_watch.watching.paths import holds, join, shown
from training_watch.watching.touched import Touched
from training_watch.watching.watches import Watches

# How often roots are looked at where not all folders above could be watched. Arbitrary.
LOOK = 60.0
# After the last overflow of a storm, and at the latest after its first, all is watched anew. Both arbitrary.
CALM, STORM = 1.0, 10.0
# The least time between two rebuilds because of changed rules. Arbitrary.
REBUILD = 10.0
# How many ignored names are remembered as such, so that a constant writer costs little. Arbitrary.
DEAF = 10_000
# RUSH reads in a row, each within RUSHED seconds of the one before, are a rush: then events are taken in gulps, with
# LULL seconds in between, as long as each gulp has GULP bytes. All arbitrary; a queue of 1,024 events lasts longer.
RUSH, RUSHED, LULL, GULP = 20, 0.001, 0.005, 1024

Identity = tuple[int, int, int, int, int]


class Inotify:
    """Raises ImportError without inotify-simple, and OSError where the kernel refuses an instance.

    After an error it is to be closed. `fileno` changes when the watches are rebuilt. `remembered` are folders
    to watch at once; what else should be watched is found at the first `read`.
    """

    def __init__(
        self,
        roots: Sequence[bytes],
        ignore: Ignore,
        terrain: Terrain,
        at: float,
        remembered: Iterable[bytes] = (),
    ) -> None:
        self.events, self.overflows = 0, 0
        self._ignore = ignore
        self._roots: dict[bytes, Identity | None] = dict.fromkeys(sorted(roots, key=len))
        self._deaf: set[tuple[int, bytes]] = set()
        self._moved: dict[int, bytes] = {}
        self._stale = ""
        self._rebuild_at = math.inf
        self._rebuilt_at = at - REBUILD
        self._storm_since: float | None = None
        self._look_at = at
        self._read_at = -math.inf
        self._reads = 0
        self._kernel = Kernel()
        try:
            self._watches = Watches(self._kernel, self._roots.keys(), ignore, terrain)
            self._above = Above(self._kernel)
            self._unverified = sum(map(self._watches.recall, remembered)) > 0
            self._look(at, Touched())
        except BaseException:
            self.close()
            raise

    def fileno(self) -> int | None:
        """What to poll(2); None while it pauses in a rush of events."""
        return self._kernel.fileno() if self._reads < RUSH else None

    @property
    def watches(self) -> Watches:
        return self._watches

    def due(self) -> float:
        """When `read` is to be called even if nothing happens."""
        if self._unverified:
            return self._read_at
        pause = self._read_at + LULL if self._reads >= RUSH else math.inf
        return min(self._look_at, self._rebuild_at, pause)

    def read(self, at: float) -> Touched:
        """The hints since the last call; never blocks."""
        touched = Touched()
        if self._unverified:
            self._unverified = False
            self.verify(touched)
        self._drain(at, touched)
        if at >= self._rebuild_at:
            self._rebuild(at, touched)
        if at >= self._look_at:
            self._look(at, touched)
        return touched

    def survey(self, terrain: Terrain, touched: Touched) -> None:
        """The mounts have changed: watch what is there now."""
        self._watches.terrain = terrain
        self.verify(touched)

    def verify(self, touched: Touched) -> None:
        """Mend what no event told of, and hint at what wasn't watched until now."""
        for folder in self._watches.verify(root for root, found in self._roots.items() if found is not None):
            touched.tree(folder)

    def retry(self, touched: Touched) -> None:
        """Try once more to watch what the limit forbade."""
        for folder in self._watches.retry():
            touched.tree(folder)

    def close(self) -> None:
        self._kernel.close()

    # ---- events ------------------------------------------------------------------------------

    def _drain(self, at: float, touched: Touched) -> None:
        heard = set[tuple[int, bytes]]()
        data = self._kernel.read()
        self._take_pace(at, len(data))
        above, folders = self._above, self._watches.folders
        while data:
            for wd, mask, cookie, name in events(data):
                if mask & (Q_OVERFLOW | UNMOUNT | IGNORED) or not name:
                    self._about_a_watch(wd, mask, at, touched)
                    continue
                if wd in above.folders:
                    self._look_at = at
                folder = folders.get(wd)
                if folder is None:
                    continue  # from before its watch was removed, or of a folder above a root
                self.events += 1
                if mask & ISDIR:
                    self._folder_changed(folder, name, mask, cookie, at, touched)
                elif (wd, name) not in heard:
                    heard.add((wd, name))
                    self._file_changed(wd, folder, name, touched)
            data = self._kernel.read() if len(data) > FULL else b""
        self._let_go(at)

    def _take_pace(self, at: float, size: int) -> None:
        goes_on = size >= GULP if self._reads >= RUSH else at - self._read_at <= RUSHED
        self._reads = self._reads + 1 if goes_on else 0
        self._read_at = at

    def _about_a_watch(self, wd: int, mask: int, at: float, touched: Touched) -> None:
        folder = self._watches.folders.get(wd)
        if mask & Q_OVERFLOW:
            # inotify(7): events are lost from here on, and with them folders that should be watched.
            self.overflows += 1
            self._storm_since = at if self._storm_since is None else self._storm_since
            self._stale = "the kernel's queue overflowed"
            self._rebuild_at = min(at + CALM, self._storm_since + STORM)
        elif mask & UNMOUNT:
            # An IN_IGNORED follows, and then silence, whatever becomes of the path.
            self._owe_rebuild(f"{shown(folder) if folder else 'a file system'} was unmounted", touched)
        if wd in self._above.folders:
            self._look_at = at
        if folder in self._roots and not mask & UNMOUNT:
            if mask & (DELETE_SELF | MOVE_SELF | IGNORED) and self._watches.number(folder) == wd:
                # A new folder may have the old one's inode number, so a comparison wouldn't tell.
                self._roots[folder] = None
                touched.move(folder, at)
                touched.all(f"{shown(folder)} was removed or renamed")
            self._look_at = at
        if mask & IGNORED:
            self._above.forget(wd)
            self._watches.forget(wd)

    def _folder_changed(
        self, folder: bytes, name: bytes, mask: int, cookie: int, at: float, touched: Touched
    ) -> None:
        path = join(folder, name)
        if path in self._roots:
            self._look_at = at
            return
        if mask & MOVED_FROM and path in self._watches:
            # Watches follow the inode. Where it goes inside the tree they are renamed when it is armed there;
            # elsewhere they would speak of a place outside by an old name.
            self._moved[cookie] = path
        if self._ignore.ignored(path, is_folder=True):
            return
        if mask & (CREATE | MOVED_TO):
            self._moved.pop(cookie, None)
            if any(holds(left, path) or holds(path, left) for left in self._moved.values()):
                self._let_go(at)  # before another takes its name
            self._watches.arm(path)
        elif mask & (MOVED_FROM | DELETE):
            self._watches.gaps.pop(path, None)
        elif mask & ATTRIB:
            readable = os.access(path, os.R_OK | os.X_OK, effective_ids=True)
            if readable and path in self._watches:
                return  # a touch
            self._watches.arm(path)
        touched.name(folder, name)
        touched.move(path, at)

    def _let_go(self, at: float) -> None:
        """Folders have moved out of sight: their watches end."""
        if self._moved:
            self._disarm(self._moved.values(), at)
            self._moved.clear()

    def _disarm(self, folders: Iterable[bytes], at: float) -> None:
        for root in self._watches.disarm(folders):  # a root inside another
            self._roots[root] = None
            self._look_at = at

    def _file_changed(self, wd: int, folder: bytes, name: bytes, touched: Touched) -> None:
        if (wd, name) in self._deaf:
            return
        if self._ignore.is_rules(name):
            self._ignore.forget()
            self._owe_rebuild(f"{shown(join(folder, name))} changed", touched)
        elif self._ignore.ignored(join(folder, name), is_folder=False):
            if len(self._deaf) >= DEAF:
                self._deaf.clear()
            self._deaf.add((wd, name))
        else:
            touched.name(folder, name)

    # ---- watches -----------------------------------------------------------------------------

    def _owe_rebuild(self, cause: str, touched: Touched) -> None:
        self._stale = cause
        self._rebuild_at = min(self._rebuild_at, self._rebuilt_at + REBUILD)
        touched.all(cause)

    def _rebuild(self, at: float, touched: Touched) -> None:
        """Begin anew with nothing remembered: what was known may be wrong in any way."""
        # A new instance, because removing watches one by one fills the queue with an IN_IGNORED for each.
        self._kernel.close()
        self._kernel = Kernel()
        self._watches = Watches(self._kernel, self._roots.keys(), self._ignore, self._watches.terrain)
        self._above = Above(self._kernel)
        self._deaf.clear()
        touched.all(self._stale)
        self._stale, self._rebuild_at, self._storm_since = "", math.inf, None
        self._rebuilt_at = at
        self._look(at, touched, anew=True)

    # ---- roots -------------------------------------------------------------------------------

    def _look(self, at: float, touched: Touched, *, anew: bool = False) -> None:
        """See which roots came, went or were replaced, and watch what is there instead; `anew`: nothing is watched."""
        for root in self._roots:  # an outer one before those inside
            before, now = self._roots[root], _identity(root)
            if now is not None and now == before and not anew:
                continue
            if before is not None and not anew:
                self._disarm([root], at)
            if now is not None and not (self._unverified and self._watches.recall(root)):
                self._watches.arm(root)
            self._roots[root] = now
            if now != before:
                touched.move(root, at)
                touched.all(f"{shown(root)} {'is there' if now else 'is missing'}")
        waited = [root for root in self._roots if root not in self._watches]
        self._above.watch(self._roots, waited, self._watches.folders.__contains__)
        self._watches.kept = self._above.folders.keys()
        # One may have come while the folder was about to be watched where its name is waited for.
        came = any(found is None and _identity(root) is not None for root, found in self._roots.items())
        self._look_at = at if came else math.inf if self._above.complete else at + LOOK


def _identity(root: bytes) -> Identity | None:
    """Which folder a path leads to, and who may read it; None where it leads to none."""
    try:
        found = os.stat(root)
    except OSError:
        return None
    if not stat.S_ISDIR(found.st_mode):
        return None
    return found.st_dev, found.st_ino, found.st_mode, found.st_uid, found.st_gid
