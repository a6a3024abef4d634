"""What happened: the deeds of the churn, the trainings by their own words, and what state.db says of them.

All times are seconds on CLOCK_BOOTTIME, of which deeds, trainings and the program mean the same.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from churn.truth import Truth


def now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


@dataclass(frozen=True, slots=True)
class Deed:
    """One step of an operation, and the tree before and after it. `hearing`: a daemon was there to hear of it."""

    number: int
    name: str
    began: float
    ended: float
    before: Truth
    after: Truth
    hearing: bool

    @property
    def altering(self) -> bool:
        return self.before.differs_from(self.after)

    @property
    def ruling(self) -> bool:
        return self.before.rules != self.after.rules

    def altered(self) -> set[bytes]:
        """The paths whose content it changed."""
        before, after = self.before.files, self.after.files
        return {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}


@dataclass(frozen=True, slots=True)
class Training:
    """What a training said of itself. `ended` is None where it was killed, or runs still."""

    run: str
    began: float
    ended: float | None
    present: bool
    obscure: bool
    files: Mapping[bytes, str]
    beside: bool = False


@dataclass(frozen=True, slots=True)
class Record:
    """What state.db says of a run."""

    run: str
    began: float
    ended: float | None
    outcome: str | None


@dataclass(frozen=True, slots=True)
class Run:
    """A training, with its record where there is one."""

    training: Training
    record: Record | None

    @property
    def outcome(self) -> str | None:
        return self.record.outcome if self.record else None

    @property
    def began(self) -> float:
        """When it began to look at the tree."""
        return self.record.began if self.record else self.training.began

    @property
    def succeeded(self) -> bool:
        return self.outcome == "succeeded" and self.training.ended is not None


@dataclass(slots=True)
class Timeline:
    """`rests` are the moments at which all was settled."""

    deeds: list[Deed] = field(default_factory=list)
    rests: list[float] = field(default_factory=list)

    def between(self, began: float, ended: float) -> list[Deed]:
        """The deeds that overlap with that time."""
        return [deed for deed in self.deeds if deed.ended >= began and deed.began <= ended]

    def rest_before(self, at: float) -> float:
        return max((rest for rest in self.rests if rest <= at), default=0.0)

    def rest_after(self, at: float) -> float:
        return min((rest for rest in self.rests if rest >= at), default=float("inf"))


def trainings(place: Path) -> list[Training]:
    try:
        lines = (place / "trainings").read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return []
    found: dict[str, Training] = {}
    beside = set()
    for line in lines:
        fact = json.loads(line)
        run = fact["run"]
        match fact["what"]:
            case "beside":
                beside.add(run)
            case "began":
                files = {path.encode("latin-1"): digest for path, digest in fact["files"].items()}
                found[run] = Training(
                    run, fact["at"], None, fact["present"], fact["obscure"], files, run in beside
                )
            case "ended":
                it = found[run]
                found[run] = Training(run, it.began, fact["at"], it.present, it.obscure, it.files, it.beside)
    return sorted(found.values(), key=lambda each: each.began)


def records(database: Path) -> dict[str, Record]:
    if not database.exists():
        return {}
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
        rows = connection.execute("SELECT invocation, began_elapsed, ended_elapsed, outcome FROM runs")
        return {row[0]: Record(*row) for row in rows}


def runs(place: Path, database: Path) -> list[Run]:
    """All runs, the oldest first."""
    told, known = trainings(place), records(database)
    return [Run(training, known.get(training.run)) for training in told]


def pending(database: Path, root: bytes) -> set[bytes]:
    """The paths that state.db says are owed."""
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
        rows = connection.execute("SELECT path FROM files WHERE digest IS NOT trained").fetchall()
    return {path[len(root) + 1 :] for (path,) in rows}
