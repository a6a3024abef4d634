"""Ranks -> figures of quality, and how sure they are. PURE."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

DEPTH = 10


def ndcg(ranks: Iterable[int], golds: int) -> float:
    """Discounted cumulative gain of the first DEPTH with binary gold, as a share of the ideal (Järvelin, Kekäläinen 2002).

    `ranks`, from 1, are those at which one of the `golds` stands.
    """
    return _gain(rank for rank in ranks if rank <= DEPTH) / _gain(range(1, min(golds, DEPTH) + 1))


def bootstrap(
    differences: Sequence[float], clusters: Sequence[int], seed: int, repetitions: int = 10_000
) -> tuple[float, float, float]:
    """The mean of paired differences and its 95 % interval, by drawing whole clusters with replacement (Efron 1979).

    Two questions about one section aren't independent: they are one cluster.
    """
    _, index = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.bincount(index, weights=np.asarray(differences, dtype=float))
    sizes = np.bincount(index)
    drawn = np.random.default_rng(seed).integers(len(sums), size=(repetitions, len(sums)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(sums.sum() / sizes.sum()), float(low), float(high)


def _gain(ranks: Iterable[int]) -> float:
    return sum(1 / math.log2(rank + 1) for rank in ranks)
