"""What the checks look at, asked once: the configuration, the units as systemd has them loaded, the daemon's report.

What could not be had is None or empty; the check whose business that is says so, and the others pass over it.
"""

from __future__ import annotations

import json
import os
import shlex
import string
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from training_watch import clock, places, units
from training_watch.config import Config, ConfigError, Job, read_config
from training_watch.describe import managed
from training_watch.doctor.trying import Setting, environment_in
from training_watch.events import Moment
from training_watch.installing.plan import InstallError
from training_watch.installing.unitfiles import installed, text_of
from training_watch.launching import LaunchError
from training_watch.launching.systemctl import environment, first_line, systemctl, user_unit_folder, version
from training_watch.published import DaemonReport, daemon_report
from training_watch.typed import here
from training_watch.units import DROP_IN

PROPERTIES = (
    "LoadState", "LoadError", "ActiveState", "SubState", "UnitFileState", "NeedDaemonReload", "FragmentPath",
    "DropInPaths", "Result", "ExecMainCode", "ExecMainStatus", "MainPID", "NRestarts",
    "ExecMainStartTimestampMonotonic", "ExecMainExitTimestampMonotonic",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit as the manager has it loaded, drop-ins included.

    `lines`, by the setting's name, hold each Exec*= line as its words, the first the program's path. `variables` is
    what a command of the unit finds in its environment; both are empty, with the reason in `trouble`, where that can't
    be told.
    """

    name: str
    shown: Mapping[str, str]
    lines: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    setting: Setting = field(default_factory=Setting)
    variables: Mapping[str, str] = field(default_factory=dict)
    trouble: str = ""

    @property
    def loaded(self) -> bool:
        return self.shown.get("LoadState") == "loaded"

    @property
    def file(self) -> Path | None:
        given = self.shown.get("FragmentPath", "")
        return Path(given) if given else None


@dataclass(frozen=True, slots=True)
class Manager:
    """The user manager that answers."""

    version: int
    folder: Path
    units: Mapping[str, Unit]


@dataclass(frozen=True, slots=True)
class Facts:
    """`jobs` are those that were asked about. `silence` says why no manager answers, where one is needed.

    `program` is how a person calls this program, with the configuration where it isn't the usual one.
    """

    config_path: Path
    config: Config | None
    mistakes: tuple[str, ...]
    jobs: tuple[Job, ...]
    watcher: str
    manager: Manager | None
    silence: str
    report: DaemonReport | None
    now: Moment
    program: str
    trying: Callable[[str], None]

    @property
    def managed(self) -> bool:
        """Whether systemd has a part; so it has as long as no configuration says otherwise."""
        return self.config is None or managed(self.config.jobs)

    @property
    def install(self) -> str:
        unit = "" if self.watcher == places.WATCHER_UNIT else f" --unit {shlex.quote(self.watcher)}"
        return f"{self.program} install{unit}"

    def unit(self, name: str) -> Unit | None:
        """The unit, if the manager answers and has it loaded without mistakes."""
        unit = self.manager.units.get(name) if self.manager is not None else None
        return unit if unit is not None and unit.loaded else None


def facts(config_path: Path, job: str | None, trying: Callable[[str], None]) -> Facts:
    """Ask for all of them. Raises ConfigError where the configuration is in order and has no such job."""
    config, mistakes = None, tuple[str, ...]()
    try:
        config = read_config(config_path)
    except ConfigError as error:
        mistakes = tuple(error.mistakes)
    jobs: tuple[Job, ...] = ()
    if config is not None:
        jobs = config.jobs if job is None else (config.job(job),)
    watcher = watcher_of(config_path)
    wanted = [watcher, *(each.service for each in jobs if each.launcher == "systemd")]
    manager, silence = None, ""
    if config is None or managed(config.jobs):
        try:
            manager = _manager(wanted)
        except LaunchError as error:
            silence = str(error)
    return Facts(
        config_path=config_path,
        config=config,
        mistakes=mistakes,
        jobs=jobs,
        watcher=watcher,
        manager=manager,
        silence=silence,
        report=_report(),
        now=clock.now(),
        program=here(config_path),
        trying=trying,
    )


def _report() -> DaemonReport | None:
    # Asking tries the daemon's lock, which makes its file: where there is none, nobody runs, and nothing is to be made.
    if not (places.state_folder() / "daemon.lock").exists():
        return None
    return daemon_report()


def watcher_of(config_path: Path) -> str:
    """The name of the watcher's unit: `install --unit` may have given it another."""
    try:
        names = [path.name for path, text in installed(config_path) if watches(path, text)]
    except (OSError, InstallError):
        names = []  # whose business that is, says so
    return names[0] if names and places.WATCHER_UNIT not in names else places.WATCHER_UNIT


def watches(path: Path, text: str) -> bool:
    """Whether this unit of ours is a watcher: a training's says which job it is of."""
    return path.name != DROP_IN and not units.fact(text, "Job")


# ---- systemd ------------------------------------------------------------------------------------


def _manager(names: Sequence[str]) -> Manager:
    """Raises LaunchError where no manager answers."""
    return Manager(version(), user_unit_folder(), {name: _unit(name) for name in dict.fromkeys(names)})


def _unit(name: str) -> Unit:
    answer = systemctl("show", f"--property={','.join(PROPERTIES)}", "--", name)
    shown = dict(line.split("=", 1) for line in answer.stdout.splitlines() if "=" in line)
    if shown.get("LoadState") != "loaded":
        return Unit(name, shown)
    setting = Setting()
    try:
        lines, setting = _lines(name)
        variables = environment_in(setting)
    except (LaunchError, ValueError) as error:
        return Unit(name, shown, setting=setting, trouble=str(error))
    return Unit(name, shown, lines, setting, variables)


_LINES = ("ExecStart", "ExecStartPre", "ExecStopPost")
_SETTINGS = ("Environment", "EnvironmentFiles", "PassEnvironment", "UnsetEnvironment", "WorkingDirectory")


def _lines(name: str) -> tuple[dict[str, tuple[tuple[str, ...], ...]], Setting]:
    """The unit's command lines, word by word. `systemctl show` joins the words with blanks, D-Bus keeps them apart.

    Raises LaunchError, and ValueError where the answer is none.
    """
    service = "org.freedesktop.systemd1"
    path = f"/org/freedesktop/systemd1/unit/{_label(name)}"
    words = ["busctl", "--user", "--json=short", "get-property", service, path, f"{service}.Service"]
    try:
        answer = subprocess.run(
            [*words, *_LINES, *_SETTINGS],
            env=environment(), stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8",
            errors="surrogateescape", timeout=10, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LaunchError(f"busctl, which comes with systemd, can't be asked: {error}") from error
    if answer.returncode != 0:
        raise LaunchError(f"`busctl --user` doesn't show {name}: {first_line(answer.stderr)}")
    data = [json.loads(line)["data"] for line in answer.stdout.splitlines()]
    lines = {
        # a(sasb…): path, words, whether a failure counts
        each: tuple((path, *words[1:]) for path, words, *_ in found)
        for each, found in zip(_LINES, data, strict=False)
    }
    variables, files, passed, unset, folder = data[len(_LINES) :]
    setting = Setting(
        tuple(variables), tuple((path, optional) for path, optional in files), tuple(passed), tuple(unset), folder
    )  # fmt: skip
    return lines, setting


def _label(name: str) -> str:
    """A unit's name as a part of its object's path (sd_bus_path_encode(3))."""
    kept = string.ascii_letters + string.digits
    head, *rest = os.fsencode(name)
    first = chr(head) if chr(head) in string.ascii_letters else f"_{head:02x}"
    return first + "".join(chr(byte) if chr(byte) in kept else f"_{byte:02x}" for byte in rest)


def file_text(path: Path) -> str:
    """The text of a unit's file; empty where there is none. Raises InstallError."""
    return text_of(path) or ""
