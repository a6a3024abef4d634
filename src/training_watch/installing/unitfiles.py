"""The units as files: which there are to be, whose the present ones are, and what a person edited in them."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from training_watch import places, units
from training_watch.config import Config, Job
from training_watch.installing.manager import shown, unit_folder
from training_watch.installing.plan import Action, InstallError, Plan, RemoveFile, Say, WriteFile
from training_watch.launching.systemctl import user_unit_folder, version
from training_watch.mends import refused
from training_watch.program import NoProgram, absolute, program_of
from training_watch.units import DROP_IN, Installation, Training, UnitError


def plan_units(config: Config, watcher_unit: str, *, replace: bool, own_command: bool, say: Say) -> Plan:
    """What to write and remove so that the units are what the configuration says.

    `own_command`: --exec was given, so a training unit that isn't ours is in the way instead of in use.
    Raises InstallError, after saying the diff, where something would be lost.
    """
    folder = user_unit_folder()
    here = installation(config, watcher_unit)
    files: dict[Path, str] = {}
    remarks: list[str] = []
    try:
        files[folder / watcher_unit] = units.watcher_unit(here)
        for job in config.jobs:
            if job.launcher != "systemd":
                continue
            unit = folder / job.service
            foreign = None if own_command else _foreign(unit)
            if foreign is not None:
                how = Training(job, (), places.status_file(job.service))
                files[folder / f"{job.service}.d" / DROP_IN] = units.drop_in(here, how)
                remarks.append(f"{foreign} isn't ours: it stays as it is, and a drop-in records its runs")
            else:
                how = training(job)
                files[unit] = units.training_unit(here, how)
                if how.note:
                    remarks.append(how.note)
    except UnitError as error:
        raise InstallError(str(error)) from error
    actions: list[Action] = []
    for path, text in files.items():
        action = _write(path, text, replace=replace, say=say)
        actions += [action] if action else []
        remarks += [] if action else [f"{path} is unchanged"]
    gone = [(path, text) for path, text in installed(config.path) if path not in files]
    actions += [removal(path, text) for path, text in gone]
    remarks += [
        f"{path.name} is no job's unit any more: its history and what it has trained are kept under its name"
        for path, text in gone
        if path.name != DROP_IN and units.fact(text, "Job")
    ]
    watchers = tuple(path.name for path, text in gone if not units.fact(text, "Job"))
    names = tuple(path.name for path, _ in gone if path.name != DROP_IN)
    return Plan(tuple(actions), tuple(remarks), watchers, names)


def installation(config: Config, watcher_unit: str) -> Installation:
    """What this program, this user and this environment put into every unit."""
    return Installation(
        python=Path(sys.executable),
        config=config.path,
        home=places.home(),
        environment_file=places.environment_file(),
        writable=writable(config),
        systemd=version(),
        environment=tuple(_variables()),
        private_tmp=not any(map(_below_tmp, _needed(config))),
        trains_itself=any(job.launcher == "process" for job in config.jobs),
        watcher=watcher_unit,
    )


def training(job: Job) -> Training:
    """How the job's unit trains. Raises InstallError where there is no such program."""
    try:
        found = program_of(job)
    except NoProgram as error:
        raise InstallError(str(error)) from error
    return Training(job, found.command, places.status_file(job.service), found.note)


def _variables() -> Iterator[tuple[str, str]]:
    """What places.py and the default training read from the environment, where it isn't the default."""
    home = places.home()
    defaults = {
        "XDG_CONFIG_HOME": home / ".config",
        "XDG_STATE_HOME": home / ".local/state",
        "XDG_CACHE_HOME": home / ".cache",
        "XDG_DATA_HOME": home / ".local/share",
    }
    for name, default in defaults.items():
        given = os.environ.get(name, "")
        if given.startswith("/") and Path(given) != default:
            yield name, given
    if os.environ.get("CRYSTAL_STORE") and store() != data_home() / "crystal":
        yield "CRYSTAL_STORE", str(store())


def data_home() -> Path:
    given = os.environ.get("XDG_DATA_HOME", "")
    return Path(given) if given.startswith("/") else places.home() / ".local/share"


def store() -> Path:
    given = os.environ.get("CRYSTAL_STORE")
    return absolute(Path(given)) if given else data_home() / "crystal"


def writable(config: Config) -> tuple[Path, ...]:
    folders = (places.state_folder(), places.cache_folder(), *(job.marker.parent for job in config.jobs))
    return tuple(dict.fromkeys(folders))


def _needed(config: Config) -> Iterator[Path]:
    """All that the daemon reads, by every name under which it is reached."""
    given = (
        Path(sys.executable),
        Path(sys.prefix),
        Path(__file__),
        config.path,
        places.home(),
        *writable(config),
        *(path for job in config.jobs for path in job.paths),
    )
    for path in given:
        yield path
        yield path.resolve()


def _below_tmp(path: Path) -> bool:
    return any(tmp in (path, *path.parents) for tmp in (Path("/tmp"), Path("/var/tmp")))  # noqa: S108


def _foreign(unit: Path) -> Path | None:
    """The file of a unit of that name which somebody else wrote, wherever it is. Raises InstallError."""
    text = text_of(unit)
    if text is not None:
        if unit.resolve() == Path("/dev/null"):
            raise InstallError(f"{unit.name} is masked; first: systemctl --user unmask {unit.name}")
        return None if units.ours(text) else unit
    known = shown(unit.name)
    if known.get("LoadState") == "masked":
        raise InstallError(f"{unit.name} is masked; first: systemctl --user unmask {unit.name}")
    fragment = known.get("FragmentPath", "")
    # A file that has been deleted since systemd read it is as good as none.
    return Path(fragment) if fragment and Path(fragment).exists() and Path(fragment) != unit else None


def _write(path: Path, text: str, *, replace: bool, say: Say) -> WriteFile | None:
    """How the file becomes `text`; None where it is that already. Raises InstallError."""
    present = text_of(path)
    if present == text:
        return None
    if present is None or (units.ours(present) and not units.edited(present)):
        return WriteFile(path, text)
    if replace:
        return WriteFile(path, text, _free_backup(path))
    say(_difference(path, present, text))
    whose = "was edited by hand" if units.ours(present) else "isn't ours"
    raise InstallError(
        f"{path} {whose}, and `install` would change it as shown; move your settings to a drop-in "
        f"(systemctl --user edit {path.name}), then `training-watch install --replace`, which keeps a copy"
    )


def _difference(path: Path, present: str, text: str) -> str:
    lines = difflib.unified_diff(
        present.splitlines(), text.splitlines(), str(path), "what install would write", lineterm=""
    )
    return "\n".join(lines)


def _free_backup(path: Path) -> Path:
    """A name for a copy that nothing has yet. Systemd reads only *.service and *.conf."""
    plain = path.with_name(f"{path.name}.bak")
    names = (plain, *(plain.with_name(f"{plain.name}.{number}") for number in range(1, 1000)))
    for name in names:
        if not os.path.lexists(name):
            return name
    raise InstallError(f"{plain} and 999 more copies are there: remove some of them")


def installed(config: Path) -> list[tuple[Path, str]]:
    """Each unit and drop-in of ours that was made from this configuration."""
    folder = unit_folder()
    found = []
    for path in sorted((*folder.glob("*.service"), *folder.glob(f"*.service.d/{DROP_IN}"))):
        text = text_of(path)
        if text is not None and units.fact(text, "Config") == [units.quoted(str(config))]:
            found.append((path, text))
    return found


def removal(path: Path, text: str) -> RemoveFile:
    return RemoveFile(path, _free_backup(path) if units.edited(text) else None)


def text_of(path: Path) -> str | None:
    """The file's text, or None where there is none. Raises InstallError."""
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InstallError(refused(path, error)) from error
