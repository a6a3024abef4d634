"""The snapshot's rows in the database, of one job. What they mean is written above the schema."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from training_watch.database import transaction
from training_watch.events import Moment
from training_watch.watching.content import Content, Stamp
from training_watch.watching.paths import ancestors, below, split

# How many rows are read or written at once. Arbitrary: some milliseconds, and few calls of fsync(2).
PAGE = 500
BATCH = 5_000

COLUMNS = "path, size, mtime_ns, ctime_ns, inode, racy, digest"
# Whether a row was stirred is found out while it is written, not while the tree was walked: another
# process may have begun a run in between.
PUT = """
INSERT INTO files(job, path, folder, size, mtime_ns, ctime_ns, inode, racy, digest, seen_at, stirred)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1)
ON CONFLICT(job, path) DO UPDATE SET
    stirred = stirred OR digest IS NOT excluded.digest OR size <> excluded.size
        OR mtime_ns <> excluded.mtime_ns OR ctime_ns <> excluded.ctime_ns OR inode <> excluded.inode,
    size = excluded.size, mtime_ns = excluded.mtime_ns, ctime_ns = excluded.ctime_ns,
    inode = excluded.inode, racy = excluded.racy, digest = excluded.digest,
    seen_at = CASE WHEN digest IS excluded.digest THEN seen_at ELSE excluded.seen_at END
"""
GONE = """
UPDATE files SET digest = NULL, racy = 0, stirred = 1, seen_at = ?
WHERE job = ? AND path = ? AND digest IS NOT NULL
"""
FLEETING = """
INSERT INTO files(job, path, folder, stirred) VALUES (?, ?, ?, 1)
ON CONFLICT(job, path) DO UPDATE SET stirred = 1 WHERE digest IS NULL
"""
# What was in a folder meanwhile, nobody knows.
STIR = "UPDATE files SET stirred = 1 WHERE job = ? AND path > ? AND path < ? AND NOT stirred"
FORGET = "DELETE FROM files WHERE job = ? AND path = ?"
DROP = "DELETE FROM folders WHERE job = ? AND path = ?"
DROP_BELOW = "DELETE FROM folders WHERE job = ? AND path > ? AND path < ?"
DISTRUST = "UPDATE folders SET fingerprint = NULL WHERE job = ? AND path = ? AND fingerprint NOT NULL"
ENTER = "INSERT OR REPLACE INTO folders(job, path, parent, fingerprint, files) VALUES (?, ?, ?, ?, ?)"


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

    `stirred`: folders in which, and below, anything may have been meanwhile. `dropped`: those of which nothing is left.
    """

    puts: list[tuple[bytes, Content, bool]] = field(default_factory=list)
    gone: list[bytes] = field(default_factory=list)
    forgotten: list[bytes] = field(default_factory=list)
    stirred: list[bytes] = field(default_factory=list)
    dropped: list[bytes] = field(default_factory=list)
    folders: dict[bytes, tuple[bytes | None, int]] = field(default_factory=dict)
    news: int = 0

    def __len__(self) -> int:
        rows = len(self.puts) + len(self.gone) + len(self.forgotten)
        return rows + len(self.stirred) + len(self.dropped) + len(self.folders)


class Rows:
    """The rows of one job. Rows of other jobs are not seen here."""

    def __init__(self, connection: sqlite3.Connection, job: str) -> None:
        self._connection = connection
        self._job = job

    def one(self, path: bytes) -> Row | None:
        found = self._connection.execute(
            f"SELECT {COLUMNS} FROM files WHERE job = ? AND path = ?",  # noqa: S608
            (self._job, path),
        ).fetchone()
        return _row(found) if found else None

    def in_folder(self, folder: bytes) -> dict[bytes, Row]:
        """The files known to be directly in a folder."""
        found = self._connection.execute(
            f"SELECT {COLUMNS} FROM files INDEXED BY files_by_folder "  # noqa: S608
            "WHERE job = ? AND folder = ? AND digest IS NOT NULL",
            (self._job, folder),
        )
        return {row[0]: _row(row) for row in found}

    def folder(self, path: bytes) -> Folder | None:
        found = self._connection.execute(
            "SELECT fingerprint, files FROM folders WHERE job = ? AND path = ?", (self._job, path)
        ).fetchone()
        return Folder(*found) if found else None

    def inner(self, parent: bytes) -> dict[bytes, Folder]:
        """What was known of the folders directly in one."""
        found = self._connection.execute(
            "SELECT path, fingerprint, files FROM folders INDEXED BY folders_by_parent WHERE job = ? AND parent = ?",
            (self._job, parent),
        )
        return {path: Folder(fingerprint, files) for path, fingerprint, files in found}

    def folders(self) -> Iterator[bytes]:
        """All folders that were looked into, in the order of their paths."""
        found = self._connection.execute("SELECT path FROM folders WHERE job = ? ORDER BY path", (self._job,))
        return (row[0] for row in found)

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
                "SELECT folder FROM files WHERE job = ? AND folder >= ? AND folder < ? ORDER BY folder LIMIT 1",
                (self._job, start, end),
            ).fetchone()
            if row is None:
                return list(found)
            child = first + row[0][len(first) :].partition(b"/")[0]
            found[child] = None
            # "a!" lies between "a" and "a/b": from the folder itself the next step is the smallest there is.
            start = child + b"\0" if row[0] == child else below(child)[1]

    def known_below(self, folder: bytes) -> Iterator[bytes]:
        """The files known below a folder. Rows may be written meanwhile."""
        after, end = below(folder)
        return self._paged("digest IS NOT NULL", after, end)

    def all_outside(self, roots: list[bytes]) -> Iterator[bytes]:
        """All rows below none of the roots. Rows may be written meanwhile."""
        after = b""
        for start, end in sorted(below(root) for root in roots):
            if start > after:
                yield from self._paged("1", after, start)
            after = max(after, end)
        yield from self._paged("1", after, None)

    def racy(self) -> Iterator[bytes]:
        """The files whose stamp can't be trusted. Rows may be written meanwhile."""
        return self._paged("racy", b"", None)

    def _paged(self, condition: str, after: bytes, end: bytes | None) -> Iterator[bytes]:
        # Pages rather than one open cursor: a read transaction held for long keeps the WAL growing.
        while True:
            page = self._connection.execute(
                f"SELECT path FROM files WHERE job = ? AND {condition} AND path > ?"  # noqa: S608
                f" {'AND path < ?' if end is not None else ''} ORDER BY path LIMIT {PAGE}",
                (self._job, after, end) if end is not None else (self._job, after),
            ).fetchall()
            yield from (row[0] for row in page)
            if len(page) < PAGE:
                return
            after = page[-1][0]

    def write(self, batch: Batch, moment: Moment, *, alone_since: int) -> None:
        """Write a batch whole, and with it, where it holds news, that there was some at `moment`.

        `alone_since`: the version when the rows were read that the batch's fingerprints speak of.
        """
        job, at = self._job, moment.calendar.timestamp()
        with transaction(self._connection):
            execute = self._connection.executemany
            execute(
                PUT,
                (
                    (job, path, split(path)[0], *what.stamp, r, what.digest, at)
                    for path, what, r in batch.puts
                ),
            )
            execute(GONE, ((at, job, path) for path in batch.gone))
            execute(FORGET, ((job, path) for path in batch.forgotten))
            execute(STIR, ((job, *below(top)) for top in batch.stirred))
            execute(DROP, ((job, path) for path in batch.dropped))
            execute(DROP_BELOW, ((job, *below(path)) for path in batch.dropped))
            execute(DISTRUST, ((job, path) for path in _folders_of(batch)))
            # Rows that another process wrote meanwhile may be of an earlier or a later look than these listings.
            alone = self.version() == alone_since
            execute(
                ENTER,
                (
                    (job, path, split(path)[0], mark if alone else None, count)
                    for path, (mark, count) in batch.folders.items()
                ),
            )
            if batch.news:
                self.notice(moment)

    def stir(self, folders: Iterable[bytes], gone: Iterable[bytes]) -> None:
        with transaction(self._connection):
            self._connection.executemany(STIR, ((self._job, *below(top)) for top in folders))
            self._connection.executemany(FLEETING, ((self._job, path, split(path)[0]) for path in gone))

    def notice(self, moment: Moment) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO noticed(job, boot, elapsed, at) VALUES (?, ?, ?, ?)",
            (self._job, moment.boot_id, moment.elapsed, moment.calendar.isoformat()),
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
