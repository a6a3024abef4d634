"""Figures → a table for a terminal and for docs/benchmarks.md. Medians, and ratios of medians."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Literal

Unit = Literal["s", "ms", "MiB", "count", "share", "gain"]


@dataclass(frozen=True, slots=True)
class Line:
    """One thing measured: who → what each repetition gave. `ours` is compared with those in `against`.

    A `gain` is of shares, and no repetitions but its lower bound, its mean and its upper bound.
    """

    what: str
    unit: Unit
    values: Mapping[str, Sequence[float]]
    ours: str
    against: tuple[str, ...] = ()
    target: str = ""

    def median(self, who: str) -> float | None:
        """The median of what was measured of `who`; None where nothing was."""
        found = self.values.get(who)
        return median(found) if found else None


@dataclass(frozen=True, slots=True)
class Section:
    """One row of the bench: its figures, how they were taken, and what has to be said of them."""

    name: str
    title: str
    how: str
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Where and when a section was measured."""

    day: str
    machine: str
    software: str
    place: str
    repeat: int


def table(section: Section) -> list[str]:
    """The section's figures as a Markdown table, its columns padded so that a terminal shows one too."""
    who = list(dict.fromkeys(name for line in section.lines for name in line.values))
    rows = [["", *who, "ratio", "target"]]
    for line in section.lines:
        cells = [_shown(line.values.get(name, ()), line.unit) for name in who]
        rows.append([line.what, *cells, _ratios(line), line.target])
    widths = [max(3, *(len(row[column]) for row in rows)) for column in range(len(rows[0]))]
    rule = ["-" * width for width in widths]
    return [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in [rows[0], rule, *rows[1:]]
    ]


def chapter(section: Section, circumstances: Circumstances) -> str:
    """A section as it stands in the manual."""
    where = (
        f"_{circumstances.day}, {circumstances.machine}; {circumstances.software}; "
        f"tree on {circumstances.place}; medians of {circumstances.repeat}._"
    )
    notes = [f"- {note}" for note in section.notes]
    parts = [f"## {section.title}", section.how, "\n".join(table(section)), "\n".join(notes), where]
    return "\n\n".join(part for part in parts if part) + "\n"


def merged(page: str, opening: str, chapters: Mapping[str, str], order: Iterable[str]) -> str:
    """The page with new chapters in place of those of the same title; others are kept.

    `order` is of titles; those that it doesn't name stand last.
    """
    old = {
        match[1]: match[0].strip() + "\n" for match in re.finditer(r"^## (.+)\n(?:(?!## ).*\n?)*", page, re.M)
    }
    all_chapters = {**old, **chapters}
    titles = [title for title in dict.fromkeys([*order, *all_chapters]) if title in all_chapters]
    return "\n".join([opening, *(all_chapters[title] for title in titles)])


def write(path: Path, opening: str, chapters: Mapping[str, str], order: Iterable[str]) -> None:
    """Write the page, keeping the chapters that were not measured now."""
    page = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(merged(page, opening, chapters, order), encoding="utf-8")


def _ratios(line: Line) -> str:
    mine = line.median(line.ours)
    found = []
    for name in line.against:
        theirs = line.median(name)
        if mine is not None and theirs:
            found.append(f"{mine / theirs:.2f} × {name}")
    return ", ".join(found)


def _shown(values: Sequence[float], unit: Unit) -> str:
    if not values:
        return ""
    value = median(values)
    match unit:
        case "count":
            return f"{value:,.0f}"
        case "MiB":
            return f"{value:.1f} MiB"
        case "share":
            return f"{value:.3f}"
        case "gain":
            return f"{value:+.3f} [{min(values):+.3f}, {max(values):+.3f}]"
        case "s" | "ms":
            digits = 0 if value >= 100 else 1 if value >= 10 else 2 if value >= 1 else 3
            return f"{value:,.{digits}f} {unit}"
