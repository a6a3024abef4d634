"""Units, configuration and first training: there, and away again."""

from __future__ import annotations

import os
from pathlib import Path

import click

from training_watch import clock, places
from training_watch.check import verdict
from training_watch.commands import Span, Verbatim, job_names
from training_watch.config import LauncherName, read_config
from training_watch.describe import day_time
from training_watch.events import Outcome
from training_watch.marker import read_marker
from training_watch.terminal import FAILED, fail, say
from training_watch.timespan import spoken
from training_watch.typed import for_job, here


@click.command(
    cls=Verbatim,
    epilog="""
Examples:
  training-watch install --watch ~/project/docs
  training-watch install --job site --watch ~/site/content --exec "make -C ~/site html" \\
      --debounce 20s --cooldown 2min --ignore drafts/
  training-watch install --dry-run
""",
)
@click.option(
    "--watch",
    "folders",
    multiple=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Folder to watch; may be repeated.",
)
@click.option("--exec", "command", metavar="CMD", help="The training command, instead of `crystal train`.")
@click.option(
    "--job",
    metavar="NAME",
    shell_complete=job_names,
    help="Which job; one that is not there yet is added, with NAME-train.service as its unit.  [default: docs]",
)
@click.option(
    "--debounce",
    type=Span(),
    metavar="SPAN",
    help="Start when nothing has changed for this long.  [default: 5min]",
)
@click.option(
    "--cooldown",
    type=Span(),
    metavar="SPAN",
    help="From the end of a training to the next start.  [default: 6h]",
)
@click.option(
    "--ignore",
    multiple=True,
    metavar="PATTERN",
    help="What starts nothing, as in a .gitignore; may be repeated.",
)
@click.option(
    "--unit",
    "watcher_unit",
    default=places.WATCHER_UNIT,
    show_default=True,
    help="Name of the watcher's own unit.",
)
@click.option(
    "--launcher",
    type=click.Choice(["systemd", "process"]),
    help="Who starts the training: systemd, unless the configuration says otherwise.",
)
@click.option("--wait", is_flag=True, help="Follow the first training to its end.")
@click.option("--dry-run", is_flag=True, help="Show what would be written and done, and do nothing.")
@click.option(
    "--replace", is_flag=True, help="Replace units that were edited by hand; they are kept as .bak."
)
@click.pass_obj
def install(
    config_path: Path,
    folders: tuple[Path, ...],
    command: str | None,
    job: str | None,
    debounce: float | None,
    cooldown: float | None,
    ignore: tuple[str, ...],
    watcher_unit: str,
    launcher: LauncherName | None,
    wait: bool,
    dry_run: bool,
    replace: bool,
) -> None:
    """Write configuration and units, and start the watcher.

    A configuration that is there already is used as it is. A job that it lacks is added; as long as nobody has edited
    the file by hand, what is asked for is written anew. To take a job away, delete its table from the file, and install
    again. Doing it again does no harm: it brings the units up to date and starts the
    watcher anew.
    """
    from training_watch import installing

    try:
        installing.install(
            installing.Wanted(
                watch=tuple(Path(os.path.abspath(folder)) for folder in folders),
                exec_command=command,
                job=job,
                ignore=ignore,
                debounce=debounce,
                cooldown=cooldown,
                launcher=launcher,
            ),
            config_path=config_path,
            dry_run=dry_run,
            replace=replace,
            watcher_unit=watcher_unit,
            say=say,
        )
    except installing.InstallError as error:
        fail(str(error), FAILED)
    if not dry_run:
        _first_trainings(config_path, wait=wait)


@click.command(
    cls=Verbatim,
    epilog="""
Examples:
  training-watch uninstall
  training-watch uninstall --purge
""",
)
@click.option("--purge", is_flag=True, help="Take configuration, state and markers too.")
@click.option(
    "--unit",
    "watcher_unit",
    default=places.WATCHER_UNIT,
    show_default=True,
    help="Name of the watcher's own unit.",
)
@click.pass_obj
def uninstall(config_path: Path, purge: bool, watcher_unit: str) -> None:
    """Stop and remove the units; configuration and state stay."""
    from training_watch import installing

    try:
        installing.uninstall(purge=purge, config_path=config_path, watcher_unit=watcher_unit, say=say)
    except installing.InstallError as error:
        fail(str(error), FAILED)


def _first_trainings(config_path: Path, *, wait: bool) -> None:
    """Start what has never been trained, or never with success; say when the rest may be."""
    from training_watch.start import order_start, records_or_none

    config, now = read_config(config_path), clock.now()
    for job in config.jobs:
        asked = verdict(read_marker(job.marker), now, job.settings.cooldown, running=False)
        if asked.last_trained is None:
            order_start(config_path, job, wait=wait)
            continue
        with records_or_none(job) as records:
            runs = records.runs.recent() if records is not None else ()
        ended = [run.outcome for run in runs if run.outcome not in (None, Outcome.DEFERRED)]
        if ended and Outcome.SUCCEEDED not in ended:
            say(f"{job.name}: no training has succeeded yet, so the cooldown is not waited for")
            order_start(config_path, job, force=True, wait=wait)
        elif asked.left > 0:
            how = "failed" if ended and ended[-1] is Outcome.FAILED else "ended"
            force = for_job(config, job, here(config.path))("trigger", "--force")
            say(
                f"{job.name}: the last training {how} {day_time(asked.last_trained, now.calendar)}; the next may start in "
                f"{spoken(asked.left)}, or at once by: {force}"
            )
