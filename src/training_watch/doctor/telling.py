"""Findings → one screen for a person, and JSON. Faults first, with what to type; what is well in as few lines as possible."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from training_watch import __version__
from training_watch.describe import counted
from training_watch.doctor.findings import Finding, Verdict
from training_watch.screen import Screen, Words, bad, dim, good, strong, warned

# Changes when a key of the JSON changes its meaning or goes. New keys may come.
SCHEMA = 1


def as_lines(screen: Screen, found: Sequence[Finding]) -> list[str]:
    """The whole screen. A mend is one line, whatever the width: folded it could not be copied."""
    jobs = {each.job for each in found if each.job is not None}
    several = len(jobs) > 1
    lines: list[str] = []
    for verdict in (Verdict.FAULT, Verdict.NOTE):
        for each in found:
            if each.verdict is verdict:
                lines += [*_told(screen, each, several=several), ""]
    well = [_name(each, several=several) for each in found if each.verdict is Verdict.FINE]
    if well:
        lines += screen.row(dim("fine"), dim(", ".join(dict.fromkeys(well))), indent=0)
    return [*lines, *screen.line(*_summary(found))]


def as_json(config: Path, found: Sequence[Finding]) -> dict[str, Any]:
    """The same for programs."""
    counts = Counter(each.verdict for each in found)
    return {
        "schema": SCHEMA,
        "version": __version__,
        "config": str(config),
        "faults": counts[Verdict.FAULT],
        "notes": counts[Verdict.NOTE],
        "findings": [asdict(each) for each in found],
    }


def _told(screen: Screen, each: Finding, *, several: bool) -> list[str]:
    mark = bad("fault") if each.verdict is Verdict.FAULT else warned("note")
    lines = screen.row(mark, strong(_name(each, several=several)), f": {each.text}", indent=0)
    if each.mend:
        lines += replace(screen, width=None).row(dim("mend"), strong(each.mend), indent=0)
    return lines


def _name(each: Finding, *, several: bool) -> str:
    return f"{each.job} {each.check}" if several and each.job is not None else each.check


def _summary(found: Sequence[Finding]) -> list[Words]:
    counts = Counter(each.verdict for each in found)
    faults, notes = counts[Verdict.FAULT], counts[Verdict.NOTE]
    verdict = bad(f"{counted(faults, 'fault')} would stop a training") if faults else good("no fault")
    end = "" if faults else ": nothing would stop a training"
    return [
        f"{counted(len(found), 'check')}, ",
        verdict,
        f", {counted(notes, 'note') if notes else 'no note'}",
        end,
    ]
