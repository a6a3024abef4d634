"""Starting the training: what a launcher promises, whoever does it.

systemd.py asks the user manager; process.py runs the command itself where there is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

# Who speaks where it is neither the training nor the watcher: the service manager, or what does its work.
MANAGER, SUPERVISOR = "systemd", "supervisor"


# How the lines begin that the record of a run's two ends writes into the run's own log.
BEGINS, UPDATED, AVAILABLE = "Training begins; ", "Training marker updated: ", "Next training available: "
RECORDED = (BEGINS, UPDATED, AVAILABLE)


class LaunchError(Exception):
    """The system can't start or show the unit; the message says what, where and what to do now.

    NoManager and NoUnit are the two that a person can mend.
    """


class NoManager(LaunchError):
    """There is no user manager to ask."""


class NoUnit(LaunchError):
    """The manager knows no such unit."""


@dataclass(frozen=True, slots=True)
class UnitState:
    """What the launcher says of the unit now.

    `active` covers activating and deactivating: from the start job to the end of ExecStopPost=.
    `queued`: a job (start, stop) waits for it or runs. `invocation` is the present activation's name,
    or the last one's as long as the launcher remembers it, else empty. `result` and `status` are the
    last activation's $SERVICE_RESULT and $EXIT_STATUS (systemd.exec(5)). `stopping`: a stop job runs.
    """

    active: bool
    queued: bool = False
    stopping: bool = False
    invocation: str = ""
    result: str = ""
    status: str = ""


@dataclass(frozen=True, slots=True)
class Started:
    """A new activation began; this is its name."""

    invocation: str


@dataclass(frozen=True, slots=True)
class NotStarted:
    """No activation began, or it was skipped at its very beginning."""

    why: str


class Launcher(Protocol):
    """Starts one unit, and says how it is. All raise LaunchError where the system can't be asked."""

    def state(self) -> UnitState: ...

    def start(self, *, within: float) -> Started | NotStarted:
        """Order a start and return once a new invocation is seen, at most `within` seconds later."""

    def lines(self, invocation: str, *, last: int) -> list[str]:
        """The last lines that the training itself has logged, without time stamps."""

    def follow(self, invocation: str) -> Iterator[str]:
        """Its lines from the first, as they come, until it has ended and all are out."""

    def hints(self) -> list[str]:
        """The commands with which a person follows the run."""


@dataclass(frozen=True, slots=True)
class Begin:
    """A run that the log knows of."""

    invocation: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Line:
    """One line that was logged.

    `at` is None where nobody noted the time: it is not before the line that stands before it. `who`: the unit's short
    name, MANAGER or SUPERVISOR. `priority` is syslog(3)'s, 6 for what is not told apart. `invocation`: the run that it
    is of, else empty.
    """

    at: datetime | None
    unit: str
    who: str
    message: str
    priority: int = 6
    invocation: str = ""


class Log(Protocol):
    """What a training and the watcher have said. All raise LaunchError where it can't be read."""

    def begins(self) -> list[Begin]:
        """The runs that it still has, oldest first."""

    def of_run(self, invocation: str) -> list[Line]:
        """All lines of that run, oldest first."""

    def heard(self, since: Begin | None, *, lead: int) -> Iterator[list[Line]]:
        """All lines of both since a run's beginning, as one list, then for ever those that come.

        Before them `lead` lines of the watcher. Without `since`: the last `lead` lines of both.
        """
