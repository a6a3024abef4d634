"""What a person types to call this program, so that what a command names can be copied from it."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from training_watch import places
from training_watch.config import Config, Job

NAME = "training-watch"


@dataclass(frozen=True, slots=True)
class Typed:
    """The program, with its configuration where that isn't the usual one; the job's name where it has to be said."""

    program: str = NAME
    job: str = ""

    def __call__(self, verb: str, *words: str) -> str:
        """The line for a verb that takes a JOB."""
        return " ".join(filter(None, (self.program, verb, self.job, *words)))


def for_job(config: Config, job: Job, program: str) -> Typed:
    return Typed(program, job.name if len(config.jobs) > 1 else "")


def here(config: Path) -> str:
    """The program as this very shell finds it: by its path, where the name would lead to nothing or to another one."""
    import shutil  # noqa: PLC0415 - half a megabyte that the daemon can do without

    own, reached = Path(sys.executable).parent / NAME, shutil.which(NAME)
    if own.exists():
        found = NAME if reached is not None and own.samefile(reached) else shlex.quote(str(own))
    else:  # as `pip install --user` has it, whose scripts lie apart from their interpreter
        found = NAME if reached is not None else f"{shlex.quote(sys.executable)} -m training_watch"
    return found + places.chosen(config)


def anywhere(config: Path) -> str:
    """The program for a shell of which nothing is known: who reads a log, or a unit's status."""
    return NAME + places.chosen(config)
