"""What a training says of itself: its status file, which any program may have written (docs/status-file.md)."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from training_watch.events import Run
from training_watch.files import read_small
from training_watch.text import printable

SCHEMA = 1
# Far more than a status file has. Arbitrary.
LARGEST = 1 << 20
# Characters of a text: more is no line for people. And what is left of a training of 30 years. Both arbitrary.
LINE = 500
LONGEST = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Progress:
    """The fields of a status file; None, or empty, where it has none, or something else than what belongs there."""

    invocation: str = ""
    started_at: str = ""
    updated_at: str = ""
    phase: str = ""
    phase_number: int | None = None
    phases: int | None = None
    done: int | None = None
    total: int | None = None
    unit: str = ""
    remaining_seconds: int | None = None
    message: str = ""
    result: str = ""
    error: str = ""
    quality: str = ""

    def is_of(self, invocation: str, run: Run | None) -> bool:
        """Whether that run wrote it: by its name, or, where it gave none, by the time."""
        if self.invocation:
            return self.invocation == invocation
        written = _moment(self.updated_at)
        return run is None or (written is not None and written >= run.began.calendar.replace(microsecond=0))

    def by(self, now: datetime) -> Progress:
        """With what remains now: it may have been written a while ago. What should be over long since, nobody knows."""
        left, written = self.remaining_seconds, _moment(self.updated_at)
        if left is None or written is None:
            return self
        left -= max(0, round((now - written).total_seconds()))
        return replace(self, remaining_seconds=left if left >= 0 else None)


def read_progress(path: Path) -> Progress | None:
    """What the file says; None where there is none, or none that makes sense."""
    try:
        found = json.loads(read_small(path, LARGEST))
    except (OSError, ValueError, RecursionError):
        return None
    schema = found.get("schema") if isinstance(found, dict) else None
    if schema != SCHEMA or isinstance(schema, bool):
        return None
    texts: dict[str, Any] = {name: _text(found.get(name)) for name in _TEXTS}
    numbers: dict[str, Any] = {name: _number(found.get(name)) for name in _NUMBERS}
    return Progress(**texts, **numbers)


_NUMBERS = ("phase_number", "phases", "done", "total", "remaining_seconds")
_TEXTS = (
    "invocation", "started_at", "updated_at", "phase", "unit", "message", "result", "error", "quality",
)  # fmt: skip


def _text(value: Any) -> str:
    return printable(value[:LINE]) if isinstance(value, str) else ""


def _number(value: Any) -> int | None:
    # NaN and infinity, which json.loads takes, are not within any bounds.
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else -1
    return round(number) if 0 <= number <= LONGEST else None


def _moment(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else None
