"""How long until the next training may start. The daemon, `check` and `trigger` all ask here.

Pure: the marker and the moment are arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from training_watch.events import Marker, Moment


@dataclass(frozen=True, slots=True)
class Rest:
    """`elapsed` seconds since the last training ended, `left` seconds until the next may start."""

    elapsed: float
    left: float


def rest(marker: Marker | None, now: Moment, cooldown: float) -> Rest:
    """The state of the cooldown of `cooldown` seconds; no marker means none.

    `left` is never more than `cooldown`, whatever the marker says.
    """
    if marker is None:
        return Rest(elapsed=0.0, left=0.0)
    elapsed = _elapsed(marker, now)
    return Rest(elapsed=elapsed, left=max(0.0, cooldown - elapsed))


def since(then: Moment, now: Moment) -> float:
    """Seconds from `then` to `now`: real time within one boot, else by the calendar, never negative."""
    return _passed(then.boot_id, then.elapsed, then.calendar, now)


def _elapsed(marker: Marker, now: Moment) -> float:
    if marker.boot_id is not None and marker.elapsed is not None:
        return _passed(marker.boot_id, marker.elapsed, marker.ended, now)
    # Nothing ends after it was written down: a time from the future gives way to the file's own.
    return _by_calendar(min(marker.ended, marker.written), now)


def _passed(boot_id: str, elapsed: float, calendar: datetime, now: Moment) -> float:
    if boot_id != now.boot_id:
        # It was before this boot, so at least the time since boot has passed, whatever the clock says.
        # That bounds the wait: once the machine has been up for a cooldown, the cooldown is over, and
        # a clock that was set back doesn't begin it again when it comes by that time once more.
        return max((now.calendar - calendar).total_seconds(), now.elapsed)
    if 0 <= elapsed <= now.elapsed:
        return now.elapsed - elapsed
    return _by_calendar(calendar, now)


def _by_calendar(then: datetime, now: Moment) -> float:
    # From the future by the calendar: the clock was set back since, and the time since boot is all
    # that is left to count.
    passed = (now.calendar - then).total_seconds()
    return passed if passed >= 0 else now.elapsed
