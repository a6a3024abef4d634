"""A job's part of state.db: its history and its snapshot, opened together."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from training_watch import places
from training_watch.config import Job
from training_watch.database import DatabaseError, open_database, set_aside
from training_watch.events import Moment
from training_watch.mends import refused
from training_watch.runs import Runs
from training_watch.watching.content import content
from training_watch.watching.ignore import Ignore
from training_watch.watching.snapshot import Snapshot
from training_watch.watching.touched import Touched

if TYPE_CHECKING:
    from training_watch.watching.compare import Comparison, Reader


@dataclass(frozen=True, slots=True)
class Records:
    """What is known of one job's past."""

    connection: sqlite3.Connection
    runs: Runs
    snapshot: Snapshot
    ignore: Ignore

    def compare_all(self, moment: Moment, *, running: bool) -> Comparison:
        """Compare the whole tree with the snapshot, to the end."""
        steps = self.snapshot.compare(
            Touched(everything=True, cause="a run began or ended"), moment, running=running
        )
        while True:
            try:
                next(steps)
            except StopIteration as end:
                found: Comparison = end.value
                return found


@contextmanager
def opened_records(job: Job, say: Callable[[str], None], *, wait: float = 5.0) -> Iterator[Records]:
    """Open state.db for one job. Raises DatabaseError, also for what goes wrong while it is open."""
    path = places.database()
    connection = open_database(path, say=say, wait=wait)
    try:
        yield records_of(connection, job)
    except sqlite3.OperationalError as error:
        raise DatabaseError(refused(path, error)) from error
    except sqlite3.DatabaseError as error:
        aside = set_aside(path)
        raise DatabaseError(
            f"{path} was damaged ({error}): set aside as {aside.name}; a new one begins with the next command"
        ) from error
    finally:
        connection.close()


def records_of(
    connection: sqlite3.Connection, job: Job, *, ignore: Ignore | None = None, read: Reader = content
) -> Records:
    """One job's records in an open state.db; `ignore` in place of the job's own rules, `read` of files' content."""
    ignore = ignore or Ignore(job.roots, job.ignore, gitignore=job.gitignore)
    return Records(
        connection=connection,
        runs=Runs(connection, job.service, job.name),
        snapshot=Snapshot(connection, job.service, job.roots, ignore, read=read),
        ignore=ignore,
    )
