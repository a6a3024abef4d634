"""What the units execute: the daemon, and the two ends of a training's record."""

from __future__ import annotations

import os
from pathlib import Path

import click

from training_watch import clock
from training_watch.commands import Verbatim
from training_watch.config import read_config
from training_watch.database import DatabaseError
from training_watch.launching import BEGINS, LaunchError
from training_watch.terminal import say, warn
from training_watch.text import printable


@click.command(cls=Verbatim, epilog="Example:\n  training-watch run")
@click.option("-v", "--verbose", is_flag=True, help="Say more.")
@click.pass_obj
def run(config_path: Path, verbose: bool) -> None:
    """Watch, and train when it is due, until told to stop.

    This is what training-watch.service executes, and what to keep going by other means where there is no systemd.
    """
    from training_watch import foreground

    foreground.run(config_path, verbose=verbose)


@click.command(
    cls=Verbatim,
    epilog="""
Example, in a unit file:
  ExecStartPre=-/path/to/training-watch begin my-training.service
""",
)
@click.argument("unit")
@click.pass_obj
def begin(config_path: Path, unit: str) -> None:
    """Record that a run of UNIT begins, and on which content.

    For ExecStartPre=.
    """
    from training_watch.begin import begin as record_begin
    from training_watch.wiring import obstacle_of

    config = read_config(config_path)
    job = config.job_of(unit)
    try:
        strange = obstacle_of(config, job)
    except LaunchError:  # whether it runs as it should can't be asked now; the daemon asks before each start
        strange = None
    changed = record_begin(job, _invocation(), clock.now, warn, strange=strange)
    say(
        f"{BEGINS}{changed or 'no'} {'file differs' if changed == 1 else 'files differ'} from what was last trained"
    )


@click.command(
    cls=Verbatim,
    epilog="""
Example, in a unit file:
  ExecStopPost=/path/to/training-watch mark my-training.service
""",
)
@click.argument("unit")
@click.pass_obj
def mark(config_path: Path, unit: str) -> None:
    """Record how a run of UNIT ended, and write the marker.

    For ExecStopPost=. The marker is written whether the run went well or not.
    """
    from training_watch.mark import Ending, judge, record_end
    from training_watch.mark import mark as write
    from training_watch.wiring import launcher_of

    ending = Ending.from_environment(_environment())
    if ending.skipped:
        say("Skipped by the unit's ExecCondition=: that is no run, the marker stays as it is")
        return
    job = read_config(config_path).job_of(unit)
    ended, name, launcher = clock.now(), _invocation(), launcher_of(config_path, job)
    write(job, judge(ending, stopping=False), ended, say)
    try:
        stopping = launcher.state().stopping
    except LaunchError:
        stopping = False
    try:
        record_end(
            job, name, ended, judge(ending, stopping=stopping), ending.status, warn,
            last_words=lambda: launcher.lines(name, last=1),
        )  # fmt: skip
    except (DatabaseError, OSError) as error:
        warn(
            f"{job.service}: the history has no record of this run's end ({error}); what it read counts as untrained"
        )


@click.command(hidden=True)
@click.argument("job")
@click.pass_obj
def supervise(config_path: Path, job: str) -> None:
    """Run the command of a job with launcher "process": what its launcher starts."""
    from training_watch.supervise import supervise_job

    raise SystemExit(supervise_job(read_config(config_path).job(job)))


def _invocation() -> str:
    return _environment().get("INVOCATION_ID", "")


def _environment() -> dict[str, str]:
    """The environment as text: what a service manager sets is ASCII, and the history can hold no other bytes."""
    return {name: printable(value) for name, value in os.environ.items()}
