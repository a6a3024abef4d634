"""A question's words and vector -> an order of sections. Numbers in, numbers out; what they are of is known elsewhere.

    passage:   LEXICAL * covered * BM25 / the best BM25  +  (1 - LEXICAL) * cosine of its best window and the adapted question
    section:   its best passage, and what people said of questions like this one

Fused by score, not by rank: reciprocal rank fusion of the same two is .046 nDCG@10 [.023, .071] below this on FastAPI's docs. A passage's
vector is pulled a little towards its file's mean: what a passage is about is often said elsewhere on the page.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from knowledge_platform.meaning.adapter import adapted
from knowledge_platform.meaning.embeddings import Numbers, Vectors
from knowledge_platform.settings import LEXICAL

CONTEXT = 0.2  # of its file's mean: nDCG@10 +.018 [.007, .029] on 120 questions, +.015 [.002, .028] on headings that were held out
# How many questions that people spoke of are heard, what one of them adds to a section by its likeness, and how many sections are within
# reach of it, the best fully, the last not at all. On FastAPI's docs, one accepted answer to each of 60 needs gains the same needs in other
# words .071 nDCG@10 [.034, .117] so, and costs headings about other things .010 [.019, .003]; reach for 100 sections costs more.
NEAREST = 5
RECALLED = 0.35
PLAUSIBLE = 15
# The cosine from which a question is taken for the very one that was judged, fully so at 1: then it is not a matter of how plausible the
# section is. Other words for the same are at .4 to .9; arbitrary.
SAME = 0.95


@dataclass(frozen=True, slots=True)
class Memory:
    """What people said: the vectors of their questions (m, d), not adapted, each with a section (m) and a weight (m) from -1 to 1."""

    queries: Vectors
    sections: Numbers
    weights: Vectors


@dataclass(frozen=True, slots=True)
class Words:
    """The passages that have words of a question, with their BM25, higher is better.

    `covered`, from 0 to 1, is the share of the question that its words cover in the best of them: a passage that has one word of ten is
    the best of its kind, too, and must not outweigh what the question means.
    """

    pieces: Sequence[int]
    scores: Sequence[float]
    covered: float = 1.0


@dataclass(frozen=True, slots=True)
class Found:
    """A section in its place: its best piece, its score, and whether it stands higher because people said that it answers."""

    section: int
    piece: int
    score: float
    lifted: bool


class Ranking:
    """The windows' vectors (w, d), where each passage's windows start (n), the passages' sections (n), and how questions are taken.

    Sections are numbered from 0 without a gap. Without `starts` each passage has one window.
    """

    def __init__(
        self,
        vectors: Vectors,
        sections: Numbers,
        adapter: Vectors | None = None,
        memory: Memory | None = None,
        starts: Numbers | None = None,
    ) -> None:
        self.vectors, self.sections = vectors, sections
        self.starts = np.arange(len(sections), dtype=np.int32) if starts is None else starts
        self.adapter, self.memory = adapter, memory
        self._order = np.argsort(sections, kind="stable")
        self._starts = np.flatnonzero(np.diff(sections[self._order], prepend=-1))

    def found(self, query: Vectors, words: Words, count: int) -> list[Found]:
        """At most `count` sections for one question (d), the best first."""
        passages = self._passages(query[None, :], [words])[0]
        plain = self._by_section(passages[None, :])[0]
        recalled = self._recalled(query, plain)
        order = np.argsort(-recalled, kind="stable")[:count]
        before = np.argsort(-plain, kind="stable")
        places = np.empty_like(before)
        places[before] = np.arange(len(before))
        found = []
        for place, section in enumerate(order):
            members = np.flatnonzero(self.sections == section)
            piece = members[np.argmax(passages[members])]
            found.append(
                Found(
                    int(section),
                    int(piece),
                    round(float(recalled[section]), 4),
                    bool(places[section] > place and recalled[section] > plain[section]),
                )
            )
        return found

    def scores(self, queries: Vectors, words: Sequence[Words]) -> Vectors:
        """Of each section for each question: (m, sections)."""
        plain = self._by_section(self._passages(queries, words))
        if self.memory is None:
            return plain
        return np.stack([self._recalled(query, row) for query, row in zip(queries, plain, strict=True)])

    def _passages(self, queries: Vectors, words: Sequence[Words]) -> Vectors:
        near: Vectors = adapted(queries, self.adapter) @ self.vectors.T
        scores: Vectors = np.maximum.reduceat(near, self.starts, axis=1)
        scores *= 1 - LEXICAL
        for row, said in zip(scores, words, strict=True):
            if len(said.pieces):
                share = np.asarray(said.scores, np.float32)
                row[np.asarray(said.pieces)] += LEXICAL * said.covered * share / share.max()
        return scores

    def _by_section(self, passages: Vectors) -> Vectors:
        best: Vectors = np.maximum.reduceat(passages[:, self._order], self._starts, axis=1)
        return best

    def _recalled(self, query: Vectors, scores: Vectors) -> Vectors:
        """A verdict on a question like this one counts by how like it is, and by how near the section was anyway.

        One on this very question puts the section first, or last of those within reach, as far as its weight goes.
        """
        memory = self.memory
        if memory is None or not len(memory.weights):
            return scores
        likeness = np.clip(memory.queries @ query, 0, 1)
        nearest = np.argsort(-likeness, kind="stable")[:NEAREST]
        top = float(scores.max())
        last = float(
            np.partition(scores, -PLAUSIBLE)[-PLAUSIBLE] if len(scores) > PLAUSIBLE else scores.min()
        )
        # The strongest word of each kind counts: many like questions about one section must not add up without end.
        good, bad = np.zeros_like(scores), np.zeros_like(scores)
        for like, section, weight in zip(
            likeness[nearest], memory.sections[nearest], memory.weights[nearest], strict=True
        ):
            score = float(scores[section])
            reach = min(max((score - last) / max(top - last, 1e-6), 0.0), 1.0)
            same = max(0.0, (float(like) - SAME) / (1 - SAME))
            way = top - score if weight > 0 else max(score - last, 0.0)
            amount = float(weight) * (RECALLED * float(like) * max(reach, same) + same * way)
            good[section] = max(good[section], amount)
            bad[section] = min(bad[section], amount)
        result: Vectors = scores + good + bad
        return result


def means_of(vectors: Vectors, files: Sequence[int] | NDArray[np.int64]) -> Vectors:
    """For each passage (n, d) the mean of its file's, of length 1."""
    _, numbers = np.unique(np.asarray(files), return_inverse=True)
    means = np.zeros((int(numbers.max()) + 1, vectors.shape[1]), np.float32)
    np.add.at(means, numbers, vectors)
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-9)
    spread: Vectors = means[numbers]
    return spread


def in_context(vectors: Vectors, means: Vectors) -> Vectors:
    """Passages' vectors, each pulled towards the mean of its file."""
    pulled = vectors + CONTEXT * means
    pulled /= np.linalg.norm(pulled, axis=1, keepdims=True)
    result: Vectors = pulled
    return result
