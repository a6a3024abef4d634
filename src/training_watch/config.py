"""config.toml → jobs. All that is wrong is reported at once, with its line and the nearest right name."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

from training_watch import places
from training_watch.decide import Settings
from training_watch.files import read_small
from training_watch.mends import refused
from training_watch.timespan import seconds

Mode = Literal["auto", "inotify", "poll"]
LauncherName = Literal["systemd", "process"]
T = TypeVar("T")

# Longer than anybody means, short enough that no arithmetic on it overflows. Arbitrary.
LONGEST = 10 * 365 * 86400.0
# A configuration is a page of text. What is larger is somebody else's file, which is not taken apart.
LARGEST = 1 << 18
# Who makes so many mistakes has one file too many. Arbitrary.
MOST_MISTAKES = 100
# What a unit's name may consist of (systemd.unit(5)), less the template's "@" that a job can't start.
_UNIT_NAME = re.compile(r"[A-Za-z0-9:_.\\@-]{1,247}\.service")
# A key of n parts costs tomllib n * n (measured: 20,000 parts, 9 s). Arbitrary.
_MOST_POINTS = 1000
# How much of a wrong value a message shows. Arbitrary.
_SHOWN = 80
# What a job may be called: a bare key of TOML, and a word on a command line.
JOB_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


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
        raise ConfigError([f"{self.path} has no job {name!r}{nearest(name, names)}"])

    def job_of(self, unit: str) -> Job:
        """The job that `unit` belongs to. Raises ConfigError."""
        for job in self.jobs:
            if job.service == unit:
                return job
        units = [job.service for job in self.jobs]
        raise ConfigError([f"{self.path} has no job whose service is {unit!r}{nearest(unit, units)}"])


def read_config(path: Path) -> Config:
    """Read and check the file. Raises NoConfig where there is none, ConfigError with all mistakes."""
    try:
        content = read_small(path, LARGEST + 1)
        text = content.decode("utf-8-sig")  # Windows' editors begin a file with a byte order mark
    except FileNotFoundError:
        install = f"training-watch{places.chosen(path)} install"
        raise NoConfig([f"{path}: no configuration yet; `{install}` writes one"]) from None
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path}: not UTF-8 at byte {error.start}: save it as UTF-8"]) from None
    except OSError as error:
        raise ConfigError([refused(path, error)]) from error
    if len(content) > LARGEST:
        raise ConfigError(
            [
                f"{path}: larger than {LARGEST >> 10} KiB, no configuration of ours: name the right one with --config"
            ]
        )
    for number, line in enumerate(text.split("\n"), 1):
        if line.count(".") > _MOST_POINTS:
            raise ConfigError(
                [f"{path}:{number}: more than {_MOST_POINTS} points in one line: write it in several"]
            )
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is int()'s own ValueError
        raise ConfigError([_syntax(path, error)]) from None
    reader = _Reader(path, text)
    jobs = reader.jobs(tables)
    if reader.mistakes:
        raise ConfigError(reader.told())
    return Config(path, jobs)


def _syntax(path: Path, error: Exception) -> str:
    told = re.fullmatch(r"(?s)(.*) \(at line (\d+), column (\d+)\)", str(error))
    if told is None:
        return f"{path}: not TOML: {error}; mend it there"
    what, line, column = told.groups()
    if what == r"Illegal character '\n'":  # where a text was to end
        what = "a quote is not closed"
    return f"{path}:{line}: not TOML, column {column}: {what}; mend it there"


class _Reader:
    """Reads tables into jobs, and collects (line, message) for each mistake instead of stopping."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._lines: dict[tuple[str, ...], int] = {}
        for key, line in _places(text):
            for length in range(1, min(len(key), _DEEPEST) + 1):
                self._lines.setdefault(key[:length], line)
        self.mistakes: list[tuple[int, str]] = []

    def told(self) -> list[str]:
        """The mistakes in the order of their lines."""
        inorder = [message for _, message in sorted(self.mistakes, key=lambda each: each[0])]
        more = len(inorder) - MOST_MISTAKES
        return [
            *inorder[:MOST_MISTAKES],
            *([f"{self._path}: and {more} more mistakes: mend these first"] if more > 0 else []),
        ]

    def jobs(self, tables: dict[str, Any]) -> tuple[Job, ...]:
        for name in tables:
            if name != "job":
                self._unknown((name,), ["job"])
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
                    f"{job.service} belongs to job {seen[job.service]!r} already: name another, a unit has one job",
                )
            seen[job.service] = job.name
        return jobs

    def _job(self, name: str, table: dict[str, Any]) -> Job:
        at = ("job", name)
        if not JOB_NAME.fullmatch(name):
            self._mistake(
                at, f"{_shown(name)} is no name for a job: use letters, digits, - and _, 64 at most"
            )
        for key in table:
            if key not in KEYS:
                self._unknown((*at, key), KEYS)

        def value(key: str, reader: Callable[[Any], T], default: T) -> T:
            if key not in table:
                return default
            try:
                return reader(table[key])
            except ValueError as error:
                self._mistake((*at, key), f"{key}: {error}")
                return default

        if "paths" not in table:
            self._mistake(at, f"job {_shown(name)} has no paths: say which folders it watches")
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
                (*at, key),
                "max_wait is shorter than debounce: make it longer, it is the greater patience of the two",
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

    def _unknown(self, key: tuple[str, ...], known: Sequence[str]) -> None:
        # Looking for the nearest name takes its time, and nobody reads the thousandth.
        hint = nearest(key[-1], known) if len(self.mistakes) < MOST_MISTAKES else ""
        self._mistake(key, f"unknown key {_shown(key[-1])}{hint}")

    def _mistake(self, key: tuple[str, ...], message: str) -> None:
        """Note it with the first line where the key, or else its table, stands."""
        line = next(filter(None, (self._lines.get(key[:n], 0) for n in range(len(key), 0, -1))), 0)
        where = f"{self._path}:{line}" if line else str(self._path)
        self.mistakes.append((line, f"{where}: {message}"))


KEYS = (
    "paths", "ignore", "gitignore", "debounce", "max_wait", "cooldown", "retries", "mode", "poll_interval",
    "rescan_interval", "service", "launcher", "command", "marker",
)  # fmt: skip

# job, its name, one of its keys: nothing of ours lies deeper.
_DEEPEST = 3
_HEADER = re.compile(r"\[{1,2}([^\[\]]+)\]{1,2}\s*(?:#.*)?")
_KEY = re.compile(r"[A-Za-z0-9_.\"' -]+")


def _places(text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """(key, its line) for each table and key, as far as can be told without a second parser."""
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.split("\n"), 1):
        if header := _HEADER.fullmatch(line.strip()):
            table = _parts(header[1])
            yield table, number
        elif _KEY.fullmatch(key := line.partition("=")[0].strip()):
            yield (*table, *_parts(key)), number


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split(".", _DEEPEST))


def _shown(given: Any) -> str:
    """A value in a message: all of it is in the file."""
    try:
        text = repr(given)
    except ValueError:  # of a number that has more digits than Python likes to write
        return "that number"
    return _cut(text)


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _named(path: Path) -> str:
    text = str(path)
    return text if text.isprintable() and len(text) <= 4 * _SHOWN else _shown(text)


def nearest(name: str, names: Sequence[str]) -> str:
    """For the end of a message: which of the names was meant, or else which there are."""
    import difflib  # noqa: PLC0415 - only a mistake needs it

    near = difflib.get_close_matches(name[:_SHOWN], names, n=1, cutoff=0.5)
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
        raise ValueError(f'must be a time span, like "5min", not {_kind(given)}')
    if not isinstance(given, str) and given < 0:
        raise ValueError("must not be negative")
    if isinstance(given, int) and given > LONGEST:  # of any number of digits
        raise ValueError(f"must be 10 years at most, not {_shown(given)}")
    length = seconds(given if isinstance(given, str) else repr(given))
    if length > LONGEST:
        raise ValueError(f"must be 10 years at most, not {_shown(given)}")
    return length


def _count(given: Any) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        raise ValueError(f"must be a whole number from 0 up, not {_shown(given)}")
    return given


def _flag(given: Any) -> bool:
    if not isinstance(given, bool):
        raise ValueError(f"must be true or false, not {_shown(given)}")
    return given


def _mode(given: Any) -> Mode:
    return _one_of(given, {"auto": "auto", "inotify": "inotify", "poll": "poll"})


def _launcher(given: Any) -> LauncherName:
    return _one_of(given, {"systemd": "systemd", "process": "process"})


def _one_of(given: Any, choices: dict[str, T]) -> T:
    if isinstance(given, str) and given in choices:
        return choices[given]
    hint = nearest(given, list(choices)) if isinstance(given, str) else ""
    raise ValueError(f"must be one of {', '.join(choices)}, not {_shown(given)}{hint}")


def _texts(given: Any) -> tuple[str, ...]:
    if not isinstance(given, list) or not all(isinstance(each, str) for each in given):
        raise ValueError(f"must be a list of texts, not {_kind(given)}")
    return tuple(given)


def _command(given: Any) -> tuple[str, ...]:
    words = _texts(given)
    if not words or not words[0] or any("\0" in word for word in words):
        raise ValueError('must name a program and its arguments, like ["crystal", "train"]')
    # No shell reads it that would do this.
    return tuple(f"{places.home()}{word[1:]}" if word.startswith("~/") else word for word in words)


def _unit(given: Any) -> str:
    if not isinstance(given, str) or not _UNIT_NAME.fullmatch(given):
        raise ValueError(f"must be a unit's name like {places.TRAINING_UNIT}, not {_shown(given)}")
    return given


def _path(given: Any) -> Path:
    if not isinstance(given, str) or not given or "\0" in given:
        raise ValueError(f"must be a path, not {_shown(given)}")
    path = Path(str(places.home()) + given[1:]) if given == "~" or given.startswith("~/") else Path(given)
    if not path.is_absolute():
        raise ValueError(f"{_shown(given)} must begin with / or ~/")
    return Path(os.path.normpath(path))


def _folders(given: Any) -> tuple[Path, ...]:
    if isinstance(given, str):
        raise ValueError(f"must be a list: [{_cut(json.dumps(given, ensure_ascii=False))}]")
    folders = [_path(each) for each in _texts(given)]
    if not folders:
        raise ValueError("must name at least one folder")
    for folder in folders:
        if _is_file(folder):
            raise ValueError(f"{_named(folder)} is a file: name the folder that holds it")
    # A folder inside another one of the list is watched with that one.
    every = dict.fromkeys(folders)
    return tuple(folder for folder in every if not any(other in every for other in folder.parents))


def _is_file(path: Path) -> bool:
    try:
        return not stat.S_ISDIR(path.stat().st_mode)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise ValueError(f"{_named(path)} is longer than a path can be: name a shorter one") from None
        return False  # not there, or not yet, or not for us: the watching says which


def _kind(given: Any) -> str:
    names = {str: "text", bool: "a flag", int: "a number", float: "a number", list: "a list", dict: "a table"}
    return names.get(type(given), type(given).__name__)
