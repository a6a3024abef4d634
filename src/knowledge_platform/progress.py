"""Where a training is, told to people: bars on a terminal, plain lines in a journal, and the status file beside either."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, TextIO

import click

from knowledge_platform.clock import Clock
from knowledge_platform.status import Result, StatusFile

PHASES = ("infra", "validation", "ingest", "training", "evaluation", "deployment")

LINE_INTERVAL = 10.0  # seconds: a journal line that says nothing new more often is noise
SETTLING = 1.0  # seconds of work before it tells how long the rest takes: the first moments are no measure
STEP_INTERVAL = 1.0  # seconds: tenths of a quick phase are not worth ten lines


class View(Protocol):
    """One way of showing progress."""

    def begin(self, label: str) -> None: ...
    def expect(self, total: int, unit: str) -> None: ...
    def advance(self, done: int, remaining: float | None) -> None: ...
    def end(self, summary: str) -> None: ...
    def note(self, text: str) -> None: ...
    def close(self) -> None: ...


class Lines:
    """Plain lines: one at each phase's end, and in long ones every ten seconds or tenth of the way."""

    def __init__(self, stream: TextIO, clock: Clock) -> None:
        self._stream = stream
        self._clock = clock
        self._label = ""
        self._total = 0
        self._unit = ""
        self._said_at = clock.elapsed()
        self._said = 0

    def begin(self, label: str) -> None:
        self._label, self._total, self._said = label, 0, 0
        self._said_at = self._clock.elapsed()

    def expect(self, total: int, unit: str) -> None:
        self._total, self._unit = total, unit

    def advance(self, done: int, remaining: float | None) -> None:
        silent = self._clock.elapsed() - self._said_at
        tenth = (done - self._said) * 10 >= self._total
        if silent >= LINE_INTERVAL or (tenth and silent >= STEP_INTERVAL):
            self._said, self._said_at = done, self._clock.elapsed()
            left = "" if remaining is None else f", {duration(remaining)} left in all"
            self.note(f"{self._label}: {done} of {self._total} {self._unit}{left}")

    def end(self, summary: str) -> None:
        self.note(f"{self._label}: {summary}")

    def note(self, text: str) -> None:
        print(text, file=self._stream, flush=True)

    def close(self) -> None:
        """Nothing is left open."""


class Bars:
    """One bar a phase, for as long as the phase lasts; then its summary in the bar's place."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._label = ""
        self._bar: click.progressbar[int] | None = None  # type: ignore[valid-type]
        self._done = 0
        self._remaining: float | None = None

    def begin(self, label: str) -> None:
        self._label = label

    def expect(self, total: int, unit: str) -> None:
        self.close()
        self._done = 0
        self._remaining = None
        # click's own estimate counts steps, which aren't of equal length, and knows nothing of the phases that follow.
        self._bar = click.progressbar(
            length=total,
            label=f"{self._label} ({unit})",
            file=self._stream,
            show_eta=False,
            show_percent=True,
            item_show_func=lambda _: (
                "" if self._remaining is None else f"{duration(self._remaining)} left in all"
            ),
        )
        self._bar.__enter__()

    def advance(self, done: int, remaining: float | None) -> None:
        self._remaining = remaining
        if self._bar is not None:
            self._bar.update(done - self._done)
            self._done = done

    def end(self, summary: str) -> None:
        self.close()
        self.note(f"{self._label}: {summary}")

    def note(self, text: str) -> None:
        click.echo(text, file=self._stream)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.__exit__(None, None, None)
            self._bar = None
            # The bar's own line is done with: go back to its start and clear it (ECMA-48 EL).
            self._stream.write("\x1b[1A\r\x1b[2K")


class Progress:
    """Tells the view and the status file alike. Phases come in the order of PHASES."""

    def __init__(self, view: View, status: StatusFile, clock: Clock) -> None:
        self._view = view
        self._status = status
        self._clock = clock
        self._done = 0
        self._phase: str | None = None
        self._phase_began = clock.elapsed()
        self._work = _Work(0, clock.elapsed())
        self._foreseen: dict[str, float] = {}
        self.seconds: dict[str, float] = {}

    def begin(self, phase: str) -> None:
        number = PHASES.index(phase) + 1
        self._phase, self._done = phase, 0
        self._phase_began = self._clock.elapsed()
        self._status.phase(phase, number, len(PHASES))
        self._view.begin(f"[{number}/{len(PHASES)}] {phase}")

    def foresee(self, seconds: Mapping[str, float]) -> None:
        """How long phases are likely to take: what the time that remains is made of, beside the work at hand."""
        self._foreseen |= seconds

    def expect(self, total: int, unit: str, *, work: int | None = None) -> None:
        """How much there is to do now. `work`, in units of any kind, where one of `total` may be longer than another."""
        self._done = 0
        self._work = _Work(total if work is None else work, self._clock.elapsed())
        self._status.expect(total, unit)
        self._view.expect(total, unit)

    def advance(self, count: int = 1, *, work: int | None = None) -> None:
        """So many more are done."""
        self._done += count
        self._work.done += count if work is None else work
        remaining = self._remaining()
        self._status.advance(self._done, remaining)
        self._view.advance(self._done, remaining)

    def end(self, summary: str) -> None:
        self._spent()
        self._status.message(summary)
        self._view.end(summary)

    def note(self, text: str) -> None:
        """Something that people should know, and that stops nothing."""
        self._view.note(text)

    def finish(
        self,
        result: Result,
        *,
        message: str | None = None,
        error: str | None = None,
        quality: str | None = None,
    ) -> None:
        self._spent()
        self._view.close()
        self._status.finish(result, message=message, error=error, quality=quality)

    def _remaining(self) -> float | None:
        """Seconds until the end of the training; None where nobody can know yet."""
        left = self._work.left(self._clock.elapsed())
        later = PHASES[PHASES.index(self._phase) + 1 :] if self._phase else ()
        if left is None or not all(phase in self._foreseen for phase in later):
            return None
        return left + sum(self._foreseen[phase] for phase in later)

    def _spent(self) -> None:
        if self._phase is not None:
            self.seconds[self._phase] = round(self._clock.elapsed() - self._phase_began, 3)


@dataclass(slots=True)
class _Work:
    """What is being done: how much in all, since when, and how much of it."""

    total: int
    began: float
    done: int = 0

    def left(self, now: float) -> float | None:
        spent = now - self.began
        if spent < SETTLING or not self.done:
            return None
        return spent / self.done * max(0, self.total - self.done)


def duration(seconds: float) -> str:
    """For people: the minutes where there are many seconds."""
    if seconds < 99.5:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60} min"
