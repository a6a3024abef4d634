"""What a job waits for, told from what is on disk and what the daemon has published.

The same rule answers as in the daemon. Where no daemon runs, that is said, and nothing of it is shown.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from training_watch import clock, places
from training_watch.check import Verdict, verdict
from training_watch.config import Config, Job
from training_watch.cooldown import since
from training_watch.decide import Burst, State, order, step
from training_watch.describe import folders, next_start, sentence, unreadable
from training_watch.events import Compared, Moment, Observed, Order, Run, Running, Wait
from training_watch.files import Busy, lock, read_small
from training_watch.journal import printable
from training_watch.launching import Launcher, LaunchError, UnitState
from training_watch.marker import read_marker
from training_watch.records import Records
from training_watch.timespan import spoken

# How many folders of a gap are named on the screen. Arbitrary.
NAMED = 3


# The schema of daemon.json that is understood here.
_REPORTED = 1
# Far more than a report or a training's status file has. Arbitrary.
_LARGEST = 1 << 22


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One job, now. `watching` is what the daemon published of it, empty where none runs.

    `training` is the status file of the run that is active, `told` that of the last one that ended; None where it wrote none.
    """

    job: Job
    state: State
    order: Order
    line: str
    verdict: Verdict
    last: Run | None
    next_start: str | None
    training: dict[str, Any] | None
    told: dict[str, Any] | None = None
    watching: dict[str, Any] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    unreadable: int = 0
    noisiest: str | None = None
    trouble: str | None = None


def daemon_report() -> dict[str, Any] | None:
    """What the running daemon published; None where none runs, whatever an old one left behind."""
    folder = places.state_folder()
    try:
        with lock(folder / "daemon.lock", within=0.0, pause=clock.pause):
            return None
    except Busy:
        pass
    except OSError:
        return None
    report = _json(folder / "daemon.json")
    if report is not None and (report.get("schema") != _REPORTED or not isinstance(report.get("jobs"), dict)):
        # One of another version, before an upgrade's restart: it runs, but what it says of jobs means something else.
        return {**report, "jobs": {}}
    return report


def status_of(
    job: Job, records: Records, launcher: Launcher, report: dict[str, Any] | None, now: Moment
) -> JobStatus:
    """What this job waits for. Raises MarkerError and sqlite3.Error."""
    trouble = None
    unit = UnitState(active=False)
    try:
        unit = launcher.state()
    except LaunchError as error:
        trouble = str(error)
    mine = ((report or {}).get("jobs") or {}).get(job.name) or {}
    marker = read_marker(job.marker)
    run = records.runs.find(unit.invocation) if unit.active else None
    running = Running(unit.invocation, run.began if run else None) if unit.active else None
    burst = mine.get("burst")
    balks, balked_at, balked_why = mine.get("balks") or (0, 0.0, "")
    state = State(burst=Burst(*burst) if burst else None)
    history = records.runs.recent()
    state = step(state, Observed(now.elapsed, running, marker, history, mine.get("obstacle")), job.settings)
    state = step(state, Compared(now.elapsed, records.snapshot.pending()), job.settings)
    state = replace(state, balks=balks, balked_at=balked_at, balked_why=balked_why)
    current = order(state, now, job.settings)
    line = sentence(current, state, job.settings, now, touched=int(mine.get("touched", 0)))
    if not isinstance(current, Wait):
        line = "about to train" if report is not None else "would train now, if the daemon ran"
    start = next_start(current, state, job.settings, now)
    at = (
        now.calendar + timedelta(seconds=start - now.elapsed) if start is not None and state.pending else None
    )
    last = next((each for each in reversed(history) if each.outcome is not None), None)
    told = _told(_json(places.status_file(job.service)))
    return JobStatus(
        job=job,
        state=state,
        order=current,
        line=line,
        verdict=verdict(marker, now, job.settings.cooldown, running=unit.active),
        last=last,
        next_start=at.isoformat(timespec="seconds") if at else None,
        training=_by_now(told, now.calendar)
        if told and running and _is_of(told, running.invocation, run)
        else None,
        told=told if told and last and not running and _is_of(told, last.invocation, last) else None,
        watching=mine.get("watching") or {},
        absent=mine.get("absent") or [],
        unreadable=int(mine.get("unreadable") or 0),
        noisiest=mine.get("noisiest"),
        trouble=trouble,
    )


def as_text(config: Config, jobs: list[JobStatus], report: dict[str, Any] | None) -> list[str]:
    """The screen for a person."""
    lines = []
    if report is None:
        lines.append("daemon    not running: systemctl --user start training-watch.service")
    else:
        lines.append(f"daemon    running since {report.get('since')} (pid {report.get('pid')})")
    lines.append(f"config    {config.path}")
    for status in jobs:
        lines += ["", f"{status.job.name}", *_job_lines(status)]
    return lines


def as_json(config: Config, jobs: list[JobStatus], report: dict[str, Any] | None) -> dict[str, Any]:
    """The same for programs. `schema` changes when a key changes its meaning."""
    return {
        "schema": 1,
        "config": str(config.path),
        "daemon": {key: report.get(key) for key in ("pid", "since", "version")} if report else None,
        "jobs": {status.job.name: _job_json(status) for status in jobs},
    }


def run_line(run: Run) -> str:
    """One run for a person."""
    began = run.began.calendar.astimezone()
    took = spoken(since(run.began, run.ended)) if run.ended else ""
    how = str(run.outcome) if run.outcome else "running"
    detail = f" (exit status {run.status})" if run.status not in ("", "0") else ""
    forced = ", forced" if run.forced else ""
    return f"{began:%Y-%m-%d %H:%M}  {how}{detail}{' after ' + took if took else ''}, started by {run.starter}{forced}"


def _job_lines(status: JobStatus) -> list[str]:
    job, state, watching = status.job, status.state, status.watching
    how = (
        f"{watching['mode']}, {folders(watching['folders'])}"
        if watching
        else "not watched: the daemon is not running"
    )
    lines = [f"  watching  {', '.join(map(str, job.paths))} ({how})", f"  now       {status.line}"]
    for gap in watching.get("gaps") or []:
        lines += _gap_lines(gap)
    lines += [
        f"  absent    {root}: nothing is pending from it, its files are kept as they were"
        for root in status.absent
    ]
    if status.unreadable:
        lines.append(
            f"  unread    {unreadable(status.unreadable)} can't be read: changes in them are not seen"
        )
    if status.noisiest and state.burst:
        lines.append(f"  noisiest  {status.noisiest}")
    if state.pending:
        lines += [f"  pending   {printable(path)}" for path in state.pending.sample]
        more = state.pending.count - len(state.pending.sample)
        lines += [f"            and {more} more"] if more > 0 else []
    if status.training:
        lines.append(f"  training  {_progress(status.training)}")
    if status.next_start:
        lines.append(f"  next      {status.next_start}")
    lines.append(f"  last run  {run_line(status.last) if status.last else 'none yet'}")
    for name, label in (("quality", "quality"), ("error", "it said")):
        if status.told and status.told[name]:
            lines.append(f"  {label:9} {status.told[name]}")
    if status.trouble:
        lines.append(f"  trouble   {status.trouble}")
    return lines


def _gap_lines(gap: dict[str, Any]) -> list[str]:
    """A part of the tree that the kernel doesn't tell of: why, which, and what would mend that."""
    tops = gap.get("folders") or []
    more = int(gap.get("count") or 0) - len(tops[:NAMED])
    names = ", ".join(tops[:NAMED]) + (f" and {more} more" if more > 0 else "")
    how = "looked into now and then instead" if gap.get("polled") else "nothing can be seen there"
    lines = [f"  degraded  {gap.get('cause')}: {how}: {names}"]
    return [*lines, f"  mend      {gap['mend']}"] if gap.get("mend") else lines


def _progress(training: dict[str, Any]) -> str:
    phase, number, phases = training["phase"], training["phase_number"], training["phases"]
    parts = []
    if phase is not None or number is not None:
        which = "" if number is None else f" {number}" if phases is None else f" {number}/{phases}"
        parts.append(f"phase{which} {phase or ''}".rstrip())
    done, total, unit = training["done"], training["total"], training["unit"]
    if done is not None and total:
        parts.append(f"{done} of {total} {unit or ''}".rstrip())
    if training["remaining_seconds"] is not None:
        parts.append(f"about {spoken(training['remaining_seconds'])} left")
    return ", ".join(parts) or training["message"] or "it says nothing of how far it is"


# The fields of a status file that are shown, by what they may hold. Anything else in them is as if it weren't there.
_NUMBERS = ("phase_number", "phases", "done", "total", "remaining_seconds")
_TEXTS = ("invocation", "started_at", "updated_at", "phase", "unit", "message", "result", "error", "quality")
# Characters of a text: more is no line for people. And what is left of a training of 30 years. Both arbitrary.
_LINE = 500
_LONGEST = 1_000_000_000


def _told(content: dict[str, Any] | None) -> dict[str, Any] | None:
    """A status file's fields, each of its type or None: any program may have written it (docs/status-file.md)."""
    if content is None or content.get("schema") != 1 or isinstance(content["schema"], bool):
        return None
    told: dict[str, Any] = {"schema": 1}
    for name in _TEXTS:
        value = content.get(name)
        told[name] = printable(value[:_LINE]) if isinstance(value, str) else None
    for name in _NUMBERS:
        value = content.get(name)
        # NaN and infinity, which json.loads takes, are not within any bounds.
        number = value if isinstance(value, int | float) and not isinstance(value, bool) else -1
        told[name] = round(number) if 0 <= number <= _LONGEST else None
    return told


def _by_now(told: dict[str, Any], now: datetime) -> dict[str, Any]:
    """With what remains now: it may have been written a while ago. What should be over long since, nobody knows."""
    left, written = told["remaining_seconds"], _moment(told["updated_at"])
    if left is None or written is None:
        return told
    left -= max(0, round((now - written).total_seconds()))
    return {**told, "remaining_seconds": left if left >= 0 else None}


def _moment(text: str | None) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _is_of(told: dict[str, Any], invocation: str, run: Run | None) -> bool:
    """Whether that run wrote it: by its name, or, where it gave none, by the time."""
    if told["invocation"]:
        return bool(told["invocation"] == invocation)
    written = _moment(told["updated_at"])
    return run is None or (written is not None and written >= run.began.calendar.replace(microsecond=0))


def _job_json(status: JobStatus) -> dict[str, Any]:
    pending = status.state.pending
    return {
        "paths": [str(path) for path in status.job.paths],
        "service": status.job.service,
        "watching": status.watching or None,
        "absent": status.absent,
        "unreadable": status.unreadable,
        "noisiest": status.noisiest,
        "waiting_for": str(status.order.reason) if isinstance(status.order, Wait) else "nothing",
        "line": status.line,
        "next_start": status.next_start,
        "pending": {
            "count": pending.count if pending else 0,
            "sample": [printable(path) for path in pending.sample] if pending else [],
        },
        "running": status.state.running.invocation if status.state.running else None,
        "training": status.training,
        "check": status.verdict.as_json(),
        "last_run": run_json(status.last) | _how_it_went(status.told) if status.last else None,
        "trouble": status.trouble,
    }


def _how_it_went(told: dict[str, Any] | None) -> dict[str, Any]:
    return {name: told[name] if told else None for name in ("message", "quality", "error")}


def run_json(run: Run) -> dict[str, Any]:
    return {
        "invocation": run.invocation,
        "started_by": str(run.starter),
        "forced": run.forced,
        "began": run.began.calendar.isoformat(timespec="seconds"),
        "ended": run.ended.calendar.isoformat(timespec="seconds") if run.ended else None,
        "seconds": round(since(run.began, run.ended), 1) if run.ended else None,
        "outcome": str(run.outcome) if run.outcome else None,
        "status": run.status or None,
    }


def _json(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(read_small(path, _LARGEST))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
