"""What one release finds, by each of its parts and by all of them: the systems that are compared.

Here alone the bench looks inside: a user sees one answer, not what each part would have said.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.metrics import Section
from knowledge_platform.releases import Store
from knowledge_platform.search import opened, search
from knowledge_platform.settings import FLOOR

FTS5 = "FTS5"
RRF = "RRF"

# Enough passages for ten sections: the longest are some twenty.
PASSAGES = 100


class Ranker(Protocol):
    """One system."""

    def sections(self, question: str, count: int) -> list[Section]:
        """At most `count` sections, the best first, each once, whether or not they match well."""


@dataclass(frozen=True, slots=True)
class Systems:
    """`rankers` by name, each building on those before; the last one, the deployed, is what `crystal ask` answers with."""

    rankers: Mapping[str, Ranker]
    database: sqlite3.Connection

    @property
    def deployed(self) -> str:
        return list(self.rankers)[-1]

    def answers(self, question: str) -> bool:
        """Whether `crystal ask` finds a good match."""
        return bool(search(self.database, question, 5, floor=FLOOR))


@contextmanager
def systems_in(store: Path) -> Iterator[Systems]:
    """Those of the release that answers in a store, as long as the block runs."""
    with closing(opened(Store(store).answering())) as database:
        yield Systems({FTS5: Words(database)}, database)


@dataclass(frozen=True, slots=True)
class Words:
    """FTS5 alone."""

    database: sqlite3.Connection

    def sections(self, question: str, count: int) -> list[Section]:
        found = search(self.database, question, PASSAGES, floor=0.0)
        return list(dict.fromkeys((passage.path, passage.anchor) for passage in found))[:count]


@dataclass(frozen=True, slots=True)
class ByRank:
    """Reciprocal rank fusion, what others do with two rankings (Cormack, Clarke, Büttcher 2009; 60 is theirs)."""

    rankers: tuple[Ranker, ...]

    def sections(self, question: str, count: int) -> list[Section]:
        scores = defaultdict[Section, float](float)
        for ranker in self.rankers:
            for rank, section in enumerate(ranker.sections(question, PASSAGES), 1):
                scores[section] += 1 / (60 + rank)
        return sorted(scores, key=scores.__getitem__, reverse=True)[:count]
