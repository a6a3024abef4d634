"""The gate: a worse ranker is refused, an equal one passes, and whatever is refused, a simpler one answers."""

import contextlib
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from invented import Knowing, database_of, docs
from knowledge_platform.errors import RefusedError
from knowledge_platform.gate.choice import Deployed, chosen
from knowledge_platform.gate.comparison import ENOUGH, GUARD, WORSE, compared, judged
from knowledge_platform.gate.trial import Ranker, Trial
from knowledge_platform.meaning.adapter import trained as adapter_of
from knowledge_platform.meaning.corpus import Corpus, corpus_of
from knowledge_platform.meaning.embeddings import Embeddings
from knowledge_platform.meaning.pairs import Material, material
from knowledge_platform.meaning.ranking import Memory, Ranking
from knowledge_platform.meaning.training import Learned, Passages, _lessons, learn
from knowledge_platform.progress import Progress

Vectors = NDArray[np.float32]


def gains(*numbers: float) -> Vectors:
    return np.asarray(numbers, np.float32)


def worse(questions: int, by: float, *, of: int) -> tuple[Vectors, Vectors]:
    """Deployed and candidate: `questions` of so many are worse by that much."""
    deployed = gains(*[1.0] * of)
    return deployed, deployed - gains(*[by] * questions, *[0.0] * (of - questions))


CASES = [
    ("the same gains pass", "headings", worse(0, 0, of=200), None),
    ("better ones pass", "headings", worse(200, -0.5, of=200), None),
    ("all a little worse is sure, and refused", "headings", worse(200, 0.02, of=200), "nDCG@10 -0.020"),
    ("surely worse, but by next to nothing, passes", "headings", worse(200, WORSE - 0.001, of=200), None),
    ("a tenth lost is refused", "headings", worse(20, 1.0, of=200), "nDCG@10 -0.100"),
    ("one lost of few may be chance, and passes", "headings", worse(1, 1.0, of=31), None),
    ("but not on links", "links", worse(1, 1.0, of=31), f"more than {GUARD} is too much here"),
    ("nor on verdicts", "verdicts", worse(1, 1.0, of=31), f"more than {GUARD} is too much here"),
    ("a little less on links may be chance", "links", worse(1, 1.0, of=35), None),
    ("all lost of too few decides nothing", "headings", worse(ENOUGH - 1, 1.0, of=ENOUGH - 1), None),
    ("on links neither", "links", worse(ENOUGH - 1, 1.0, of=ENOUGH - 1), None),
    ("all lost of just enough decides", "headings", worse(ENOUGH, 1.0, of=ENOUGH), "nDCG@10 -1.000"),
    ("no question decides nothing", "headings", worse(0, 0, of=0), None),
]


@pytest.mark.parametrize(
    ("name", "pair", "problem"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
def test_a_kind_of_question(name: str, pair: tuple[Vectors, Vectors], problem: str | None) -> None:
    deployed, candidate = pair
    found = compared(name, deployed, candidate, range(len(deployed)))
    if problem is None:
        assert found.problem is None
    else:
        assert found.problem is not None
        assert problem in found.problem
    assert found.questions == len(deployed)
    assert found.low <= found.difference <= found.high


def test_questions_about_one_section_are_one_witness() -> None:
    deployed, candidate = worse(60, 0.5, of=120)
    halves = [n // 60 for n in range(120)]
    assert compared("headings", deployed, candidate, range(120)).problem
    assert compared("headings", deployed, candidate, halves).problem is None


def test_the_same_gains_are_judged_the_same() -> None:
    deployed, candidate = worse(7, 0.3, of=90)
    assert compared("links", deployed, candidate, range(90)) == compared(
        "links", deployed, candidate, range(90)
    )


def test_a_rung_says_all_that_is_wrong_with_it() -> None:
    deployed, candidate = worse(200, 0.5, of=200)
    fine = gains(*[1.0] * 40)
    kinds = {"headings": deployed, "links": fine}
    clusters = {"headings": range(200), "links": range(40)}
    rung = judged("trained", kinds, {"headings": candidate, "links": fine}, clusters, ["how?"])
    assert rung.problems == ["headings: nDCG@10 -0.500 [-0.500, -0.500]", "golden query lost: how?"]
    assert judged("trained", kinds, kinds, clusters, []).problems == []


# The ladder

SECTIONS = 3
NEW, OLD = np.eye(2, dtype=np.float32), 2 * np.eye(2, dtype=np.float32)
NOBODY = Memory(np.empty((0, 0), np.float32), np.empty(0, np.int32), np.empty(0, np.float32))


def said(section: int) -> Memory:
    return Memory(np.ones((1, 2), np.float32), np.asarray([section], np.int32), np.ones(1, np.float32))


ALL, TESTED, BEFORE, BEFORE_TESTED = said(0), said(1), said(2), said(0)


def learned(*, adapter: bool = True, memory: bool = True) -> Learned:
    vectors = np.asarray([[1, 0], [0, 1], [0.6, 0.8]], np.float32)
    numbers = np.arange(SECTIONS, dtype=np.int32)
    return Learned(
        passages=Passages(vectors=vectors, means=vectors, of=numbers, starts=numbers, sections=numbers),
        floor=0.2,
        pairs=99,
        adapter=NEW if adapter else None,
        memory=ALL if memory else NOBODY,
        tested=TESTED if memory else NOBODY,
    )


DEPLOYED = Deployed("20260101T000000Z-0", Ranker(OLD, BEFORE), BEFORE_TESTED)


def name_of(ranker: Ranker) -> str:
    """A rung's, by what the gate may ask it with: never what people said of the questions that it asks."""
    adapters = {id(NEW): "trained", id(OLD): "as deployed", id(None): "none"}
    memories = {id(TESTED): "heard", id(BEFORE_TESTED): "heard", id(None): "deaf"}
    return {
        ("trained", "heard"): "trained",
        ("none", "heard"): "adapter off",
        ("trained", "deaf"): "memory off",
        ("none", "deaf"): "untrained",
        ("as deployed", "heard"): "as deployed",
    }[adapters[id(ranker.adapter)], memories[id(ranker.memory)]]


class Told(Trial):
    """A trial whose rankers gain what the test says: 1 on each question, those in `worse` nothing."""

    def __init__(self, worse: Sequence[str]) -> None:
        self._worse = worse
        self.asked: list[str] = []

    def gains(self, ranker: Ranker) -> dict[str, Vectors]:
        name = name_of(ranker)
        self.asked.append(name)
        return {"headings": np.full(40, name not in self._worse, np.float32)}

    def clusters(self) -> dict[str, list[int]]:
        return {"headings": list(range(40))}


def losing(*rungs: str, ladder: Sequence[str]) -> Callable[[Ranking], list[str]]:
    """Golden queries that are lost on these rungs. The rungs come in their order."""
    coming = iter(ladder)
    return lambda _: ["how?"] if next(coming) in rungs else []


FULL = ["trained", "adapter off", "memory off", "untrained", "as deployed"]
LADDERS = [
    ("the trained one, if nothing is wrong", {}, [], [], "trained"),
    ("without the adapter, if that is to blame", {}, ["trained"], [], "adapter off"),
    ("without what people said", {}, FULL[:2], [], "memory off"),
    ("without either", {}, FULL[:3], [], "untrained"),
    ("the deployed one, if all others are worse", {}, FULL[:4], [], "as deployed"),
    ("without an adapter there are two", {"adapter": False}, ["adapter off"], [], "untrained"),
    ("without a memory there are two", {"memory": False}, ["memory off"], [], "untrained"),
    ("with nothing learned there is one", {"memory": False, "adapter": False}, [], [], "untrained"),
    ("a golden query that is lost refuses a rung", {}, [], ["trained"], "adapter off"),
    ("and another one", {}, ["adapter off"], ["trained"], "memory off"),
    ("the deployed one loses it, the only one that keeps it is worse: the pin decides", {}, ["memory off"],
     ["trained", "adapter off", "untrained", "as deployed"], "memory off"),
    ("of several that are worse the first", {}, FULL[:4], ["trained", "as deployed"], "adapter off"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "bad", "lost", "taken"), [case[1:] for case in LADDERS], ids=[case[0] for case in LADDERS]
)
def test_the_first_rung_that_is_not_refused_is_taken(
    kind: dict[str, bool], bad: list[str], lost: list[str], taken: str
) -> None:
    made = learned(**kind)
    there = {
        "trained": kind.get("adapter", True) or kind.get("memory", True),
        "adapter off": kind.get("adapter", True) and kind.get("memory", True),
        "memory off": kind.get("adapter", True) and kind.get("memory", True),
    }
    ladder = [name for name in FULL if there.get(name, True)]
    choice = chosen(Told(bad), made, DEPLOYED, losing(*lost, ladder=ladder))
    assert choice.ranker == taken
    assert choice.rungs[-1].name == taken
    assert len({rung.name for rung in choice.rungs}) == len(choice.rungs)
    assert all(rung.problems for rung in choice.rungs[:-1])
    assert choice.against == DEPLOYED.release
    adapter, memory = {
        "trained": (made.adapter, ALL if kind.get("memory", True) else None),
        "adapter off": (None, ALL),
        "memory off": (NEW, None),
        "untrained": (None, None),
        "as deployed": (OLD, BEFORE),
    }[taken]
    assert choice.ranking.adapter is adapter
    assert choice.ranking.memory is memory


def test_a_first_release_stands_against_words_and_vectors_alone() -> None:
    trial = Told(["trained", "adapter off", "memory off"])
    choice = chosen(trial, learned(), None, losing(ladder=FULL))
    assert (choice.ranker, choice.against) == ("untrained", None)
    assert trial.asked[0] == "untrained"


@pytest.mark.parametrize("deployed", [DEPLOYED, None], ids=["deployed", "first"])
def test_a_golden_query_that_no_rung_answers_refuses_the_release(deployed: Deployed | None) -> None:
    with pytest.raises(RefusedError, match=r"golden query.*how"):
        chosen(Told([]), learned(), deployed, losing(*FULL, ladder=FULL))


# Real rankers


@dataclass(frozen=True)
class Course:
    """A corpus, its trained ranker, and the trial that it stands."""

    corpus: Corpus
    material: Material
    learned: Learned
    embeddings: Embeddings
    trial: Trial

    @property
    def ranker(self) -> Ranker:
        return Ranker(self.learned.adapter, None)

    def refused(self, candidate: Ranker, deployed: Ranker | None = None) -> bool:
        base = self.trial.gains(deployed or self.ranker)
        return bool(judged("x", base, self.trial.gains(candidate), self.trial.clusters(), []).problems)


def course(pages: Mapping[str, str], folder: Path, progress: Progress) -> Course:
    with contextlib.closing(database_of(pages)) as database, cache(folder) as embeddings:
        return _course(database, embeddings, progress)


def _course(database: sqlite3.Connection, embeddings: Embeddings, progress: Progress) -> Course:
    found = corpus_of(database)
    asked = material(found, [])
    made = learn(found, asked, [], embeddings, progress)
    return Course(found, asked, made, embeddings, Trial.of(found, asked, made.passages, embeddings, database))


def cache(folder: Path) -> contextlib.AbstractContextManager[Embeddings]:
    return Embeddings.kept(folder, Knowing(), print)


SEEDS = range(20)


def test_a_ranker_that_was_planted_is_refused_and_the_one_that_was_trained_is_not(
    tmp_path: Path, progress: Progress
) -> None:
    with contextlib.closing(database_of(docs(3, files=32))) as database, cache(tmp_path) as embeddings:
        made = _course(database, embeddings, progress)
        passages = made.learned.passages
        lessons = _lessons(made.corpus, made.material.pairs, embeddings, passages)
    adapter = made.learned.adapter
    assert adapter is not None
    norm, size = np.linalg.norm(adapter), len(adapter)
    counts = {}
    for times in (1, 2, 4):
        chance = [np.random.default_rng(seed).standard_normal((size, size)) for seed in SEEDS]
        planted = [np.asarray(times * norm / np.linalg.norm(one) * one, np.float32) for one in chance]
        counts[f"random, {times} times the trained one's norm"] = sum(
            made.refused(Ranker(one, None)) for one in planted
        )
    wrong = 0
    for seed in SEEDS:
        order = np.random.default_rng(seed).permutation(len(lessons.golds))
        mistaught = type(lessons)(
            lessons.queries, lessons.golds[order], lessons.sections[order], lessons.weights
        )
        wrong += made.refused(Ranker(adapter_of(mistaught, passages.vectors, passages.of), None))
    counts["trained on wrong answers"] = wrong
    counts["nothing learned"] = made.refused(Ranker(None, None))
    counts["itself"] = made.refused(made.ranker)
    counts["trained, where nothing was learned before"] = made.refused(made.ranker, Ranker(None, None))
    assert counts == {
        "random, 1 times the trained one's norm": 20,
        "random, 2 times the trained one's norm": 20,
        "random, 4 times the trained one's norm": 20,
        "trained on wrong answers": 20,
        "nothing learned": True,
        "itself": False,
        "trained, where nothing was learned before": False,
    }


def test_the_deployed_ranker_passes_beside_itself_on_20_of_20_corpora(
    tmp_path: Path, progress: Progress
) -> None:
    passed = asked = 0
    for seed in SEEDS:
        made = course(docs(100 + seed, files=24), tmp_path, progress)
        asked += made.learned.adapter is not None and len(made.material.headings) >= ENOUGH
        passed += not made.refused(made.ranker)
    assert (passed, asked) == (20, 20)


def test_the_deployed_ranker_is_judged_on_the_new_documents_only(tmp_path: Path, progress: Progress) -> None:
    """A text that became harder to search refuses nobody."""
    before = course(docs(5, files=24), tmp_path, progress)
    after = course(docs(5, files=24) | docs(6, files=48), tmp_path, progress)
    assert not after.refused(before.ranker, before.ranker)
