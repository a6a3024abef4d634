"""The adapter: what it learns, from how little it learns nothing, and that the same lessons always teach the same."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from knowledge_platform.meaning.adapter import (
    FEWEST,
    KEPT_BACK,
    SEEDS,
    Lessons,
    _one,
    _Step,
    adapted,
    trained,
)
from knowledge_platform.settings import NEGATIVES

Vectors = NDArray[np.float32]


def unit(rows: NDArray[Any]) -> Vectors:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def toy(pairs: int, *, dimensions: int = 16, seed: int = 7) -> tuple[Lessons, Vectors, NDArray[np.int32]]:
    """Passages, and questions that are their answers with too much of the first four directions: to be heard less."""
    random = np.random.default_rng(seed)
    passages = unit(random.standard_normal((pairs, dimensions)))
    noise = np.zeros_like(passages)
    noise[:, :4] = 2.5 * unit(random.standard_normal((pairs, 4)))
    sections = np.arange(pairs, dtype=np.int32)
    weights = np.asarray(random.uniform(0.3, 3, pairs), np.float32)
    return Lessons(unit(passages + noise), passages.copy(), sections, weights), passages, sections


def part(of: Lessons, first: int, end: int) -> Lessons:
    rows = slice(first, end)
    return Lessons(of.queries[rows], of.golds[rows], of.sections[rows], of.weights[rows])


def exact(array: Vectors) -> Vectors:
    """In 64 bits, where a slope can be told from rounding."""
    return np.asarray(array, np.float64)


def first_hits(lessons: Lessons, passages: Vectors, adapter: Vectors | None) -> int:
    best = (adapted(lessons.queries, adapter) @ passages.T).argmax(axis=1)
    return int((best == lessons.sections).sum())


def test_what_is_learned_helps_questions_that_were_not_seen() -> None:
    lessons, passages, sections = toy(2000)
    learned, unseen = part(lessons, 0, 1200), part(lessons, 1200, 2000)
    adapter = trained(learned, passages[:1200], sections[:1200])
    assert adapter is not None
    assert adapter.dtype == np.float32
    before, after = first_hits(unseen, passages, None), first_hits(unseen, passages, adapter)
    assert after > 1.1 * before, f"{before} of {len(unseen.queries)} were first, now {after}"


def test_the_gradient_is_that_of_the_loss() -> None:
    lessons, passages, sections = toy(24, dimensions=6)
    sections = np.asarray(sections // 3, np.int32)  # so that some passages are the gold's own section's
    exactly = Lessons(exact(lessons.queries), exact(lessons.golds), sections, lessons.weights)
    step = _Step(exactly, exact(passages), sections)
    random = np.random.default_rng(1)
    weight: Any = 0.1 * random.standard_normal((6, 6))
    rows = np.arange(20)
    gradient = step.gradient(rows, weight)
    for _ in range(40):
        place = tuple(random.integers(6, size=2))
        shift = np.zeros_like(weight)
        shift[place] = 1e-5
        slope = (step.loss(rows, weight + shift) - step.loss(rows, weight - shift)) / 2e-5
        assert gradient[place] == pytest.approx(slope, rel=1e-5, abs=1e-8)


def test_the_gold_stands_against_all_but_its_own_section() -> None:
    lessons, passages, sections = toy(8, dimensions=4)
    rows = np.arange(8)
    zero = np.zeros((4, 4), np.float32)
    cosines = 20 * lessons.queries.astype(np.float64) @ passages.T
    expected = -np.log([np.exp(row[n]) / np.exp(row).sum() for n, row in enumerate(cosines)])
    got = _Step(lessons, passages, sections).loss(rows, zero)
    assert got == pytest.approx((expected * lessons.weights).sum() / lessons.weights.sum(), rel=1e-4)
    alone = _Step(lessons, passages, np.zeros(8, np.int32))
    same = Lessons(lessons.queries, lessons.golds, np.zeros(8, np.int32), lessons.weights)
    assert _Step(same, passages, np.zeros(8, np.int32)).loss(rows, zero) == 0, "nothing else may be found"
    assert alone.loss(rows[:1], zero) == 0


def test_the_same_lessons_teach_the_same_to_the_last_bit() -> None:
    first, again = (trained(*toy(300)) for _ in range(2))
    assert first is not None
    assert again is not None
    assert first.tobytes() == again.tobytes()


def test_of_too_many_passages_the_same_ones_are_drawn() -> None:
    lessons, _, _ = toy(64)
    passages = unit(np.random.default_rng(3).standard_normal((NEGATIVES + 500, 16)))
    sections = np.arange(NEGATIVES + 500, dtype=np.int32) + 64
    first, again = (trained(lessons, passages, sections) for _ in range(2))
    assert first is None if again is None else np.array_equal(again, first)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [0, 1, KEPT_BACK, FEWEST - 1])
def test_too_few_lessons_teach_nothing(count: int) -> None:
    assert trained(*toy(count)) is None if count else trained(empty(), *toy(5)[1:]) is None


def empty() -> Lessons:
    nothing = np.empty((0, 0), np.float32)
    return Lessons(nothing, nothing, np.empty(0, np.int32), np.empty(0, np.float32))


def test_just_enough_teach_and_one_less_do_not() -> None:
    assert trained(*toy(FEWEST, seed=2)) is not None
    assert trained(*toy(FEWEST - 1, seed=2)) is None


def test_what_does_not_help_the_pairs_that_are_kept_back_is_not_kept() -> None:
    for seed in range(5):
        lessons, passages, sections = toy(64, seed=seed)
        lessons.queries[:] = unit(np.random.default_rng(seed).standard_normal((64, 16)))
        adapter = _one(lessons, passages, sections, seed)
        if adapter.any():
            back = np.random.default_rng(seed).permutation(64)[: 64 // KEPT_BACK]
            step = _Step(lessons, passages, sections)
            assert step.loss(back, adapter) < step.loss(back, np.zeros_like(adapter))


def test_questions_that_are_their_answers_have_nothing_to_teach() -> None:
    passages = np.eye(64, dtype=np.float32)
    sections = np.arange(64, dtype=np.int32)
    lessons = Lessons(passages, passages, sections, np.ones(64, np.float32))
    adapter = trained(lessons, passages, sections)
    assert adapter is None or first_hits(lessons, passages, adapter) == 64


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["queries", "golds", "passages"])
def test_numbers_that_are_none_teach_nothing(bad: float, where: str) -> None:
    lessons, passages, sections = toy(200)
    for rows in ([0], range(200)):
        harmed = {"queries": lessons.queries, "golds": lessons.golds, "passages": passages}[where]
        harmed[list(rows), 3] = bad
        adapter = trained(lessons, passages, sections)
        assert adapter is None or np.isfinite(adapter).all()


def test_each_adapter_is_told() -> None:
    same = np.eye(64, dtype=np.float32)
    sections = np.arange(64, dtype=np.int32)
    for lessons in (toy(300), (Lessons(same, same, sections, np.ones(64, np.float32)), same, sections)):
        told: list[int] = []
        trained(*lessons, told.append)
        assert told == [1] * SEEDS


def test_an_adapted_question_has_length_one_and_none_is_none() -> None:
    queries = unit(np.random.default_rng(2).standard_normal((5, 16)))
    weight = np.asarray(np.random.default_rng(4).standard_normal((16, 16)), np.float32)
    assert np.allclose(np.linalg.norm(adapted(queries, weight), axis=1), 1, atol=1e-6)
    assert adapted(queries, None) is queries
    assert np.allclose(adapted(queries, np.zeros((16, 16), np.float32)), queries, atol=1e-6)
