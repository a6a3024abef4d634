"""config.toml → jobs. All that is wrong is reported at once, with its line and the nearest right name."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from training_watch import places
from training_watch.decide import Settings
from training_watch.timespan import seconds

Mode = Literal["auto", "inotify", "poll"]
LauncherName = Literal["systemd", "process"]
T = TypeVar("T")

# Longer than anybody means, short enough that no arithmetic on it overflows. Arbitrary.
LONGEST = 10 * 365 * 86400.0
# What a unit's name may consist of (systemd.unit(5)), less the template's "@" that a job can't start.
_UNIT_NAME = re.compile(r"[A-Za-z0-9:_.\\@-]{1,247}\.service")
_JOB_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class ConfigError(Exception):
    """The configuration can't be used. `mistakes` holds one line each: where, what, what to do."""

    def __init__(self, mistakes: list[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


class NoConfig(ConfigError):
    """There is no configuration yet."""


@dataclass(frozen=True, slots=True)
class Job:
    """One table of the configuration: paths, limits, and the unit that trains on them.

    `poll_interval` and `rescan_interval` are seconds; `command` is for launcher "process", and for
    `install` where the unit is yet to be written.
    """

    name: str
    paths: tuple[Path, ...]
    marker: Path
    ignore: tuple[str, ...] = ()
    gitignore: bool = True
    settings: Settings = field(default_factory=Settings)
    mode: Mode = "auto"
    poll_interval: float = 300.0
    rescan_interval: float = 3600.0
    service: str = places.TRAINING_UNIT
    launcher: LauncherName = "systemd"
    command: tuple[str, ...] = ("crystal", "train")

    @property
    def roots(self) -> tuple[bytes, ...]:
        return tuple(os.fsencode(path) for path in self.paths)


@dataclass(frozen=True, slots=True)
class Config:
    """The whole file."""

    path: Path
    jobs: tuple[Job, ...]

    def job(self, name: str | None) -> Job:
        """The job of that name; without a name the only one. Raises ConfigError."""
        if name is None and len(self.jobs) == 1:
            return self.jobs[0]
        names = [job.name for job in self.jobs]
        if name is None:
            raise ConfigError([f"{self.path} has several jobs: say which, one of {', '.join(names)}"])
        for job in self.jobs:
            if job.name == name:
                return job
        raise ConfigError([f"{self.path} has no job {name!r}{_nearest(name, names)}"])

    def job_of(self, unit: str) -> Job:
        """The job that `unit` belongs to. Raises ConfigError."""
        for job in self.jobs:
            if job.service == unit:
                return job
        units = [job.service for job in self.jobs]
        raise ConfigError([f"{self.path} has no job whose service is {unit!r}{_nearest(unit, units)}"])


def read_config(path: Path) -> Config:
    """Read and check the file. Raises NoConfig where there is none, ConfigError with all mistakes."""
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise NoConfig([f"{path}: no configuration yet; `training-watch install` writes one"]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: not UTF-8 at byte {error.start}"]) from None
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}"]) from error
    try:
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError([_syntax(path, error)]) from None
    reader = _Reader(path, text)
    jobs = reader.jobs(tables)
    if reader.mistakes:
        raise ConfigError([message for _, message in sorted(reader.mistakes, key=lambda each: each[0])])
    return Config(path, jobs)


def _syntax(path: Path, error: Exception) -> str:
    told = re.fullmatch(r"(?s)(.*) \(at line (\d+), column (\d+)\)", str(error))
    if told is None:
        return f"{path}: not TOML: {error}"
    what, line, column = told.groups()
    return f"{path}:{line}: not TOML, column {column}: {what}"


class _Reader:
    """Reads tables into jobs, and collects (line, message) for each mistake instead of stopping."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._lines = dict(_places(text))
        self.mistakes: list[tuple[int, str]] = []

    def jobs(self, tables: dict[str, Any]) -> tuple[Job, ...]:
        for name in tables:
            if name != "job":
                self._mistake((name,), f"unknown key {name!r}{_nearest(name, ['job'])}")
        found = tables.get("job", {})
        if not isinstance(found, dict) or not all(isinstance(table, dict) for table in found.values()):
            self._mistake(("job",), "jobs are tables: write [job.NAME]")
            return ()
        if not found and not self.mistakes:
            self._mistake((), "no job: write a table [job.NAME] with its paths")
        jobs = tuple(self._job(name, table) for name, table in found.items())
        seen: dict[str, str] = {}
        for job in jobs:
            if job.service in seen:
                self._mistake(
                    ("job", job.name, "service"),
                    f"{job.service} belongs to job {seen[job.service]!r} already; one unit, one job",
                )
            seen[job.service] = job.name
        return jobs

    def _job(self, name: str, table: dict[str, Any]) -> Job:
        at = ("job", name)
        if not _JOB_NAME.fullmatch(name):
            self._mistake(at, f"{name!r} is no name for a job: letters, digits, - and _, 64 at most")
        for key in table:
            if key not in KEYS:
                self._mistake((*at, key), f"unknown key {key!r}{_nearest(key, KEYS)}")

        def value(key: str, reader: Callable[[Any], T], default: T) -> T:
            if key not in table:
                return default
            try:
                return reader(table[key])
            except ValueError as error:
                self._mistake((*at, key), f"{key}: {error}")
                return default

        if "paths" not in table:
            self._mistake(at, f"job {name!r} has no paths: say which folders it watches")
        known = Settings()
        settings = Settings(
            debounce=value("debounce", _length, known.debounce),
            max_wait=value("max_wait", _length, known.max_wait),
            cooldown=value("cooldown", _length_or_zero, known.cooldown),
            retries=value("retries", _count, known.retries),
        )
        if settings.max_wait < settings.debounce:
            key = "max_wait" if "max_wait" in table else "debounce"
            self._mistake(
                (*at, key), "max_wait is shorter than debounce; it is the longer patience of the two"
            )
        service = value("service", _unit, places.TRAINING_UNIT)
        return Job(
            name=name,
            paths=value("paths", _folders, ()),
            marker=value("marker", _path, places.marker(service)),
            ignore=value("ignore", _texts, ()),
            gitignore=value("gitignore", _flag, True),
            settings=settings,
            mode=value("mode", _mode, "auto"),
            poll_interval=value("poll_interval", _length, 300.0),
            rescan_interval=value("rescan_interval", _length, 3600.0),
            service=service,
            launcher=value("launcher", _launcher, "systemd"),
            command=value("command", _command, ("crystal", "train")),
        )

    def _mistake(self, key: tuple[str, ...], message: str) -> None:
        line = next(filter(None, (self._line(key[:n]) for n in range(len(key), 0, -1))), 0)
        where = f"{self._path}:{line}" if line else str(self._path)
        self.mistakes.append((line, f"{where}: {message}"))

    def _line(self, key: tuple[str, ...]) -> int:
        """The first line where the key, or something of its table, stands."""
        return min((line for known, line in self._lines.items() if known[: len(key)] == key), default=0)


KEYS = (
    "paths", "ignore", "gitignore", "debounce", "max_wait", "cooldown", "retries", "mode", "poll_interval",
    "rescan_interval", "service", "launcher", "command", "marker",
)  # fmt: skip

_HEADER = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?$")
_KEY = re.compile(r"\s*([A-Za-z0-9_.\"' -]+?)\s*=")


def _places(text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """(key, its line) for each table and key, as far as can be told without a second parser."""
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _parts(header[1])
            yield table, number
        elif key := _KEY.match(line):
            yield (*table, *_parts(key[1])), number


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def _nearest(name: str, names: list[str] | tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; there is {', '.join(names)}" if names else ""


# ---- values: each raises ValueError with what is wrong and what is right ------------------------


def _length(given: Any) -> float:
    length = _length_or_zero(given)
    if length <= 0:
        raise ValueError("must be longer than 0")
    return length


def _length_or_zero(given: Any) -> float:
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise ValueError(f'a time span is text, like "5min", not {_kind(given)}')
    if not isinstance(given, str) and given < 0:
        raise ValueError("must not be negative")
    length = seconds(given if isinstance(given, str) else repr(given))
    if length > LONGEST:
        raise ValueError(f"{given!r} is longer than 10 years")
    return length


def _count(given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        raise ValueError(f"must be a whole number from 0 up, not {given!r}")
    return given


def _flag(given: Any) -> bool:
    if not isinstance(given, bool):
        raise ValueError(f"must be true or false, not {given!r}")
    return given


def _mode(given: Any) -> Mode:
    return _one_of(given, {"auto": "auto", "inotify": "inotify", "poll": "poll"})


def _launcher(given: Any) -> LauncherName:
    return _one_of(given, {"systemd": "systemd", "process": "process"})


def _one_of(given: Any, choices: dict[str, T]) -> T:
    if isinstance(given, str) and given in choices:
        return choices[given]
    nearest = _nearest(given, list(choices)) if isinstance(given, str) else ""
    raise ValueError(f"must be one of {', '.join(choices)}, not {given!r}{nearest}")


def _texts(given: Any) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise ValueError(f"must be a list of texts, not {_kind(given)}")
    return tuple(given)


def _command(given: Any) -> tuple[str, ...]:
    words = _texts(given)
    if not words or not words[0] or any("\0" in word for word in words):
        raise ValueError('must name a program and its arguments, like ["crystal", "train"]')
    return words


def _unit(given: Any) -> str:
    if not isinstance(given, str) or not _UNIT_NAME.fullmatch(given):
        raise ValueError(f"must be a unit's name like {places.TRAINING_UNIT}, not {given!r}")
    return given


def _path(given: Any) -> Path:
    if not isinstance(given, str) or not given or "\0" in given:
        raise ValueError(f"must be a path, not {given!r}")
    path = Path(str(places.home()) + given[1:]) if given == "~" or given.startswith("~/") else Path(given)
    if not path.is_absolute():
        raise ValueError(f"{given!r} must begin with / or ~/")
    return Path(os.path.normpath(path))


def _folders(given: Any) -> tuple[Path, ...]:
    if isinstance(given, str):
        raise ValueError(f"must be a list: [{given!r}]")
    folders = [_path(each) for each in _texts(given)]
    if not folders:
        raise ValueError("must name at least one folder")
    for folder in folders:
        if folder.exists() and not folder.is_dir():
            raise ValueError(f"{folder} is a file: name the folder that holds it")
    # A folder inside another one of the list is watched with that one.
    return tuple(
        folder
        for place, folder in enumerate(folders)
        if not any(other in folder.parents for other in folders) and folder not in folders[:place]
    )


def _kind(given: Any) -> str:
    names = {str: "text", bool: "a flag", int: "a number", float: "a number", list: "a list", dict: "a table"}
    return names.get(type(given), type(given).__name__)
