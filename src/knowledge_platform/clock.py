"""The two clocks. Only the command line asks for them; everything else is handed one."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Clock:
    """`now` is calendar time for people and files, `elapsed` counts seconds for durations; they are never mixed."""

    now: Callable[[], datetime]
    elapsed: Callable[[], float]


def system_clock() -> Clock:
    return Clock(now=lambda: datetime.now(UTC).astimezone(), elapsed=time.monotonic)
