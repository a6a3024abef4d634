"""Changes on a pipe, without a job."""

from __future__ import annotations

import os
from pathlib import Path

import click

from training_watch import places
from training_watch.commands import Verbatim
from training_watch.config import Job, read_config
from training_watch.terminal import warn


@click.command(
    cls=Verbatim,
    epilog="""
Examples:
  training-watch watch docs
  training-watch watch docs -0 | xargs -0 -n1 echo
""",
)
@click.argument("folder", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("-0", "nul", is_flag=True, help="End each path with NUL instead of a newline.")
@click.option(
    "--all", "everything", is_flag=True, help="Ignored ones too, each with the rule that ignored it."
)
@click.pass_obj
def watch(config_path: Path, folder: Path | None, as_json: bool, nul: bool, everything: bool) -> None:
    """Print each change below FOLDER as it is seen.

    Its absolute path, one a line, at once. Without FOLDER it takes the folders and rules of the configuration.
    """
    from training_watch.watch import watch_tree

    if folder is not None:
        job = Job(name="watch", paths=(Path(os.path.abspath(folder)),), marker=places.marker("watch"))
        jobs: tuple[Job, ...] = (job,)
    else:
        jobs = read_config(config_path).jobs
    watch_tree(jobs, as_json=as_json, nul=nul, everything=everything, say=warn)
