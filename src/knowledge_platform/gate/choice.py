"""Which ranker answers: the ladder of phase 5. The first rung that the gate doesn't refuse is taken.

    trained       adapter and memory, as they were learned
    adapter off   what people said, no more
    memory off    the adapter, without what people said
    untrained     words and vectors
    as deployed   the ranker that answers now, on the new documents

The fallbacks keep fresh text from being held back by a worse ranker. Where only rungs that are worse keep the golden queries, the first of
those is taken. The release is refused only when there is no rung that loses none of them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from knowledge_platform.errors import RefusedError
from knowledge_platform.gate.comparison import judged
from knowledge_platform.gate.decision import Decision, Rung, refusal
from knowledge_platform.gate.trial import Ranker, Trial
from knowledge_platform.meaning.ranking import Memory, Ranking
from knowledge_platform.meaning.training import Learned


@dataclass(frozen=True, slots=True)
class Deployed:
    """The ranker that answers now, carried over to the new documents; `tested` is its memory without the questions of the gate."""

    release: str
    ranker: Ranker
    tested: Memory | None


@dataclass(frozen=True, slots=True)
class Choice:
    """The rung that was taken, and every one that was tried. `against` is the deployed release, None where nothing comparable was."""

    ranker: str
    ranking: Ranking
    against: str | None
    rungs: tuple[Rung, ...]

    @property
    def decision(self) -> Decision:
        """What a report says of it."""
        return Decision(self.ranker, self.against, self.rungs)


def chosen(
    trial: Trial,
    learned: Learned,
    deployed: Deployed | None,
    lost: Callable[[Ranking], Sequence[str]],
    advance: Callable[[int], object] = lambda _count: None,
) -> Choice:
    """Takes the first rung that passes; `lost` names the golden queries that a ranking doesn't answer well enough.

    Raises:
        RefusedError: a golden query is lost on every rung.
    """
    base = Ranker(deployed.ranker.adapter, deployed.tested) if deployed else Ranker(None, None)
    gains, clusters = trial.gains(base), trial.clusters()
    tried: list[Rung] = []
    sound: list[Choice] = []
    for name, ranking, tested in _ladder(learned, deployed):
        rung = judged(name, gains, trial.gains(tested), clusters, lost(ranking))
        advance(1)
        tried.append(rung)
        against = deployed.release if deployed else None
        if not rung.problems:
            return Choice(name, ranking, against, tuple(tried))
        if not rung.lost:
            sound.append(Choice(name, ranking, against, (rung,)))
    if sound:
        # Each rung is worse, or loses what somebody pinned: the pin decides.
        taken = sound[0]
        return replace(taken, rungs=(*(rung for rung in tried if rung not in taken.rungs), *taken.rungs))
    raise RefusedError(refusal(tried[-1].lost))


def _ladder(learned: Learned, deployed: Deployed | None) -> Iterator[tuple[str, Ranking, Ranker]]:
    """Name, the ranking that would answer, and the ranker that the gate asks; each once."""
    rungs: list[tuple[str, Ranker, Memory | None]] = []
    spoken = len(learned.memory.weights) > 0
    memory, tested = (learned.memory, learned.tested) if spoken else (None, None)
    if spoken or learned.adapter is not None:
        rungs.append(("trained", Ranker(learned.adapter, memory), tested))
    if spoken and learned.adapter is not None:
        rungs.append(("adapter off", Ranker(None, memory), tested))
        rungs.append(("memory off", Ranker(learned.adapter, None), None))
    rungs.append(("untrained", Ranker(None, None), None))
    if deployed is not None:
        rungs.append(("as deployed", deployed.ranker, deployed.tested))
    for name, ranker, tested in rungs:
        passages = learned.passages
        ranking = Ranking(passages.vectors, passages.sections, ranker.adapter, ranker.memory, passages.starts)
        yield name, ranking, Ranker(ranker.adapter, tested)
