"""How true the time is that a training says is left: its status file is read while it runs."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

INTERVAL = 0.2  # seconds between two samples; the file is written about once a second
LEAST = 5.0  # seconds that were left; of less a second is a large share, and nobody waits by the clock


@dataclass(slots=True)
class Remaining:
    """What was said, and when, on time.perf_counter."""

    status: Path
    next_at: float = 0.0
    said: list[tuple[float, float]] = field(default_factory=list)

    def look(self) -> None:
        """One sample, if it is time for one and the file says anything; called more often, it looks each INTERVAL."""
        now = time.perf_counter()
        if now < self.next_at:
            return
        self.next_at = now + INTERVAL
        with suppress(FileNotFoundError):
            left = json.loads(self.status.read_text(encoding="utf-8"))["remaining_seconds"]
            if left is not None:
                self.said.append((now, left))

    def error(self, ended: float) -> float | None:
        """The median of |said - true| / true over the samples with LEAST left; None where there are none."""
        wrong = [abs(left - (ended - at)) / (ended - at) for at, left in self.said if ended - at >= LEAST]
        return median(wrong) if wrong else None
