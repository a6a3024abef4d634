"""What a job waits for, told from what is on disk and what the daemon has published.

The same rule answers as in the daemon. Where no daemon runs, that is said, and nothing of it is shown.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from training_watch import places
from training_watch.check import Verdict, verdict
from training_watch.config import Config, Job
from training_watch.cooldown import since
from training_watch.decide import Burst, Settings, State, failures, order, step
from training_watch.describe import next_start, sentence
from training_watch.events import Compared, Moment, Observed, Order, Pending, Reason, Run, Running, Wait
from training_watch.launching import Launcher, LaunchError, UnitState
from training_watch.marker import read_marker
from training_watch.progress import Progress, read_progress
from training_watch.published import DaemonReport, JobReport, fingerprint
from training_watch.records import Records
from training_watch.text import printable

# Changes when a key of the JSON changes its meaning or goes (docs/status-json.md). New keys may come.
SCHEMA = 1


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One job at one moment, by the `settings` of the daemon that keeps it, if one does. `report` is what the daemon published of it, None where none runs, or not yet.

    `until` is when what it waits for is over, `next_at` the earliest start; each None where no time is waited for.
    `looked` is false while nothing has ever looked into the tree, so that nothing is known of it.
    `training` is what the run that is active says of itself. `trouble`: why the unit could not be asked.
    """

    job: Job
    settings: Settings
    state: State
    order: Order
    line: str
    verdict: Verdict
    last: Run | None
    until: datetime | None
    next_at: datetime | None
    training: Progress | None
    report: JobReport | None
    looked: bool = True
    trouble: str | None = None

    @property
    def reason(self) -> Reason | None:
        """What it waits for; None at the moment of a start."""
        return self.order.reason if isinstance(self.order, Wait) else None

    @property
    def absent(self) -> tuple[str, ...]:
        """The roots that are missing, or not mounted, as the daemon found them."""
        return self.report.absent if self.report is not None else ()

    @property
    def tries(self) -> int:
        """How often the content that is there now was tried and failed; 0 while an edit of it is not compared yet."""
        pending, edited = self.state.pending, self.state.burst is not None
        edited = edited or (self.report is not None and self.report.touched > 0)
        return failures(self.state.history, pending.content) if pending is not None and not edited else 0


def status_of(
    job: Job, records: Records, launcher: Launcher, report: DaemonReport | None, now: Moment
) -> JobStatus:
    """What this job waits for. Raises MarkerError and sqlite3.Error."""
    trouble = None
    unit = UnitState(active=False)
    try:
        unit = launcher.state()
    except LaunchError as error:
        trouble = str(error)
    mine = report.jobs.get(job.name) if report is not None else None
    # What the daemon will do is told by the limits that it goes by, whatever the configuration says meanwhile.
    settings = mine.settings if mine is not None else job.settings
    marker = read_marker(job.marker)
    run = records.runs.find(unit.invocation) if unit.active else None
    running = Running(unit.invocation, run.began if run else None) if unit.active else None
    history = records.runs.recent()
    state = State(burst=Burst(*mine.burst) if mine is not None and mine.burst else None)
    obstacle = mine.obstacle if mine is not None else None
    state = step(state, Observed(now.elapsed, running, marker, history, obstacle), settings)
    counted = mine.pending if mine is not None else None
    pending = records.snapshot.pending(
        Pending(counted.count, counted.content, own=counted.own) if counted is not None else None
    )
    state = step(state, Compared(now.elapsed, pending), settings)
    if mine is not None:
        state = replace(state, balks=mine.balks, balked_at=mine.balked_at, balked_why=mine.balked_why)
    current = order(state, now, settings)
    line = sentence(current, state, settings, now, touched=mine.touched if mine is not None else 0)
    kept = mine is not None and mine.fingerprint == fingerprint(job)
    looked = kept or next(records.snapshot.folders(), None) is not None
    if not looked and running is None:
        line = f"nothing known yet: nobody has looked into it for {job.service}"
    elif not isinstance(current, Wait):
        line = _starting(report, job)
    owed = state.pending is not None or (state.burst is not None and mine is not None and mine.touched > 0)
    told = read_progress(places.status_file(job.service)) if running is not None else None
    return JobStatus(
        job=job,
        settings=settings,
        state=state,
        order=current,
        line=line,
        verdict=verdict(marker, now, settings.cooldown, running=unit.active),
        last=next((each for each in reversed(history) if each.outcome is not None), None),
        until=_at(current.until if isinstance(current, Wait) else None, now),
        next_at=_at(next_start(current, state, settings, now) if owed else None, now),
        training=told.by(now.calendar) if told and running and told.is_of(running.invocation, run) else None,
        report=mine,
        looked=looked,
        trouble=trouble,
    )


def _starting(report: DaemonReport | None, job: Job) -> str:
    if report is None:
        return "would train, if the daemon ran"
    if report.jobs and job.name not in report.jobs:
        return "would train, if the daemon knew this job"
    return "about to train"


def as_json(config: Config, jobs: list[JobStatus], report: DaemonReport | None) -> dict[str, Any]:
    """The same for programs: docs/status-json.md describes each key."""
    return {
        "schema": SCHEMA,
        "config": str(config.path),
        "daemon": _daemon_json(report) if report is not None else None,
        "jobs": {status.job.name: _job_json(status) for status in jobs},
    }


def run_json(run: Run) -> dict[str, Any]:
    """One run of the history for programs."""
    return {
        "invocation": run.invocation,
        "started_by": str(run.starter),
        "forced": run.forced,
        "began": _iso(run.began.calendar),
        "ended": _iso(run.ended.calendar) if run.ended else None,
        "seconds": round(since(run.began, run.ended), 1) if run.ended else None,
        "outcome": str(run.outcome) if run.outcome else None,
        "status": run.status or None,
        "files": run.files,
        "quality": run.quality or None,
        "error": run.error or None,
    }


def news(told: dict[str, Any]) -> object:
    """Of `as_json`, what a person would want to be told of when it changes: no countdown, no counter."""
    daemon = told["daemon"]
    return (
        daemon and (daemon["pid"], daemon["overflows"]),
        [
            {name: job[name] for name in ("waiting_for", "pending", "running", "last_run", "absent", "unreadable", "trouble")}
            | {"phase": (job["training"] or {}).get("phase"), "mode": (job["watching"] or {}).get("mode")}
            | {"gaps": (job["watching"] or {}).get("gaps")}
            for job in told["jobs"].values()
        ],
    )  # fmt: skip


def _daemon_json(report: DaemonReport) -> dict[str, Any]:
    seen = [job.watching for job in report.jobs.values()]
    return {
        "pid": report.pid or None,
        "version": report.version or None,
        "since": _iso(report.since),
        "config": report.config or None,
        "memory_bytes": report.memory(),
        "events": sum(each.events for each in seen),
        "overflows": sum(each.overflows for each in seen),
        "rescans": sum(each.rescans for each in seen),
    }


def _job_json(status: JobStatus) -> dict[str, Any]:
    pending, report = status.state.pending, status.report
    return {
        "paths": [str(path) for path in status.job.paths],
        "service": status.job.service,
        "watching": _watching_json(report) if report is not None else None,
        "absent": list(status.absent),
        "unreadable": report.unreadable if report is not None else 0,
        "noisiest": report.noisiest if report is not None else None,
        "waiting_for": str(status.reason or "nothing"),
        "waiting_until": _iso(status.until),
        "line": status.line,
        "next_start": _iso(status.next_at),
        "pending": {
            "count": pending.count if pending else 0,
            "sample": [printable(path) for path in pending.sample] if pending else [],
        },
        "changed": list(report.changed) if report is not None else [],
        "running": status.state.running.invocation if status.state.running else None,
        "training": _progress_json(status.training) if status.training is not None else None,
        "check": status.verdict.as_json(),
        "last_run": run_json(status.last) if status.last else None,
        "trouble": status.trouble,
    }


def _watching_json(report: JobReport) -> dict[str, Any]:
    return {"paths": list(report.paths) or None, **asdict(report.watching)}


def _progress_json(told: Progress) -> dict[str, Any]:
    return {name: None if value == "" else value for name, value in asdict(told).items()}


def _at(elapsed: float | None, now: Moment) -> datetime | None:
    return now.calendar + timedelta(seconds=elapsed - now.elapsed) if elapsed is not None else None


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment is not None else None
