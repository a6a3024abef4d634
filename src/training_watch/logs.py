"""What a training and the watcher have said: which run is meant, and each line as people and programs read it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from training_watch.config import Job
from training_watch.describe import day_time, repeated
from training_watch.events import Run
from training_watch.history import SHORT
from training_watch.launching import MANAGER, SUPERVISOR, Begin, Line
from training_watch.overview import run_words
from training_watch.screen import Screen, Style, Styled, bad, dim, warned
from training_watch.typed import Typed

# Lines of the watcher before a run: what it saw, and what it waited for. Arbitrary.
LEAD = 3
# Lines of both where nothing has trained yet. Arbitrary.
WITHOUT_RUN = 50
# Runs that are named to someone who named none of them.
NAMED = 3
# syslog(3): from here on, and up to here.
_ERROR, _WARNING = 3, 4
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_TIME = len("2026-02-16T14:00:43+00:00")


class UnknownRun(Exception):
    """No run has that name, or several have; the message says which there are."""


@dataclass(frozen=True, slots=True)
class Known:
    """A run that the log knows of, or the history, or both."""

    begin: Begin
    run: Run | None

    @property
    def short(self) -> str:
        return self.begin.invocation[:SHORT]

    def words(self, now: datetime) -> str:
        how = f", {self.run.outcome or 'no end recorded'}" if self.run else ""
        return f"{self.short} ({day_time(self.begin.at, now)}{how})"


def known(begins: Iterable[Begin], runs: Iterable[Run]) -> list[Known]:
    """All of them, oldest first."""
    recorded = {run.invocation: run for run in runs}
    found = {each.invocation: Known(each, recorded.get(each.invocation)) for each in begins}
    for run in recorded.values():
        found.setdefault(run.invocation, Known(Begin(run.invocation, run.began.calendar), run))
    return sorted(found.values(), key=lambda each: each.begin.at)


def named(begun: str, runs: Sequence[Known], now: datetime, typed: Typed) -> Known:
    """The run whose name begins so. Raises UnknownRun, with what to type instead."""
    found = [each for each in runs if begun and each.begin.invocation.startswith(begun.lower())]
    if len(found) == 1:
        return found[0]
    if not runs:
        raise UnknownRun(f"nothing has trained yet: `{typed('status')}` says what it waits for")
    last = ", ".join(each.words(now) for each in reversed((found or runs)[-NAMED:]))
    if found:
        raise UnknownRun(f"{len(found)} runs begin with {begun!r}: {last}; write more of it")
    raise UnknownRun(f"no run begins with {begun!r}; the last ones are {last}: name one of them")


@dataclass(frozen=True, slots=True)
class Voices:
    """Lines for people: when, who, what. `others` are jobs of which the watcher speaks, too, and nobody asked."""

    screen: Screen
    job: Job
    watcher: str
    others: tuple[str, ...] = ()

    def meant(self, lines: Iterable[Line]) -> list[Line]:
        """Without what the watcher says of other jobs, and what it repeats of this one's training."""
        others = (repeated(self.job.name), *(f"{name}: " for name in self.others))
        return [line for line in lines if line.unit != self.watcher or not line.message.startswith(others)]

    def line(self, line: Line) -> str:
        when = line.at.astimezone().isoformat(timespec="seconds") if line.at is not None else " " * _TIME
        who = f"{line.who}:".ljust(self._widest() + 1)
        message = seen(line.message)
        if line.who in (MANAGER, SUPERVISOR):
            return self.screen.verbatim(dim(f"{when} {who} "), _weighed(message, line.priority, Style.DIM))
        style = None if line.unit == self.watcher else Style.STRONG
        return self.screen.verbatim(
            dim(when), " ", Styled(who, style), " ", _weighed(message, line.priority, None)
        )

    def _widest(self) -> int:
        return max(len(Path(unit).stem) for unit in (self.job.service, self.watcher))


def result(screen: Screen, told: Known, now: datetime) -> list[str]:
    """How a run went, from the history."""
    if told.run is None:
        return screen.line(
            f"run {told.short}: ", warned("its beginning was not recorded, so its end is not known")
        )
    lines = screen.line(f"run {told.short}: ", *run_words(told.run, now))
    if told.run.quality:
        lines += screen.line("quality: ", told.run.quality, indent=2)
    if told.run.error:
        lines += screen.line("it said: ", warned(told.run.error), indent=2)
    return lines


def as_json(line: Line) -> dict[str, Any]:
    """One line for programs, its message as it was written."""
    return {
        "time": line.at.isoformat() if line.at is not None else None,
        "unit": line.unit,
        "by": line.who,
        "invocation": line.invocation or None,
        "priority": line.priority,
        "message": line.message,
    }


def seen(message: str) -> str:
    """What a terminal would show in the end: a progress bar as it was drawn last, and no colours."""
    return _COLOURS.sub("", message).rstrip("\r").rpartition("\r")[2]


def _weighed(text: str, priority: int, style: Style | None) -> Styled:
    if priority <= _ERROR:
        return bad(text)
    return warned(text) if priority == _WARNING else Styled(text, style)
