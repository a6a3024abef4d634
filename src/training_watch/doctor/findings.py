"""What a check has found: how it stands, what and where, and the one line that mends it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """A fault would stop a training, or keep it from being recorded; a note would not, and should be known."""

    FAULT = "fault"
    NOTE = "note"
    FINE = "fine"


@dataclass(frozen=True, slots=True)
class Finding:
    """`mend` is one line to type, or to do, and empty where there is nothing to do.

    `check` and `job` are filled in by the examination; `job` is None for what concerns them all.
    """

    verdict: Verdict
    text: str
    mend: str = ""
    check: str = ""
    job: str | None = None


def fault(text: str, mend: str) -> Finding:
    return Finding(Verdict.FAULT, text, mend)


def note(text: str, mend: str = "") -> Finding:
    return Finding(Verdict.NOTE, text, mend)


def fine(text: str) -> Finding:
    return Finding(Verdict.FINE, text)
