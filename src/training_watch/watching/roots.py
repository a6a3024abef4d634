"""The watched roots: which are absent, as opposed to emptied.

A root that is missing, or whose file system is not mounted, says nothing about its files. To tell an
unmounted root from an emptied one, the mount that it was on is remembered from each walk of it.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Sequence
from itertools import islice

from training_watch.watching.mounts import mount_of, mounts, real
from training_watch.watching.paths import holder
from training_watch.watching.rows import Rows

# How many known files are looked for on another file system before the root counts as absent. Arbitrary.
LOOKED_FOR = 1_000


class Roots:
    def __init__(self, connection: sqlite3.Connection, job: str, rows: Rows, paths: Sequence[bytes]) -> None:
        self.paths = tuple(dict.fromkeys(paths))
        self._connection = connection
        self._job = job
        self._rows = rows

    def of(self, path: bytes) -> bytes | None:
        """The deepest root that holds `path`."""
        return holder(self.paths, path)

    def absent(self) -> frozenset[bytes]:
        """The roots that are absent at this instant."""
        return frozenset(root for root in self.paths if self.is_absent(root))

    def is_absent(self, root: bytes) -> bool:
        try:
            found = os.stat(root)
        except OSError:
            return True
        if not stat.S_ISDIR(found.st_mode):
            return True
        recorded = self._recorded(root)
        if recorded is None:
            return False
        present = mounts()
        if not present or any(mount.point == recorded for mount in present):
            return False
        # The mount is gone, yet the files may be here all the same: moved to another disk, or seen
        # from a mount namespace where the mounts have other names.
        return not any(os.path.lexists(path) for path in islice(self._rows.known_below(root), LOOKED_FOR))

    def record(self, root: bytes) -> None:
        """The root was walked: remember the mount that it is on."""
        point = mount_of(mounts(), real(root)).point
        if point != self._recorded(root):
            self._connection.execute(
                "INSERT OR REPLACE INTO roots(job, path, mount_point) VALUES (?, ?, ?)",
                (self._job, root, point),
            )

    def _recorded(self, root: bytes) -> bytes | None:
        row = self._connection.execute(
            "SELECT mount_point FROM roots WHERE job = ? AND path = ?", (self._job, root)
        ).fetchone()
        return row[0] if row else None
