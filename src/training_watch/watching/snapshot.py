"""What each file held when it was last looked at, when a run began, and when a run last succeeded.

    compare()  the tree ──▶ digest         what is there now
    begin()    digest ──▶ attempted        what the run that begins now will read
    succeed()  attempted ──▶ trained       what the last successful run has read
    doubt()    unknown ──▶ trained         what a run may have read whose end nobody recorded
    pending()  digest IS NOT trained       what is owed

A path that stirred during a run counts as read in a state that nobody knows: it stays owed.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b
from typing import TYPE_CHECKING

from training_watch.database import transaction
from training_watch.events import Moment, Pending
from training_watch.watching.content import UNREADABLE, Stamp, content
from training_watch.watching.paths import below, join, outside, split
from training_watch.watching.roots import Roots, is_closed
from training_watch.watching.rows import Rows

if TYPE_CHECKING:
    from training_watch.watching.compare import Comparison, Reader
    from training_watch.watching.ignore import Ignore
    from training_watch.watching.touched import Touched

# How many paths are named to a person. Arbitrary.
SAMPLE = 5
# How many are counted one by one where somebody has counted them already: some 3 ms. Arbitrary.
FEW = 1_000

# Without statistics SQLite would take the primary key and read every row of the unit (EXPLAIN QUERY PLAN).
PENDING = """
SELECT path, digest, own FROM files INDEXED BY files_pending
WHERE unit = ? AND digest IS NOT trained ORDER BY path
"""
# An unsettled digest says nothing of what the run will find: as attempted it differs from everything.
BEGIN = """
UPDATE files SET attempted = CASE digest WHEN x'00' THEN x'' ELSE digest END, stirred = 0
WHERE unit = ? AND (stirred OR attempted IS NOT digest)
"""
# A run reads nothing of what is absent, closed or in no root; if it succeeds, nothing there is trained any more.
BEGIN_UNREAD = "UPDATE files SET attempted = NULL, stirred = 0 WHERE unit = ? AND path >= ? AND path < ?"
SUCCEED = """
UPDATE files SET
    trained = CASE WHEN stirred THEN x'' ELSE attempted END, own = stirred,
    run = CASE WHEN stirred OR trained IS attempted THEN run ELSE ? END
WHERE unit = ? AND (stirred OR own OR trained IS NOT attempted)
"""
FAIL = "UPDATE files SET own = stirred WHERE unit = ? AND own IS NOT stirred"
# What nobody recorded may have been a success, so what was attempted may be what is deployed.
DOUBT = """
UPDATE files SET trained = CASE WHEN stirred OR attempted IS NOT trained THEN x'' ELSE trained END, own = stirred
WHERE unit = ? AND (stirred OR own OR attempted IS NOT trained)
"""
TAKE = "UPDATE files INDEXED BY files_pending SET trained = digest WHERE unit = ? AND digest IS NOT trained"
TAKE_GONE = (
    "DELETE FROM files INDEXED BY files_pending WHERE unit = ? AND digest IS NOT trained AND digest IS NULL"
)
CLEAN = "DELETE FROM files WHERE unit = ? AND digest IS NULL AND trained IS NULL"
# An empty `trained` is what nobody knows. The first run that read a file never read what came after it.
KNOWN = """
SELECT size, mtime_ns, ctime_ns, inode, digest, digest IS NOT trained, trained IS x'', trained IS NULL, own, seen_at, run
FROM files WHERE unit = ? AND path = ?
"""
# How many files are known below a folder, and how many of them are pending.
KNOWN_BELOW = "SELECT count(*) FROM files WHERE unit = ? AND path > ? AND path < ? AND digest NOTNULL"
PENDING_BELOW = """
SELECT count(*) FROM files INDEXED BY files_pending
WHERE unit = ? AND digest IS NOT trained AND path > ? AND path < ?
"""


@dataclass(frozen=True, slots=True)
class Known:
    """What the snapshot says of one file.

    `stamp` is the last comparison's, and `there`: it found the file. `readable`: its content, too. `pending`: it
    differs from what was last trained. `unknown`: a run may have read it, and nobody knows in which state. `untrained`:
    no successful run has read it. `own`: it changed while the last run was active. `seen_at`: when what is there, or
    that nothing is, was first noticed, in seconds since the epoch. `run`: the id of the run that first read what is now
    trained. Both are None for what was noticed before they were kept.
    """

    stamp: Stamp
    there: bool
    readable: bool
    pending: bool
    unknown: bool
    untrained: bool
    own: bool
    seen_at: float | None
    run: int | None


class Snapshot:
    """What one unit has read. All methods raise sqlite3.Error where the database can't be used.

    While a root is absent, what lies in no root is kept, as it may be in one again: nothing is pending from it, and a
    run that begins meanwhile doesn't read it. The first whole comparison with all roots there forgets it.
    `read` says what a file holds: its content, unless a snapshot of something else is wanted.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        unit: str,
        roots: Sequence[bytes],
        ignore: Ignore,
        *,
        read: Reader = content,
    ) -> None:
        self._connection = connection
        self._unit = unit
        self._ignore = ignore
        self._read = read
        self._rows = Rows(connection, unit)
        self._roots = Roots(connection, unit, self._rows, roots)

    def compare(
        self, touched: Touched, moment: Moment, *, running: bool
    ) -> Generator[None, None, Comparison]:
        """Look where `touched` points, a bounded step of work between two yields.

        `running`: a run was active at some time since the hints were given. Where this is abandoned
        or raises, the hints are still owed.
        """
        from training_watch.watching.compare import Walk  # noqa: PLC0415 - `status` asks, and compares nothing

        walk = Walk(self._rows, self._roots, self._ignore, moment, running=running, read=self._read)
        return walk.compare(touched)

    def folders(self) -> Iterator[bytes]:
        """The folders in the roots that the last comparisons looked into: what to watch before they are found again."""
        return self._rows.folders(self._roots.paths)

    def pending(self, counted: Pending | None = None) -> Pending | None:
        """What differs from what was trained, as of the last comparison; what is absent, closed or in no root left out.

        `counted` is what somebody found who keeps counting: where very many are pending still, it is taken at its word.
        """
        count, own, sample = 0, True, list[bytes]()
        hasher = blake2b(digest_size=20)
        for path, digest, is_own in self._owed():
            count += 1
            own = own and is_own
            if count <= SAMPLE:
                sample.append(path)
            if counted is not None and FEW < count < counted.count:
                return replace(counted, sample=tuple(sample))
            what = b"-" if digest is None else b"%d:%s" % (len(digest), digest)
            hasher.update(b"%d:%s%s" % (len(path), path, what))
        if not count:
            return None
        return Pending(count=count, content=hasher.hexdigest(), sample=tuple(sample), own=own)

    def is_pending(self) -> bool:
        """Whether anything is."""
        return next(self._owed(), None) is not None

    def _owed(self) -> Iterator[tuple[bytes, bytes | None, bool]]:
        """Path, digest and whether it is the training's own, of each file that is pending."""
        absent: frozenset[bytes] | None = None
        closed: dict[bytes, bool] = {}
        for path, digest, own in self._connection.execute(PENDING, (self._unit,)):
            if absent is None:
                absent = self._roots.absent()
            root = self._roots.of(path)
            if root is None or root in absent:
                continue
            folder = split(path)[0]
            if folder not in closed:
                closed[folder] = is_closed(folder)
            if not closed[folder]:
                yield path, digest, bool(own)

    def known(self, path: bytes) -> Known | None:
        """What is known of one file; None where no comparison has met it, or nothing of it is left to remember."""
        found = self._connection.execute(KNOWN, (self._unit, path)).fetchone()
        if found is None:
            return None
        digest, pending, unknown, untrained, own, seen_at, run = found[4:]
        return Known(
            stamp=found[:4],
            there=digest is not None,
            readable=digest is None or not digest.startswith(UNREADABLE),
            pending=bool(pending),
            unknown=bool(unknown),
            untrained=bool(untrained),
            own=bool(own),
            seen_at=seen_at,
            run=run,
        )

    def known_below(self, folder: bytes) -> tuple[int, int]:
        """(files known below the folder, of these pending)."""
        values = (self._unit, *below(folder))
        known = self._connection.execute(KNOWN_BELOW, values).fetchone()[0]
        return known, self._connection.execute(PENDING_BELOW, values).fetchone()[0]

    def absent(self) -> tuple[bytes, ...]:
        """The roots, and mounts inside them, that are absent at this instant."""
        return tuple(sorted(self._roots.absent()))

    def changed(self) -> list[bytes]:
        """All paths that are pending, those of absent roots too: for a tree that is watched, not trained on."""
        return [path for path, _, _ in self._connection.execute(PENDING, (self._unit,))]

    def take(self) -> None:
        """Take all that is pending as trained: for a tree that is watched, not trained on."""
        with transaction(self._connection):
            self._connection.execute(TAKE_GONE, (self._unit,))
            self._connection.execute(TAKE, (self._unit,))

    def stir(self, touched: Touched) -> None:
        """Write down at once, while a run is active, what no comparison may find when it is over.

        That is what came and went again, and what was elsewhere for a moment: the run may have read it, or not.
        """
        named = (join(folder, name) for folder, names in touched.folders.items() for name in names)
        gone = [path for path in named if path not in touched.moved and not os.path.lexists(path)]
        gone = [path for path in gone if not self._ignore.ignored(path, is_folder=False)]
        if touched.moved or gone:
            self._rows.stir(touched.moved, gone)

    def begin(self, closed: Iterable[bytes] = ()) -> None:
        """A run begins and will read what the last comparison saw; the caller has just compared everything.

        `closed` are the folders that may not be read.
        """
        absent = {*self._roots.absent(), *closed}
        with transaction(self._connection):
            self._connection.execute(BEGIN, (self._unit,))
            for unread in (*map(below, absent), *outside(self._roots.paths)):
                self._connection.execute(BEGIN_UNREAD, (self._unit, *unread))
            self._connection.execute(CLEAN, (self._unit,))

    def succeed(self, run: int | None = None) -> None:
        """The run, `run` by its id in the history, succeeded; the caller has compared everything since it ended."""
        with transaction(self._connection):
            self._connection.execute(SUCCEED, (run, self._unit))
            self._connection.execute(CLEAN, (self._unit,))

    def fail(self) -> None:
        """The run failed: all stays owed, and what stirred during it is its own."""
        with transaction(self._connection):
            self._connection.execute(FAIL, (self._unit,))

    def doubt(self) -> None:
        """A run ended unrecorded: it may have succeeded on what it was given, and on all that stirred meanwhile.

        The caller has compared everything since it ended.
        """
        with transaction(self._connection):
            self._connection.execute(DOUBT, (self._unit,))

    def notice(self, moment: Moment) -> None:
        """There were news at `moment`; a comparison that finds some says so itself."""
        self._rows.notice(moment)

    def noticed(self) -> Moment | None:
        """When a comparison last found news: a burst from then on may not have settled yet."""
        row = self._connection.execute(
            "SELECT boot, elapsed, at FROM noticed WHERE unit = ?", (self._unit,)
        ).fetchone()
        return Moment(row[0], row[1], datetime.fromisoformat(row[2])) if row else None
