"""Looking now and then, where nobody tells."""

from __future__ import annotations


class Polling:
    """Every `interval` seconds of the caller's time; the first time is one interval after `at`."""

    def __init__(self, interval: float, at: float) -> None:
        self._interval = interval
        self._due = at + interval

    def due(self) -> float:
        return self._due

    def comes(self, at: float) -> bool:
        """Whether it is time to look."""
        if at < self._due:
            return False
        # From now, not from when it was due: after a night asleep one look is enough.
        self._due = at + self._interval
        return True
