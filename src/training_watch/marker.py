"""The marker: one file that says when the last training ended. `rm` forgets the cooldown.

    2026-02-16T06:00:58-08:00
    7d3c9a52-0f6b-4a51-9d6e-0c8a3f0a7d11 81234.567

The first line is for people, and enough: `date -Is > marker` makes a good marker. The second line,
boot id and CLOCK_BOOTTIME, lets the cooldown survive a clock that is set back or forth.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path

from training_watch.events import Marker, Moment
from training_watch.files import read_small, write_whole
from training_watch.mends import refused

# A marker is two short lines. More is somebody else's file, which is not read into memory.
LONGEST = 4096


class MarkerError(Exception):
    """The marker's place can't be read or written; the message names it and why."""


def read_marker(path: Path) -> Marker | None:
    """What the marker says, or None where there is none.

    A first line that is no time makes the marker unreadable: then the file's modification time
    stands for it. Raises MarkerError where not even that can be had.
    """
    try:
        written = datetime.fromtimestamp(path.stat().st_mtime, UTC).astimezone()
    except FileNotFoundError:
        return None
    except (OSError, OverflowError, ValueError) as error:
        raise MarkerError(_why(path, error)) from error
    try:
        lines = read_small(path, LONGEST).decode("ascii").splitlines()
        ended = _time(lines[0])
    except FileNotFoundError:
        return None
    except (OSError, ValueError, IndexError, OverflowError):
        return Marker(ended=written, written=written, readable=False)
    boot_id, elapsed = _boot(lines[1:2])
    return Marker(ended=ended, written=written, boot_id=boot_id, elapsed=elapsed)


def write_marker(path: Path, moment: Moment) -> None:
    """Say that a training ended at `moment`. Raises MarkerError; the old marker then still stands."""
    text = f"{moment.calendar.isoformat(timespec='seconds')}\n{moment.boot_id} {moment.elapsed:.3f}\n"
    try:
        write_whole(path, text, mode=0o644)
    except OSError as error:
        raise MarkerError(refused(path, error)) from error


def _time(line: str) -> datetime:
    """An ISO 8601 time; one without offset is taken as local time."""
    text = line.strip()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        # ISO 8601's rarer forms, such as 2026-02, 2026-047 or 24:00. Imported here because the daemon
        # would otherwise hold it (1.2 MB) for a line that nearly nobody writes.
        from dateutil.parser import isoparse  # noqa: PLC0415

        moment = isoparse(text)
    return moment if moment.tzinfo else moment.astimezone()


def _boot(lines: list[str]) -> tuple[str | None, float | None]:
    try:
        boot_id, told = lines[0].split()
        elapsed = float(told)
        # No clock shows "inf" or "nan"; a comparison with them would go on into the history.
        return (boot_id, elapsed) if math.isfinite(elapsed) else (None, None)
    except (IndexError, ValueError):
        return None, None


def _why(path: Path, error: Exception) -> str:
    if isinstance(error, OSError):
        return refused(path, error)
    return f"{path}: its modification time makes no sense ({error}): `touch` it, or remove it"
