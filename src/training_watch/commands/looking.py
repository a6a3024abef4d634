"""What it is waiting for, and why."""

from __future__ import annotations

import json
from pathlib import Path

import click

from training_watch import clock
from training_watch.commands import Verbatim, job_argument, json_option
from training_watch.config import read_config
from training_watch.terminal import say, warn


@click.command(
    cls=Verbatim,
    epilog="""
Examples:
  training-watch status
  training-watch status --json
""",
)
@job_argument
@json_option("The same for programs.")
@click.pass_obj
def status(config_path: Path, job: str | None, as_json: bool) -> None:
    """What it waits for, until when, and because of which files."""
    from training_watch import status as statuses
    from training_watch.records import opened_records
    from training_watch.wiring import launcher_of

    config = read_config(config_path)
    jobs = [config.job(job)] if job else list(config.jobs)
    report, now, found = statuses.daemon_report(), clock.now(), []
    for one in jobs:
        with opened_records(one, warn) as records:
            found.append(statuses.status_of(one, records, launcher_of(config_path, one), report, now))
    if as_json:
        say(json.dumps(statuses.as_json(config, found, report), indent=1))
    else:
        for line in statuses.as_text(config, found, report):
            say(line)
