"""The log of a job's runs where there is no journal: one file, each run between two lines of ours.

    === run 6f2c… of crystal-train.service, 2026-02-16T14:00:43+00:00
    what the training said
    === run 6f2c… ended: exit-code, exited, status=7, 2026-02-16T14:05:12+00:00

The training writes into it itself, so nothing stands between it and its last words; the bound is kept
when a run begins.
"""

from __future__ import annotations

import os
import re
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

from training_watch import clock
from training_watch.files import write_whole

# What is kept of earlier runs when one begins. Arbitrary; some 10 000 lines.
KEPT = 2**20
# How often a follower looks. Arbitrary: quick to a reader, cheap for hours.
LOOK_AGAIN = 0.2
_BEGINS = re.compile(r"=== run ([0-9a-f]{32}) of .+, (\S+)")
_ENDS = re.compile(r"=== run ([0-9a-f]{32}) ended: .+, status=\w*(?:, (\S+))?")


def opened_log(log: Path, unit: str, invocation: str, at: datetime) -> int:
    """Trim the log, write the run's first line, and return a descriptor that appends."""
    log.parent.mkdir(parents=True, exist_ok=True)
    _trim(log)
    fd = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    say(fd, f"{_begin(invocation)} of {unit}, {at.isoformat(timespec='seconds')}")
    return fd


def say(fd: int, line: str) -> None:
    os.write(fd, line.encode("utf-8", "surrogateescape") + b"\n")


def say_end(fd: int, invocation: str, ending: tuple[str, str, str], at: datetime) -> None:
    result, code, status = ending
    how = f"{result}, {code or 'never ran'}, status={status}, {at.isoformat(timespec='seconds')}"
    # The training may have ended in the middle of a line.
    say(fd, f"\n{_begin(invocation)} ended: {how}")


@dataclass(frozen=True, slots=True)
class Mark:
    """A line of ours: a run begins or ends. `at` is None where an end of an older version says no time."""

    invocation: str
    begins: bool
    at: datetime | None


def mark(line: str) -> Mark | None:
    """What the line says, if it is one of ours."""
    for pattern, begins in ((_BEGINS, True), (_ENDS, False)):
        if told := pattern.fullmatch(line):
            try:
                at = datetime.fromisoformat(told[2] or "").astimezone()
            except ValueError:
                at = None
            return Mark(told[1], begins, at)
    return None


def last_lines(log: Path, invocation: str, last: int) -> list[str]:
    """The last lines of that run; none where the log doesn't know it (any more)."""
    kept: deque[str] = deque(maxlen=max(0, last))
    try:
        with log.open("rb") as file:
            kept.extend(_of(file, invocation, lambda: False))
    except FileNotFoundError:
        return []
    return list(kept)


def followed(log: Path, invocation: str, *, running: Callable[[], bool]) -> Iterator[str]:
    """That run's lines as they come, until it has ended or `running` says no and all are out."""
    try:
        file = log.open("rb")
    except FileNotFoundError:
        return
    with file:  # stays the same file when a later run trims the log
        yield from _of(file, invocation, running)


def _of(file: IO[bytes], invocation: str, running: Callable[[], bool]) -> Iterator[str]:
    ours = False
    begin = _begin(invocation)
    for line in _lines(file, running):
        if line.startswith("=== run "):
            if line.startswith(f"{begin} ended: "):
                yield line
                return
            if ours:
                return  # the next run began: nobody wrote the end of this one
            ours = line.startswith(begin)
        elif ours and line:  # journald leaves empty lines out, too
            yield line


def _lines(file: IO[bytes], running: Callable[[], bool]) -> Iterator[str]:
    """The file's lines; at its end it waits while `running`."""
    rest = b""
    while True:
        # Asked before reading: what is read after the end is all there is.
        more = running()
        for part in file:
            rest += part
            if rest.endswith(b"\n"):
                yield text(rest)
                rest = b""
        if not more:
            break
        clock.pause(LOOK_AGAIN)
    if rest:
        yield text(rest)


def text(line: bytes) -> str:
    # A progress bar draws over itself; what one would see is what it drew last.
    return line.decode("utf-8", "replace").rstrip("\r\n").rpartition("\r")[2]


def _begin(invocation: str) -> str:
    return f"=== run {invocation}"


def kept(file: IO[bytes]) -> str:
    """What is left of the log when it is trimmed: its end, or all of it."""
    size = os.fstat(file.fileno()).st_size
    file.seek(max(0, size - KEPT))
    if size > KEPT:
        file.readline()  # the rest of a line
    return file.read().decode("utf-8", "replace")


def _trim(log: Path) -> None:
    try:
        with log.open("rb") as file:
            if os.fstat(file.fileno()).st_size > KEPT:
                write_whole(log, kept(file))
    except FileNotFoundError:
        return
