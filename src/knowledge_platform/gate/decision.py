"""What the gate found and decided, as values. PURE, and without numpy: a report is read where there is no encoder, too."""

from collections.abc import Sequence
from dataclasses import dataclass

from knowledge_platform.settings import GOLDEN_TOP
from knowledge_platform.text import printable


@dataclass(frozen=True, slots=True)
class Comparison:
    """One kind of question: mean nDCG@10 of both, the mean difference and its 95 % interval; `problem` says why it refuses, if it does."""

    name: str
    questions: int
    deployed: float
    candidate: float
    difference: float
    low: float
    high: float
    problem: str | None


@dataclass(frozen=True, slots=True)
class Rung:
    """One ranker on the ladder, and what was found. `lost` are the golden queries that it doesn't answer well enough."""

    name: str
    comparisons: tuple[Comparison, ...]
    lost: tuple[str, ...]

    @property
    def problems(self) -> list[str]:
        """Why it is refused; nothing: it isn't."""
        found = [f"{one.name}: {one.problem}" for one in self.comparisons if one.problem]
        return found + [f"golden query lost: {query}" for query in self.lost]


@dataclass(frozen=True, slots=True)
class Decision:
    """The rung that was taken, and every one that was tried, that one last. `against` is the deployed release, None: nothing comparable was."""

    ranker: str
    against: str | None
    rungs: tuple[Rung, ...]


def refusal(lost: Sequence[str]) -> str:
    """Why golden queries refuse a release, and what to do."""
    return (
        f"the gate refused: the section of a golden query is not among its first {GOLDEN_TOP} passages any more: "
        f"{'; '.join(printable(query) for query in lost)}. The deployed release goes on answering. "
        "Mend the documents, or: crystal golden remove QUERY"
    )
