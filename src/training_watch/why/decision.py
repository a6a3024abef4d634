"""The rule's questions in their order, as they were answered for one job: each passed until one decides.

Which one decides is what decide.order says; nothing is decided here again.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from training_watch import places
from training_watch.describe import clock_time, comes_back, day_time, files, logs_of, start_it
from training_watch.events import Moment, Outcome, Reason
from training_watch.published import DaemonReport
from training_watch.status import JobStatus
from training_watch.timespan import spoken
from training_watch.typed import Typed


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
    """The steps, and the ways round the one that decided; what the last steps, after that one, would have asked."""

    steps: tuple[Step, ...]
    ways: tuple[Way, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Daemon:
    """The daemon beside the job.

    `report` is None where none runs; then systemd starts one by itself within `back` seconds, if that isn't None.
    `anew` makes one that runs read the configuration, where it goes by an older text of it.
    """

    report: DaemonReport | None
    anew: str | None = None
    back: float | None = None


# As decide asks them: while git is busy a burst is held, so these two are one question.
QUESTIONS = (
    Reason.RUNNING, Reason.SETTLING, Reason.NOTHING, Reason.OBSTACLE, Reason.REFUSED, Reason.RETRIES, Reason.OWN,
    Reason.COOLDOWN, Reason.BALKED,
)  # fmt: skip
# What only the daemon knows.
_OF_THE_DAEMON = frozenset({Reason.SETTLING, Reason.OBSTACLE, Reason.BALKED})


def decision_of(status: JobStatus, now: Moment, daemon: Daemon, *, typed: Typed) -> Decision:
    """How the rule came to what the job waits for. `typed` is how a person calls this program for it."""
    decided = Reason.SETTLING if status.reason is Reason.GIT else status.reason
    steps, after = [_daemon(status, daemon)], list[str]()
    asked = True
    for question in QUESTIONS:
        if question is decided:
            steps.append(Step(str(status.reason), False, status.line))
            asked = False
        elif not asked:
            steps.append(Step(str(question), None, _OPEN[question]))
            after.append(_SUBJECTS[question])
        elif question in _OF_THE_DAEMON and status.report is None:
            steps.append(Step(str(question), None, f"{_OPEN[question]}, only the daemon would know"))
        else:
            steps.append(Step(str(question), True, _PASSED[question](status, now)))
    words = {
        "trigger": typed("trigger"),
        "logs": typed("logs"),
        "doctor": f"{typed.program} doctor",
        "marker": _path(status.job.marker),
    }
    ways = [Way(way.command.format_map(words), way.what) for way in _ways(status)]
    if status.last is not None and status.last.outcome in (Outcome.FAILED, Outcome.INTERRUPTED):
        ways.insert(0, Way(logs_of(status.last.invocation, typed), "what the last one said"))
    if daemon.anew is not None:
        ways.insert(0, Way(daemon.anew, "let the configuration count"))
    if daemon.report is None and daemon.back is None:
        ways.insert(0, Way(start_it([status.job], typed.program), "start the daemon"))
    return Decision(tuple(steps), tuple(ways), tuple(after))


def _daemon(status: JobStatus, daemon: Daemon) -> Step:
    match daemon:
        case Daemon(report=None, back=None):
            return Step("daemon", False, "no daemon runs: nothing starts by itself")
        case Daemon(report=None, back=float(within)):
            return Step("daemon", False, f"no daemon runs: {comes_back(within)}")
        case Daemon(anew=str()) if status.report is None:
            told = "the daemon runs, but doesn't know this job yet: the configuration has changed since it read it"
            return Step("daemon", False, told)
        case Daemon(anew=str()):
            told = "the daemon runs, by an older text of the configuration, and the limits below are of that"
            return Step("daemon", None, told)
        case _ if status.report is None:
            return Step("daemon", None, "the daemon runs, and has said nothing yet")
        case _:
            return Step("daemon", True, "the daemon runs, and keeps this job")


def _ways(status: JobStatus) -> Sequence[Way]:
    """The ways round what decided, their commands yet to be filled in."""
    held = status.verdict.left > 0
    match status.reason:
        case None:
            return ()
        case Reason.SETTLING | Reason.GIT:
            return (_FORCE if held else _NOW,)
        case Reason.NOTHING if status.absent:  # to train without what they held is what nobody wants
            return (_DOCTOR,)
        case Reason.NOTHING if status.last is None:
            return (Way(_FORCE.command if held else _NOW.command, "train it for the first time"),)
        case reason:
            return _WAYS[reason]


_OPEN = {
    Reason.RUNNING: "whether nothing runs",
    Reason.SETTLING: "whether the edit has settled",
    Reason.NOTHING: "whether the content differs from what was last trained",
    Reason.OBSTACLE: "whether the installed unit is what the configuration says",
    Reason.REFUSED: "whether the training would take this content at all",
    Reason.RETRIES: "whether there are retries left",
    Reason.OWN: "whether there are other changes than the training's own",
    Reason.COOLDOWN: "whether the cooldown is over",
    Reason.BALKED: "whether the last start came to something",
}


# The same in a word or two.
_SUBJECTS = {
    Reason.SETTLING: "the edit",
    Reason.NOTHING: "content",
    Reason.OBSTACLE: "unit",
    Reason.REFUSED: "refusal",
    Reason.RETRIES: "retries",
    Reason.OWN: "own changes",
    Reason.COOLDOWN: "cooldown",
    Reason.BALKED: "last start",
}


def _settled(status: JobStatus, _: Moment) -> str:
    settings = status.settings
    quiet, patience = spoken(settings.debounce), spoken(settings.max_wait)
    return f"no edit is under way (one settles after {quiet} of quiet, or {patience} after it began)"


def _differs(status: JobStatus, _: Moment) -> str:
    count = status.state.pending.count if status.state.pending else 0
    return f"{files(count)} differ{'s' if count == 1 else ''} from what was last trained"


def _retries(status: JobStatus, _: Moment) -> str:
    return f"{status.tries} of {1 + status.settings.retries} tries on this content are used"


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
    Reason.REFUSED: lambda _, __: (
        "the training has not refused this content (exit status 3 or 78 would have)"
    ),
    Reason.RETRIES: _retries,
    Reason.OWN: lambda _, __: "what is left was not only written by the training itself",
    Reason.COOLDOWN: _rested,
    Reason.BALKED: _balked,
}

_FORCE = Way("{trigger} --force", "train now, in spite of it")
_AGAIN = Way("{trigger} --force", "try again, when the cause is mended")
_NOW = Way("{trigger}", "train now, as the cooldown is over")
_DOCTOR = Way("{doctor}", "what is wrong, and how to mend it")
_WAYS = {
    Reason.RUNNING: (Way("{logs} -f", "follow it"),),
    Reason.NOTHING: (Way("{trigger} --force", "train the same content again"),),
    Reason.RETRIES: (_AGAIN,),
    Reason.REFUSED: (_AGAIN,),
    Reason.OWN: (Way("{doctor}", "which line leaves them out"), _FORCE),
    Reason.COOLDOWN: (_FORCE, Way("rm {marker}", "forget the cooldown")),
    Reason.BALKED: (_DOCTOR,),
    Reason.OBSTACLE: (_DOCTOR,),
}


def _path(path: Path) -> str:
    """A path as it is typed in a shell."""
    home = places.home()
    return f"~/{shlex.quote(str(path.relative_to(home)))}" if home in path.parents else shlex.quote(str(path))
