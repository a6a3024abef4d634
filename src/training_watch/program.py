"""A job's training command, with its program found: what a unit or a supervisor executes."""

from __future__ import annotations

import errno
import itertools
import os
import re
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from training_watch import places
from training_watch.config import Job
from training_watch.units import SYSTEM_PATH

DEFAULT_COMMAND = ("crystal", "train")

# Programs that run a script, and their options that take no value and leave the next word a script. Any other option
# (-c, -m, -e, --require) may make that word something else.
_PYTHON = r"(python|pypy)[\d.]*"
_INTERPRETERS = {
    _PYTHON: "-[bBdEhiIOPqsSuvx]+",
    r"(ba|da|k|z|)sh": "-[aefhikmnpuvx]+",
    r"(node|nodejs|deno|ruby|perl|php|Rscript|julia|lua)[\d.]*": "(?!)",
}


class NoProgram(Exception):
    """There is no such program, or no such script for it; the message says what is wrong with its name."""


@dataclass(frozen=True, slots=True)
class Program:
    """A command line that begins with an absolute path; `note` says why that program, where it surprises."""

    command: tuple[str, ...]
    note: str = ""


def program_of(job: Job) -> Program:
    """The job's command, with its program's path. Raises NoProgram."""
    if job.command == DEFAULT_COMMAND:
        theirs = places.home() / ".local/bin/crystal"
        own = Path(sys.executable).parent / "crystal"
        if os.access(theirs, os.X_OK) and not (own.exists() and theirs.samefile(own)):
            note = "The crystal in ~/.local/bin isn't ours: it is the training command, just as it is."
            return Program((str(theirs), "train"), note)
        docs = (word for path in job.paths for word in ("--docs", str(path)))
        return Program((str(own), "train", *docs))
    name, *words = job.command
    command = (_found(name), *words)
    if script := missing_script(command, places.home()):
        mend = (
            "put it there, or name another command"
            if script in words
            else "commands run in the home folder, so name the script by its absolute path"
        )
        raise NoProgram(f"the command {shlex.join(job.command)!r} runs {script}, which is not there: {mend}")
    return Program(command)


def missing_script(command: Sequence[str], folder: Path) -> str | None:
    """The absolute path of the script that the command's interpreter is to run in that folder, where nothing is there."""
    known = Path(command[0]).name
    plain = next((options for names, options in _INTERPRETERS.items() if re.fullmatch(names, known)), None)
    if plain is None:
        return None
    rest = itertools.dropwhile(re.compile(plain).fullmatch, command[1:])
    script = next(rest, "")
    if not script or script.startswith("-"):
        return None
    # A bare word may be `deno run`, what bash finds on PATH, or what node adds .js to; to Python it is a path.
    if not (script.startswith("/") or Path(script).suffix or re.fullmatch(_PYTHON, known)):
        return None
    path = script if script.startswith("/") else str(folder / script)
    return path if is_nothing(Path(path)) else None


def is_nothing(path: Path) -> bool:
    """Whether nothing is there; what can't be seen from here may be there all the same."""
    try:
        path.stat()
    except OSError as error:
        return error.errno in (errno.ENOENT, errno.ENOTDIR)
    return False


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
            f"the command {name!r} is not there, or can't be executed: install it, or name another command"
        )
    return str(absolute(Path(found)))
