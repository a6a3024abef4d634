"""The figures of quality are what one gets by hand."""

from __future__ import annotations

import pytest
from bench.crystal.quality import FIRST_HIT, METRICS

from knowledge_platform.gate.measures import bootstrap, matches, ndcg, ranks_of, recall, reciprocal_rank

A, B, C = ("a.md", "one"), ("a.md", "one-more"), ("b.md", "two")


@pytest.mark.parametrize(
    ("gold", "section", "met"),
    [
        ("a.md", A, True),
        ("a.md", ("a.md", ""), True),
        ("a.md", C, False),
        ("a.md#one", B, True),
        ("a.md#one-more", A, False),
        ("deep/a.md#one", A, False),
    ],
)
def test_a_gold_means_a_file_or_the_sections_whose_anchors_begin_so(
    gold: str, section: tuple[str, str], *, met: bool
) -> None:
    assert matches(gold, section) is met


def test_a_section_counts_where_it_stands_first() -> None:
    assert ranks_of(["b.md#two"], [A, A, A, C, C]) == [2]


def test_each_gold_is_met_once() -> None:
    assert ranks_of(["a.md"], [A, B, C]) == [1]
    assert ranks_of(["a.md#one", "b.md"], [A, B, C]) == [1, 3]


def test_a_section_that_matches_two_golds_meets_the_narrower() -> None:
    assert ranks_of(["a.md", "a.md#one-more"], [B, A]) == [1, 2]


def test_recall_and_reciprocal_rank() -> None:
    assert [recall([2, 7], depth) for depth in (1, 2, 5)] == [0.0, 1.0, 1.0]
    assert recall([], 5) == 0.0
    assert reciprocal_rank([4, 5]) == 0.25
    assert reciprocal_rank([11]) == reciprocal_rank([]) == 0.0


@pytest.mark.parametrize(
    ("ranks", "golds", "by_hand"),
    [
        ([1], 1, 1.0),
        ([2], 1, 0.6309298),  # 1 / log2(3)
        ([1, 3], 2, 0.9197208),  # (1 + 1/2) / (1 + 1/log2(3))
        ([3], 3, 0.2346394),  # 1/2 / (1 + 1/log2(3) + 1/2)
        (list(range(1, 11)), 15, 1.0),  # more golds than ranks that count
        ([11], 1, 0.0),
        ([], 1, 0.0),
    ],
)
def test_ndcg(ranks: list[int], golds: int, by_hand: float) -> None:
    assert ndcg(ranks, golds) == pytest.approx(by_hand, abs=1e-7)


def test_the_first_hit_alone_is_ideal_wherever_another_answer_stands() -> None:
    assert METRICS[FIRST_HIT]([2, 3], 2) == pytest.approx(0.6309298, abs=1e-7)
    assert METRICS[FIRST_HIT]([1], 4) == 1.0
    assert METRICS[FIRST_HIT]([11, 12], 2) == METRICS[FIRST_HIT]([], 2) == 0.0


def test_a_bootstrap_over_equal_differences_has_no_width() -> None:
    assert bootstrap([0.25] * 6, [0, 0, 1, 1, 2, 2], seed=1) == (0.25, 0.25, 0.25)


def test_a_bootstrap_draws_whole_clusters() -> None:
    # Two clusters: both from the first (1/4 of the draws), one of each (1/2), both from the second (1/4). Singles would mix.
    mean, low, high = bootstrap([1.0, -1.0, 1.0, -1.0], [7, 7, 9, 9], seed=1)
    assert (mean, low, high) == (0.0, 0.0, 0.0)
    mean, low, high = bootstrap([1.0, 1.0, 0.0, 0.0], [7, 7, 9, 9], seed=1)
    assert (mean, low, high) == (0.5, 0.0, 1.0)


def test_a_bootstrap_weighs_clusters_by_their_size() -> None:
    assert bootstrap([1.0, 1.0, 1.0, 0.0], [7, 7, 7, 9], seed=1)[0] == 0.75


def test_a_bootstrap_s_interval_is_that_of_the_normal_where_there_are_many() -> None:
    # 400 clusters, half 0 and half 1: the mean's standard error is 0.5 / 20.
    mean, low, high = bootstrap([0.0, 1.0] * 200, range(400), seed=1)
    assert mean == 0.5
    assert low == pytest.approx(0.5 - 1.96 * 0.025, abs=0.004)
    assert high == pytest.approx(0.5 + 1.96 * 0.025, abs=0.004)


def test_the_same_seed_gives_the_same_interval() -> None:
    assert bootstrap([0.0, 1.0, 3.0], [0, 1, 2], seed=5) == bootstrap([0.0, 1.0, 3.0], [0, 1, 2], seed=5)
