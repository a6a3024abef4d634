"""What can happen, and what is known: the words that the rest of the package speaks.

Values only. This module imports nothing of ours and asks neither a clock nor a disk.

Two time scales, never mixed:
  elapsed   seconds on CLOCK_BOOTTIME: for deadlines; a night asleep counts, a clock set back doesn't
  calendar  an aware datetime: for the marker, for people, and for what happened before this boot
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant on both time scales; `elapsed` can be compared within one boot only."""

    boot_id: str
    elapsed: float
    calendar: datetime


@dataclass(frozen=True, slots=True)
class Marker:
    """What the marker file says: when the last training ended.

    `boot_id` and `elapsed` are its second line; a marker that someone wrote by hand lacks it.
    `written` is the file's modification time; `readable` is false where the first line was no time,
    and then `ended` is `written`.
    """

    ended: datetime
    written: datetime
    boot_id: str | None = None
    elapsed: float | None = None
    readable: bool = True


class Outcome(StrEnum):
    """How a run ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"  # by a person or a shutdown: it counts for the cooldown, not for the retries
    INTERRUPTED = "interrupted"  # nobody recorded its end: power cut, kill -9 of the whole unit
    DEFERRED = "deferred"  # it exited 75 ("not now", sysexits.h EX_TEMPFAIL): that is no run


class Starter(StrEnum):
    """Who started a run."""

    DAEMON = "daemon"
    TRIGGER = "trigger"
    HAND = "hand"  # systemctl start, another unit, a timer


@dataclass(frozen=True, slots=True)
class Run:
    """One activation of the training unit, as the history has it.

    `content` names the pending content that it began with: equal names are equal content.
    `self_fed` says that after it only paths were pending that had changed while it ran.
    `status` is what the service manager gave as $EXIT_STATUS: a number or a signal's name.
    `files` is how many files differed from what was trained when it began, None where nobody counted them;
    `quality` and `error` are what the training said of itself (docs/status-file.md).
    """

    id: int
    invocation: str
    starter: Starter
    forced: bool
    began: Moment
    alive: Moment
    ended: Moment | None = None
    outcome: Outcome | None = None
    status: str = ""
    content: str = ""
    self_fed: bool = False
    files: int | None = None
    quality: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Running:
    """The training unit is active now; `since` is unknown where nothing recorded its start."""

    invocation: str
    since: Moment | None = None


@dataclass(frozen=True, slots=True)
class Pending:
    """The tree differs from what the last successful run read.

    `sample` holds the first paths in order of their names; `own` says that all of the paths had
    changed while the last run was active.
    """

    count: int
    content: str
    sample: tuple[bytes, ...] = ()
    own: bool = False


# ---- events: past participles -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Changed:
    """Something in the watched tree was touched; whether its content differs is not known yet."""

    at: float


@dataclass(frozen=True, slots=True)
class Compared:
    """The tree was compared with the snapshot.

    `busy` names what git is in the middle of ("a rebase in /repo"), if it is.
    """

    at: float
    pending: Pending | None
    busy: str | None = None


@dataclass(frozen=True, slots=True)
class Doubted:
    """Something may have changed unseen (an overflow, a poll that is due): a comparison is owed."""

    at: float


@dataclass(frozen=True, slots=True)
class Observed:
    """What unit, marker and history say now.

    `history` is oldest first. `obstacle` is a reason not to start the unit at all, such as an
    installed unit that disagrees with the configuration.
    """

    at: float
    running: Running | None
    marker: Marker | None
    history: tuple[Run, ...]
    obstacle: str | None = None


@dataclass(frozen=True, slots=True)
class Balked:
    """A start was ordered and no run came of it: skipped, refused, masked, no manager."""

    at: float
    why: str


Event = Changed | Doubted | Compared | Observed | Balked


# ---- orders: imperatives ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Compare:
    """Compare the tree with the snapshot now."""


@dataclass(frozen=True, slots=True)
class Start:
    """Start the training unit now."""


class Reason(StrEnum):
    """What a job is waiting for."""

    NOTHING = "nothing_pending"
    SETTLING = "settling"
    GIT = "git_busy"
    RUNNING = "already_running"
    COOLDOWN = "cooldown"
    RETRIES = "retries_used"
    REFUSED = "refused_for_good"
    OWN = "own_changes"
    BALKED = "start_refused"
    OBSTACLE = "obstacle"


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing until `until` (elapsed seconds), or, where that is None, until an event."""

    reason: Reason
    until: float | None = None
    detail: str = ""


Order = Compare | Start | Wait
