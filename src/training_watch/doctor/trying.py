"""A command, executed where the unit would execute it, to see whether it starts.

Under systemd that is a transient unit with the settings of the real one that make its environment: the manager's
variables, Environment=, EnvironmentFile= and the like. `systemd-run` rather than a reconstruction in here, because
systemd itself then reads the environment file, finds the working folder and executes the program; what it trips over
tonight, it trips over now. Left out is what only says how much a training may use, and the unit's own ExecStartPre=
and ExecStopPost=, which would record a run.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from training_watch import places
from training_watch.launching import LaunchError
from training_watch.launching.systemctl import environment, first_line
from training_watch.launching.variables import variables

# A program that hasn't said its version, or a training that hasn't loaded its libraries by then, never will. Arbitrary.
PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: its exit status, as systemd or a shell gives it, and what it said."""

    status: int
    stdout: str
    stderr: str

    @property
    def last_words(self) -> str:
        """The line that says most: the last one, which in a traceback is the error."""
        said = f"{self.stdout}\n{self.stderr}".splitlines()
        return next((line.strip() for line in reversed(said) if line.strip()), "it says nothing")


class Stage(Protocol):
    """Where a command would be executed."""

    def run(self, command: Sequence[str]) -> Ended:
        """Execute it to its end. Raises LaunchError where it can't even be tried."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a unit's settings make of a command's environment, as systemd has loaded them (systemd.exec(5))."""

    variables: tuple[str, ...] = ()
    files: tuple[tuple[str, bool], ...] = ()
    passed: tuple[str, ...] = ()
    unset: tuple[str, ...] = ()
    folder: str = ""

    @property
    def missing(self) -> tuple[str, ...]:
        """The environment files without which systemd starts nothing."""
        return tuple(path for path, optional in self.files if not optional and not os.path.exists(path))

    def run(self, command: Sequence[str]) -> Ended:
        words = ["systemd-run", "--user", "--quiet", "--wait", "--pipe", "--collect", "--no-ask-password"]
        # Should we be ended, nothing of it stays behind.
        words += [f"--property=RuntimeMaxSec={PATIENCE:g}", "--description=Tried by training-watch doctor"]
        words += [f"--setenv={each}" for each in self.variables]
        words += [
            f"--property=EnvironmentFile={'-' if optional else ''}{path}" for path, optional in self.files
        ]
        words += [f"--property=PassEnvironment={name}" for name in self.passed]
        words += [f"--property=UnsetEnvironment={name}" for name in self.unset]
        if self.folder:
            # D-Bus has "!" where a unit file has "-": go on without it where it isn't there.
            folder = f"-{self.folder[1:]}" if self.folder.startswith("!") else self.folder
            words.append(f"--property=WorkingDirectory={folder}")
        program, *rest = command
        # Transient units expand variables, and a doubled $ is a plain one; the program's own path is left as it is.
        return _ended([*words, "--", program, *(word.replace("$", "$$") for word in rest)], environment())


@dataclass(frozen=True, slots=True)
class Shell:
    """Where there is no manager, a training has the environment of whoever starts it, and train.env."""

    def run(self, command: Sequence[str]) -> Ended:
        return _ended(command, self.environment())

    def environment(self) -> dict[str, str]:
        try:
            text = places.environment_file().read_text(encoding="utf-8", errors="surrogateescape")
        except FileNotFoundError:
            text = ""
        return {**os.environ, **variables(text)}


def environment_in(stage: Stage) -> dict[str, str]:
    """The variables that a command finds there. Raises LaunchError."""
    ended = stage.run(("/usr/bin/env", "-0"))
    if ended.status != 0:
        raise LaunchError(f"its environment can't be made: {ended.last_words}")
    pairs = (each.partition("=") for each in ended.stdout.split("\0"))
    return {name: value for name, _, value in pairs if name}


def search_path(variables: Mapping[str, str]) -> str:
    return variables.get("PATH", os.defpath)


def _ended(words: Sequence[str], variables: Mapping[str, str]) -> Ended:
    try:
        done = subprocess.run(
            list(words),
            env=dict(variables),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="surrogateescape",
            timeout=PATIENCE + 5,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise LaunchError(f"{words[-1]} had not ended after {PATIENCE:g} s") from None
    except OSError as error:
        raise LaunchError(f"{words[0]} can't be executed: {error.strerror}") from error
    if done.returncode != 0 and "Failed to start transient service unit" in done.stderr:
        raise LaunchError(first_line(done.stderr))
    return Ended(done.returncode, done.stdout, done.stderr)
