"""A ranker by meaning in the making: the encoder's part in each phase. Loaded where there is an encoder; without one, words do all of it."""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Self

from knowledge_platform.errors import CrystalError
from knowledge_platform.feedback.lessons import Resolved
from knowledge_platform.gate.choice import Choice, Deployed, chosen
from knowledge_platform.gate.evaluation import Pinned, Report
from knowledge_platform.gate.trial import Ranker, Trial, masked_texts
from knowledge_platform.meaning import model
from knowledge_platform.meaning.corpus import Corpus, corpus_of
from knowledge_platform.meaning.embeddings import Embeddings, Encodes
from knowledge_platform.meaning.model import words
from knowledge_platform.meaning.pairs import held_out_question, material
from knowledge_platform.meaning.ranking import Ranking
from knowledge_platform.meaning.training import Learned, learn, remembered, texts_of
from knowledge_platform.progress import Progress
from knowledge_platform.settings import GOLDEN_TOP
from knowledge_platform.store.releases import Release
from knowledge_platform.words.search import facts_of

Before = tuple[Release, sqlite3.Connection]


class ByMeaning:
    """The phases come in their order, each once."""

    embedded: int | None
    encoded: int | None
    _learned: Learned
    _choice: Choice

    def __init__(
        self,
        database: sqlite3.Connection,
        said: Resolved,
        deployed: Before | None,
        embeddings: Embeddings,
        encoder: Encodes,
        progress: Progress,
    ) -> None:
        self._database, self._said, self._deployed = database, said, deployed
        self._embeddings, self._encoder, self._progress = embeddings, encoder, progress
        self._corpus = corpus_of(database)
        self._material = material(self._corpus, said.kept)
        self._carried = model.remembered_lessons(deployed[1]) if deployed else []

    @classmethod
    @contextlib.contextmanager
    def kept(
        cls,
        cache: Path,
        encoder: Encodes,
        database: sqlite3.Connection,
        said: Resolved,
        deployed: Before | None,
        progress: Progress,
    ) -> Iterator[Self]:
        """With the vectors that are kept in the folder `cache`."""
        with Embeddings.kept(cache, encoder, progress.note) as embeddings:
            yield cls(database, said, deployed, embeddings, encoder, progress)

    def prepare(self) -> str:
        """Encodes every text that never was: what follows finds all its vectors there."""
        texts = texts_of(self._corpus)
        passages = set(self._embeddings.missing(texts))
        lessons = [*self._said.kept, *self._carried]
        others = self._embeddings.missing(
            [
                *self._material.texts(),
                *masked_texts(self._corpus, self._material.masked).values(),
                *(lesson.query for lesson in lessons),
                *(golden.query for golden, _ in self._said.golden),
            ]
        )
        new = sorted(passages.union(others), key=lambda text: (-len(text), text))
        self._progress.expect(len(new), "texts", work=sum(map(_work, new)))
        done = 0

        def advance(count: int) -> None:
            nonlocal done
            self._progress.advance(count, work=sum(map(_work, new[done : done + count])))
            done += count

        self._embeddings.encode(new, advance=advance)
        starts = [*self._corpus.starts, len(texts)]
        self.embedded = sum(not passages.isdisjoint(texts[first:last]) for first, last in pairwise(starts))
        self.encoded = len(new)
        return f", {self.embedded} passages encoded, in {len(new)} texts with the questions about them"

    def train(self) -> str:
        self._learned = learn(self._corpus, self._material, self._said.kept, self._embeddings, self._progress)
        pairs, lessons = self._learned.pairs, len(self._said.kept)
        learned = "learned from" if self._learned.adapter is not None else "too little to learn from:"
        return f"{learned} {pairs} questions that the docs answer, {lessons} lessons from people remembered"

    def judge(self, report: Report) -> Report:
        trial = Trial.of(
            self._corpus, self._material, self._learned.passages, self._embeddings, self._database
        )
        golden = _Golden(self._said, self._corpus, self._embeddings, self._database)
        self._choice = chosen(trial, self._learned, self._carried_over(), golden.lost)
        return replace(report, ranking=self._choice.decision, golden=golden.places(self._choice.ranking))

    def save(self, staging: Path) -> list[str]:
        names = model.save(staging, self._choice.ranking)
        facts = {
            "encoder_id": self._encoder.id,
            "floor": self._learned.floor,
            "ranker": self._choice.ranker,
            "files": " ".join(names),
        }
        model.store_facts(self._database, facts)
        if self._choice.ranker == "as deployed":
            # Else the next training would take the lessons that were refused now for the deployed ones.
            model.store_remembered(self._database, self._carried)
        self._embeddings.forget()
        return names

    def answers(self, release: Release, database: sqlite3.Connection, question: str) -> bool:
        """Reads the files as a question does."""
        ranker = model.load(release, database)
        (vector,) = self._embeddings.vectors([question])
        return bool(ranker.answer(database, question, vector, 1, floor=False))

    def _carried_over(self) -> Deployed | None:
        """The ranker that answers now, on the new documents; None where it is of another encoder, or can't be read."""
        if self._deployed is None:
            return None
        release, database = self._deployed
        if facts_of(database).get("encoder_id") != self._encoder.id:
            return None
        try:
            ranker = model.load(release, database)
        except CrystalError as problem:
            self._progress.note(f"nothing to compare with: {problem}")
            return None
        adapter = ranker.ranking.adapter
        if ranker.ranking.memory is None:
            return Deployed(release.id, Ranker(adapter, None), None)
        untested = [lesson for lesson in self._carried if not held_out_question(lesson.query)]
        return Deployed(
            release.id,
            Ranker(adapter, remembered(self._corpus, self._carried, self._embeddings)),
            remembered(self._corpus, untested, self._embeddings),
        )


class _Golden:
    """The golden queries, ready to be asked of any ranking."""

    def __init__(
        self, said: Resolved, corpus: Corpus, embeddings: Embeddings, database: sqlite3.Connection
    ) -> None:
        self._golden = said.golden
        self._sections: Sequence[Sequence[int]] = [
            corpus.by_name.get(section.key, ()) if section else () for _, section in said.golden
        ]
        queries = [golden.query for golden, _ in said.golden]
        self._vectors = embeddings.vectors(queries)
        self._words = [words(database, query) for query in queries]

    def lost(self, ranking: Ranking) -> list[str]:
        """Those whose section is there and isn't found; one that is gone can't be."""
        return [one.query for one in self.places(ranking) if one.section and one.place is None]

    def places(self, ranking: Ranking) -> tuple[Pinned, ...]:
        found = []
        for (golden, section), sections, vector, said in zip(
            self._golden, self._sections, self._vectors, self._words, strict=True
        ):
            top = [one.section for one in ranking.found(vector, said, GOLDEN_TOP)]
            place = next((place for place, one in enumerate(top, 1) if one in sections), None)
            found.append(Pinned(golden.query, section.name if section else None, place))
        return tuple(found)


def _work(text: str) -> int:
    """How long a text takes to encode, in units of its own: a fixed part, and its characters until the encoder reads no more."""
    return 60 + min(len(text), 600)
