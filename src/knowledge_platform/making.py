"""A ranker in the making: what each phase does for it. By words, which takes nothing but SQLite; by meaning, in meaning.py."""

import sqlite3
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from knowledge_platform.errors import RefusedError
from knowledge_platform.feedback.lessons import Resolved
from knowledge_platform.gate.decision import refusal
from knowledge_platform.gate.evaluation import Pinned, Report
from knowledge_platform.settings import GOLDEN_TOP
from knowledge_platform.store.releases import Release
from knowledge_platform.words.search import search


class Making(Protocol):
    """One training's. `embedded` passages were encoded for it, of `encoded` texts in all; None: there is no encoder."""

    embedded: int | None
    encoded: int | None

    def prepare(self) -> str:
        """Phase 3: gathers what the training reads; what it did, for people."""

    def train(self) -> str:
        """Phase 4: learns; what it did, for people."""

    def judge(self, report: Report) -> Report:
        """Phase 5: chooses what will answer, and adds to the report what it was chosen by.

        Raises:
            RefusedError: a golden query is lost, whatever is chosen.
        """

    def save(self, staging: Path) -> list[str]:
        """Phase 6: writes its files into the staged release; their names."""

    def answers(self, release: Release, database: sqlite3.Connection, question: str) -> bool:
        """Phase 6: whether the deployed release finds anything."""


@dataclass(slots=True)
class ByWords:
    """The index that ingest made is all there is."""

    database: sqlite3.Connection
    said: Resolved
    embedded: int | None = None
    encoded: int | None = None

    def prepare(self) -> str:
        return ""

    def train(self) -> str:
        return "nothing to train without an encoder: answers go by words and by what people said"

    def judge(self, report: Report) -> Report:
        places = []
        for golden, section in self.said.golden:
            found = search(self.database, golden.query, GOLDEN_TOP, floor=0.0)
            keys = [(passage.path, passage.anchor) for passage in found]
            place = keys.index(section.key) + 1 if section and section.key in keys else None
            places.append(Pinned(golden.query, section.name if section else None, place))
        if lost := [one.query for one in places if one.section and one.place is None]:
            raise RefusedError(refusal(lost))
        return replace(report, golden=tuple(places))

    def save(self, staging: Path) -> list[str]:  # noqa: ARG002 - it has no files of its own
        return []

    def answers(self, release: Release, database: sqlite3.Connection, question: str) -> bool:  # noqa: ARG002
        return bool(search(database, question, 1, floor=0.0))
