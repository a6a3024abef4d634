"""An order and a state → what a person reads: STATUS=, `status`, the journal. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from training_watch import places
from training_watch.config import Job
from training_watch.cooldown import rest
from training_watch.decide import Settings, State
from training_watch.events import Moment, Order, Pending, Reason, Wait
from training_watch.text import printable
from training_watch.timespan import spoken
from training_watch.typed import Typed
from training_watch.watching.ignore import escaped

# In seconds. A moment nearer than this is told with its second: limits of a minute are in use. Arbitrary.
NEAR = 600.0
# In days. What lies further off is told with its year. Arbitrary.
HALF_A_YEAR = 182


def sentence(order: Order, state: State, settings: Settings, now: Moment, *, touched: int = 0) -> str:  # noqa: C901 - one branch for each reason
    """What the job waits for, in one line. `touched` files were seen changing and are not compared yet."""
    if not isinstance(order, Wait):
        return "comparing the documents with what was last trained"
    waiting = _waiting(state.pending)
    match order.reason:
        case Reason.RUNNING:
            since = state.running.since if state.running else None
            began = f"training since {_clock(since.calendar, now.calendar)}" if since else "training"
            return began + (f", {files(touched)} changed meanwhile" if touched else "")
        case Reason.SETTLING:
            return _settling(order, state, settings, now, touched)
        case Reason.GIT:
            return "files changed; waiting until git is done"
        case Reason.NOTHING:
            return "nothing to train"
        case Reason.COOLDOWN:
            return f"cooldown until {clock_time(order.until, now)}, {waiting}"
        case Reason.BALKED:
            return f"the start came to nothing ({order.detail}); next try {clock_time(order.until, now)}, {waiting}"
        case Reason.RETRIES:
            return f"resting: {order.detail}; waits until the content changes, {waiting}"
        case Reason.REFUSED:
            return f"resting: the training refused this content ({order.detail}); waits until it changes, {waiting}"
        case Reason.OWN:
            return f"resting: only files that the training itself changes are left ({_names(state.pending)})"
        case Reason.OBSTACLE:
            return f"not training: {order.detail}; {waiting}"


def next_start(order: Order, state: State, settings: Settings, now: Moment) -> float | None:
    """Elapsed time of the earliest start, where a time is all that is waited for."""
    if not isinstance(order, Wait) or order.until is None:
        return None
    return max(order.until, now.elapsed + rest(state.marker, now, settings.cooldown).left)


def clock_time(elapsed: float | None, now: Moment) -> str:
    """A deadline as local time of day, with its date where it is not today."""
    if elapsed is None:
        return "later"
    return _clock(now.calendar + timedelta(seconds=elapsed - now.elapsed), now.calendar)


def logs_of(invocation: str, typed: Typed) -> str:
    """The command that shows what a run said."""
    return typed("logs", "--run", invocation[:8])


def repeated(job: str) -> str:
    """How the daemon's lines begin that repeat what a training of the job said."""
    return f"{job}:   "


def start_it(jobs: Iterable[Job], program: str) -> str:
    """The command that starts a daemon: without a job for systemd, none may be there to ask."""
    return f"systemctl --user start {places.WATCHER_UNIT}" if managed(jobs) else f"{program} run"


def comes_back(within: float) -> str:
    """That systemd starts the daemon again by itself, which it does at once, or after so many seconds at most."""
    return f"systemd starts it again by itself, within {spoken(within)}" if within else "it is being started"


def read_anew(jobs: Iterable[Job], install: str, pid: int) -> str:
    """What makes the running daemon, and its units, follow the configuration: a reload leaves units as they are."""
    return install if managed(jobs) else f"kill -HUP {pid}"


def managed(jobs: Iterable[Job]) -> bool:
    """Whether systemd has a part."""
    return any(job.launcher == "systemd" for job in jobs)


def ending(status: str) -> str:
    """How a program ended, of $EXIT_STATUS: `exit status 7`, `signal KILL`; empty where it ended well or nobody knows."""
    if status in ("", "0"):
        return ""
    return f"exit status {status}" if status.isdecimal() else f"signal {status}"


def listing(sample: Sequence[bytes], count: int, *, most: int = 3) -> str:
    """The first paths, and how many more there are."""
    names = ", ".join(printable(path) for path in sample[:most])
    more = count - min(most, len(sample))
    return f"{names} and {more} more" if more > 0 and names else names


def ignore_line(job: Job, paths: Iterable[bytes]) -> str:
    """The configuration's line by which the job leaves out these files, too."""
    patterns = [*job.ignore]
    for path in paths:
        root = next((root for root in job.roots if path.startswith(root.rstrip(b"/") + b"/")), b"")
        patterns.append(printable(escaped(path[len(root.rstrip(b"/")) :])))
    return f"ignore = [{', '.join(json.dumps(each, ensure_ascii=False) for each in patterns)}]"


def day_time(at: datetime, now: datetime) -> str:
    """A moment as a person near `now` would say it: `today 09:02`, `Tue 24 Nov 09:02`, `2025-11-24 09:02`."""
    at, here = at.astimezone(), now.astimezone()
    apart = (at.date() - here.date()).days
    if -1 <= apart <= 1:
        return f"{('yesterday', 'today', 'tomorrow')[apart + 1]} {_time(at, here)}"
    return f"{at:%a %d %b %H:%M}" if abs(apart) < HALF_A_YEAR else f"{at:%Y-%m-%d %H:%M}"


def counted(count: int, what: str) -> str:
    """`1 file`, `2,000 files`."""
    return f"{count:,} {what}" if count == 1 else f"{count:,} {what}s"


def files(count: int) -> str:
    return counted(count, "file")


def folders(count: int) -> str:
    return counted(count, "folder")


def unreadable(count: int) -> str:
    return "1 file or folder" if count == 1 else f"{count} files or folders"


def _clock(at: datetime, now: datetime) -> str:
    at, here = at.astimezone(), now.astimezone()
    return _time(at, here) if at.date() == here.date() else f"{at:%a %d %b} {_time(at, here)}"


def _time(at: datetime, now: datetime) -> str:
    return f"{at:%H:%M:%S}" if abs((at - now).total_seconds()) < NEAR else f"{at:%H:%M}"


def _settling(order: Wait, state: State, settings: Settings, now: Moment, touched: int) -> str:
    if not touched and state.pending is None:
        return "nothing to train"  # a run has taken in what changed, and the quiet after it isn't over
    changed = f"{files(touched)} changed" if touched else "files changed"
    start, quiet = next_start(order, state, settings, now), spoken((order.until or now.elapsed) - now.elapsed)
    if start is None or order.until is None or start <= order.until:
        return f"{changed}, training in {quiet}"
    return f"{changed}, settling for {quiet}, then cooldown until {clock_time(start, now)}"


def _waiting(pending: Pending | None) -> str:
    return f"{files(pending.count)} waiting" if pending else "nothing waiting"


def _names(pending: Pending | None) -> str:
    return listing(pending.sample, pending.count) if pending else ""
