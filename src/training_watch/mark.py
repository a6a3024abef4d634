"""The unit's other end: a run ended, well or not, and the marker says when.

The marker comes first and needs nothing but its path; the history, which may be locked or damaged,
comes after. What is lost with it is made up for by `amend`, later, by whoever looks first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, timedelta

from training_watch import places
from training_watch.bell import ring
from training_watch.config import Job
from training_watch.events import Marker, Moment, Outcome, Run
from training_watch.launching import AVAILABLE, RECORDED, UPDATED, Launcher, LaunchError
from training_watch.marker import read_marker, write_marker
from training_watch.progress import LINE, read_progress
from training_watch.records import Records, opened_records
from training_watch.text import printable

# sysexits.h EX_TEMPFAIL: the training says "not now". That is no run.
NOT_NOW = "75"
# How a process ends that was told to end: by the signal, or by the shell's 128 + signal.
_TOLD_TO_END = frozenset({"TERM", "INT", "HUP", "143", "130", "129"})


@dataclass(frozen=True, slots=True)
class Ending:
    """What the service manager passes to ExecStopPost= (systemd.exec(5), $SERVICE_RESULT)."""

    result: str
    code: str = ""
    status: str = ""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Ending:
        return cls(
            environment.get("SERVICE_RESULT", ""),
            environment.get("EXIT_CODE", ""),
            environment.get("EXIT_STATUS", ""),
        )

    @property
    def skipped(self) -> bool:
        """ExecCondition= said no; its ExecStopPost= runs all the same (systemd.service(5))."""
        return self.result == "exec-condition"


def judge(ending: Ending, *, stopping: bool) -> Outcome:
    """How the run ended; `stopping` says that somebody stops the unit, or the machine."""
    if ending.code == "exited" and ending.status == NOT_NOW:
        return Outcome.DEFERRED
    if stopping or (ending.result in ("signal", "exit-code") and ending.status in _TOLD_TO_END):
        return Outcome.STOPPED
    return Outcome.SUCCEEDED if ending.result == "success" else Outcome.FAILED


def mark(job: Job, outcome: Outcome, ended: Moment, say: Callable[[str], None]) -> None:
    """Write the marker for a run that ended at `ended`. Raises MarkerError."""
    if outcome is Outcome.DEFERRED:
        say(
            f"{job.service}: the training said: not now (exit {NOT_NOW}); that is no run, the marker stays as it is"
        )
        return
    write_marker(job.marker, ended)
    say(f"{UPDATED}{job.marker}")
    following = ended.calendar.astimezone(UTC) + timedelta(seconds=job.settings.cooldown)
    say(f"{AVAILABLE}{following:%Y-%m-%dT%H:%M:%SZ}")


def record_end(
    job: Job,
    invocation: str,
    ended: Moment,
    outcome: Outcome,
    status: str,
    say: Callable[[str], None],
    *,
    last_words: Callable[[], list[str]] = list,
) -> None:
    """Record a run's end, on success what it has trained, and what it said of its result. Raises DatabaseError.

    `last_words` are the last lines that it logged: the last one tells why it failed, where its status file doesn't.
    """
    told = read_progress(places.status_file(job.service))
    with opened_records(job, say) as records:
        run = records.runs.find(invocation)
        if run is None:
            say(
                f"{job.service}: no record of this run's beginning ({invocation or 'it has no name'}): what it read counts as untrained"
            )
        elif run.outcome is None:
            records.compare_all(ended, running=True)
            _close(records, run, ended, outcome, status)
            quality, error = "", ""
            if told is not None and told.is_of(invocation, run):
                quality, error = told.quality, told.error
            if outcome is Outcome.FAILED and not error:
                error = _last_line(last_words)
            records.runs.report(invocation, quality=quality, error=error)
    ring(places.bell())


def _last_line(last_words: Callable[[], list[str]]) -> str:
    try:
        said = last_words()
    except LaunchError:  # it stays in the log, which is where a person looks next
        return ""
    own = [line.strip() for line in said if not line.startswith(RECORDED) and line.strip()]
    return printable(own[-1])[:LINE] if own else ""


def amend(
    job: Job, records: Records, launcher: Launcher, now: Moment, say: Callable[[str], None]
) -> Run | None:
    """Close a run that ended without `mark`, once: its marker is written for its last sign of life.

    Where the marker stands already, only the record of the end got lost. Returns the run that was
    closed. Raises LaunchError, MarkerError and sqlite3.Error.
    """
    run = records.runs.open()
    if run is None:
        return None
    # Asked in this order, a run that begins or ends meanwhile is never taken for an interrupted one.
    unit = launcher.state()
    if unit.active and unit.invocation in ("", run.invocation):
        return None
    if records.runs.open() != run:
        return None
    outcome, status, ended = Outcome.INTERRUPTED, "", run.alive
    marker = read_marker(job.marker)
    if marker is not None and _covers(marker, run, now):
        if unit.invocation == run.invocation and unit.result:
            outcome = judge(Ending(unit.result, "exited", unit.status), stopping=False)
            status = unit.status
        ended = Moment(marker.boot_id or "", marker.elapsed or 0.0, marker.ended)
        say(
            f"{job.service}: the last training wrote its marker, but its end was not recorded: what it read counts as untrained"
        )
    else:
        write_marker(job.marker, ended)
        say(
            f"{job.service}: the last training was interrupted, its last sign of life was at {ended.calendar:%Y-%m-%d %H:%M:%S}: its changes are trained again"
        )
        say(f"{UPDATED}{job.marker}")
    records.compare_all(now, running=True)
    records.snapshot.doubt()
    records.runs.finish(run.invocation, ended, outcome, status=status, self_fed=False)
    return run


def _close(records: Records, run: Run, ended: Moment, outcome: Outcome, status: str) -> None:
    if outcome is Outcome.SUCCEEDED:
        records.snapshot.succeed(run.id)
    elif outcome is not Outcome.DEFERRED:  # that was no run: what was its own before stays so
        records.snapshot.fail()
    pending = records.snapshot.pending()
    self_fed = pending is not None and pending.own
    records.runs.finish(run.invocation, ended, outcome, status=status, self_fed=self_fed)


def _covers(marker: Marker, run: Run, now: Moment) -> bool:
    """Whether the marker was written by this run or after it; one from the future proves nothing."""
    if marker.boot_id is not None and marker.elapsed is not None:
        if marker.boot_id == run.began.boot_id:
            return marker.elapsed >= run.began.elapsed
        if marker.boot_id == now.boot_id:
            return True
    began = run.began.calendar
    # The file's own time has fractions of a second, the time in it has none.
    return (
        began < marker.written <= now.calendar
        and began.replace(microsecond=0) <= marker.ended <= now.calendar
    )
