"""The watched roots, and the mounts inside them: which are absent, as opposed to emptied.

A root that is missing, or whose file system is not mounted, says nothing about its files. To tell an
unmounted root from an emptied one, the mount that it was on is remembered from each walk of it. So are the
mounts inside: one that is gone and has left an empty folder is absent like a root.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Sequence
from itertools import islice

from training_watch.watching.mounts import mount_of, mounts, mounts_in, real
from training_watch.watching.paths import below, holder, join
from training_watch.watching.rows import Rows

# How many known files are looked for on another file system before the root counts as absent. Arbitrary.
LOOKED_FOR = 1_000


class Roots:
    """`paths` are the roots; `places` are these and the mounts inside, in the order in which they are told."""

    def __init__(self, connection: sqlite3.Connection, unit: str, rows: Rows, paths: Sequence[bytes]) -> None:
        self.paths = tuple(dict.fromkeys(paths))
        self._connection = connection
        self._unit = unit
        self._rows = rows
        self.places = self.paths
        self._prefixes: list[tuple[bytes, bytes]] = []
        self._remember()

    def of(self, path: bytes) -> bytes | None:
        """The deepest place that holds `path`; None where no root does."""
        for prefix, place in self._prefixes:
            if path.startswith(prefix) or path == place:
                return place
        return None

    def absent(self) -> frozenset[bytes]:
        """The places that are absent at this instant."""
        self._remember()  # another process may have walked meanwhile
        return frozenset(place for place in self.places if self.is_absent(place))

    def is_absent(self, place: bytes) -> bool:
        if place not in self.paths:
            return self._is_unmounted(place)
        try:
            found = os.stat(place)
        except OSError:
            return True
        if not stat.S_ISDIR(found.st_mode):
            return True
        recorded = self._recorded(place)
        if recorded is None:
            return False
        present = mounts()
        if not present or any(mount.point == recorded for mount in present):
            return False
        # The mount is gone, yet the files may be here all the same: moved to another disk, or seen
        # from a mount namespace where the mounts have other names.
        return not any(os.path.lexists(path) for path in islice(self._rows.known_below(place), LOOKED_FOR))

    def record(self, root: bytes) -> None:
        """The root was walked: remember the mount that it is on, and those inside."""
        present, place = mounts(), real(root)
        point = mount_of(present, place).point
        if point != self._recorded(root):
            self._connection.execute(
                "INSERT OR REPLACE INTO roots(unit, path, mount_point) VALUES (?, ?, ?)",
                (self._unit, root, point),
            )
        before = {path for path in self.places if path != root and holder(self.paths, path) == root}
        inside = {
            root.rstrip(b"/") + mount.point[len(place.rstrip(b"/")) :] for mount in mounts_in(present, place)
        }
        now = (inside | {path for path in before if self.is_absent(path)}) - set(self.paths)
        if now == before:
            return
        for path in before - now:
            self._connection.execute("DELETE FROM mounts WHERE unit = ? AND path = ?", (self._unit, path))
        for path in now - before:
            self._connection.execute("INSERT INTO mounts(unit, path) VALUES (?, ?)", (self._unit, path))
        self._remember()

    def forget_others(self) -> None:
        """Forget the mounts that other roots were on, and those inside them."""
        others = self._connection.execute("SELECT path FROM roots WHERE unit = ?", (self._unit,)).fetchall()
        for (path,) in others:
            if path not in self.paths:
                self._connection.execute("DELETE FROM roots WHERE unit = ? AND path = ?", (self._unit, path))
        for path in self._mounts():
            if path not in self.places:
                self._connection.execute("DELETE FROM mounts WHERE unit = ? AND path = ?", (self._unit, path))

    def _remember(self) -> None:
        inside = [path for path in self._mounts() if holder(self.paths, path) not in (None, path)]
        self.places = (*self.paths, *inside)
        self._prefixes = sorted(
            ((below(place)[0], place) for place in self.places), key=lambda pair: -len(pair[0])
        )

    def _mounts(self) -> list[bytes]:
        found = self._connection.execute(
            "SELECT path FROM mounts WHERE unit = ? ORDER BY path", (self._unit,)
        )
        return [row[0] for row in found]

    def _is_unmounted(self, place: bytes) -> bool:
        """A mount point inside a root, now an empty folder on the file system around it."""
        root = holder(self.paths, place)
        present = mounts()
        if root is None or not present:
            return False
        point = real(root).rstrip(b"/") + place[len(root.rstrip(b"/")) :]
        if any(mount.point == point for mount in present):
            return False
        try:
            with os.scandir(place) as entries:
                return next(entries, None) is None
        except OSError:
            return False

    def _recorded(self, root: bytes) -> bytes | None:
        row = self._connection.execute(
            "SELECT mount_point FROM roots WHERE unit = ? AND path = ?", (self._unit, root)
        ).fetchone()
        return row[0] if row else None


def is_closed(folder: bytes) -> bool:
    """A folder is there and may not be read, or what is in it may not be asked; False where none is there."""
    try:
        os.stat(join(folder, b"."))
    except PermissionError:
        return True
    except OSError:
        return False
    return not os.access(folder, os.R_OK, effective_ids=True)
