"""The meaning half of a release: its ranker on disk, and how it answers. The words' half is search.py, which needs no package.

    vectors.npy    (w, 384) float32, a row for each window of a chunk, mapped into memory
    starts.npy     (n) int32, each chunk's first window
    sections.npy   (n) int32, each chunk's section
    adapter.npy    (384, 384) float32, where there is one
    memory.npz     queries, sections, weights: what people said

The table `model` in chunks.sqlite says which encoder the vectors are of, which files there are, and how near a good match must be. A release without it, or
without an encoder, answers by words. The table `remembered` is there where memory.npz isn't of the lessons that came with the documents.
"""

import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from knowledge_platform.errors import CrystalError
from knowledge_platform.feedback.lessons import known_lessons
from knowledge_platform.feedback.verdicts import Lesson
from knowledge_platform.meaning.embeddings import Vectors
from knowledge_platform.meaning.ranking import Memory, Ranking, Words
from knowledge_platform.settings import COVERED
from knowledge_platform.store.releases import Release
from knowledge_platform.words.search import (
    Passage,
    coverage,
    facts_of,
    has_table,
    matching,
    passage_in,
    words_of,
)

FILES = ("vectors.npy", "starts.npy", "sections.npy", "adapter.npy", "memory.npz")


@dataclass(frozen=True, slots=True)
class Model:
    """A ranker with the least cosine of a good match."""

    ranking: Ranking
    floor: float

    def answer(
        self, database: sqlite3.Connection, question: str, vector: Vectors, count: int, *, floor: bool = True
    ) -> list[Passage]:
        """At most `count` passages, each of another section; none when not one is a good match, unless `floor` is False."""
        if not words_of(question):
            return []  # whatever vector "?!" has, it asks for nothing
        said = words(database, question)
        if floor and not self._good(vector, said):
            return []
        return [
            passage_in(database, one.piece + 1, one.score, lifted=one.lifted)
            for one in self.ranking.found(vector, said, count)
        ]

    def _good(self, vector: Vectors, said: Words) -> bool:
        """A passage near enough; or a question like this one that somebody answered; or nearly all of its words in one passage."""
        if float((self.ranking.vectors @ vector).max()) >= self.floor:
            return True
        memory = self.ranking.memory
        if memory is not None and len(memory.weights):
            likeness = memory.queries @ vector
            if float(likeness[memory.weights > 0].max(initial=0.0)) >= ALIKE:
                return True
        return said.covered >= COVERED


COVERING = 5  # passages among which the one is sought that has most of a question's words: as many as an answer shows
ALIKE = 0.8  # cosine of two questions that ask the same; those in other words are at .1 to .5, so this is for small changes only


def words(database: sqlite3.Connection, question: str) -> Words:
    """What the words' index says of a question, by piece."""
    found = matching(database, question)
    best = coverage(database, question, [row for row, _ in found[:COVERING]])
    return Words(
        [row - 1 for row, _ in found], [score for _, score in found], max(best.values(), default=0.0)
    )


def save(folder: Path, ranking: Ranking) -> list[str]:
    """Writes the ranker's files; their names."""
    np.save(folder / "vectors.npy", ranking.vectors)
    np.save(folder / "sections.npy", ranking.sections)
    np.save(folder / "starts.npy", ranking.starts)
    names = ["vectors.npy", "sections.npy", "starts.npy"]
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
    folder = release.folder
    try:
        facts = facts_of(database)
        floor, files = float(facts["floor"]), facts["files"].split()
        (passages,) = database.execute("SELECT max(id) FROM chunks").fetchone()
        vectors = _array(folder / "vectors.npy", "f", None, None, mapped=True)
        sections = _array(folder / "sections.npy", "i", passages)
        starts = _array(folder / "starts.npy", "i", passages)
        if starts[0] != 0 or starts[-1] >= len(vectors) or (np.diff(starts) <= 0).any():
            raise ValueError("starts.npy: these are no beginnings of passages")
        dimensions = vectors.shape[1]
        if not np.array_equal(np.unique(sections), np.arange(int(sections.max()) + 1)):
            raise ValueError("sections.npy: the sections' numbers have gaps")
        adapter = None
        if "adapter.npy" in files:
            adapter = _array(folder / "adapter.npy", "f", dimensions, dimensions)
        memory = None
        if "memory.npz" in files:
            with (folder / "memory.npz").open("rb") as file, np.load(file, allow_pickle=False) as kept:
                memory = Memory(kept["queries"], kept["sections"], kept["weights"])
            _check_memory(memory, dimensions, int(sections.max()))
        return Model(Ranking(vectors, sections, adapter, memory, starts), floor)
    except Exception as error:  # whatever it is: numpy's and zipfile's parsers raise a dozen kinds on bytes that aren't theirs
        why = str(error) or type(error).__name__
        raise CrystalError(
            f"release {release.id} is damaged: {why}. Go back with: crystal rollback"
        ) from error


def _array(path: Path, kind: str, *shape: int | None, mapped: bool = False) -> Any:
    """The array in the file, which must be of this kind and shape; None: of any length. Never anything pickled: that could run code."""
    array = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    _check(path.name, array, kind, *shape)
    return array


def _check(name: str, array: Any, kind: str, *shape: int | None) -> None:
    wanted = "x".join("n" if length is None else str(length) for length in shape)
    if not isinstance(array, np.ndarray) or array.dtype.kind != kind or array.dtype.itemsize != 4:
        raise ValueError(f"{name}: these are no numbers of the kind that belongs there")
    if array.ndim != len(shape) or any(
        length not in (None, found) for length, found in zip(shape, array.shape, strict=True)
    ):
        raise ValueError(f"{name}: {'x'.join(map(str, array.shape))} numbers, not {wanted}")
    if not array.size:
        raise ValueError(f"{name}: there is nothing in it")


def _check_memory(memory: Memory, dimensions: int, last: int) -> None:
    _check("memory.npz", memory.queries, "f", None, dimensions)
    count = len(memory.queries)
    _check("memory.npz", memory.sections, "i", count)
    _check("memory.npz", memory.weights, "f", count)
    if int(memory.sections.min()) < 0 or int(memory.sections.max()) > last:
        raise ValueError("memory.npz: it names a section that isn't there")


def store_facts(database: sqlite3.Connection, facts: dict[str, Any]) -> None:
    """Writes what a reader must know of the ranker before it loads it."""
    database.execute("CREATE TABLE model (name TEXT PRIMARY KEY, value)")
    database.executemany("INSERT INTO model VALUES (?, ?)", facts.items())
    database.commit()


def store_remembered(database: sqlite3.Connection, lessons: Sequence[Lesson]) -> None:
    """Writes what the memory is made of, where the gate kept the one that was deployed."""
    database.execute(
        "CREATE TABLE remembered (query TEXT, verdict TEXT, weight REAL, path BLOB, anchor TEXT)"
    )
    database.executemany(
        "INSERT INTO remembered VALUES (?, ?, ?, ?, ?)",
        [(one.query, one.verdict, one.weight, os.fsencode(one.path), one.anchor) for one in lessons],
    )
    database.commit()


def remembered_lessons(database: sqlite3.Connection) -> list[Lesson]:
    """What a release's memory is made of."""
    if not has_table(database, "remembered"):
        return known_lessons(database)
    return [
        Lesson(query, os.fsdecode(path), anchor, verdict, weight, (), ())
        for query, verdict, weight, path, anchor in database.execute("SELECT * FROM remembered")
    ]
