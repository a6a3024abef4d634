"""Training: pairs -> an adapter of the query side. Only questions are moved, no document is encoded again.

    q' = (q + qW) / |q + qW|          W: 384 x 384, at first 0
    loss = -log p(gold | q')          softmax over passages, by cosine times TEMPERATURE: InfoNCE (van den Oord et al. 2018)

Adam with decoupled decay towards 0 (Loshchilov, Hutter 2019); every eighth pair says when to stop. The mean of a few such adapters is
taken (Wortsman et al. 2022, "Model soups"), and shrunk: a step of its full length gains more on what it was trained on than on what
people ask. The same pairs and seeds give the same adapter.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from knowledge_platform.meaning.embeddings import Numbers, Vectors
from knowledge_platform.settings import NEGATIVES, SEED

TEMPERATURE = 20.0
LEARNING_RATE = 6e-4
DECAY = 0.05
BATCH = 128
EPOCHS = 20
PATIENCE = 3  # epochs without a gain on the pairs that are kept back
KEPT_BACK = 8  # one pair in so many
# Of W: on FastAPI's docs headings that were held out gain .021 nDCG@10 [.008, .034] by 0.3, .028 [.012, .045] by 0.4, .040 [.018, .062] by
# 0.6; 120 questions .019 [.006, .034] by 0.3, and lose .001 [.022, -.019] by 0.6.
SHRINK = 0.4
SEEDS = 4  # adapters; one gains 120 questions .010 nDCG@10 [-.008, .028], the mean of four .012 [-.002, .027], of eight .016 [.002, .031]
FEWEST = 32  # pairs; fewer teach noise. Arbitrary


@dataclass(frozen=True, slots=True)
class Lessons:
    """`queries` (m, d) and the vectors of their answers, `golds` (m, d), with what was asked taken out; `sections` (m) and `weights` (m)."""

    queries: Vectors
    golds: Vectors
    sections: Numbers
    weights: Vectors


def adapted(queries: Vectors, adapter: Vectors | None) -> Vectors:
    """Questions as the adapter moves them, of length 1."""
    if adapter is None:
        return queries
    moved = queries + queries @ adapter
    moved /= np.linalg.norm(moved, axis=1, keepdims=True)
    return moved


def trained(
    pairs: Lessons,
    passages: Vectors,
    sections: Numbers,
    advance: Callable[[int], object] = lambda _count: None,
) -> Vectors | None:
    """The mean of SEEDS adapters; None where there is too little to learn from, numbers that are none, or nothing is learned.

    `passages` (n, d) with their `sections` (n): all but those of the gold's own section are what must not be found. `advance` hears of
    each adapter, here.
    """
    if len(pairs.queries) < FEWEST:
        return None
    if not all(np.isfinite(part).all() for part in (pairs.queries, pairs.golds, pairs.weights, passages)):
        return None
    found = []
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        # numpy lets go of the interpreter's lock while it multiplies.
        for weight in pool.map(lambda seed: _one(pairs, passages, sections, seed), range(SEED, SEED + SEEDS)):
            found.append(weight)
            advance(1)
    mean: Vectors = np.mean(found, axis=0, dtype=np.float32)
    return SHRINK * mean if mean.any() else None


def _one(pairs: Lessons, passages: Vectors, sections: Numbers, seed: int) -> Vectors:
    """One adapter: all zeros where nothing is learned."""
    random = np.random.default_rng(seed)
    if len(passages) > NEGATIVES:
        sample = np.sort(random.choice(len(passages), NEGATIVES, replace=False))
        passages, sections = passages[sample], sections[sample]
    order = random.permutation(len(pairs.queries))
    back, learned = order[: len(order) // KEPT_BACK], order[len(order) // KEPT_BACK :]
    step = _Step(pairs, passages, sections)
    weight = np.zeros((pairs.queries.shape[1],) * 2, np.float32)
    first, second = np.zeros_like(weight), np.zeros_like(weight)
    best, best_loss, stale, steps = weight.copy(), step.loss(back, weight), 0, 0
    for _ in range(EPOCHS):
        random.shuffle(learned)
        for start in range(0, len(learned), BATCH):
            gradient = step.gradient(learned[start : start + BATCH], weight)
            steps += 1
            first += 0.1 * (gradient - first)
            second += 0.001 * (gradient * gradient - second)
            change = (first / (1 - 0.9**steps)) / (np.sqrt(second / (1 - 0.999**steps)) + 1e-8)
            weight -= LEARNING_RATE * (change + DECAY * weight)
        loss = step.loss(back, weight)
        if loss < best_loss:
            best, best_loss, stale = weight.copy(), loss, 0
        else:
            stale += 1
        if stale == PATIENCE or not np.isfinite(loss):
            break
    return best


class _Step:
    """The loss of some pairs and its gradient."""

    def __init__(self, pairs: Lessons, passages: Vectors, sections: Numbers) -> None:
        self._pairs, self._passages, self._sections = pairs, passages, sections

    def loss(self, rows: NDArray[np.int64], weight: Vectors) -> float:
        _, _, _, _, gold, total = self._forward(rows, weight)
        weights = self._pairs.weights[rows]
        return float((-np.log(gold / total) * weights).sum() / weights.sum())

    def gradient(self, rows: NDArray[np.int64], weight: Vectors) -> Vectors:
        queries, unit, length, others, gold, total = self._forward(rows, weight)
        weights = self._pairs.weights[rows]
        share = (weights / weights.sum())[:, None]
        others /= total[:, None]
        towards: Vectors = others @ self._passages + (gold / total - 1)[:, None] * self._pairs.golds[rows]
        towards *= TEMPERATURE * share
        towards -= (towards * unit).sum(axis=1, keepdims=True) * unit
        result: Vectors = queries.T @ (towards / length)
        return result

    def _forward(
        self, rows: NDArray[np.int64], weight: Vectors
    ) -> tuple[Vectors, Vectors, Vectors, Vectors, Vectors, Vectors]:
        queries = self._pairs.queries[rows]
        unit = queries + queries @ weight
        length = np.linalg.norm(unit, axis=1, keepdims=True)
        unit /= length
        others = TEMPERATURE * (unit @ self._passages.T)
        others[self._pairs.sections[rows, None] == self._sections[None, :]] = -np.inf
        gold = TEMPERATURE * (unit * self._pairs.golds[rows]).sum(axis=1)
        top = np.maximum(others.max(axis=1), gold)
        others = np.exp(others - top[:, None])
        gold = np.exp(gold - top)
        return queries, unit, length, others, gold, others.sum(axis=1) + gold
