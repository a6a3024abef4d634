"""Rankers at work on questions whose answers are known: what each gains, question by question, for the gate to compare.

Every ranker is asked of the new documents, the deployed one too: a stored score of older documents would take a change of the text for
one of the ranker. Headings are asked of passages that have lost them, in the words' index as in the vectors.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from knowledge_platform.documents.plain import passage_text
from knowledge_platform.gate.measures import ndcg
from knowledge_platform.meaning.corpus import Corpus
from knowledge_platform.meaning.embeddings import Embeddings, Vectors
from knowledge_platform.meaning.model import words
from knowledge_platform.meaning.pairs import Material, Query
from knowledge_platform.meaning.ranking import Memory, Ranking, Words, in_context
from knowledge_platform.meaning.training import Passages
from knowledge_platform.words.index import index_of

BATCH = 64  # questions scored at once: 13 MB at 50,000 passages


@dataclass(frozen=True, slots=True)
class Ranker:
    """What may differ between two rankers of the same passages."""

    adapter: Vectors | None
    memory: Memory | None


@dataclass(frozen=True, slots=True)
class _Asked:
    """One kind of question, with all that doesn't depend on the ranker."""

    queries: Sequence[Query]
    vectors: Vectors
    words: Sequence[Words]
    windows: Vectors


class Trial:
    """Questions of each kind, ready to be asked of any ranker."""

    def __init__(self, asked: Mapping[str, _Asked], passages: Passages) -> None:
        self._asked, self._passages = asked, passages

    @classmethod
    def of(
        cls,
        corpus: Corpus,
        material: Material,
        passages: Passages,
        embeddings: Embeddings,
        database: sqlite3.Connection,
    ) -> "Trial":
        """Those of the corpus, its passages in the database's index."""
        asked = {
            name: _asked(queries, passages.vectors, embeddings, database)
            for name, queries in (("links", material.links), ("verdicts", material.verdicts))
        }
        with _masked(corpus, material.masked) as masked:
            headless = _without_headings(corpus, material.masked, passages, embeddings)
            asked = {"headings": _asked(material.headings, headless, embeddings, masked), **asked}
        return cls(asked, passages)

    def gains(self, ranker: Ranker) -> dict[str, Vectors]:
        """nDCG@10 of each question, by kind."""
        return {
            name: _gains(
                Ranking(
                    one.windows, self._passages.sections, ranker.adapter, ranker.memory, self._passages.starts
                ),
                one,
            )
            for name, one in self._asked.items()
        }

    def clusters(self) -> dict[str, list[int]]:
        """The section that each question is about: what shares one isn't independent."""
        return {name: [query.golds[0] for query in one.queries] for name, one in self._asked.items()}


def _asked(
    queries: Sequence[Query], windows: Vectors, embeddings: Embeddings, database: sqlite3.Connection
) -> _Asked:
    return _Asked(
        queries,
        embeddings.vectors([query.text for query in queries]),
        [words(database, query.text) for query in queries],
        windows,
    )


def _gains(ranking: Ranking, asked: _Asked) -> Vectors:
    gains = np.zeros(len(asked.queries), np.float32)
    for first in range(0, len(asked.queries), BATCH):
        part = slice(first, first + BATCH)
        scores = ranking.scores(asked.vectors[part], asked.words[part])
        for number, (query, row) in enumerate(zip(asked.queries[part], scores, strict=True), first):
            if query.besides is not None:
                row[query.besides] = -np.inf
            top = np.argsort(-row, kind="stable")[:10]
            ranks = [rank for rank, section in enumerate(top, 1) if int(section) in query.golds]
            gains[number] = ndcg(ranks, len(query.golds))
    return gains


@contextlib.contextmanager
def _masked(corpus: Corpus, sections: frozenset[int]) -> Iterator[sqlite3.Connection]:
    """An index of the same passages in which these sections have no heading."""
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        index_of(
            database,
            (
                ("", piece.chunk.crumbs, body)
                if piece.section in sections
                else (piece.chunk.heading, piece.chunk.crumbs, piece.chunk.text)
                for piece, body in zip(corpus.pieces, corpus.bodies, strict=True)
            ),
        )
        yield database


def masked_texts(corpus: Corpus, sections: frozenset[int]) -> dict[int, str]:
    """What is encoded of these sections' windows, by their numbers, when their headings are asked for."""
    return {
        corpus.starts[number] + place: passage_text("", window)
        for number, piece in enumerate(corpus.pieces)
        if piece.section in sections
        for place, window in enumerate(corpus.windows[number])
    }


def _without_headings(
    corpus: Corpus, sections: frozenset[int], passages: Passages, embeddings: Embeddings
) -> Vectors:
    texts = masked_texts(corpus, sections)
    vectors = passages.vectors.copy()
    if texts:
        rows = list(texts)
        vectors[rows] = in_context(embeddings.vectors(list(texts.values())), passages.means[rows])
    return vectors
