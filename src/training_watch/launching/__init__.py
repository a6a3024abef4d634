"""Starting the training: what a launcher promises, whoever does it.

systemd.py asks the user manager; process.py runs the command itself where there is none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


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
        """The last lines that this activation has logged, without time stamps."""

    def follow(self, invocation: str) -> Iterator[str]:
        """Its lines from the first, as they come, until it has ended and all are out."""

    def hints(self) -> list[str]:
        """The commands with which a person follows the run."""
