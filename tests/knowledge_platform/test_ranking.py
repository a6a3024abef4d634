"""The order of sections: words and meaning fused, then what people said. By numbers that are worked out by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from knowledge_platform.meaning.ranking import (
    NEAREST,
    PLAUSIBLE,
    RECALLED,
    SAME,
    Memory,
    Ranking,
    Words,
    in_context,
    means_of,
)
from knowledge_platform.settings import LEXICAL

Vectors = NDArray[np.float32]
Said = tuple[Vectors, int, float]

NOTHING = Words((), ())


def vector(*numbers: float) -> Vectors:
    made = np.asarray(numbers, np.float32)
    return np.asarray(made / np.linalg.norm(made), np.float32)


def at(cosine: float, axis: int = 1, dimensions: int = 3) -> Vectors:
    """A vector of length 1 that is so near to the first axis."""
    made = np.zeros(dimensions, np.float32)
    made[0], made[axis] = cosine, np.sqrt(1 - cosine * cosine)
    return made


QUESTION = at(1.0)


def memory(*said: Said) -> Memory:
    return Memory(
        np.stack([query for query, _, _ in said]),
        np.asarray([section for _, section, _ in said], np.int32),
        np.asarray([weight for _, _, weight in said], np.float32),
    )


def scores(*cosines: float, words: Words = NOTHING, said: Memory | None = None) -> list[float]:
    """Of one section for each cosine."""
    vectors = np.stack([at(cosine) for cosine in cosines])
    ranking = Ranking(vectors, np.arange(len(cosines), dtype=np.int32), memory=said)
    return [round(float(score), 5) for score in ranking.scores(QUESTION[None, :], [words])[0]]


def test_a_passage_scores_its_share_of_the_best_words_and_its_cosine() -> None:
    found = scores(0.5, 0.9, 0.1, words=Words([0, 2], [3.0, 12.0]))
    assert found == pytest.approx(
        [LEXICAL * 3 / 12 + (1 - LEXICAL) * 0.5, (1 - LEXICAL) * 0.9, LEXICAL + (1 - LEXICAL) * 0.1],
        abs=1e-5,
    )


def test_a_section_is_its_best_passage() -> None:
    vectors = np.stack([at(0.2), at(0.3), at(0.9), at(0.1)])
    found = Ranking(vectors, np.asarray([0, 1, 0, 1], np.int32)).found(QUESTION, NOTHING, 5)
    assert [(one.section, one.piece) for one in found] == [(0, 2), (1, 1)]
    assert [one.score for one in found] == pytest.approx([(1 - LEXICAL) * 0.9, (1 - LEXICAL) * 0.3], abs=1e-4)
    assert not any(one.lifted for one in found)


def test_equals_stand_in_the_order_of_the_docs() -> None:
    vectors = np.stack([at(0.4)] * 30)
    found = Ranking(vectors, np.arange(30, dtype=np.int32)).found(QUESTION, NOTHING, 30)
    assert [one.section for one in found] == list(range(30))


def test_of_more_than_there_are_all_are_found() -> None:
    found = Ranking(np.stack([at(0.4)]), np.zeros(1, np.int32)).found(QUESTION, NOTHING, 5)
    assert [one.section for one in found] == [0]


def test_the_adapter_moves_the_question_and_no_passage() -> None:
    swap = np.asarray([[-1, 1, 0], [0, 0, 0], [0, 0, 0]], np.float32)  # the first axis becomes the second
    vectors = np.stack([vector(1, 0, 0), vector(0, 1, 0)])
    sections = np.arange(2, dtype=np.int32)
    assert Ranking(vectors, sections).found(QUESTION, NOTHING, 1)[0].section == 0
    assert Ranking(vectors, sections, swap).found(QUESTION, NOTHING, 1)[0].section == 1


COSINES = (0.9, 0.5, 0.45, 0.1)
ALIKE = at(0.6, axis=2)  # a question about as much like it as one in other words


def test_a_good_answer_to_a_like_question_lifts_by_likeness_and_reach() -> None:
    plain = scores(*COSINES)
    told = scores(*COSINES, said=memory((ALIKE, 2, 1.0)))
    reach = (plain[2] - plain[3]) / (plain[0] - plain[3])
    assert told[2] - plain[2] == pytest.approx(RECALLED * 0.6 * reach, abs=1e-5)
    assert [told[n] for n in (0, 1, 3)] == [plain[n] for n in (0, 1, 3)]


def test_a_bad_one_lowers_by_as_much() -> None:
    plain, good, bad = (
        scores(*COSINES, said=said) for said in (None, memory((ALIKE, 2, 0.5)), memory((ALIKE, 2, -0.5)))
    )
    assert bad[2] - plain[2] == pytest.approx(plain[2] - good[2], abs=1e-5)
    assert bad[2] < plain[2]


def test_of_several_words_on_a_section_the_strongest_of_each_kind_counts_in_any_order() -> None:
    said = [
        (ALIKE, 2, 1.0),
        (at(0.3, axis=2), 2, 1.0),
        (at(0.5, axis=2), 2, -1.0),
        (at(0.2, axis=2), 2, -1.0),
    ]
    plain = scores(*COSINES)
    good, bad = (scores(*COSINES, said=memory(said[n]))[2] - plain[2] for n in (0, 2))
    for order in (said, said[::-1]):
        assert scores(*COSINES, said=memory(*order))[2] - plain[2] == pytest.approx(good + bad, abs=1e-5)


def test_an_exact_no_outweighs_a_distant_yes() -> None:
    said = memory((QUESTION, 1, -1.0), (at(0.2, axis=2), 1, 1.0))
    assert scores(*COSINES, said=said)[1] < scores(*COSINES)[1] - 0.2


def test_a_question_that_has_nothing_in_common_changes_nothing() -> None:
    other = np.asarray([0, 0, 1], np.float32)
    opposite = -QUESTION
    assert scores(*COSINES, said=memory((other, 2, 1.0), (opposite, 1, 1.0))) == scores(*COSINES)


def test_only_the_nearest_questions_are_heard() -> None:
    near = [(at(0.5, axis=2), 0, 1.0)] * NEAREST
    assert scores(*COSINES, said=memory((at(0.4, axis=2), 2, 1.0), *near))[2] == scores(*COSINES)[2]
    assert scores(*COSINES, said=memory((at(0.4, axis=2), 2, 1.0), *near[1:]))[2] > scores(*COSINES)[2]


def test_a_section_beyond_the_plausible_ones_is_out_of_reach_and_the_next_nearer_is_not() -> None:
    cosines = [0.9 - 0.001 * n for n in range(PLAUSIBLE + 20)]
    plain = scores(*cosines)

    def gain(section: int) -> float:
        return scores(*cosines, said=memory((ALIKE, section, 1.0)))[section] - plain[section]

    assert gain(PLAUSIBLE - 1) == gain(PLAUSIBLE) == gain(PLAUSIBLE + 19) == 0
    assert gain(0) > gain(PLAUSIBLE // 2) > gain(PLAUSIBLE - 2) > 0


@pytest.mark.parametrize("count", [1, 2, PLAUSIBLE - 1, PLAUSIBLE, PLAUSIBLE + 1])
def test_any_number_of_sections_will_do(count: int) -> None:
    cosines = [0.9 - 0.005 * n for n in range(count)]
    assert len(scores(*cosines, said=memory((ALIKE, count - 1, 1.0)))) == count


@pytest.mark.parametrize("section", range(4))
def test_what_was_said_right_of_this_very_question_is_first(section: int) -> None:
    vectors = np.stack([at(cosine) for cosine in COSINES])
    ranking = Ranking(vectors, np.arange(4, dtype=np.int32), memory=memory((QUESTION, section, 1.0)))
    found = ranking.found(QUESTION, NOTHING, 4)
    assert found[0].section == section
    assert [one.lifted for one in found] == [section != 0, False, False, False]


def test_what_was_said_wrong_of_this_very_question_is_behind_the_others() -> None:
    vectors = np.stack([at(cosine) for cosine in COSINES])
    found = Ranking(vectors, np.arange(4, dtype=np.int32), memory=memory((QUESTION, 0, -1.0))).found(
        QUESTION, NOTHING, 4
    )
    assert [one.section for one in found] == [1, 2, 3, 0]
    assert not any(one.lifted for one in found), "to rise because another fell is no praise"


def test_an_old_word_on_this_very_question_goes_part_of_the_way() -> None:
    fresh, old = (scores(*COSINES, said=memory((QUESTION, 2, weight)))[2] for weight in (1.0, 0.25))
    plain = scores(*COSINES)[2]
    assert plain < old < fresh
    assert old - plain == pytest.approx((fresh - plain) / 4, abs=1e-4)


def test_nearly_the_same_question_is_no_cliff() -> None:
    gains = [
        scores(*COSINES, said=memory((at(SAME + step, axis=2), 2, 1.0)))[2] for step in (-0.001, 0, 0.001)
    ]
    assert gains[0] < gains[1] < gains[2] < gains[0] + 0.03


SAID = st.lists(
    st.tuples(st.floats(-1, 1), st.integers(0, 7), st.floats(-1, 1)).map(
        lambda one: (at(one[0], axis=2), one[1], one[2])
    ),
    min_size=1,
    max_size=15,
)


@given(SAID, st.lists(st.floats(-1, 1), min_size=8, max_size=8))
def test_no_memory_moves_a_section_that_nobody_named(said: list[Said], cosines: list[float]) -> None:
    plain, told = scores(*cosines), scores(*cosines, said=memory(*said))
    named = {section for _, section, _ in said}
    assert [told[n] for n in range(8) if n not in named] == [plain[n] for n in range(8) if n not in named]
    span = max(plain) - min(plain)
    assert all(abs(told[n] - plain[n]) <= span + RECALLED + 1e-4 for n in range(8))


def test_a_passage_leans_a_little_on_its_page() -> None:
    vectors = np.stack([vector(1, 0, 0), vector(0, 1, 0), vector(0, 0, 1)])
    means = means_of(vectors, [4, 4, 9])
    assert np.allclose(means, [vector(1, 1, 0), vector(1, 1, 0), vector(0, 0, 1)])
    leaning = in_context(vectors, means)
    assert np.allclose(np.linalg.norm(leaning, axis=1), 1)
    assert np.allclose(leaning[0], vector(1 + 0.2 / np.sqrt(2), 0.2 / np.sqrt(2), 0))
    assert np.allclose(leaning[2], vectors[2])
