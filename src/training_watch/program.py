"""A job's training command, with its program found: what a unit or a supervisor executes."""

from __future__ import annotations

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from training_watch import places
from training_watch.config import Job
from training_watch.units import SYSTEM_PATH


class NoProgram(Exception):
    """There is no such program; the message says what is wrong with its name."""


@dataclass(frozen=True, slots=True)
class Program:
    """A command line that begins with an absolute path; `note` says why that program, where it surprises."""

    command: tuple[str, ...]
    note: str = ""


def program_of(job: Job) -> Program:
    """The job's command, with its program's path. Raises NoProgram."""
    if job.command == ("crystal", "train"):
        theirs = places.home() / ".local/bin/crystal"
        own = Path(sys.executable).parent / "crystal"
        if os.access(theirs, os.X_OK) and not (own.exists() and theirs.samefile(own)):
            note = "The crystal in ~/.local/bin isn't ours: it is the training command, just as it is."
            return Program((str(theirs), "train"), note)
        docs = (word for path in job.paths for word in ("--docs", str(path)))
        return Program((str(own), "train", *docs))
    name, *words = job.command
    return Program((_found(name), *words))


def absolute(path: Path) -> Path:
    """Absolute, `~` expanded, links left: one that is switched to another folder is to be followed then."""
    return Path(os.path.abspath(path.expanduser()))


def _found(name: str) -> str:
    """Where it is: in ~/.local/bin or on PATH, as it is called there; a virtual environment is left unresolved."""
    if "/" in name:
        path = Path(name).expanduser()
        if not path.is_absolute():
            raise NoProgram(
                f"the command {name!r} is no absolute path: write it as one, or as a name on PATH"
            )
        found = str(path) if os.access(path, os.X_OK) and path.is_file() else None
    else:
        own = Path(sys.executable).parent
        search = (str(places.home() / ".local/bin"), os.environ.get("PATH", ""), SYSTEM_PATH, str(own))
        found = shutil.which(name, path=os.pathsep.join(search))
    if found is None:
        raise NoProgram(
            f"the command {name!r} is not there, or can't be executed: install it, or name another as `command`"
        )
    return str(absolute(Path(found)))
