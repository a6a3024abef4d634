"""Findings → one screen for a person, and JSON. Faults first, with what to type; what is well in as few lines as possible."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training_watch import __version__
from training_watch.describe import counted
from training_watch.doctor.findings import Finding, Verdict
from training_watch.screen import Screen, Words, bad, command, dim, good, strong, warned

# Changes when a key of the JSON changes its meaning or goes. New keys may come.
SCHEMA = 1


def as_lines(screen: Screen, found: Sequence[Finding]) -> list[str]:
    """The whole screen: faults, notes, and what is well of all that people worry about."""
    jobs = {each.job for each in found if each.job is not None}
    several = len(jobs) > 1
    lines: list[str] = []
    for verdict in (Verdict.FAULT, Verdict.NOTE):
        for each in found:
            if each.verdict is verdict:
                lines += [*_told(screen, each, several=several), ""]
    if told := _reassurance(found, several=several):
        lines += screen.row(dim("fine"), dim(told), indent=0)
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
        "findings": [
            {
                "check": each.check,
                "job": each.job,
                "verdict": each.verdict.value,
                "text": each.text,
                "mend": each.mend or None,
            }
            for each in found
        ],
    }


# What people worry about: a subject for one job and for several, and what can be said of it, each with the checks that
# show it.
_CLAIMS: Sequence[tuple[str, str, Mapping[str, Sequence[str]]]] = (
    (
        "the daemon",
        "the daemon",
        {
            "runs": ["daemon"],
            "starts at boot": ["enabled", "linger"],
            "outlives your sessions": ["linger"],
        },
    ),
    ("the training", "each training", {"starts": ["start"], "can be executed": ["command"]}),
    ("its runs", "its runs", {"are recorded": ["recording"]}),
    ("its folders", "its folders", {"can be read": ["folders"], "are watched": ["watching"]}),
    ("what was trained", "what was trained", {"is remembered": ["state.db"]}),
    ("the disk", "the disk", {"has room": ["disk"]}),
)


def _reassurance(found: Sequence[Finding], *, several: bool) -> str:
    """What the checks have shown to be well of all jobs. What one of them has a note on isn't claimed."""
    jobs = {each.job for each in found if each.job is not None}
    sentences = []
    for one, many, claims in _CLAIMS:
        held = [
            claim for claim, checks in claims.items() if all(_is_well(name, jobs, found) for name in checks)
        ]
        if "starts" in held and "can be executed" in held:
            held.remove("can be executed")  # what starts can be
        if held:
            sentences.append(f"{many if several else one} {_enumerated(held)}")
    return "; ".join(sentences)


def _is_well(check: str, jobs: set[str], found: Sequence[Finding]) -> bool:
    """Whether the check found nothing but good, and of each job where it looks at jobs."""
    of = [each for each in found if each.check == check]
    about = {each.job for each in of if each.job is not None}
    return bool(of) and all(each.verdict is Verdict.FINE for each in of) and about in (jobs, set())


def _told(screen: Screen, each: Finding, *, several: bool) -> list[str]:
    mark = bad("fault") if each.verdict is Verdict.FAULT else warned("note")
    lines = screen.row(mark, strong(_name(each, several=several)), f": {each.text}", indent=0)
    if each.mend:
        lines += screen.row(dim("mend"), command(each.mend), indent=0)
    return lines


def _enumerated(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _name(each: Finding, *, several: bool) -> str:
    return f"{each.job} {each.check}" if several and each.job is not None else each.check


def _summary(found: Sequence[Finding]) -> list[Words]:
    counts = Counter(each.verdict for each in found)
    faults, notes = counts[Verdict.FAULT], counts[Verdict.NOTE]
    verdict = bad(f"{counted(faults, 'fault')} would stop a training") if faults else good("no fault")
    end = "" if faults else ": a training can start"
    return [
        f"{counted(len(found), 'check')}, ",
        verdict,
        f", {counted(notes, 'note') if notes else 'no note'}",
        end,
    ]
