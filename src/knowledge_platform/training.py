"""Phase 4, training: vectors and questions with known answers -> the ranker. What it reads was all encoded in the phase before.

Beside the adapter it makes the memory of what people said, and finds how near a passage must be to be a good match in these docs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from knowledge_platform.adapter import EPOCHS, Lessons, trained
from knowledge_platform.corpus import Corpus
from knowledge_platform.embeddings import Embeddings, Numbers, Vectors
from knowledge_platform.pairs import Material, Pair, held_out_question
from knowledge_platform.plain import passage_text
from knowledge_platform.progress import Progress
from knowledge_platform.ranking import Memory, in_context, means_of
from knowledge_platform.settings import FLOOR_COSINE, FLOOR_HEADINGS, FLOOR_QUANTILE, FLOOR_SHARE
from knowledge_platform.verdicts import Lesson


@dataclass(frozen=True, slots=True)
class Learned:
    """`vectors` (n, d) are the passages' in their context, `means` (n, d) their files'; `floor` is the least cosine of a good match.

    `memory` is all that people said, `tested` what is left of it without the questions that the gate asks.
    """

    vectors: Vectors
    sections: Numbers
    means: Vectors
    floor: float
    pairs: int
    adapter: Vectors | None
    memory: Memory
    tested: Memory


def texts_of(corpus: Corpus) -> list[str]:
    """What is encoded of each passage."""
    return [
        passage_text(piece.chunk.heading, body)
        for piece, body in zip(corpus.pieces, corpus.bodies, strict=True)
    ]


def learn(
    corpus: Corpus,
    material: Material,
    lessons: Sequence[Lesson],
    embeddings: Embeddings,
    progress: Progress,
) -> Learned:
    """The ranker of a corpus, from what people said and from the docs themselves."""
    sections = np.asarray(corpus.sections, np.int32)
    plain = embeddings.vectors(texts_of(corpus))
    means = means_of(plain, corpus.files)
    vectors = in_context(plain, means)
    progress.expect(EPOCHS, "epochs")
    adapter = trained(
        _lessons(corpus, material.pairs, embeddings, vectors, means), vectors, sections, progress.advance
    )
    return Learned(
        vectors=vectors,
        sections=sections,
        means=means,
        floor=_floor(material, embeddings, vectors),
        pairs=len(material.pairs),
        adapter=adapter,
        memory=remembered(corpus, lessons, embeddings),
        tested=remembered(
            corpus, [lesson for lesson in lessons if not held_out_question(lesson.query)], embeddings
        ),
    )


def remembered(corpus: Corpus, lessons: Sequence[Lesson], embeddings: Embeddings) -> Memory:
    """Lessons as numbers; those whose section this corpus hasn't got are left out."""
    said = [
        (lesson.query, section, lesson.weight if lesson.verdict == "good" else -lesson.weight)
        for lesson in lessons
        for section in corpus.by_name.get((lesson.path, lesson.anchor), ())
    ]
    return Memory(
        embeddings.vectors([query for query, _, _ in said]),
        np.asarray([section for _, section, _ in said], np.int32),
        np.clip(np.asarray([weight for _, _, weight in said], np.float32), -1, 1),
    )


def _lessons(
    corpus: Corpus, pairs: Sequence[Pair], embeddings: Embeddings, vectors: Vectors, means: Vectors
) -> Lessons:
    queries = embeddings.vectors([pair.query for pair in pairs])
    pieces = np.asarray([pair.piece for pair in pairs], np.int64)
    golds = vectors[pieces].copy()
    masked = [number for number, pair in enumerate(pairs) if pair.masked is not None]
    if masked:
        texts = [pairs[number].masked or "" for number in masked]
        golds[masked] = in_context(embeddings.vectors(texts), means[pieces[masked]])
    for number, pair in enumerate(pairs):
        if pair.masked is None:
            # The section was named, not the passage: the one that is nearest to the question stands for it.
            members = corpus.members[corpus.pieces[pair.piece].section]
            golds[number] = vectors[members[int(np.argmax(vectors[members] @ queries[number]))]]
    return Lessons(
        queries=queries,
        golds=golds,
        sections=np.asarray([corpus.pieces[piece].section for piece in pieces], np.int32),
        weights=np.asarray([pair.weight for pair in pairs], np.float32),
    )


def _floor(material: Material, embeddings: Embeddings, vectors: Vectors) -> float:
    headings = [query.text for query in material.headings]
    if len(headings) < FLOOR_HEADINGS:
        return FLOOR_COSINE
    best = (embeddings.vectors(headings) @ vectors.T).max(axis=1)
    return round(FLOOR_SHARE * float(np.quantile(best, FLOOR_QUANTILE)), 4)
