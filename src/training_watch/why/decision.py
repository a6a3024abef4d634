"""The rule's questions in their order, as they were answered for one job: each passed until one decides.

Which one decides is what decide.order says; nothing is decided here again.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from training_watch import places
from training_watch.decide import State, failures
from training_watch.describe import clock_time, counted, day_time, files, start_it
from training_watch.events import Moment, Reason
from training_watch.status import JobStatus
from training_watch.timespan import spoken


@dataclass(frozen=True, slots=True)
class Step:
    """One question; `passed` is None where an earlier one has decided, or nobody knows the answer."""

    name: str
    passed: bool | None
    told: str


@dataclass(frozen=True, slots=True)
class Way:
    """A command to type, and what comes of it."""

    command: str
    what: str


@dataclass(frozen=True, slots=True)
class Decision:
    """The steps, and the ways round the one that decided."""

    steps: tuple[Step, ...]
    ways: tuple[Way, ...]


# As decide asks them: while git is busy a burst is held, so these two are one question.
QUESTIONS = (
    Reason.RUNNING, Reason.SETTLING, Reason.NOTHING, Reason.OBSTACLE, Reason.REFUSED, Reason.RETRIES, Reason.OWN,
    Reason.COOLDOWN, Reason.BALKED,
)  # fmt: skip
# What only the daemon knows.
_OF_THE_DAEMON = frozenset({Reason.SETTLING, Reason.OBSTACLE, Reason.BALKED})


def decision_of(status: JobStatus, now: Moment, *, trigger: str) -> Decision:
    """How the rule came to what the job waits for. `trigger` is the command that starts it."""
    decided = Reason.SETTLING if status.reason is Reason.GIT else status.reason
    steps, asked = [_daemon(status)], True
    for question in QUESTIONS:
        if question is decided:
            steps.append(Step(str(status.reason), False, status.line))
            asked = False
        elif not asked:
            steps.append(Step(str(question), None, _OPEN[question]))
        elif question in _OF_THE_DAEMON and status.report is None:
            steps.append(Step(str(question), None, f"{_OPEN[question]}: only the daemon would know"))
        else:
            steps.append(Step(str(question), True, _PASSED[question](status, now)))
    ways = _WAYS.get(status.reason, ()) if status.reason else ()
    told = [
        Way(way.command.format(trigger=trigger, marker=_typed(status.job.marker)), way.what) for way in ways
    ]
    if status.report is None:
        told.insert(0, Way(start_it([status.job]), "start the daemon"))
    return Decision(tuple(steps), tuple(told))


def _daemon(status: JobStatus) -> Step:
    if status.report is None:
        return Step("daemon", False, "no daemon runs, or it has said nothing yet: nothing starts by itself")
    return Step("daemon", True, "the daemon runs, and keeps this job")


_OPEN = {
    Reason.RUNNING: "does nothing run?",
    Reason.SETTLING: "has the edit settled?",
    Reason.NOTHING: "does the content differ from what was last trained?",
    Reason.OBSTACLE: "is the installed unit what the configuration says?",
    Reason.REFUSED: "has the training not refused this content for good?",
    Reason.RETRIES: "are there retries left?",
    Reason.OWN: "are there other changes than the training's own?",
    Reason.COOLDOWN: "is the cooldown over?",
    Reason.BALKED: "did the last start come to something?",
}


def _settled(status: JobStatus, _: Moment) -> str:
    settings = status.job.settings
    quiet, patience = spoken(settings.debounce), spoken(settings.max_wait)
    return f"no edit is under way (one settles after {quiet} of quiet, or {patience} after it began)"


def _differs(status: JobStatus, _: Moment) -> str:
    count = status.state.pending.count if status.state.pending else 0
    return f"{files(count)} differ{'s' if count == 1 else ''} from what was last trained"


def _retries(status: JobStatus, _: Moment) -> str:
    tries = _tries(status.state)
    return f"tried {counted(tries, 'time')} on this content, of {1 + status.job.settings.retries} at most"


def _rested(status: JobStatus, now: Moment) -> str:
    ended = status.verdict.last_trained
    if ended is None:
        return "there is no marker, so no cooldown"
    cooldown = spoken(status.verdict.cooldown)
    return f"the cooldown is over: {cooldown} since {day_time(ended, now.calendar)}, when the last training ended"


def _balked(status: JobStatus, now: Moment) -> str:
    if not status.state.balks:
        return "no start came to nothing"
    return f"time to try again, after a start came to nothing at {clock_time(status.state.balked_at, now)}"


_PASSED: dict[Reason, Callable[[JobStatus, Moment], str]] = {
    Reason.RUNNING: lambda status, _: f"nothing runs: {status.job.service} is not active",
    Reason.SETTLING: _settled,
    Reason.NOTHING: _differs,
    Reason.OBSTACLE: lambda _, __: "the installed unit is what the configuration says",
    Reason.REFUSED: lambda _, __: "the training has not refused this content for good (exit status 3 or 78)",
    Reason.RETRIES: _retries,
    Reason.OWN: lambda _, __: "not only the training's own changes are left",
    Reason.COOLDOWN: _rested,
    Reason.BALKED: _balked,
}

_LOGS = Way("training-watch logs", "what it said")
_FORCE = Way("{trigger} --force", "train now, in spite of it")
_AGAIN = Way("{trigger} --force", "try again, when the cause is mended")
_NOW = Way("{trigger}", "train now, if the cooldown is over")
_DOCTOR = Way("training-watch doctor", "what is wrong, and how to mend it")
_WAYS = {
    Reason.RUNNING: (Way("training-watch logs -f", "follow it"),),
    Reason.SETTLING: (_NOW,),
    Reason.GIT: (_NOW,),
    Reason.NOTHING: (Way("{trigger} --force", "train the same content again"),),
    Reason.RETRIES: (_LOGS, _AGAIN),
    Reason.REFUSED: (_LOGS, _AGAIN),
    Reason.OWN: (Way("training-watch logs", "which line to add to `ignore`"), _FORCE),
    Reason.COOLDOWN: (_FORCE, Way("rm {marker}", "forget the cooldown")),
    Reason.BALKED: (_DOCTOR,),
    Reason.OBSTACLE: (_DOCTOR,),
}


def _typed(path: Path) -> str:
    """A path as it is typed in a shell."""
    home = places.home()
    return f"~/{shlex.quote(str(path.relative_to(home)))}" if home in path.parents else shlex.quote(str(path))


def _tries(state: State) -> int:
    return failures(state.history, state.pending.content) if state.pending else 0
