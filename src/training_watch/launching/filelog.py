"""What a training and the watcher have said where there is no journal: the log of the runs and the daemon's own.

The training writes into its log itself, so its lines have no time. They stand together behind the line with
which their run begins, and what the daemon said meanwhile stands behind them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from training_watch import clock
from training_watch.launching import SUPERVISOR, Begin, LaunchError, Line, runlog
from training_watch.mends import refused

# A line of the daemon's log, and the levels that syslog(3) has other numbers for.
_DATED = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}) ([A-Z]+) (.*)")
_PRIORITIES = {"CRITICAL": 2, "ERROR": 3, "WARNING": 4, "DEBUG": 7}

# A line, and the time at which it stands among others: its own, or that of the last one before it that has one.
_Placed = tuple[datetime, Line]


@dataclass(frozen=True, slots=True)
class FileLog:
    """`log` has the runs; `daemon` are the files of the daemon's log, oldest first, of which the last is written to."""

    unit: str
    watcher: str
    log: Path
    daemon: Sequence[Path]

    def begins(self) -> list[Begin]:
        runs = _Runs(self.unit)
        for _ in runs.placed(_whole(self.log)):
            pass
        return runs.begins

    def of_run(self, invocation: str) -> list[Line]:
        lines = _Runs(self.unit).placed(_whole(self.log))
        return [line for _, line in lines if line.invocation == invocation]

    def heard(self, since: Begin | None, *, lead: int) -> Iterator[list[Line]]:
        with (
            closing(_Tail(self.log, kept=runlog.kept)) as training,
            closing(_Tail(self.daemon[-1])) as watcher,
        ):
            runs, daemon = _Runs(self.unit), _Daemon(self.watcher)
            said = [*daemon.placed(line for older in self.daemon[:-1] for line in _whole(older))]
            said += daemon.placed(watcher.lines())
            lines = [*runs.placed(training.lines())]
            yield _first(lines, said, since, lead)
            while True:
                clock.pause(runlog.LOOK_AGAIN)
                if found := _merged(runs.placed(training.lines()), daemon.placed(watcher.lines())):
                    yield found


def _first(lines: list[_Placed], said: list[_Placed], since: Begin | None, lead: int) -> list[Line]:
    """Of all that is there, what is heard first."""
    if since is None:
        return _merged(lines, said)[-lead:]
    first = next(
        (at for at, (_, line) in enumerate(lines) if line.invocation == since.invocation), len(lines)
    )
    before = sum(at < since.at for at, _ in said)
    return _merged(lines[first:], said[max(0, before - lead) :])


class _Runs:
    """Understands the log of the runs, line after line."""

    def __init__(self, unit: str) -> None:
        self.begins: list[Begin] = []
        self._unit = unit
        self._who = Path(unit).stem
        self._invocation = ""
        self._at = datetime.min.replace(tzinfo=UTC)

    def placed(self, lines: Iterable[str]) -> Iterator[_Placed]:
        for line in lines:
            mark = runlog.mark(line)
            if mark is not None:
                self._invocation = mark.invocation
                self._at = mark.at or self._at
                if mark.begins:
                    self.begins.append(Begin(mark.invocation, self._at))
                yield self._at, Line(mark.at, self._unit, SUPERVISOR, line, invocation=mark.invocation)
            elif line:  # journald leaves empty lines out, too
                yield self._at, Line(None, self._unit, self._who, line, invocation=self._invocation)


class _Daemon:
    """Understands the daemon's log, line after line."""

    def __init__(self, watcher: str) -> None:
        self._unit = watcher
        self._who = Path(watcher).stem
        self._at = datetime.min.replace(tzinfo=UTC)

    def placed(self, lines: Iterable[str]) -> Iterator[_Placed]:
        for line in lines:
            told = _DATED.fullmatch(line)
            if told is None:
                yield self._at, Line(None, self._unit, self._who, line)
                continue
            self._at = datetime.fromisoformat(told[1]).astimezone()
            yield self._at, Line(self._at, self._unit, self._who, told[3], _PRIORITIES.get(told[2], 6))


def _merged(lines: Iterable[_Placed], said: Iterable[_Placed]) -> list[Line]:
    # Times have whole seconds here: of one and the same, the run comes first, and then what is said of it.
    return [line for _, line in sorted([*lines, *said], key=lambda placed: placed[0])]


def _whole(path: Path) -> list[str]:
    with closing(_Tail(path)) as tail:
        return [*tail.lines(), *tail.unended()]


class _Tail:
    """A file's lines as they come, also where another takes its place.

    `kept` gives what the new one begins with, of the old one. Raises LaunchError.
    """

    def __init__(self, path: Path, *, kept: Callable[[IO[bytes]], str] | None = None) -> None:
        self._path = path
        self._kept = kept
        self._file: IO[bytes] | None = None
        self._rest = b""

    def lines(self) -> list[str]:
        """The lines that ended since the last call."""
        try:
            if self._file is None:
                self._file = self._opened()
            if self._file is None:
                return []
            found = self._read(self._file)
            new = self._opened() if self._replaced(self._file) else None
            if new is not None:
                found += [*self._read(self._file), *self.unended()]
                self._skip(self._file, new)
                self._file.close()
                self._file = new
                found += self._read(new)
        except OSError as error:
            raise LaunchError(refused(self._path, error)) from error
        return found

    def unended(self) -> list[str]:
        """What came of a line that has no end yet."""
        rest, self._rest = self._rest, b""
        return [runlog.text(rest)] if rest else []

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _opened(self) -> IO[bytes] | None:
        try:
            return self._path.open("rb")
        except FileNotFoundError:
            return None

    def _replaced(self, file: IO[bytes]) -> bool:
        try:
            return not os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False

    def _skip(self, old: IO[bytes], new: IO[bytes]) -> None:
        if self._kept is None:
            return
        known = self._kept(old).encode()
        if new.read(len(known)) != known:
            new.seek(0)

    def _read(self, file: IO[bytes]) -> list[str]:
        *lines, self._rest = (self._rest + file.read()).split(b"\n")
        return [runlog.text(line) for line in lines]
