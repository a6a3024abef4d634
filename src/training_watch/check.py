"""The cooldown verdict, as `check` prints it and `trigger` obeys it.

Values only: nothing that came from a file is printed as it came, so no marker can forge a key.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from training_watch.cooldown import rest
from training_watch.events import Marker, Moment


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a training may start; `left` seconds until it may, as far as the cooldown goes."""

    should_train: bool
    reason: str
    cooldown: float
    left: float = 0.0
    elapsed: float | None = None
    last_trained: datetime | None = None

    def lines(self) -> list[str]:
        """key=value, two lines where nothing was ever trained, else five."""
        lines = [f"should_train={_flag(self.should_train)}", f"reason={self.reason}"]
        if self.last_trained is not None and self.elapsed is not None:
            lines += [
                f"last_trained={self.last_trained.isoformat(timespec='seconds')}",
                f"elapsed_seconds={int(self.elapsed)}",
                f"cooldown_seconds={int(self.cooldown)}",
            ]
        return lines

    def as_json(self) -> dict[str, object]:
        """The same for programs, with the seconds left."""
        last = self.last_trained
        return {
            "should_train": self.should_train,
            "reason": self.reason,
            "last_trained": last.isoformat(timespec="seconds") if last else None,
            "elapsed_seconds": int(self.elapsed) if self.elapsed is not None else None,
            "cooldown_seconds": int(self.cooldown),
            "seconds_left": math.ceil(self.left),
        }


def verdict(marker: Marker | None, now: Moment, cooldown: float, *, running: bool) -> Verdict:
    """The verdict for a cooldown of `cooldown` seconds. That one runs already outranks all else."""
    if marker is None:
        reason = "already_running" if running else "no_previous_training"
        return Verdict(should_train=not running, reason=reason, cooldown=cooldown)
    state = rest(marker, now, cooldown)
    if running:
        reason = "already_running"
    elif not marker.readable:
        reason = "marker_unreadable"
    elif state.left > 0:
        reason = f"cooldown_active_{rounded(state.left)}"
    else:
        reason = "cooldown_expired"
    return Verdict(
        should_train=not running and state.left <= 0,
        reason=reason,
        cooldown=cooldown,
        left=state.left,
        elapsed=state.elapsed,
        last_trained=marker.ended,
    )


def rounded(left: float) -> str:
    """Whole hours, rounded up; below one hour whole minutes: `5h`, `42m`."""
    return f"{math.ceil(left / 3600)}h" if left >= 3600 else f"{math.ceil(left / 60)}m"


def _flag(value: bool) -> str:
    return "true" if value else "false"
