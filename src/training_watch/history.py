"""The runs of the past: which there are, a table of them for people, the same for programs.

It reads state.db, and never changes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from training_watch import places
from training_watch.config import Job
from training_watch.cooldown import since
from training_watch.database import Unwritten, opened_to_read
from training_watch.describe import counted, day_time, ending
from training_watch.events import Outcome, Run
from training_watch.launching import Launcher, LaunchError
from training_watch.overview import outcome_word
from training_watch.runs import KEPT, Runs
from training_watch.screen import Screen, Styled, Words, bad, columns, dim, warned
from training_watch.status import run_json
from training_watch.timespan import seconds, took

# Changes when a key of the JSON changes its meaning or goes. New keys may come.
SCHEMA = 1
# Of an invocation's 32 characters: what people read, and `logs --run` takes.
SHORT = 8
# Columns that a result wants beside its run; where there are fewer, it stands below, so far in. Arbitrary.
ROOM, INDENT = 40, 10


@dataclass(frozen=True, slots=True)
class Past:
    """A run, and which job's it was."""

    job: Job
    run: Run

    @property
    def short(self) -> str:
        return self.run.invocation[:SHORT]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which runs are asked for: those that ended otherwise than well, those that began then or later.

    `words` is how it was asked for.
    """

    failed: bool = False
    since: datetime | None = None
    words: str = ""

    def __contains__(self, run: Run) -> bool:
        if self.failed and run.outcome in (None, Outcome.SUCCEEDED):
            return False
        return self.since is None or run.began.calendar >= self.since


@contextmanager
def runs_of(job: Job) -> Iterator[Runs | None]:
    """A job's runs to be read; None where nothing was ever recorded. Raises DatabaseError."""
    path = places.database()
    if not path.exists():
        yield None
        return
    with ExitStack() as stack:
        try:
            connection = stack.enter_context(opened_to_read(path))
        except Unwritten:
            yield None
            return
        yield Runs(connection, job.service, job.name)


def past_of(job: Job, launcher: Launcher) -> list[Past]:
    """All runs of the job that are recorded, newest first. Raises DatabaseError."""
    with runs_of(job) as runs:
        if runs is None:
            return []
        found = runs.all(KEPT)
        unended = {run.invocation for run in found if run.outcome is None}
        if unended:
            # Asked in this order, a run that begins or ends meanwhile is never taken for an interrupted one.
            active = _active(launcher, otherwise=unended)
            found = tuple(_honest(run, unended - active) for run in runs.all(KEPT))
    return [Past(job, run) for run in reversed(found)]


def table(screen: Screen, runs: Sequence[Past], now: datetime, *, jobs: bool) -> list[str]:
    """The runs for people; with `jobs` each line names its job."""
    heading = [*(["job"] if jobs else []), "run", "began", "outcome", "took", "by", "files", "result"]
    rows: list[list[Words]] = [
        [*([past.job.name] if jobs else []), *_row(past.run, past.short, now)] for past in runs
    ]
    results = [_result(past.run) for past in runs]
    narrow = screen.table(heading[:-1], rows)
    taken = max(map(columns, Screen().table(heading[:-1], rows)))
    if screen.width is None or screen.width - taken >= ROOM:
        return screen.table(heading, [[*row, result] for row, result in zip(rows, results, strict=True)])
    lines = narrow[:1]
    for line, result in zip(narrow[1:], results, strict=True):
        lines += [line, *(screen.line(result, indent=INDENT) if result.text else [])]
    return lines


def rest(screen: Screen, shown: int, matching: int) -> list[str]:
    """That there are more, and how to see them."""
    return screen.line(dim(f"{shown} of {counted(matching, 'run')}: -n {matching} shows all"))


def as_json(runs: Sequence[Past]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "runs": [{"job": past.job.name, "unit": past.job.service, **run_json(past.run)} for past in runs],
    }


def nothing(jobs: Sequence[Job], every: Sequence[Past], wanted: Filter, now: datetime, program: str) -> str:
    """Why no run is shown, and what to do."""
    names = " and ".join(job.name for job in jobs)
    if not every:
        verb = "has" if len(jobs) == 1 else "have"
        return f"{names} {verb} not trained yet: `{program} status` says what it waits for"
    last = day_time(every[0].run.began.calendar, now)
    return (
        f"no run of {names} matches {wanted.words} ({counted(len(every), 'run')}, the last one began {last})"
    )


def moment(text: str, now: datetime) -> datetime:
    """An ISO 8601 date or time, or a time span ago. Raises ValueError with what is wrong."""
    right = "write it like 2026-02-16, '2026-02-16 09:00', 3h or 2d"
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        pass
    if text.strip().isdecimal():
        raise ValueError(f"{text!r} has no unit: {right}")
    try:
        return now - timedelta(seconds=seconds(text))
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time: {right}") from None


def _row(run: Run, short: str, now: datetime) -> list[Words]:
    return [
        dim(short),
        day_time(run.began.calendar, now),
        outcome_word(run),
        took(since(run.began, run.ended)) if run.ended else "",
        "forced" if run.forced else str(run.starter),
        f"{run.files:,}" if run.files is not None else "",
    ]


def _result(run: Run) -> Styled:
    """What came of it: how good the result is, or how it ended and what the training said."""
    if run.outcome in (None, Outcome.SUCCEEDED):
        return Styled(run.quality)
    words = ": ".join(filter(None, [ending(run.status), run.error]))
    return bad(words) if run.outcome is Outcome.FAILED else warned(words)


def _active(launcher: Launcher, *, otherwise: set[str]) -> set[str]:
    """The invocation of the run that is active; `otherwise` where nobody can say."""
    try:
        unit = launcher.state()
    except LaunchError:
        return otherwise
    if not unit.active:
        return set()
    return {unit.invocation} if unit.invocation else otherwise


def _honest(run: Run, dead: set[str]) -> Run:
    """A run that is not active and has no end was interrupted, also as long as nobody has recorded that."""
    if run.outcome is not None or run.invocation not in dead:
        return run
    return replace(run, outcome=Outcome.INTERRUPTED, ended=run.alive)
