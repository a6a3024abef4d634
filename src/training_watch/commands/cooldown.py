"""The cooldown's verdict, and a start that asks it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from training_watch import clock, places
from training_watch.check import Verdict, verdict
from training_watch.commands import Verbatim, configuration, job_argument, json_option
from training_watch.config import Config, ConfigError
from training_watch.database import DatabaseError
from training_watch.describe import read_anew
from training_watch.launching import LaunchError
from training_watch.marker import MarkerError, read_marker
from training_watch.mends import refused
from training_watch.published import daemon_report, outdated
from training_watch.terminal import BAD_CONFIG, say, warn
from training_watch.text import printable
from training_watch.typed import here


@click.command(
    cls=Verbatim,
    epilog="""
Examples:
  training-watch check
  training-watch check --exit-code && make train
""",
)
@job_argument
@click.option("--exit-code", is_flag=True, help="Exit 0: train; 1: don't; 2 and up: error.")
@json_option("More facts, as JSON.")
@click.pass_obj
def check(config_path: Path, job: str | None, exit_code: bool, as_json: bool) -> None:
    """Print the cooldown's verdict as key=value lines.

    In CI they go to the step's outputs, too. It says nothing of pending changes: that is `training-watch status`.
    """
    try:
        asked = _verdict(config_path, job)
    except (ConfigError, places.NoHome, MarkerError) as error:
        if not exit_code:
            raise
        for line in error.mistakes if isinstance(error, ConfigError) else [str(error)]:
            warn(printable(line))
        raise SystemExit(BAD_CONFIG if not isinstance(error, MarkerError) else 2) from None
    lines = asked.lines()
    if as_json:
        say(json.dumps(asked.as_json(), indent=1))
    else:
        for line in lines:
            say(line)
    _step_outputs(lines)
    if exit_code:
        raise SystemExit(0 if asked.should_train else 1)


@click.command(
    cls=Verbatim,
    epilog="""
Exit codes:
  0   started
  75  not now: cooldown, or one runs already
  1   started, and failed at once
  69  no user manager, or no such unit
  78  configuration
  2   usage

Examples:
  training-watch trigger
  training-watch trigger --force --wait
""",
)
@job_argument
@click.option("--force", is_flag=True, help="Start it inside the cooldown too. Never a second one beside it.")
@click.option("--wait", is_flag=True, help="Follow the run with its journal lines, and end with its result.")
@click.option("--no-watch", is_flag=True, help="Return at once, without a look at how the start went.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.pass_obj
def trigger(
    config_path: Path, job: str | None, force: bool, wait: bool, no_watch: bool, dry_run: bool
) -> None:
    """Check the cooldown and start the training."""
    from training_watch.start import order_start

    if wait and no_watch:
        raise click.UsageError("--wait and --no-watch exclude each other: give one of them")
    config = configuration(config_path)
    one = config.job(job)
    _warn_of_an_older_daemon(config)
    order_start(config_path, one, force=force, wait=wait, no_watch=no_watch, dry_run=dry_run)


def _verdict(config_path: Path, job: str | None) -> Verdict:
    from training_watch.mark import amend
    from training_watch.start import records_or_none
    from training_watch.wiring import launcher_of

    config = configuration(config_path)
    one = config.job(job)
    _warn_of_an_older_daemon(config)
    launcher = launcher_of(config_path, one)
    running = False
    try:
        if places.database().exists():
            with records_or_none(one) as records:
                if records is not None:
                    amend(one, records, launcher, clock.now(), warn)
        unit = launcher.state()
        running = unit.active or unit.queued
    except LaunchError as error:
        warn(f"whether a training runs is not known: {error}; the verdict follows the marker alone")
    except DatabaseError as error:
        warn(f"{error}; the verdict follows the marker alone")
    marker = read_marker(one.marker)
    if marker is not None and not marker.readable:
        warn(f"{one.marker}: its first line is no time; the verdict follows the file's modification time")
    return verdict(marker, clock.now(), one.settings.cooldown, running=running)


def _warn_of_an_older_daemon(config: Config) -> None:
    """A person's order goes by the configuration as it is now; what the daemon does meanwhile, they should know."""
    report = daemon_report()
    if report is not None and outdated(report, config):
        mend = read_anew(config.jobs, f"{here(config.path)} install", report.pid)
        warn(f"{config.path} was changed since the daemon read it, which goes by the older one: `{mend}`")


def _step_outputs(lines: list[str]) -> None:
    """Append the lines to the CI step's outputs. Forgejo sets both variables to one file: write once."""
    path = os.environ.get("GITHUB_OUTPUT") or os.environ.get("FORGEJO_OUTPUT")
    if not path:
        return
    try:
        # Another of the step's writers may have left its line without an end: ours would become a part of it.
        before = "\n" if _unended(Path(path)) else ""
        with Path(path).open("a", encoding="utf-8") as outputs:
            outputs.write(before + "".join(f"{line}\n" for line in lines))
    except OSError as error:
        warn(f"the step's outputs were not written: {refused(path, error)}")


def _unended(path: Path) -> bool:
    if not path.is_file() or path.stat().st_size == 0:
        return False
    with path.open("rb") as outputs:
        outputs.seek(-1, os.SEEK_END)
        return outputs.read(1) != b"\n"
