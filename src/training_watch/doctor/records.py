"""What is remembered: the marker, state.db, and whether the rule rests for a reason that only a person can end."""

from __future__ import annotations

import os
import re
import shlex
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import TypeVar
from urllib.parse import quote

from training_watch import places
from training_watch.config import Job
from training_watch.cooldown import rest
from training_watch.database import UPGRADES, VERSION
from training_watch.describe import day_time, ending, ignore_line, logs_of, read_anew
from training_watch.doctor.facts import Facts
from training_watch.doctor.findings import Finding, fault, fine, note
from training_watch.doctor.machine import unwritable
from training_watch.events import Outcome, Reason, Run
from training_watch.marker import MarkerError, read_marker
from training_watch.records import records_of
from training_watch.status import JobStatus, status_of
from training_watch.timespan import spoken
from training_watch.typed import for_job
from training_watch.watching.rows import Rows
from training_watch.wiring import launcher_of, obstacle_of

T = TypeVar("T")

# A marker is written as its training ends; two clocks that differ by less are one. Arbitrary.
_SLACK = timedelta(minutes=1)

_WENT_WRONG = (Outcome.FAILED, Outcome.INTERRUPTED)


# ---- state.db -----------------------------------------------------------------------------------


def remembered(question: Callable[[sqlite3.Connection], T], otherwise: T) -> T:
    """What state.db answers; `otherwise` where there is none that can be asked, which is another check's business.

    Nothing is written: no table, no upgrade, and it is never set aside. Raises sqlite3.OperationalError.
    """
    path = places.database()
    if not os.access(path, os.R_OK):
        return otherwise
    try:
        with closing(_opened(path)) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
            return question(connection) if version == VERSION else otherwise
    except sqlite3.DatabaseError as error:
        if _is_damage(error):
            return otherwise
        raise


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    # An operation may fail for a lock or a disk, and be tried again; but of a text that isn't UTF-8, and of some
    # pages that make no sense, sqlite3 says that the operation failed, too.
    return not isinstance(error, sqlite3.OperationalError) or bool(
        re.search("malformed|decode|unsupported", str(error))
    )


def _opened(path: Path) -> sqlite3.Connection:
    # A database whose log is empty is read as it is: to read it by way of the log, SQLite would make the log's files.
    # Who writes to it meanwhile makes them first, so the answer of a moment ago may be asked for again.
    quiet = "" if path.with_name(f"{path.name}-wal").exists() else "&immutable=1"
    return sqlite3.connect(
        f"file:{quote(str(path))}?mode=ro{quiet}", uri=True, timeout=5, isolation_level=None
    )


def state(facts: Facts) -> Iterator[Finding]:
    """state.db is whole, and can be written."""
    path = places.database()
    if (found := unwritable(path.parent)) is not None:
        yield fault(f"{found[0]}: history and snapshot can't be kept", found[1])
        return
    if not path.exists():
        yield fine("no state.db yet: everything counts as untrained")
        return
    if not os.access(path, os.R_OK | os.W_OK):
        yield fault(f"{path} can't be written by you", f"chmod u+rw {shlex.quote(str(path))}")
        return
    # Once more where somebody may have begun to write between the look for the log and the reading.
    why = _damage(path) and _damage(path)
    if why:
        yield fault(
            f"{path} is damaged ({why}); a new one costs the history and one training", _begin_anew(facts)
        )
        return
    with closing(_opened(path)) as connection:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version not in (0, VERSION, *UPGRADES):
        yield note(
            f"{path} is of another version of this program ({version}, this one knows {VERSION}): the daemon will set it "
            "aside, which costs the history and one training",
            "install the newer version again, to keep it",
        )
    else:
        yield fine(f"{path} is whole")


def _damage(path: Path) -> str:
    try:
        with closing(_opened(path)) as connection:
            found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        if not _is_damage(error):
            raise
        return str(error)
    return "" if found == "ok" else found.splitlines()[-1]


def _begin_anew(facts: Facts) -> str:
    """Its log goes with it: beside a new database it would be read as that one's."""
    folder = shlex.quote(str(places.state_folder()))
    move = f"(cd {folder} && mkdir -p damaged && mv state.db* damaged/)"
    if not facts.managed:
        return f"{move}   # while no daemon runs"
    return f"systemctl --user stop {facts.watcher}; {move}; systemctl --user start {facts.watcher}"


def unread(job: Job) -> list[str]:
    """The folders of the job that are there, and into which nobody has looked for it."""

    def asked(connection: sqlite3.Connection) -> list[str]:
        rows = Rows(connection, job.service)
        return [os.fsdecode(root) for root in job.roots if os.path.isdir(root) and rows.folder(root) is None]

    none: list[str] = []
    return remembered(asked, none)


# ---- the marker ---------------------------------------------------------------------------------


def marker(facts: Facts, job: Job) -> Iterator[Finding]:
    """The marker can be read and makes sense, and the next one can be written."""
    path, name = job.marker, shlex.quote(str(job.marker))
    if (found := unwritable(path.parent)) is not None:
        yield fault(
            f"{found[0]}: the marker {path} can't be written, and nothing keeps the cooldown", found[1]
        )
    try:
        known = read_marker(path)
    except MarkerError as error:
        yield fault(f"the marker can't be read: {error}", f"ls -ld {name}")
        return
    if known is None:
        if found is None:
            yield fine("no marker: no cooldown")
        return
    now = facts.now.calendar
    left = rest(known, facts.now, job.settings.cooldown).left
    lasts = f"the cooldown lasts another {spoken(left)}" if left > 0 else "the cooldown is over"
    forget = f"rm {name}   # forgets the cooldown"
    if not path.is_file():
        yield fault(f"{path} is no file, so no marker can be written", f"mv {name} {name}.moved")
    elif not known.readable:
        when = day_time(known.written, now)
        yield note(
            f"{path} holds no time that can be read: the file's own date counts, {when}; {lasts}", forget
        )
    elif known.ended > now + _SLACK:
        when = day_time(known.ended, now)
        yield note(
            f"{path} says {when}, which is yet to come: the clock was set back, or somebody wrote it; {lasts}, and "
            "never longer than a whole one",
            forget,
        )
    elif found is None:
        yield fine(f"the last training ended {day_time(known.ended, now)}: {lasts}")


# ---- the rule -----------------------------------------------------------------------------------


def waiting(facts: Facts, job: Job) -> Iterator[Finding]:
    """What the job waits for is time or a change, and not a person; how its last run ended, if badly."""
    status = _status(facts, job)
    if status is None or facts.config is None:
        return
    if status.last is not None and status.last.began.calendar > facts.now.calendar + _SLACK:
        began = day_time(status.last.began.calendar, facts.now.calendar)
        yield note(f"the last run began {began}, which is yet to come: the clock was set back since")
    see = f"{facts.program} logs {job.name}"
    force = f"{facts.program} trigger {job.name} --force"
    wrong = status.last if status.last is not None and status.last.outcome in _WENT_WRONG else None
    match status.reason:
        case Reason.RETRIES | Reason.REFUSED:
            why = f"; {_ending(wrong, facts)}" if wrong is not None else ""
            yield fault(f"{status.line}{why}; {see} says why", f"{force}   # once it is mended")
        case Reason.OWN:
            yield note(status.line, _ignoring(facts, job, status))
        case Reason.BALKED:
            yield fault(status.line, see)
        case Reason.OBSTACLE if obstacle_of(facts.config, job) is None:  # else the unit's check has said it
            yield fault(status.line, see)
        case Reason.OBSTACLE:
            pass
        case _ if wrong is not None:
            said = logs_of(wrong.invocation, for_job(facts.config, job, facts.program))
            yield note(f"{_ending(wrong, facts)}; {status.line}", said)
        case _:
            yield fine(status.line)


def _ending(run: Run, facts: Facts) -> str:
    """How a run went wrong, when, and what the training said of it."""
    at = (run.ended or run.alive).calendar
    why = ": ".join(filter(None, [ending(run.status), run.error]))
    told = f"the last run {'failed' if run.outcome is Outcome.FAILED else 'was interrupted'} "
    return told + day_time(at, facts.now.calendar) + (f" ({why})" if why else "")


def _status(facts: Facts, job: Job) -> JobStatus | None:
    """What the job waits for; None where state.db can't be asked, or the marker, which other checks say."""

    def status(connection: sqlite3.Connection) -> JobStatus:
        launcher = launcher_of(facts.config_path, job)
        return status_of(job, records_of(connection, job), launcher, facts.report, facts.now)

    try:
        return remembered(status, None)
    except MarkerError:
        return None


def _ignoring(facts: Facts, job: Job, status: JobStatus) -> str:
    """The line that leaves out what the training itself writes."""
    pending = status.state.pending
    line = ignore_line(job, pending.sample if pending else ())
    anew = read_anew(facts.jobs, facts.install, facts.report.pid) if facts.report else facts.install
    return f"write {line} into {facts.config_path}, then: {anew}"
