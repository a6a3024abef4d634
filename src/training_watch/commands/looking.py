"""What it is waiting for, and why."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from training_watch import clock
from training_watch.commands import Verbatim, configuration, job_argument, json_option
from training_watch.config import Config, Job
from training_watch.describe import managed, read_anew
from training_watch.events import Moment
from training_watch.launching import NoManager
from training_watch.overview import overview
from training_watch.published import DaemonReport, daemon_report, outdated
from training_watch.records import Records, opened_records
from training_watch.screen import Screen
from training_watch.status import JobStatus, news, status_of
from training_watch.status import as_json as _as_json
from training_watch.terminal import show, warn
from training_watch.typed import for_job, here
from training_watch.wiring import launcher_of


@click.command(
    cls=Verbatim,
    epilog="""
Examples:
  training-watch status
  training-watch status --follow
  training-watch status --json
""",
)
@job_argument
@json_option("The same for programs; with --follow one object a line, when there is news.")
@click.option("-f", "--follow", "following", is_flag=True, help="Keep it up to date, until Ctrl-C.")
@click.pass_obj
def status(config_path: Path, job: str | None, as_json: bool, following: bool) -> None:
    """What it waits for, until when, and because of what.

    It shows what the running daemon publishes and what is on disk: pending files, the training that runs and how far
    it is, the last one, the earliest next. Where no daemon runs it says so, and shows nothing of what one said before.
    """
    program = here(config_path)

    def look(screen: Screen) -> tuple[object, list[str]]:
        config, report, now = configuration(config_path), daemon_report(), clock.now()
        jobs = [config.job(job)] if job else list(config.jobs)
        found = [_status(config, each, report, now) for each in jobs]
        told = _as_json(config, found, report)
        if as_json:
            return news(told), [json.dumps(told, indent=None if following else 1)]
        back = _back(config, report)
        return news(told), overview(screen, config, found, report, now.calendar, program=program, back=back)

    if not following:
        show(look(Screen.of())[1])
        return
    from training_watch.follow import follow

    try:
        follow(look, redraw=not as_json)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


@click.command(
    cls=Verbatim,
    epilog="""
Examples:
  training-watch why
  training-watch why docs/guide.md
  training-watch why handbook
  training-watch why --json
""",
)
@click.argument("path", required=False, metavar="[PATH|JOB]", type=click.Path(path_type=Path, readable=False))
@json_option("The same for programs.")
@click.pass_obj
def why(config_path: Path, path: Path | None, as_json: bool) -> None:
    """Why it trains or waits, or what became of PATH.

    Without PATH: the questions that decide, in their order, and the answer to each. With PATH, of a file or a folder,
    there or removed: whether it is watched or ignored, by which rule of which file, when its content was seen, which
    run read it, or that it is pending. Where no such file is there, a word that is a job's name means that job alone.
    """
    config, report, now = configuration(config_path), daemon_report(), clock.now()
    named = [job for job in config.jobs if path is not None and job.name == str(path)]
    if path is None or (named and not os.path.lexists(path)):
        _why_jobs(config, named or config.jobs, report, now, as_json=as_json)
    else:
        _why_path(config, os.fsencode(path.expanduser()), report, now, as_json=as_json)


def _why_jobs(
    config: Config, jobs: Iterable[Job], report: DaemonReport | None, now: Moment, *, as_json: bool
) -> None:
    from training_watch.why import page
    from training_watch.why.decision import Daemon, decision_of

    screen, program = Screen.of(), here(config.path)
    anew = None
    if report is not None and outdated(report, config):
        anew = read_anew(config.jobs, f"{program} install", report.pid)
    daemon = Daemon(report, anew, _back(config, report))
    told: dict[str, Any] = {}
    lines: list[str] = []
    for job in jobs:
        found = _status(config, job, report, now)
        decision = decision_of(found, now, daemon, typed=for_job(config, job, program))
        told[job.name] = page.decision_json(found, decision)
        lines += [*([""] if lines else []), *page.decision_lines(screen, found, decision, now.calendar)]
    show([json.dumps({"schema": page.SCHEMA, "jobs": told}, indent=1)] if as_json else lines)


def _why_path(
    config: Config, path: bytes, report: DaemonReport | None, now: Moment, *, as_json: bool
) -> None:
    from training_watch.why import page
    from training_watch.why.path import Fate, Found, fate_of, named

    name, job = named(path, config.jobs)
    found, waiting = Found(name, Fate.OUTSIDE), None
    if job is not None:
        with opened_records(job, warn) as records:
            found = fate_of(name, job, records)
            waiting = _status_in(config, job, records, report, now)
    if as_json:
        show([json.dumps({"schema": page.SCHEMA, **page.path_json(found, waiting)}, indent=1)])
        return
    roots = [root for each in config.jobs for root in each.paths]
    show(page.path_lines(Screen.of(), found, waiting, roots, now.calendar))


def _back(config: Config, report: DaemonReport | None) -> float | None:
    """Within how many seconds systemd starts the daemon by itself; None where it won't, or one runs."""
    if report is not None or not managed(config.jobs):
        return None
    from training_watch.doctor.facts import watcher_of
    from training_watch.launching.systemctl import next_start

    try:
        return next_start(watcher_of(config.path))
    except NoManager:
        return None  # what asks for the training's unit says so


def _status(config: Config, job: Job, report: DaemonReport | None, now: Moment) -> JobStatus:
    with opened_records(job, warn) as records:
        return _status_in(config, job, records, report, now)


def _status_in(
    config: Config, job: Job, records: Records, report: DaemonReport | None, now: Moment
) -> JobStatus:
    return status_of(job, records, launcher_of(config.path, job), report, now)
