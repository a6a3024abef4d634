"""Hints from the clock: everything is touched when its time has come."""

from __future__ import annotations

from training_watch.watching.touched import Touched


class Polling:
    """Has no file descriptor; the first hint is due one `interval`, in seconds, after `at`."""

    def __init__(self, interval: float, at: float, cause: str) -> None:
        self._interval = interval
        self._due = at + interval
        self._cause = cause

    def due(self) -> float:
        return self._due

    def read(self, at: float) -> Touched:
        touched = Touched()
        if at >= self._due:
            # From now, not from when it was due: after a night asleep one look is enough.
            self._due = at + self._interval
            touched.all(self._cause)
        return touched
