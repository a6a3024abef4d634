"""Phase 4, training: vectors and questions with known answers -> the ranker. What it reads was all encoded in the phase before.

Beside the adapter it makes the memory of what people said, and finds how near a passage must be to be a good match in these docs.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from knowledge_platform.documents.plain import passage_text
from knowledge_platform.feedback.verdicts import Lesson
from knowledge_platform.meaning.adapter import SEEDS, Lessons, trained
from knowledge_platform.meaning.corpus import Corpus
from knowledge_platform.meaning.embeddings import Embeddings, Numbers, Vectors
from knowledge_platform.meaning.pairs import Material, Pair, held_out_question
from knowledge_platform.meaning.ranking import Memory, in_context, means_of
from knowledge_platform.progress import Progress
from knowledge_platform.settings import FLOOR_COSINE, FLOOR_HEADINGS, FLOOR_QUANTILE, FLOOR_SHARE


@dataclass(frozen=True, slots=True)
class Passages:
    """`vectors` (w, d) are the windows' in their context, `means` (w, d) their files', `of` (w) the section of each.

    `starts` (n) is where each passage's windows begin, `sections` (n) the section of each passage.
    """

    vectors: Vectors
    means: Vectors
    of: Numbers
    starts: Numbers
    sections: Numbers


@dataclass(frozen=True, slots=True)
class Learned:
    """`floor` is the least cosine of a good match, `pairs` how many were learned from.

    `memory` is all that people said, `tested` what is left of it without the questions that the gate asks.
    """

    passages: Passages
    floor: float
    pairs: int
    adapter: Vectors | None
    memory: Memory
    tested: Memory


def texts_of(corpus: Corpus) -> list[str]:
    """What is encoded of the passages: a text for each of their windows."""
    return [
        passage_text(piece.chunk.heading, window)
        for piece, windows in zip(corpus.pieces, corpus.windows, strict=True)
        for window in windows
    ]


def passages_of(corpus: Corpus, embeddings: Embeddings) -> Passages:
    """The passages' vectors, each pulled towards its page."""
    counts = [len(windows) for windows in corpus.windows]
    plain = embeddings.vectors(texts_of(corpus))
    means = means_of(plain, np.repeat(np.asarray(corpus.files), counts))
    sections = np.asarray(corpus.sections, np.int32)
    return Passages(
        vectors=in_context(plain, means),
        means=means,
        of=np.repeat(sections, counts),
        starts=np.asarray(corpus.starts, np.int32),
        sections=sections,
    )


def learn(
    corpus: Corpus,
    material: Material,
    lessons: Sequence[Lesson],
    embeddings: Embeddings,
    progress: Progress,
) -> Learned:
    """The ranker of a corpus, from what people said and from the docs themselves."""
    passages = passages_of(corpus, embeddings)
    progress.expect(SEEDS, "adapters")
    pairs = _lessons(corpus, material.pairs, embeddings, passages)
    return Learned(
        passages=passages,
        floor=_floor(corpus, material, embeddings, passages),
        pairs=len(material.pairs),
        adapter=trained(pairs, passages.vectors, passages.of, progress.advance),
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


def _lessons(corpus: Corpus, pairs: Sequence[Pair], embeddings: Embeddings, passages: Passages) -> Lessons:
    queries = embeddings.vectors([pair.query for pair in pairs])
    starts = np.asarray([corpus.starts[pair.piece] for pair in pairs], np.int64)
    golds = passages.vectors[starts].copy()
    masked = [number for number, pair in enumerate(pairs) if pair.masked is not None]
    if masked:
        texts = [pairs[number].masked or "" for number in masked]
        golds[masked] = in_context(embeddings.vectors(texts), passages.means[starts[masked]])
    for number, pair in enumerate(pairs):
        if pair.masked is None:
            # The section was named, not the passage: the window that is nearest to the question stands for it.
            members = np.flatnonzero(passages.of == passages.of[starts[number]])
            near = passages.vectors[members]
            golds[number] = near[int(np.argmax(near @ queries[number]))]
    return Lessons(
        queries=queries,
        golds=golds,
        sections=passages.of[starts],
        weights=np.asarray([pair.weight for pair in pairs], np.float32),
    )


def _floor(corpus: Corpus, material: Material, embeddings: Embeddings, passages: Passages) -> float:
    taught = {pair.query for pair in material.pairs if pair.query == corpus.pieces[pair.piece].chunk.heading}
    headings = sorted(taught.union(query.text for query in material.headings))
    if len(headings) < FLOOR_HEADINGS:
        return FLOOR_COSINE
    best = (embeddings.vectors(headings) @ passages.vectors.T).max(axis=1)
    return round(FLOOR_SHARE * float(np.quantile(best, FLOOR_QUANTILE)), 4)
