"""What one release finds, by each of its parts and by all of them: the systems that are compared.

FTS5 ───┬──▶ RRF (by rank)
dense ──┤
        └──▶ fusion (by score) ──▶ trained (an adapter of the questions, and what people said): `crystal ask`

Here alone the bench looks inside: a user sees one answer, not what each part would have said.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

from knowledge_platform.gate.measures import Section
from knowledge_platform.meaning.corpus import corpus_of
from knowledge_platform.meaning.embeddings import Vectors
from knowledge_platform.meaning.encoder import Encoder, locate
from knowledge_platform.meaning.model import Model, load, words
from knowledge_platform.meaning.ranking import Ranking, Words
from knowledge_platform.settings import FLOOR
from knowledge_platform.store.releases import Store
from knowledge_platform.words.search import facts_of, opened, search

FTS5 = "FTS5"
DENSE = "dense"
RRF = "RRF"
FUSION = "fusion"
TRAINED = "trained"

# Passages, or sections, of one ranking that are fused: far more than the ten that count.
DEEP = 100
SHOWN = 5  # passages, as `crystal ask` shows without being told how many


class Ranker(Protocol):
    """One system."""

    def sections(self, question: str, count: int) -> list[Section]:
        """At most `count` sections, the best first, each once, whether or not they match well."""


@dataclass(frozen=True, slots=True)
class Systems:
    """`rankers` by name, each building on those before; the last one, the deployed, is what `crystal ask` answers with.

    `gates` say whether a question has a good match: by words alone, and as deployed. `model` is None where there is no encoder.
    """

    database: sqlite3.Connection
    rankers: Mapping[str, Ranker]
    gates: Mapping[str, Callable[[str], bool]]
    model: Model | None

    @property
    def deployed(self) -> str:
        return list(self.rankers)[-1]


@contextmanager
def systems_in(store: Path) -> Iterator[Systems]:
    """Those of the release that answers in a store, as long as the block runs."""
    release = Store(store).answering()
    with closing(opened(release)) as database:
        by_words = ByWords(database)
        gates: dict[str, Callable[[str], bool]] = {
            FTS5: lambda question: bool(search(database, question, SHOWN, floor=FLOOR))
        }
        if not facts_of(database).get("encoder_id"):
            yield Systems(database, {FTS5: by_words}, gates, None)
            return
        model = load(release, database)
        corpus = corpus_of(database)
        names = [
            (corpus.pieces[first].path, corpus.pieces[first].chunk.anchor) for first, *_ in corpus.members
        ]
        ranking = model.ranking
        untrained = Ranking(ranking.vectors, ranking.sections, starts=ranking.starts)
        by_meaning = ByScore(untrained, names, None)
        rankers: dict[str, Ranker] = {
            FTS5: by_words,
            DENSE: by_meaning,
            RRF: ByRank((by_words, by_meaning)),
            FUSION: ByScore(untrained, names, database),
            TRAINED: Deployed(model, database),
        }
        gates[TRAINED] = lambda question: bool(model.answer(database, question, vector_of(question), SHOWN))
        yield Systems(database, rankers, gates, model)


@cache
def encoder() -> Encoder:
    """Loaded once, when it is first needed."""
    return Encoder.load(locate(None))


@cache
def vector_of(question: str) -> Vectors:
    """A question's vector (384): every system is asked the same ones."""
    vector: Vectors = encoder().encode([question])[0]
    return vector


@dataclass(frozen=True, slots=True)
class ByWords:
    """FTS5 alone."""

    database: sqlite3.Connection

    def sections(self, question: str, count: int) -> list[Section]:
        found = search(self.database, question, DEEP, floor=0.0)
        return list(dict.fromkeys((passage.path, passage.anchor) for passage in found))[:count]


@dataclass(frozen=True, slots=True)
class ByScore:
    """A ranking of vectors, with the words of a database; without one, of cosines alone. `names` are the sections'."""

    ranking: Ranking
    names: Sequence[Section]
    database: sqlite3.Connection | None

    def sections(self, question: str, count: int) -> list[Section]:
        said = words(self.database, question) if self.database else Words((), ())
        return [self.names[one.section] for one in self.ranking.found(vector_of(question), said, count)]


@dataclass(frozen=True, slots=True)
class ByRank:
    """Reciprocal rank fusion, what others do with two rankings (Cormack, Clarke, Büttcher 2009; 60 is theirs)."""

    rankers: tuple[Ranker, ...]

    def sections(self, question: str, count: int) -> list[Section]:
        scores = defaultdict[Section, float](float)
        for ranker in self.rankers:
            for rank, section in enumerate(ranker.sections(question, DEEP), 1):
                scores[section] += 1 / (60 + rank)
        return sorted(scores, key=scores.__getitem__, reverse=True)[:count]


@dataclass(frozen=True, slots=True)
class Deployed:
    """What `crystal ask` answers with, a good match or not."""

    model: Model
    database: sqlite3.Connection

    def sections(self, question: str, count: int) -> list[Section]:
        found = self.model.answer(self.database, question, vector_of(question), count, floor=False)
        return [(passage.path, passage.anchor) for passage in found]
