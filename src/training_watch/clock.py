"""The only place where this package asks what time it is, or waits.

CLOCK_BOOTTIME counts a night asleep (clock_gettime(2)); CLOCK_MONOTONIC, which Python's own timers
use, stands still in it. So deadlines are computed on CLOCK_BOOTTIME, and the daemon looks at it again
after each wake-up.
"""

from __future__ import annotations

import select
import time
from datetime import datetime
from functools import cache
from pathlib import Path

from training_watch.events import Moment


@cache
def boot_id() -> str:
    """This boot's random name, from random(4)'s /proc interface."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()


def elapsed() -> float:
    """Seconds since boot, the time asleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def now() -> Moment:
    """This instant, on both time scales."""
    return Moment(boot_id=boot_id(), elapsed=elapsed(), calendar=calendar())


def calendar() -> datetime:
    """The wall clock, with the local offset."""
    return datetime.now().astimezone()


def monotonic_usec() -> int:
    """CLOCK_MONOTONIC in microseconds, as sd_notify(3) wants it beside RELOADING=1."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def pause(seconds: float) -> None:
    """Wait for another process: at a terminal, or before there is anything to serve. The daemon's loop never calls it."""
    select.select([], [], [], max(0.0, seconds))
