"""What it is waiting for, and why."""

from __future__ import annotations

import json
from pathlib import Path

import click

from training_watch import clock
from training_watch.commands import Verbatim, job_argument, json_option
from training_watch.config import read_config
from training_watch.screen import Screen
from training_watch.terminal import show, warn


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
    from training_watch import status as statuses
    from training_watch.overview import overview
    from training_watch.records import opened_records
    from training_watch.wiring import launcher_of

    def look(screen: Screen, *, indent: int | None = None) -> tuple[object, list[str]]:
        config = read_config(config_path)
        report, now, found = statuses.daemon_report(), clock.now(), []
        for one in [config.job(job)] if job else config.jobs:
            with opened_records(one, warn) as records:
                found.append(statuses.status_of(one, records, launcher_of(config_path, one), report, now))
        if as_json:
            told = statuses.as_json(config, found, report)
            return statuses.news(told), [json.dumps(told, indent=indent)]
        lines = overview(screen, config, found, report, now.calendar)
        return statuses.news(statuses.as_json(config, found, report)), lines

    if not following:
        show(look(Screen.of(), indent=1)[1])
        return
    from training_watch.follow import follow

    try:
        follow(look, redraw=not as_json)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
