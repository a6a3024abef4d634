"""Invented docs, of any size and always the same for a seed, and an encoder that knows what their words mean.

A concept has several words. A section is about a few concepts: its text uses some of their words, its heading and the links to it mostly
others. Some of what the encoder makes of a word is only its sound: to hear less of that is what there is to learn. So words alone find
some of what is asked, meaning finds more, a trained ranker most, and one that was spoilt finds less.
"""

from __future__ import annotations

import functools
import hashlib
import re
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from random import Random

import numpy as np
from numpy.typing import NDArray

from knowledge_platform.documents.chunks import chunks_of
from knowledge_platform.documents.ingest import INSERT, SCHEMA
from knowledge_platform.meaning.corpus import Corpus, corpus_of
from knowledge_platform.words.index import index_of

DIMENSIONS = 48
CONCEPTS = 240
SYNONYMS = 5
Vectors = NDArray[np.float32]


def _word(number: int) -> str:
    """Five consonants and vowels: no stemmer takes one for the form of another."""
    random = Random(number)  # noqa: S311 - always the same
    return "".join(random.choice("bdfgklmnprtvz") + random.choice("aou") for _ in range(4))


CONCEPT_OF = {_word(SYNONYMS * concept + n): concept for concept in range(CONCEPTS) for n in range(SYNONYMS)}
WORDS = [[_word(SYNONYMS * concept + n) for n in range(SYNONYMS)] for concept in range(CONCEPTS)]


class Knowing:
    """An encoder at the seam of `Encodes`: a text is the sum of its words, and words of one concept are near to each other.

    `asked` is every text that was encoded, in order.
    """

    def __init__(self, name: str = "knowing", *, ends_after: int | None = None) -> None:
        self.id = name
        self.asked: list[str] = []
        self._ends_after = ends_after

    def encode(
        self, texts: Sequence[str], *, advance: Callable[[int], object] = lambda _count: None
    ) -> Vectors:
        if self._ends_after is not None and len(self.asked) + len(texts) > self._ends_after:
            raise KeyboardInterrupt
        self.asked += texts
        advance(len(texts))
        return np.stack([self._vector(text) for text in texts])

    def _vector(self, text: str) -> Vectors:
        words = re.findall(r"\w+", text.casefold()) or [""]
        total = np.sum([_meaning(word) for word in words], axis=0)
        return np.asarray(total / np.linalg.norm(total), np.float32)


def _meaning(word: str) -> Vectors:
    sound = _direction(word) @ _SOUNDS
    concept = CONCEPT_OF.get(word)
    return sound if concept is None else sound + _direction(f"concept {concept}")


@functools.cache
def _direction(name: str) -> Vectors:
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])
    found = np.random.default_rng(seed).standard_normal(DIMENSIONS)
    return np.asarray(found / np.linalg.norm(found), np.float32)


_BASE = np.linalg.qr(np.random.default_rng(0).standard_normal((DIMENSIONS, DIMENSIONS)))[0]
_SOUNDS = np.asarray(3 * _BASE[:, :8] @ _BASE[:, :8].T, np.float32)  # eight of the directions, and loud


def docs(seed: int, files: int = 40, sections: int = 8) -> dict[str, str]:
    """Documents by path. Each section links to another, by words of what that one is about."""
    random = Random(seed)  # noqa: S311 - always the same
    about = {
        (file, section): random.sample(range(CONCEPTS), 3)
        for file in range(files)
        for section in range(sections)
    }
    titles = {place: _phrase(random, concepts, 0) for place, concepts in about.items()}
    pages = {}
    for file in range(files):
        lines = [f"# Page {_word(10**6 + 1000 * seed + file)}", ""]
        for section in range(sections):
            other = random.choice(list(about))
            lines += [
                f"## {titles[file, section]}",
                "",
                " ".join(_sentence(random, about[file, section]) for _ in range(4)),
                f"See [{_phrase(random, about[other], 1)}](page{other[0]}.md#{titles[other].replace(' ', '-')}).",
                "",
            ]
        pages[f"page{file}.md"] = "\n".join(lines)
    return pages


def _phrase(random: Random, concepts: Sequence[int], first: int) -> str:
    return " ".join(WORDS[concept][random.choice([first, first, first, 2])] for concept in concepts)


def _sentence(random: Random, concepts: Sequence[int]) -> str:
    words = [WORDS[random.choice(concepts)][random.choice([2, 3, 4])] for _ in range(4)]
    words += [WORDS[random.randrange(CONCEPTS)][random.randrange(SYNONYMS)] for _ in range(4)]
    return f"{' '.join(words).capitalize()}."


def database_of(pages: Mapping[str, str]) -> sqlite3.Connection:
    """As a release's is, of documents that are in no file."""
    database = sqlite3.connect(":memory:")
    database.executescript(SCHEMA)
    database.execute("INSERT INTO roots VALUES (0, ?)", (b"/docs",))
    passages = []
    for number, (path, text) in enumerate(sorted(pages.items())):
        database.execute("INSERT INTO files VALUES (?, 0, ?, '', NULL)", (number, path.encode()))
        for one in chunks_of(text):
            database.execute(
                INSERT, (number, one.start, one.end, one.heading, one.anchor, one.crumbs, one.text)
            )
            passages.append((one.heading, one.crumbs, one.text))
    index_of(database, passages)
    return database


def corpus(pages: Mapping[str, str]) -> Corpus:
    return corpus_of(database_of(pages))
