"""A start that somebody orders: said, watched until its first phase, followed to its end if asked."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC
from pathlib import Path
from typing import NoReturn

from training_watch import clock, places
from training_watch.check import Verdict, verdict
from training_watch.config import Job, read_config
from training_watch.database import DatabaseError
from training_watch.describe import day_time, ending, logs_of
from training_watch.events import Moment, Outcome, Run, Starter
from training_watch.launching import Launcher, NotStarted, Started
from training_watch.marker import read_marker
from training_watch.progress import read_progress
from training_watch.published import daemon_report
from training_watch.records import Records, opened_records
from training_watch.terminal import FAILED, NOT_NOW, fail, say, warn
from training_watch.timespan import spoken
from training_watch.trigger import Held
from training_watch.trigger import trigger as start
from training_watch.typed import Typed, for_job, here
from training_watch.wiring import launcher_of

# How long `trigger` watches a start before it says that it went well.
FIRST_PHASE = 5.0
_UNCHANGED = "Nothing changed since the last training.\n"
_DEFERRED = (
    "{}: the training said: not now (exit 75); that is no run, the marker stays as it is: try again later"
)


@contextmanager
def records_or_none(job: Job) -> Iterator[Records | None]:
    """The job's records, or None, said aloud, where state.db can't be had: the marker alone decides then."""
    with ExitStack() as stack:
        try:
            records = stack.enter_context(opened_records(job, warn))
        except DatabaseError as error:
            warn(f"{error}; going on without the history")
            yield None
            return
        yield records


def order_start(
    config_path: Path,
    job: Job,
    *,
    force: bool = False,
    wait: bool = False,
    no_watch: bool = False,
    dry_run: bool = False,
) -> None:
    """Start the job's unit and say how that went, or why it was not started.

    `wait`: to the run's end, with its lines; `no_watch`: without a look at how it begins. Raises SystemExit with the
    exit codes of `trigger`, LaunchError, MarkerError and ConfigError.
    """
    launcher = launcher_of(config_path, job)
    now, typed = clock.now(), for_job(read_config(config_path), job, here(config_path))
    what = "Knowledge Model Training" if job.service == places.TRAINING_UNIT else job.name
    say(f"=== Triggering {what} ===\n")
    say(f"Service: {job.service}")
    say(f"Timestamp: {_utc(now)}")
    say(f"Force: {'true' if force else 'false'}\n")
    with records_or_none(job) as records:
        unchanged = records is not None and _nothing_changed(job, records, now, look=not dry_run)
        if dry_run:
            _tell_dry(job, launcher, now, force=force, unchanged=unchanged)
            return
        outcome = start(
            job, launcher, records, starter=Starter.TRIGGER, forced=force, now=clock.now, say=warn
        )
    match outcome:
        case Held(asked):
            _tell_held(job, launcher, asked, clock.now())
        case NotStarted(why):
            fail(f"{job.service} was not started: {why}", FAILED)
        case Started(invocation):
            if unchanged:
                say(_UNCHANGED)
            try:
                _tell_started(job, launcher, invocation, typed, wait=wait, no_watch=no_watch)
            except KeyboardInterrupt:
                warn(f"{job.service} goes on: `{typed.program} status` tells how")
                raise


def _nothing_changed(job: Job, records: Records, now: Moment, *, look: bool) -> bool:
    """Whether that is certain: a burst that hasn't settled is not compared yet, and without a daemon nobody compares."""
    if not records.runs.recent(1):
        return False
    report = daemon_report()
    mine = report.jobs.get(job.name) if report is not None else None
    if mine is not None and (mine.burst is not None or mine.touched):
        return False
    if mine is None:
        if not look:
            return False
        records.compare_all(now, running=False)
    return not records.snapshot.is_pending()


def _tell_held(job: Job, launcher: Launcher, asked: Verdict, now: Moment) -> NoReturn:
    if asked.reason == "already_running":
        say(f"Not started: {job.service} is running already. Follow it: {launcher.hints()[0]}")
    else:
        last = (
            f", the last training ended {day_time(asked.last_trained, now.calendar)}"
            if asked.last_trained
            else ""
        )
        say(f"Not started: the cooldown lasts another {spoken(asked.left)}{last}. --force skips it.")
    raise SystemExit(NOT_NOW)


def _tell_dry(job: Job, launcher: Launcher, now: Moment, *, force: bool, unchanged: bool) -> None:
    unit = launcher.state()
    asked = verdict(read_marker(job.marker), now, job.settings.cooldown, running=unit.active or unit.queued)
    if asked.reason == "already_running" or not (asked.should_train or force):
        _tell_held(job, launcher, asked, now)
    if unchanged:
        say(_UNCHANGED)
    say(f"Would start {job.service}.")


def _tell_started(
    job: Job, launcher: Launcher, invocation: str, typed: Typed, *, wait: bool, no_watch: bool
) -> None:
    if not no_watch and sys.stderr is not None and sys.stderr.isatty():
        print("watching how it begins, 5 s at most (--no-watch returns at once)", file=sys.stderr, flush=True)
    ended = not no_watch and _ended_at_once(job, launcher, invocation)
    if ended:
        _tell_failure(job, launcher, invocation, typed)
    say("Training started successfully!\n")
    if not wait:
        run = _recorded(job, invocation) if ended else None
        if run is not None and run.outcome is Outcome.SUCCEEDED:
            say("It has succeeded already.\n")
        for hint in launcher.hints():
            say(f"  {hint}")
        return
    for line in launcher.follow(invocation):
        say(line)
    _tell_result(job, launcher, invocation, typed)


def _tell_failure(job: Job, launcher: Launcher, invocation: str, typed: Typed) -> None:
    """End with what a run said that went wrong at once; one that succeeded is fine."""
    unit = launcher.state()
    if unit.result == "exit-code" and unit.status == str(NOT_NOW):
        fail(_DEFERRED.format(job.service), NOT_NOW)
    if unit.result in ("success", ""):
        return
    for line in launcher.lines(invocation, last=10):
        warn(f"  {line}")
    how = ", ".join(filter(None, [unit.result, ending(unit.status)]))
    fail(
        f"{job.service} started and failed at once ({how}): `{logs_of(invocation, typed)}` shows all that it said, "
        f"`{typed('trigger', '--force')}` tries again",
        FAILED,
    )


def _ended_at_once(job: Job, launcher: Launcher, invocation: str) -> bool:
    """Watch the start until the run reports its first phase, or some seconds have passed, or it ended."""
    until = clock.elapsed() + FIRST_PHASE
    while clock.elapsed() < until:
        unit = launcher.state()
        if not unit.active or unit.invocation != invocation:
            return True
        if _first_phase(places.status_file(job.service), invocation):
            return False
        clock.pause(0.1)
    return False


def _first_phase(path: Path, invocation: str) -> bool:
    told = read_progress(path)
    return told is not None and told.invocation == invocation and bool(told.phase)


def _tell_result(job: Job, launcher: Launcher, invocation: str, typed: Typed) -> None:
    # Its last line is out, but what records its end may still be at work.
    while (unit := launcher.state()).active and unit.invocation == invocation:
        clock.pause(0.1)
    run = _recorded(job, invocation)
    outcome = run.outcome if run is not None else None
    if outcome is Outcome.SUCCEEDED or (outcome is None and unit.result == "success"):
        say("\nTraining succeeded.")
        return
    if outcome is Outcome.DEFERRED:
        fail(_DEFERRED.format(job.service), NOT_NOW)
    how = str(outcome or unit.result or "ended, and nobody recorded how")
    if status := ending(run.status if run else unit.status):
        how += f" ({status})"
    fail(
        f"{job.service}: training {how}: `{logs_of(invocation, typed)}` shows what it said, "
        f"`{typed('trigger', '--force')}` tries again",
        FAILED,
    )


def _recorded(job: Job, invocation: str) -> Run | None:
    with records_or_none(job) as records:
        return records.runs.find(invocation) if records is not None else None


def _utc(moment: Moment) -> str:
    return f"{moment.calendar.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
