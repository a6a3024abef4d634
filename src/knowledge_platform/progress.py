"""Where a training is, told to people: bars on a terminal, plain lines in a journal, and the status file beside either."""

from typing import Protocol, TextIO

import click

from knowledge_platform.clock import Clock
from knowledge_platform.status import Result, StatusFile

PHASES = ("infra", "validation", "ingest", "training", "evaluation", "deployment")

LINE_INTERVAL = 10.0  # seconds: a journal line that says nothing new more often is noise
STEP_INTERVAL = 1.0  # seconds: tenths of a quick phase are not worth ten lines


class View(Protocol):
    """One way of showing progress."""

    def begin(self, label: str) -> None: ...
    def expect(self, total: int, unit: str) -> None: ...
    def advance(self, done: int) -> None: ...
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

    def advance(self, done: int) -> None:
        silent = self._clock.elapsed() - self._said_at
        tenth = (done - self._said) * 10 >= self._total
        if silent >= LINE_INTERVAL or (tenth and silent >= STEP_INTERVAL):
            self._said, self._said_at = done, self._clock.elapsed()
            self.note(f"{self._label}: {done} of {self._total} {self._unit}")

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

    def begin(self, label: str) -> None:
        self._label = label

    def expect(self, total: int, unit: str) -> None:
        self.close()
        self._done = 0
        self._bar = click.progressbar(length=total, label=f"{self._label} ({unit})", file=self._stream)
        self._bar.__enter__()

    def advance(self, done: int) -> None:
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
        self.seconds: dict[str, float] = {}

    def begin(self, phase: str) -> None:
        number = PHASES.index(phase) + 1
        self._phase, self._done = phase, 0
        self._phase_began = self._clock.elapsed()
        self._status.phase(phase, number, len(PHASES))
        self._view.begin(f"[{number}/{len(PHASES)}] {phase}")

    def expect(self, total: int, unit: str) -> None:
        """How much there is to do in this phase."""
        self._done = 0
        self._status.expect(total, unit)
        self._view.expect(total, unit)

    def advance(self, count: int = 1) -> None:
        """So many more are done."""
        self._done += count
        self._status.advance(self._done)
        self._view.advance(self._done)

    def end(self, summary: str) -> None:
        self._spent()
        self._status.message(summary)
        self._view.end(summary)

    def note(self, text: str) -> None:
        """Something that people should know, and that stops nothing."""
        self._view.note(text)

    def finish(self, result: Result, *, message: str | None = None, error: str | None = None) -> None:
        self._spent()
        self._view.close()
        self._status.finish(result, message=message, error=error)

    def _spent(self) -> None:
        if self._phase is not None:
            self.seconds[self._phase] = round(self._clock.elapsed() - self._phase_began, 3)
