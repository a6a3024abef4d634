"""The gate: may this ranker answer, or does a simpler one? PURE: gains of questions in, a decision out.

A ranker is refused where it is worse than the one that is deployed, both asked the same questions of the new documents:

    by more than WORSE nDCG@10, and surely so      the 95 % interval of the paired bootstrap ends below 0
    by more than GUARD on the links or verdicts    what people wrote themselves
    a golden query is not among the first GOLDEN_TOP

With fewer than ENOUGH questions of a kind nothing is sure, and that kind decides nothing. The first of the ladder that is not refused
answers; its last rung is the ranker that is deployed, so a worse ranker never holds back a fresh text.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from knowledge_platform.gate.decision import Comparison, Rung
from knowledge_platform.gate.measures import bootstrap
from knowledge_platform.meaning.embeddings import Vectors
from knowledge_platform.settings import SEED

WORSE = 0.01
GUARD = 0.03
ENOUGH = 30
GUARDED = frozenset({"links", "verdicts"})


def compared(name: str, deployed: Vectors, candidate: Vectors, clusters: Sequence[int]) -> Comparison:
    """Both rankers on one kind of question: the gain of each question (m); what shares a cluster isn't independent."""
    if not len(deployed):
        return Comparison(name, 0, 0.0, 0.0, 0.0, 0.0, 0.0, None)
    mean, low, high = bootstrap(np.asarray(candidate - deployed).tolist(), clusters, SEED)
    problem = None
    if len(deployed) >= ENOUGH:
        if mean < -WORSE and high < 0:
            problem = f"nDCG@10 {mean:+.3f} [{low:+.3f}, {high:+.3f}]"
        elif name in GUARDED and mean < -GUARD:
            problem = f"nDCG@10 {mean:+.3f}, more than {GUARD} is too much here"
    return Comparison(
        name,
        len(deployed),
        deployed=round(float(deployed.mean()), 4),
        candidate=round(float(candidate.mean()), 4),
        difference=round(mean, 4),
        low=round(low, 4),
        high=round(high, 4),
        problem=problem,
    )


def judged(
    name: str,
    deployed: Mapping[str, Vectors],
    candidate: Mapping[str, Vectors],
    clusters: Mapping[str, Sequence[int]],
    lost: Sequence[str],
) -> Rung:
    """One ranker beside the one that is deployed, on every kind of question."""
    return Rung(
        name,
        tuple(compared(kind, deployed[kind], candidate[kind], clusters[kind]) for kind in deployed),
        tuple(lost),
    )
