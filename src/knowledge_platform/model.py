"""The meaning half of a release: its ranker on disk, and how it answers. The words' half is search.py, which needs no package.

    vectors.npy    (n, 384) float32, a row for each chunk, mapped into memory
    sections.npy   (n) int32, the section of each
    adapter.npy    (384, 384) float32, where there is one
    memory.npz     queries, sections, weights: what people said

The table `model` in chunks.sqlite says which encoder the vectors are of, and how near a good match must be. A release without it, or
without an encoder, answers by words.
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from knowledge_platform.embeddings import Vectors
from knowledge_platform.errors import CrystalError
from knowledge_platform.ranking import Memory, Ranking, Words
from knowledge_platform.releases import Release
from knowledge_platform.search import Passage, coverage, facts_of, matching, passage_in
from knowledge_platform.settings import COVERED

FILES = ("vectors.npy", "sections.npy", "adapter.npy", "memory.npz")


@dataclass(frozen=True, slots=True)
class Model:
    """A ranker with the least cosine of a good match."""

    ranking: Ranking
    floor: float

    def answer(
        self, database: sqlite3.Connection, question: str, vector: Vectors, count: int, *, floor: bool = True
    ) -> list[Passage]:
        """At most `count` passages, each of another section; none when not one is a good match, unless `floor` is False."""
        found = matching(database, question)
        if floor and not self._good(database, question, vector, [row for row, _ in found[:count]]):
            return []
        words = Words([row - 1 for row, _ in found], [score for _, score in found])
        return [
            passage_in(database, one.piece + 1, one.score, lifted=one.lifted)
            for one in self.ranking.found(vector, words, count)
        ]

    def _good(
        self, database: sqlite3.Connection, question: str, vector: Vectors, rows: Sequence[int]
    ) -> bool:
        """A passage near enough; or a question like this one that somebody answered; or nearly all of its words in one passage."""
        if float((self.ranking.vectors @ vector).max()) >= self.floor:
            return True
        memory = self.ranking.memory
        if memory is not None and len(memory.weights):
            likeness = memory.queries @ vector
            if float(likeness[memory.weights > 0].max(initial=0.0)) >= ALIKE:
                return True
        return max(coverage(database, question, rows).values(), default=0.0) >= COVERED


ALIKE = 0.8  # cosine of two questions that ask the same; those in other words are at .1 to .5, so this is for small changes only


def save(folder: Path, ranking: Ranking) -> list[str]:
    """Writes the ranker's files; their names."""
    np.save(folder / "vectors.npy", ranking.vectors)
    np.save(folder / "sections.npy", ranking.sections)
    names = ["vectors.npy", "sections.npy"]
    if ranking.adapter is not None:
        np.save(folder / "adapter.npy", ranking.adapter)
        names.append("adapter.npy")
    if ranking.memory is not None and len(ranking.memory.weights):
        memory = ranking.memory
        np.savez(
            folder / "memory.npz", queries=memory.queries, sections=memory.sections, weights=memory.weights
        )
        names.append("memory.npz")
    return names


def load(release: Release, database: sqlite3.Connection) -> Model:
    """The ranker of a release that has one: its `facts_of` name an encoder.

    Raises:
        CrystalError: a file of it is missing or isn't what it should be.
    """
    facts = facts_of(database)
    folder = release.folder
    try:
        vectors = np.load(folder / "vectors.npy", mmap_mode="r")
        sections = np.load(folder / "sections.npy")
        adapter = _optional(folder / "adapter.npy")
        memory = None
        if (folder / "memory.npz").exists():
            with np.load(folder / "memory.npz") as kept:
                memory = Memory(kept["queries"], kept["sections"], kept["weights"])
        if vectors.ndim != 2 or len(vectors) != len(sections) or not len(vectors):
            raise ValueError(f"{len(vectors)} vectors for {len(sections)} passages")
        return Model(Ranking(vectors, sections, adapter, memory), float(facts["floor"]))
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise CrystalError(
            f"release {release.id} is damaged: {error}. Go back with: crystal rollback"
        ) from error


def store_facts(database: sqlite3.Connection, facts: dict[str, Any]) -> None:
    """Writes what a reader must know of the ranker before it loads it."""
    database.execute("CREATE TABLE model (name TEXT PRIMARY KEY, value)")
    database.executemany("INSERT INTO model VALUES (?, ?)", facts.items())
    database.commit()


def _optional(path: Path) -> Vectors | None:
    return np.load(path) if path.exists() else None
