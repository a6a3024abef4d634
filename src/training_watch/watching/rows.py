"""The snapshot's rows in the database, of one unit. What they mean is written above the schema."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from training_watch.database import transaction
from training_watch.events import Moment
from training_watch.watching.content import Content, Stamp
from training_watch.watching.paths import ancestors, below, outside, split

# How many rows are read or written at once. Arbitrary: some milliseconds, and few calls of fsync(2).
PAGE = 500
BATCH = 5_000

COLUMNS = "path, size, mtime_ns, ctime_ns, inode, racy, digest"
# Whether a row was stirred is found out while it is written, not while the tree was walked: another
# process may have begun a run in between.
PUT = """
INSERT INTO files(unit, path, folder, size, mtime_ns, ctime_ns, inode, racy, digest, seen_at, stirred)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)
ON CONFLICT(unit, path) DO UPDATE SET
    stirred = stirred OR digest IS NOT excluded.digest OR size <> excluded.size
        OR mtime_ns <> excluded.mtime_ns OR ctime_ns <> excluded.ctime_ns OR inode <> excluded.inode,
    size = excluded.size, mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns,
    inode = excluded.inode, racy = excluded.racy, digest = excluded.digest,
    seen_at = CASE WHEN digest IS excluded.digest THEN seen_at ELSE excluded.seen_at END
"""
GONE = """
UPDATE files SET digest = NULL, racy = 0, stirred = 1, seen_at = ?
WHERE unit = ? AND path = ? AND digest IS NOT NULL
"""
FLEETING = """
INSERT INTO files(unit, path, folder, stirred) VALUES (?, ?, ?, 1)
ON CONFLICT(unit, path) DO UPDATE SET stirred = 1 WHERE digest IS NULL
"""
# What was in a folder meanwhile, nobody knows.
STIR = "UPDATE files SET stirred = 1 WHERE unit = ? AND path >= ? AND path < ? AND NOT stirred"
FORGET = "DELETE FROM files WHERE unit = ? AND path = ?"
DROP = "DELETE FROM folders WHERE unit = ? AND path = ?"
DROP_BELOW = "DELETE FROM folders WHERE unit = ? AND path > ? AND path < ?"
DISTRUST = "UPDATE folders SET fingerprint = NULL WHERE unit = ? AND path = ? AND fingerprint NOT NULL"
FOLDERS = """
SELECT path FROM folders WHERE unit = ? AND path = ?
UNION ALL SELECT path FROM folders WHERE unit = ? AND path >= ? AND path < ? ORDER BY path
"""
ENTER = "INSERT OR REPLACE INTO folders(unit, path, parent, fingerprint, files) VALUES (?, ?, ?, ?, ?)"


class Row(NamedTuple):
    """What was known of a path; `digest` is None where there was nothing."""

    path: bytes
    stamp: Stamp
    racy: bool
    digest: bytes | None


class Folder(NamedTuple):
    """What was known of a folder; no `fingerprint` where its rows may not all be true of one instant."""

    fingerprint: bytes | None
    files: int


@dataclass(slots=True)
class Batch:
    """Rows to be written in one transaction.

    `stirred`: ranges of paths at which anything may have been meanwhile. `forgotten`: files, or folders, that are none of
    ours any more. `dropped`: folders in which, and below, nothing is left.
    """

    puts: list[tuple[bytes, Content, bool]] = field(default_factory=list)
    gone: list[bytes] = field(default_factory=list)
    forgotten: list[bytes] = field(default_factory=list)
    stirred: list[tuple[bytes, bytes]] = field(default_factory=list)
    dropped: list[bytes] = field(default_factory=list)
    folders: dict[bytes, tuple[bytes | None, int]] = field(default_factory=dict)
    news: int = 0

    def __len__(self) -> int:
        rows = len(self.puts) + len(self.gone) + len(self.forgotten)
        return rows + len(self.stirred) + len(self.dropped) + len(self.folders)


class Rows:
    """The rows of one unit. Rows of other units are not seen here."""

    def __init__(self, connection: sqlite3.Connection, unit: str) -> None:
        self._connection = connection
        self._unit = unit

    def one(self, path: bytes) -> Row | None:
        found = self._connection.execute(
            f"SELECT {COLUMNS} FROM files WHERE unit = ? AND path = ?",  # noqa: S608
            (self._unit, path),
        ).fetchone()
        return _row(found) if found else None

    def in_folder(self, folder: bytes) -> dict[bytes, Row]:
        """The files known to be directly in a folder."""
        found = self._connection.execute(
            f"SELECT {COLUMNS} FROM files INDEXED BY files_by_folder "  # noqa: S608
            "WHERE unit = ? AND folder = ? AND digest IS NOT NULL",
            (self._unit, folder),
        )
        return {row[0]: _row(row) for row in found}

    def folder(self, path: bytes) -> Folder | None:
        found = self._connection.execute(
            "SELECT fingerprint, files FROM folders WHERE unit = ? AND path = ?", (self._unit, path)
        ).fetchone()
        return Folder(*found) if found else None

    def inner(self, parent: bytes) -> dict[bytes, Folder]:
        """What was known of the folders directly in one."""
        found = self._connection.execute(
            "SELECT path, fingerprint, files FROM folders INDEXED BY folders_by_parent WHERE unit = ? AND parent = ?",
            (self._unit, parent),
        )
        return {path: Folder(fingerprint, files) for path, fingerprint, files in found}

    def folders(self, roots: Collection[bytes]) -> Iterator[bytes]:
        """The folders in the roots that were looked into, and the roots themselves, in the order of their paths."""
        tops = [root for root in roots if not any(above in roots for above in ancestors(root))]
        for top in sorted(tops):
            found = self._connection.execute(FOLDERS, (self._unit, top, self._unit, *below(top)))
            yield from (row[0] for row in found)

    def version(self) -> int:
        """Changes whenever another process has written to the database (sqlite.org, PRAGMA data_version)."""
        version: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
        return version

    def folders_in(self, folder: bytes) -> list[bytes]:
        """The folders directly in `folder` that known files are in or below: one look-up for each."""
        first, end = below(folder)
        start, found = first, dict[bytes, None]()
        while True:
            row = self._connection.execute(
                "SELECT folder FROM files WHERE unit = ? AND folder >= ? AND folder < ? ORDER BY folder LIMIT 1",
                (self._unit, start, end),
            ).fetchone()
            if row is None:
                return list(found)
            child = first + row[0][len(first) :].partition(b"/")[0]
            found[child] = None
            # "a!" lies between "a" and "a/b": from the folder itself the next step is the smallest there is.
            start = child + b"\0" if row[0] == child else below(child)[1]

    def known_below(self, folder: bytes) -> Iterator[bytes]:
        """The files known below a folder. Rows may be written meanwhile."""
        return self._paged("files", "digest IS NOT NULL", *below(folder))

    def all_outside(self, roots: Collection[bytes]) -> Iterator[bytes]:
        """All files and folders below none of the roots, the roots left out. Rows may be written meanwhile."""
        for first, end in outside(roots):
            yield from self._paged("files", "1", first, end)
            yield from (path for path in self._paged("folders", "1", first, end) if path not in roots)

    def racy(self) -> Iterator[bytes]:
        """The files whose stamp can't be trusted. Rows may be written meanwhile."""
        return self._paged("files", "racy", *below(b"/"))

    def _paged(self, table: str, condition: str, first: bytes, end: bytes) -> Iterator[bytes]:
        # Pages rather than one open cursor: a read transaction held for long keeps the WAL growing.
        while True:
            page = self._connection.execute(
                f"SELECT path FROM {table} WHERE unit = ? AND {condition} AND path >= ? AND path < ?"  # noqa: S608
                f" ORDER BY path LIMIT {PAGE}",
                (self._unit, first, end),
            ).fetchall()
            yield from (row[0] for row in page)
            if len(page) < PAGE:
                return
            first = page[-1][0] + b"\0"  # the smallest path after it

    def write(self, batch: Batch, moment: Moment, *, alone_since: int) -> None:
        """Write a batch whole, and with it, where it holds news, that there was some at `moment`.

        `alone_since`: the version when the rows were read that the batch's fingerprints speak of.
        """
        unit, at = self._unit, moment.calendar.timestamp()
        with transaction(self._connection):
            execute = self._connection.executemany
            execute(
                PUT,
                (
                    (unit, path, split(path)[0], *what.stamp, r, what.digest, at)
                    for path, what, r in batch.puts
                ),
            )
            execute(GONE, ((at, unit, path) for path in batch.gone))
            execute(FORGET, ((unit, path) for path in batch.forgotten))
            execute(STIR, ((unit, *each) for each in batch.stirred))
            execute(DROP, ((unit, path) for path in (*batch.forgotten, *batch.dropped)))
            execute(DROP_BELOW, ((unit, *below(path)) for path in batch.dropped))
            execute(DISTRUST, ((unit, path) for path in _folders_of(batch)))
            # Rows that another process wrote meanwhile may be of an earlier or a later look than these listings.
            alone = self.version() == alone_since
            execute(
                ENTER,
                (
                    (unit, path, split(path)[0], mark if alone else None, count)
                    for path, (mark, count) in batch.folders.items()
                ),
            )
            if batch.news:
                self.notice(moment)

    def stir(self, folders: Iterable[bytes], gone: Iterable[bytes]) -> None:
        with transaction(self._connection):
            self._connection.executemany(STIR, ((self._unit, *below(top)) for top in folders))
            self._connection.executemany(FLEETING, ((self._unit, path, split(path)[0]) for path in gone))

    def notice(self, moment: Moment) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO noticed(unit, boot, elapsed, at) VALUES (?, ?, ?, ?)",
            (self._unit, moment.boot_id, moment.elapsed, moment.calendar.isoformat()),
        )


def _row(found: tuple[bytes, int, int, int, int, int, bytes | None]) -> Row:
    return Row(found[0], found[1:5], bool(found[5]), found[6])


def _folders_of(batch: Batch) -> set[bytes]:
    """The folders whose rows a batch changes, and all above: what their fingerprints stood for is no more."""
    found = set[bytes]()
    for path in (*(path for path, _, _ in batch.puts), *batch.gone, *batch.forgotten, *batch.dropped):
        for folder in ancestors(path):
            if folder in found:
                break
            found.add(folder)
    return found
