"""What would stop a training tonight."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from training_watch.commands import Verbatim, job_argument, json_option
from training_watch.config import ConfigError
from training_watch.screen import Screen
from training_watch.terminal import FAILED, USAGE, fail, say, show, warn


@click.command(
    cls=Verbatim,
    epilog="""
Examples:
  training-watch doctor
  training-watch doctor --json

Exit codes: 0 nothing would stop a training, 1 something would: each fault is
named with what mends it.
""",
)
@job_argument
@json_option("The same for programs.")
def doctor(job: str | None, as_json: bool) -> None:
    """What would stop a training tonight, and what mends it.

    It looks at the configuration, the user manager, the units as they are loaded, the watched folders, what is
    remembered and the disks, and tries whether the training's program starts. It changes nothing.
    """
    from training_watch import doctor as doctors

    config_path: Path = click.get_current_context().obj
    patient = sys.stderr is not None and sys.stderr.isatty() and not as_json

    def trying(what: str) -> None:
        if patient:
            warn(f"{what} …")

    try:
        found = doctors.examine(config_path, job, trying)
    except ConfigError as error:
        fail(str(error), USAGE)
    if as_json:
        say(json.dumps(doctors.as_json(config_path, found), indent=1))
    else:
        show(doctors.as_lines(Screen.of(), found))
    if any(each.verdict is doctors.Verdict.FAULT for each in found):
        raise SystemExit(FAILED)
