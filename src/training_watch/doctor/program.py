"""The programs: those that the units execute are there, and start.

A training of our own is asked to check itself, which loads all that it needs and trains nothing. Somebody else's
command is never executed: all of it that can be looked at is looked at.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from training_watch import places, units
from training_watch.config import Job
from training_watch.doctor.facts import Facts, file_text
from training_watch.doctor.findings import Finding, fault, fine, note
from training_watch.doctor.trying import Ended, Setting, Shell, Stage, search_path
from training_watch.files import read_small
from training_watch.program import NoProgram, missing_script, program_of
from training_watch.wiring import obstacle_of

# Of a script this much is read: its first lines, or all that pip writes. Arbitrary.
_BEGINNING = 4096
# As units.py wraps a program whose path systemd refuses.
_WRAPPER = ("/bin/sh", "-c", 'exec "$0" "$@"')


@dataclass(frozen=True, slots=True)
class Training:
    """A job's command lines, as they would be executed, and where."""

    lines: tuple[tuple[str, ...], ...]
    stage: Stage
    path: str


# ---- ourselves ----------------------------------------------------------------------------------


def watching(facts: Facts) -> Iterator[Finding]:
    """The interpreter in the watcher's unit starts this program."""
    unit = facts.unit(facts.watcher)
    if unit is None or not unit.lines:
        return
    facts.trying(f"Trying the program of {unit.name}")
    yield from _starts(facts, unit.name, unit.lines["ExecStart"], unit.setting)


def recording(facts: Facts, job: Job) -> Iterator[Finding]:
    """So does the one that records the training's beginning and end."""
    unit = facts.unit(job.service)
    if unit is None or not unit.lines:
        return
    lines = (*unit.lines["ExecStartPre"], *unit.lines["ExecStopPost"])
    yield from _starts(facts, unit.name, lines, unit.setting)


def _starts(facts: Facts, name: str, lines: Sequence[tuple[str, ...]], stage: Stage) -> Iterator[Finding]:
    """Each interpreter that the lines start this program with says its version. Lines without us say nothing."""
    for python in dict.fromkeys(python for line in lines for python in _interpreters(line)):
        mend = reinstall(Path(python)) if python == sys.executable else facts.install
        if (why := _unexecutable(python)) is not None:
            yield fault(f"{name} executes {why}", mend)
            continue
        ended = stage.run((python, "-I", "-m", "training_watch", "--version"))
        if ended.status == 0:
            yield fine(f"{python} starts {ended.last_words}")
        else:
            yield fault(
                f"{name} executes {python}, which doesn't start this program: {ended.last_words}", mend
            )


def _interpreters(line: tuple[str, ...]) -> Iterator[str]:
    for at, word in enumerate(line):
        if word == "training_watch" and line[at - 2 : at] == ("-I", "-m"):
            yield line[at - 3]


def reinstall(python: Path) -> str:
    """What makes this program's environment whole again."""
    what, where = "'training-watch[crystal]'", ""
    installer, clone = "", None
    try:
        distribution = importlib.metadata.distribution("training-watch")
        installer = (distribution.read_text("INSTALLER") or "").strip()
        url = urlsplit(json.loads(distribution.read_text("direct_url.json") or "{}").get("url", ""))
        clone = Path(unquote(url.path)) if url.scheme == "file" else None
    except (importlib.metadata.PackageNotFoundError, ValueError):
        pass  # it runs all the same: from a checkout, say
    if clone is not None and clone.is_dir():
        # From within, as scripts/install.sh does: pip would take some characters of a path for its own syntax.
        what, where = "'.[crystal]'", f"cd {shlex.quote(str(clone))} && "
    name = shlex.quote(str(python))
    if installer == "uv":
        return f"{where}uv pip install --python {name} --reinstall {what}"
    return f"{where}{name} -m pip install --force-reinstall {what}"


# ---- the training -------------------------------------------------------------------------------


def command(facts: Facts, job: Job) -> Iterator[Finding]:
    """The training's program is there and can be executed, and so can what its first line names.

    Where the unit is still to become what the configuration says, that one's program is looked for, too.
    """
    if (why := uninstallable(facts, job)) is not None:
        yield fault(why, correct_command(facts, job))
    try:
        training = _training(facts, job)
    except NoProgram:
        return  # of a process: it has just been said
    if training is None:
        return
    found = [each for line in training.lines for each in _looked_at(facts, job, training, line)]
    if found or why is None:
        yield from found or [fine(f"{training.lines[0][0]} can be executed")]


def uninstallable(facts: Facts, job: Job) -> str | None:
    """Why the command of the configuration can't become the one that is executed, if so.

    A unit that agrees with the configuration has its program already, wherever it was found then: on the PATH of
    another shell, say. Of a unit that isn't ours the configuration knows no command.
    """
    if job.launcher == "systemd" and (not to_be_installed(facts, job) or _foreign(facts, job) is not None):
        return None
    try:
        program_of(job)
    except NoProgram as error:
        return str(error)
    return None


def to_be_installed(facts: Facts, job: Job) -> bool:
    """Whether the job's unit is still to become what the configuration says."""
    shown = facts.manager.units.get(job.service) if facts.manager is not None else None
    if shown is None or facts.config is None:
        return False
    return shown.shown.get("LoadState") == "not-found" or obstacle_of(facts.config, job) is not None


def _foreign(facts: Facts, job: Job) -> Path | None:
    """The file of the job's unit, if somebody else wrote it."""
    unit = facts.unit(job.service)
    if unit is None or unit.file is None or units.ours(file_text(unit.file)):
        return None
    return unit.file


def correct_command(facts: Facts, job: Job) -> str:
    then = f", then: {facts.install}" if job.launcher == "systemd" else ""
    return f"correct `command` in {facts.config_path}{then}"


def starts(facts: Facts, job: Job) -> Iterator[Finding]:
    """Our own training, asked to check itself in the environment that it would have."""
    try:
        training = _training(facts, job)
    except NoProgram:
        return
    if training is None:
        return
    for line in training.lines:
        if line[1:2] != ("train",) or not is_crystal(Path(line[0])):
            continue
        facts.trying(f"Trying `{Path(line[0]).name} train --check` as {job.service} would")
        yield from _checked(facts, job, line, training.stage.run((*line, "--check", "--json")))


def _training(facts: Facts, job: Job) -> Training | None:
    """None where the unit isn't there to be asked. Raises NoProgram."""
    if job.launcher == "process":
        shell = Shell()
        return Training((program_of(job).command,), shell, search_path(shell.environment()))
    unit = facts.unit(job.service)
    if unit is None or not unit.lines.get("ExecStart"):
        return None
    lines = tuple(line[3:] if line[:3] == _WRAPPER else line for line in unit.lines["ExecStart"])
    return Training(lines, unit.setting, search_path(unit.variables))


def _looked_at(facts: Facts, job: Job, training: Training, line: tuple[str, ...]) -> Iterator[Finding]:
    program = line[0]
    if (why := _unexecutable(program)) is not None:
        allow = f"chmod u+x {shlex.quote(program)}"
        yield fault(
            f"the training is {why}", allow if Path(program).is_file() else _put_back(facts, job, program)
        )
        return
    yield from _interpreter(facts, job, training, Path(program))
    script = missing_script(line, _folder(training))
    if script is not None:
        yield fault(f"the training runs {script}, which is not there", _put_back(facts, job, script))
    for word in line[1:]:
        if (
            word != script
            and word.startswith("/")
            and not os.path.lexists(word)
            and Path(word) not in job.paths
        ):
            yield note(
                f"the training is given {word}, which is not there; no harm if the training makes it itself"
            )


def _folder(training: Training) -> Path:
    """Where its commands run: the home, unless a unit says otherwise (in D-Bus's words, see Setting.run)."""
    given = training.stage.folder.removeprefix("!") if isinstance(training.stage, Setting) else ""
    return Path(given) if given.startswith("/") else places.home()


def _unexecutable(program: str) -> str | None:
    """What is wrong with it, if anything; the words begin with its path."""
    path = Path(program)
    if not path.exists():
        return f"{program}, which leads nowhere" if path.is_symlink() else f"{program}, which is not there"
    if not path.is_file() or not os.access(path, os.X_OK):
        return f"{program}, which can't be executed"
    return None


def _put_back(facts: Facts, job: Job, program: str) -> str:
    """What brings a program back that isn't where a unit looks for it."""
    if (foreign := _foreign(facts, job)) is not None:
        return f"put it back, or correct ExecStart= in {foreign}, then: systemctl --user daemon-reload"
    try:
        known = program_of(job).command[0]
    except NoProgram:
        known = program
    if known != program and _unexecutable(known) is None:
        return facts.install
    if job.command == ("crystal", "train") and Path(program).parent == Path(sys.executable).parent:
        return reinstall(Path(sys.executable))
    return f"put it back, or {correct_command(facts, job)}"


def _interpreter(facts: Facts, job: Job, training: Training, program: Path) -> Iterator[Finding]:
    """The program that a script's first line names (execve(2), "Interpreter scripts")."""
    first = read_small(program, _BEGINNING).split(b"\n", 1)[0]
    if not first.startswith(b"#!"):
        return
    words = os.fsdecode(first[2:]).split()
    if not words:
        return
    if (why := _unexecutable(words[0])) is not None:
        mend = f"correct the first line of {program}"
        if is_crystal(program):
            own = program.parent == Path(sys.executable).parent
            mend = reinstall(Path(sys.executable)) if own else facts.install
        yield fault(f"{program} is a script for {why}", mend)
        return
    if Path(words[0]).name != "env":
        return
    # What is left of `env -S NAME=value program`.
    name = next((word for word in words[1:] if not word.startswith("-") and "=" not in word), None)
    if name is None or shutil.which(name, path=training.path):
        return
    yield fault(f"{program} is a script for {name}, which {job.service} doesn't find on its PATH ({training.path})",
                _on_path(job, training, program, name))  # fmt: skip


def _on_path(job: Job, training: Training, program: Path, name: str) -> str:
    found = shutil.which(name)
    if found is None:
        return f"install {name}, or name its absolute path in the first line of {program}"
    path = f"{Path(found).absolute().parent}:{training.path}"
    file = places.environment_file()
    # A unit that isn't ours needn't read that file.
    reads = not isinstance(training.stage, Shell) and str(file) not in _files(training)
    if reads:
        return f"systemctl --user edit {job.service}   # [Service] Environment={shlex.quote(f'PATH={path}')}"
    return f"echo {shlex.quote(f'PATH={path}')} >>{shlex.quote(str(file))}"


def _files(training: Training) -> Sequence[str]:
    return [path for path, _ in getattr(training.stage, "files", ())]


def is_crystal(program: Path) -> bool:
    """Whether this is our own training, which knows --check: anybody else's `crystal train --check` may train."""
    try:
        return b"knowledge_platform" in read_small(program, _BEGINNING)
    except OSError:
        return False


def _checked(facts: Facts, job: Job, line: tuple[str, ...], ended: Ended) -> Iterator[Finding]:
    told = _json(ended.stdout)
    checks: dict[str, Any] = told.get("checks") or {}
    failed: dict[str, list[str]] = {}
    for name, check in checks.items():
        if not check["ok"]:  # one broken library may fail several of them
            failed.setdefault(_without_mend(str(check["text"])), []).append(name)
    for text, names in failed.items():
        yield fault(
            f"crystal train --check, {' and '.join(names)}: {text}", _crystals_mend(facts, line, names[0])
        )
    if not failed and ended.status != 0:
        # Without an answer of its own it broke down on the way, as on an import: its last line is the error.
        text = _without_mend(str(told["error"])) if "error" in told else ended.last_words
        name = "docs" if "error" in told else "programs"
        if name != "docs" or all(path.is_dir() for path in job.paths):  # else that check has said so
            yield fault(f"crystal train doesn't start: {text}", _crystals_mend(facts, line, name))
    if ended.status != 0:
        return
    encoder = str(checks.get("encoder", {}).get("text", ""))
    if encoder.startswith("none"):
        yield note(f"crystal train has no encoder: {encoder.partition(', ')[2] or encoder}", _reinstall(line))
    else:
        yield fine("crystal train --check passes where the unit would execute it")


def _without_mend(text: str) -> str:
    """Here it has a line of its own, which knows where pip is."""
    return text.partition(": pip install")[0]


def _crystals_mend(facts: Facts, line: tuple[str, ...], name: str) -> str:
    match name:
        case "programs" | "encoder":
            return _reinstall(line)
        case "docs":
            return f"put the folder back or mount it, else correct `paths` in {facts.config_path}"
        case _:
            return shlex.join([*line, "--check"])


def _reinstall(line: tuple[str, ...]) -> str:
    own = Path(line[0]).resolve().parent / "python"
    return reinstall(own if own.exists() else Path(sys.executable))


def _json(text: str) -> dict[str, Any]:
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}
