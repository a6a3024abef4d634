"""Ranked sections and golds -> figures of quality, and how sure they are. PURE.

A gold is `file.md`, any section of which answers, or `file.md#prefix`, any section whose anchor begins so.
"""

import math
from collections.abc import Iterable, Sequence

# numpy is imported by `bootstrap`: where there is no encoder there may be none, and figures of words are wanted all the same.

# A file's path below the docs folder, and a section's anchor in it.
Section = tuple[str, str]

DEPTH = 10


def matches(gold: str, section: Section) -> bool:
    """Whether a section is one that the gold means."""
    file, _, prefix = gold.partition("#")
    return file == section[0] and section[1].startswith(prefix)


def ranks_of(golds: Iterable[str], sections: Iterable[Section]) -> list[int]:
    """The ranks, from 1, at which a gold is met that wasn't met before.

    A section counts where it stands first, and for one gold: the narrowest that it matches.
    """
    wanted = sorted(set(golds), key=len, reverse=True)
    ranks = []
    for rank, section in enumerate(dict.fromkeys(sections), 1):
        met = next((gold for gold in wanted if matches(gold, section)), None)
        if met is not None:
            wanted.remove(met)
            ranks.append(rank)
    return ranks


def recall(ranks: Iterable[int], depth: int) -> float:
    """1 where an answer is among the first `depth`, else 0: the golds are alternatives, one is enough."""
    return float(any(rank <= depth for rank in ranks))


def reciprocal_rank(ranks: Iterable[int], depth: int = DEPTH) -> float:
    """1 / the rank of the first answer; 0 where it is beyond `depth`."""
    return next((1 / rank for rank in ranks if rank <= depth), 0.0)


def ndcg(ranks: Iterable[int], golds: int, depth: int = DEPTH) -> float:
    """Discounted cumulative gain of the first `depth` with binary gold, as a share of the ideal (Järvelin, Kekäläinen 2002).

    `ranks`, from 1, are those at which one of the `golds` stands.
    """
    return _gain(rank for rank in ranks if rank <= depth) / _gain(range(1, min(golds, depth) + 1))


def bootstrap(
    differences: Sequence[float], clusters: Sequence[int], seed: int, repetitions: int = 10_000
) -> tuple[float, float, float]:
    """The mean of paired differences and its 95 % interval, by drawing whole clusters with replacement (Efron 1979).

    Two questions about one section aren't independent: they are one cluster.
    """
    import numpy as np  # noqa: PLC0415

    _, index = np.unique(np.asarray(clusters), return_inverse=True)
    sums = np.bincount(index, weights=np.asarray(differences, dtype=float))
    sizes = np.bincount(index)
    drawn = np.random.default_rng(seed).integers(len(sums), size=(repetitions, len(sums)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(sums.sum() / sizes.sum()), float(low), float(high)


def _gain(ranks: Iterable[int]) -> float:
    return sum(1 / math.log2(rank + 1) for rank in ranks)
