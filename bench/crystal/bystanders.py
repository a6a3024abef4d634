"""Headings that nobody spoke of: what feedback on other sections does to them.

They are asked as the gate asks them (knowledge_platform/trial.py): sections that no adapter was trained on, of an index and of vectors
that have lost these headings.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.crystal.rankers import Systems, encoder
from bench.ground import say
from knowledge_platform.gate.measures import Section
from knowledge_platform.gate.trial import Ranker, Trial
from knowledge_platform.meaning.corpus import corpus_of
from knowledge_platform.meaning.embeddings import Embeddings
from knowledge_platform.meaning.pairs import material
from knowledge_platform.meaning.training import passages_of


@dataclass(frozen=True, slots=True)
class Bystanders:
    """nDCG@10 of each question by the ranker before and by the one after, in rounds over so many needs."""

    before: Sequence[float]
    after: Sequence[float]
    needs: int


def bystanders(
    systems: Systems, before: Ranker | None, store: Path, spoken_of: Collection[Section]
) -> Bystanders:
    """The ranker that answers now beside the one `before`, both of these documents; no headings where there are no vectors."""
    if systems.model is None or before is None:
        return Bystanders((), (), 0)
    ranking = systems.model.ranking
    corpus = corpus_of(systems.database)
    with Embeddings.kept(store / "cache", encoder(), say) as embeddings:
        passages = passages_of(corpus, embeddings)
        trial = Trial.of(corpus, material(corpus, ()), passages, embeddings, systems.database)
    told = {section for name in spoken_of for section in corpus.by_name.get(name, ())}
    after = Ranker(ranking.adapter, ranking.memory)
    others = [section not in told for section in trial.clusters()["headings"]]
    then, now = (trial.gains(ranker)["headings"][others].tolist() for ranker in (before, after))
    return Bystanders(then, now, len(then))
