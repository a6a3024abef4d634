"""The runs of the past."""

from __future__ import annotations

import json
from pathlib import Path

import click

from training_watch import clock
from training_watch import history as past
from training_watch.commands import Verbatim, configuration, job_argument, json_option
from training_watch.screen import Screen
from training_watch.terminal import USAGE, fail, show
from training_watch.typed import here
from training_watch.wiring import launcher_of


@click.command(
    cls=Verbatim,
    epilog="""
Examples:
  training-watch history
  training-watch history --failed --since 7d
  training-watch history --json | jq '.runs[0].outcome'
""",
)
@job_argument
@click.option("--failed", is_flag=True, help="Only runs that ended otherwise than well.")
@click.option(
    "--since",
    metavar="TIME",
    help="Only runs that began then or later: 2026-02-16, '2026-02-16 09:00', or a time span ago: 3h, 2d.",
)
@click.option(
    "-n",
    "--last",
    type=click.IntRange(min=1),
    metavar="N",
    default=20,
    show_default=True,
    help="At most so many, the last ones.",
)
@json_option("The same for programs.")
@click.pass_obj
def history(
    config_path: Path, job: str | None, failed: bool, since: str | None, last: int, as_json: bool
) -> None:
    """The runs of the past, newest first.

    When each began, how it ended and after how long, who started it, how many files had changed, and what came of it:
    the quality that the training named, or its error. `training-watch logs --run RUN` shows what one said.
    """
    config, now = configuration(config_path), clock.calendar()
    try:
        began = past.moment(since, now) if since is not None else None
    except ValueError as error:
        fail(str(error), USAGE)
    words = [*(["--failed"] if failed else []), *([f"--since {since}"] if since else [])]
    wanted = past.Filter(failed, began, " ".join(words))
    jobs = [config.job(job)] if job else list(config.jobs)
    every = [each for one in jobs for each in past.past_of(one, launcher_of(config_path, one))]
    every.sort(key=lambda each: each.run.began.calendar, reverse=True)
    matching = [each for each in every if each.run in wanted]
    shown = matching[:last]
    if as_json:
        show([json.dumps(past.as_json(shown), indent=1)])
        return
    screen = Screen.of()
    if not shown:
        show(screen.line(past.nothing(jobs, every, wanted, now, here(config_path))))
        return
    show(past.table(screen, shown, now, jobs=len(jobs) > 1))
    if len(shown) < len(matching):
        show(past.rest(screen, len(shown), len(matching)))
