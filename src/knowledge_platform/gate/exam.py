"""An exam: a release is asked what has a known answer, by words alone and by its ranker. Nothing is written, nothing decided.

    golden     what people pinned
    learned    what people called right, asked back: the release was trained on it, so this shows that it was learned, no more
    unheard    what people called right since
    a file     needs in phrasings of the reader's own

Ranks are over sections, and counted whether or not the best one is a good match: what would be "no good match" is counted beside them.
"""

import sqlite3
from collections.abc import Container, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Protocol

from knowledge_platform.feedback.lessons import Resolved
from knowledge_platform.gate.measures import bootstrap, ndcg, recall, reciprocal_rank
from knowledge_platform.gate.questions import Need
from knowledge_platform.settings import FLOOR, SEED
from knowledge_platform.store.releases import Release
from knowledge_platform.words.search import Passage, search

if TYPE_CHECKING:
    from knowledge_platform.meaning.encoder import Encoder


class Asks(Protocol):
    """A question -> passages, best first; with `floor`, none where not one is a good match."""

    def __call__(self, question: str, *, floor: bool) -> Sequence[Passage]: ...


@dataclass(frozen=True, slots=True)
class Marks:
    """The means over all questions; `refused` of them are answered with "no good match". `r5` is None where fewer are looked at."""

    r1: float
    r5: float | None
    mrr: float
    ndcg: float
    refused: int


@dataclass(frozen=True, slots=True)
class Gain:
    """nDCG of the ranker less that of words alone, with its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Result:
    """One kind of question. `ranker` and `gain` are None where the release is asked by words only."""

    kind: str
    needs: int
    questions: int
    words: Marks
    ranker: Marks | None
    gain: Gain | None


def said(resolved: Resolved, trained_on: Container[str]) -> dict[str, list[Need]]:
    """What people said, as needs, as far as the sections are there. `trained_on`: the questions that the release learned."""
    golden = [
        Need((place.name,), (one.query,), exact=True) for one, place in resolved.golden if place is not None
    ]
    accepted: dict[str, list[str]] = {}
    for lesson in resolved.kept:
        if lesson.verdict == "good":
            accepted.setdefault(lesson.query, []).append(f"{lesson.path}#{lesson.anchor}")
    learned: list[Need] = []
    unheard: list[Need] = []
    for query, golds in accepted.items():
        (learned if query in trained_on else unheard).append(Need(tuple(golds), (query,), exact=True))
    every = {"golden": golden, "learned": learned, "unheard": unheard}
    return {kind: needs for kind, needs in every.items() if needs}


def held(kind: str, needs: Sequence[Need], depth: int, by_words: Asks, by_ranker: Asks | None) -> Result:
    """Asks every question of both."""
    words, of_words = _marks(needs, depth, by_words)
    questions = len(of_words)
    if by_ranker is None:
        return Result(kind, len(needs), questions, words, None, None)
    ranker, of_ranker = _marks(needs, depth, by_ranker)
    clusters = [number for number, need in enumerate(needs) for _ in need.phrasings]
    differences = [mine - theirs for mine, theirs in zip(of_ranker, of_words, strict=True)]
    gain = Gain(*(round(figure, 4) for figure in bootstrap(differences, clusters, SEED)))
    return Result(kind, len(needs), questions, words, ranker, gain)


def asks_words(database: sqlite3.Connection, depth: int) -> Asks:
    """A release by words alone, which needs nothing but SQLite."""

    def passages(question: str, *, floor: bool) -> Sequence[Passage]:
        return search(database, question, depth, floor=FLOOR if floor else 0.0)

    return passages


def asks_ranker(release: Release, database: sqlite3.Connection, encoder: "Encoder", depth: int) -> Asks:
    """A release as `crystal ask` asks it.

    Raises:
        CrystalError: its ranker is damaged.
    """
    from knowledge_platform.meaning.model import load  # noqa: PLC0415 - numpy, which there is where there is an encoder

    model = load(release, database)

    def passages(question: str, *, floor: bool) -> Sequence[Passage]:
        (vector,) = encoder.encode([question])
        return model.answer(database, question, vector, depth, floor=floor)

    return passages


def _marks(needs: Sequence[Need], depth: int, asks: Asks) -> tuple[Marks, list[float]]:
    """The means, and the nDCG of each question."""
    ranks: list[list[int]] = []
    gains: list[float] = []
    refused = 0
    for need in needs:
        for phrasing in need.phrasings:
            passages = asks(phrasing, floor=True)
            if not passages:
                refused += 1
                passages = asks(phrasing, floor=False)
            ranks.append(need.ranks((passage.path, passage.anchor) for passage in passages))
            gains.append(ndcg(ranks[-1], len(need.golds), depth))
    marks = Marks(
        r1=_mean([recall(one, 1) for one in ranks]),
        r5=_mean([recall(one, 5) for one in ranks]) if depth >= 5 else None,
        mrr=_mean([reciprocal_rank(one, depth) for one in ranks]),
        ndcg=_mean(gains),
        refused=refused,
    )
    return marks, gains


def _mean(figures: Sequence[float]) -> float:
    return round(fmean(figures), 4)
