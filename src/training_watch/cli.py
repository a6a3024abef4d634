"""Words on the command line → calls. What a command needs is imported when it runs."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from training_watch import __version__, clock, places
from training_watch.check import Verdict, verdict
from training_watch.config import ConfigError, Job, LauncherName, read_config
from training_watch.database import DatabaseError
from training_watch.journal import printable
from training_watch.launching import LaunchError
from training_watch.marker import MarkerError, read_marker
from training_watch.terminal import BAD_CONFIG, FAILED, errors_told, fail, say, warn
from training_watch.timespan import spoken


class Told(click.Group):
    """A group whose commands tell their errors."""

    def invoke(self, context: click.Context) -> Any:
        with _usage_told():
            return errors_told(super().invoke)(context)

    def make_context(self, *words: Any, **options: Any) -> click.Context:
        with _usage_told():
            return super().make_context(*words, **options)

    def main(self, *words: Any, **options: Any) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # an encoding that lacks a character is no reason to end
                stream.reconfigure(errors="backslashreplace")
        return super().main(*words, **options)


# A command without its words shows its help by way of an error, since click 8.2.
_HELP = getattr(click.exceptions, "NoArgsIsHelpError", ())


@contextmanager
def _usage_told() -> Iterator[None]:
    """What click says of wrong words quotes them, and a shell's * may have made them from files' names."""
    try:
        yield
    except click.UsageError as error:
        if isinstance(error, _HELP):
            raise
        raise click.UsageError(printable(error.format_message()), error.ctx) from None


@click.group(cls=Told, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", "config_path", type=click.Path(path_type=Path), help="Configuration file.")
@click.version_option(__version__, prog_name="training-watch")
@click.pass_context
def main(context: click.Context, config_path: Path | None) -> None:
    """Save a document, and the training starts: once the edit has settled, at most every six hours,
    one at a time.

    \b
    Examples:
      training-watch install --watch ~/project/docs
      training-watch status
      training-watch trigger --force
    """
    context.obj = (config_path or places.config_file()).absolute()


@main.command()
@click.option("-v", "--verbose", is_flag=True, help="Say more.")
@click.pass_obj
def run(config_path: Path, verbose: bool) -> None:
    """Watch, and train when it is due, until told to stop: what training-watch.service executes.

    \b
    Example:
      training-watch run
    """
    from training_watch import foreground

    foreground.run(config_path, verbose=verbose)


@main.command()
@click.argument("job", required=False)
@click.option("--exit-code", is_flag=True, help="Exit 0: train; 1: don't; 2 and up: error.")
@click.option("--json", "as_json", is_flag=True, help="More facts, as JSON.")
@click.pass_obj
def check(config_path: Path, job: str | None, exit_code: bool, as_json: bool) -> None:
    """Print the cooldown's verdict as key=value lines; in CI also to the step's outputs.

    It says nothing of pending changes: that is `training-watch status`.

    \b
    Examples:
      training-watch check
      training-watch check --exit-code && make train
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
        from training_watch.status import verdict_json

        say(json.dumps(verdict_json(asked), indent=1))
    else:
        for line in lines:
            say(line)
    _step_outputs(lines)
    if exit_code:
        raise SystemExit(0 if asked.should_train else 1)


@main.command()
@click.argument("job", required=False)
@click.option("--force", is_flag=True, help="Start it inside the cooldown too. Never a second one beside it.")
@click.option("--wait", is_flag=True, help="Follow the run with its journal lines, and end with its result.")
@click.option("--no-watch", is_flag=True, help="Return at once, without a look at how the start went.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.pass_obj
def trigger(
    config_path: Path, job: str | None, force: bool, wait: bool, no_watch: bool, dry_run: bool
) -> None:
    """Check the cooldown and start the training.

    \b
    Exit codes: 0 started · 75 not now (cooldown, or one runs already) · 1 it failed at once ·
    69 no user manager or no such unit · 78 configuration · 2 usage

    \b
    Examples:
      training-watch trigger
      training-watch trigger --force --wait
    """
    from training_watch.start import order_start

    if wait and no_watch:
        raise click.UsageError("--wait and --no-watch exclude each other")
    one = read_config(config_path).job(job)
    order_start(config_path, one, force=force, wait=wait, no_watch=no_watch, dry_run=dry_run)


@main.command()
@click.argument("unit")
@click.pass_obj
def begin(config_path: Path, unit: str) -> None:
    """For ExecStartPre=: record that a run of UNIT begins, and on which content.

    \b
    Example (in a unit file):
      ExecStartPre=-/path/to/training-watch begin my-training.service
    """
    from training_watch.begin import begin as record_begin

    job = read_config(config_path).job_of(unit)
    changed = record_begin(job, _invocation(), clock.now, warn)
    say(
        f"Training begins; {changed or 'no'} {'file differs' if changed == 1 else 'files differ'} from what was last trained"
    )


@main.command()
@click.argument("unit")
@click.pass_obj
def mark(config_path: Path, unit: str) -> None:
    """For ExecStopPost=: record how a run of UNIT ended, and write the marker, whether it went well or not.

    \b
    Example (in a unit file):
      ExecStopPost=/path/to/training-watch mark my-training.service
    """
    from training_watch.mark import Ending, judge, record_end
    from training_watch.mark import mark as write
    from training_watch.wiring import launcher_of

    ending = Ending.from_environment(_environment())
    if ending.skipped:
        say("Skipped by the unit's ExecCondition=: that is no run, the marker stays as it is")
        return
    job = read_config(config_path).job_of(unit)
    ended = clock.now()
    write(job, judge(ending, stopping=False), ended, say)
    try:
        stopping = launcher_of(config_path, job).state().stopping
    except LaunchError:
        stopping = False
    try:
        record_end(job, _invocation(), ended, judge(ending, stopping=stopping), ending.status, warn)
    except (DatabaseError, OSError) as error:
        warn(f"the history has no record of this run's end: {error}")


@main.command()
@click.argument("job", required=False)
@click.option("--json", "as_json", is_flag=True, help="The same for programs.")
@click.pass_obj
def status(config_path: Path, job: str | None, as_json: bool) -> None:
    """What it is waiting for, until when, and because of which files.

    \b
    Examples:
      training-watch status
      training-watch status --json
    """
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


@main.command()
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("-0", "nul", is_flag=True, help="End each path with NUL instead of a newline.")
@click.option(
    "--all", "everything", is_flag=True, help="Ignored ones too, each with the rule that ignored it."
)
@click.pass_obj
def watch(config_path: Path, folder: Path | None, as_json: bool, nul: bool, everything: bool) -> None:
    """Print each change below FOLDER as it is seen: its absolute path, one a line, at once.

    Without FOLDER it takes the folders and rules of the configuration.

    \b
    Examples:
      training-watch watch docs
      training-watch watch docs -0 | xargs -0 -n1 echo
    """
    from training_watch.watch import watch_tree

    if folder is not None:
        job = Job(name="watch", paths=(Path(os.path.abspath(folder)),), marker=places.marker("watch"))
        jobs: tuple[Job, ...] = (job,)
    else:
        jobs = read_config(config_path).jobs
    try:
        watch_tree(jobs, as_json=as_json, nul=nul, everything=everything, say=warn)
    except KeyboardInterrupt:
        raise SystemExit(130) from None


@main.command()
@click.option(
    "--watch",
    "folders",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Folder to watch; may be repeated.",
)
@click.option("--exec", "command", metavar="CMD", help="The training command, instead of `crystal train`.")
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
    default="systemd",
    show_default=True,
    help="For a new configuration: who starts the training.",
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
    watcher_unit: str,
    launcher: LauncherName,
    wait: bool,
    dry_run: bool,
    replace: bool,
) -> None:
    """Write the configuration if there is none, and the units; enable and start the watcher.

    \b
    Examples:
      training-watch install --watch ~/project/docs
      training-watch install --watch ~/site/content --exec "make -C ~/site train"
      training-watch install --dry-run
    """
    from training_watch import installing

    try:
        installing.install(
            watch=[Path(os.path.abspath(folder)) for folder in folders],
            exec_command=command,
            config_path=config_path,
            dry_run=dry_run,
            replace=replace,
            watcher_unit=watcher_unit,
            launcher=launcher,
            say=say,
        )
    except installing.InstallError as error:
        fail(str(error), FAILED)
    if not dry_run:
        _first_trainings(config_path, wait=wait)


@main.command()
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
    """Stop and remove the units; configuration and state stay.

    \b
    Examples:
      training-watch uninstall
      training-watch uninstall --purge
    """
    from training_watch import installing

    try:
        installing.uninstall(purge=purge, config_path=config_path, watcher_unit=watcher_unit, say=say)
    except installing.InstallError as error:
        fail(str(error), FAILED)


@main.command(hidden=True)
@click.argument("job")
@click.pass_obj
def supervise(config_path: Path, job: str) -> None:
    """Run the command of a job with launcher "process": what its launcher starts."""
    from training_watch.supervise import supervise_job

    raise SystemExit(supervise_job(read_config(config_path).job(job)))


# ---- check --------------------------------------------------------------------------------------


def _verdict(config_path: Path, job: str | None) -> Verdict:
    from training_watch.mark import amend
    from training_watch.start import records_or_none
    from training_watch.wiring import launcher_of

    one = read_config(config_path).job(job)
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
        warn(f"the step's outputs were not written: {path}: {error.strerror}")


def _unended(path: Path) -> bool:
    if not path.is_file() or path.stat().st_size == 0:
        return False
    with path.open("rb") as outputs:
        outputs.seek(-1, os.SEEK_END)
        return outputs.read(1) != b"\n"


# ---- install ----------------------------------------------------------------------------------------


def _first_trainings(config_path: Path, *, wait: bool) -> None:
    """Start what has never been trained; say when the rest may be."""
    from training_watch.start import order_start

    for job in read_config(config_path).jobs:
        asked = verdict(read_marker(job.marker), clock.now(), job.settings.cooldown, running=False)
        if asked.last_trained is None:
            order_start(config_path, job, wait=wait)
        elif asked.left > 0:
            say(
                f"{job.name}: the last training ended at {asked.last_trained:%Y-%m-%d %H:%M}; changes are trained in {spoken(asked.left)} at the earliest"
            )


# ---- shared -------------------------------------------------------------------------------------


def _invocation() -> str:
    return _environment().get("INVOCATION_ID", "")


def _environment() -> dict[str, str]:
    """The environment as text: what a service manager sets is ASCII, and the history can hold no other bytes."""
    return {name: printable(value) for name, value in os.environ.items()}
