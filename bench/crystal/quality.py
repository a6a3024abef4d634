"""How good the answers are: each part of a release beside the others, on questions whose answers are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from bench.crystal.bystanders import Bystanders, bystanders
from bench.crystal.corpus import Corpus, Need, corpus_at, section_of
from bench.crystal.rankers import FTS5, FUSION, RRF, Ranker, Systems, systems_in
from bench.crystal.store import Store, fresh
from bench.ground import Ground, say
from bench.report import Line, Section
from knowledge_platform.feedback.log import FeedbackLogger
from knowledge_platform.gate.measures import DEPTH, bootstrap, ndcg, ranks_of, recall, reciprocal_rank
from knowledge_platform.gate.measures import Section as Name
from knowledge_platform.gate.trial import Ranker as Part

FEEDBACK = "feedback"
SEED = 0

HOW = """\
{files} files; {needs} needs, each asked in two phrasings, and the sections that answer them: ranks are over sections. R@k is the share of
questions with an answer among the first k. nDCG@10 has binary gold, and is ideal where all answers to a need stand first;
that of the first hit is ideal where any of them does. The gold is not complete: compare systems, don't read absolute
values. `dense` is the cosine alone, `RRF` fuses it with FTS5 by rank, `fusion` by score, and `trained` is `crystal ask`.
Gains are of nDCG@10, with 95 % intervals by a paired bootstrap that draws whole needs. For `feedback`, of each need the
first phrasing was said to be well answered by its first section, and crystal was trained again; the second phrasing is
the test. What that does to others is asked in two ways: of headings that no adapter saw, taken out of their sections, of
which nobody spoke; and of needs whose answers nobody spoke of, when the first half of all needs had its verdicts. Below, which
questions are answered, and which are refused with "no good match": those from entirely other fields (far), and those
from this field that the documents say nothing about (near); FTS5 is `crystal ask --lexical` there. Measured once: the
same documents give the same answers."""

METRICS: dict[str, Callable[[Sequence[int], int], float]] = {
    "R@1": lambda ranks, _: recall(ranks, 1),
    "R@5": lambda ranks, _: recall(ranks, 5),
    "MRR@10": lambda ranks, _: reciprocal_rank(ranks),
    "nDCG@10": ndcg,
    "nDCG@10, first hit": lambda ranks, _: ndcg(ranks[:1], 1),
}
JUDGE = "nDCG@10"
FIRST_HIT = "nDCG@10, first hit"

# What a gain is to be: over whom, of which metric → the target.
TARGETS = {(FTS5, JUDGE): "≥ +.10", (RRF, JUDGE): "interval > 0"}
TAUGHT = "≥ +.07"
UNHARMED = "≥ −.01"

# What one system scored: metric → a score for each question.
Scores = dict[str, list[float]]


@dataclass(frozen=True, slots=True)
class Untaught:
    """A release without feedback: what each system scored on both phrasings, what has a good match, and its ranker."""

    firsts: dict[str, Scores]
    seconds: dict[str, Scores]
    deployed: str
    refusals: list[Line]
    part: Part | None


def quality(ground: Ground) -> Section:
    """One release without feedback, one with verdicts on half of the needs, and one with verdicts on all."""
    corpus = corpus_at(ground.corpus, ground.name)
    needs = corpus.needs
    with fresh(ground, corpus) as store:
        say("crystal trains for its answers")
        taken = [_taken("Without feedback", store.train()[1])]
        with systems_in(store.path) as systems:
            before = _untaught(corpus, systems)
        say("crystal learns from feedback")
        half = len(needs) // 2
        spoken_of = _tell(store, needs[:half])
        taken.append(_taken("With half of the verdicts", store.train()[1]))
        others = [
            number for number in range(half, len(needs)) if not ranks_of(needs[number].golds, spoken_of)
        ]
        with systems_in(store.path) as systems:
            halves = [_scored(needs, systems, phrasing) for phrasing in (0, 1)]
        spoken_of |= _tell(store, needs[half:])
        taken.append(_taken("With all verdicts", store.train()[1]))
        with systems_in(store.path) as systems:
            taught = _scored(needs, systems, 1)
            unspoken = bystanders(systems, before.part, store.path, spoken_of)
    count, ours = len(needs), before.deployed
    both = {name: _joined(before.firsts[name], before.seconds[name]) for name in before.firsts}
    told = {**before.seconds, FEEDBACK: taught}
    lines = (
        *_means("", both, ours),
        *_gains(both, count, ours, (FTS5, RRF, FUSION), TARGETS),
        *_means("second phrasing: ", told, FEEDBACK),
        *_gains(told, count, FEEDBACK, (FTS5, ours), {(ours, JUDGE): TAUGHT}),
        *_unharmed("headings", ours, unspoken),
        *_unharmed("questions", ours, _bystanding(both[ours], _joined(*halves), others, count)),
        *before.refusals,
    )
    how = HOW.format(files=corpus.files, needs=count)
    return Section("crystal-quality", corpus.titled("crystal: answers"), how, lines, tuple(taken))


def _untaught(corpus: Corpus, systems: Systems) -> Untaught:
    firsts, seconds = (
        {name: _scores(corpus.needs, ranker, phrasing) for name, ranker in systems.rankers.items()}
        for phrasing in (0, 1)
    )
    part = Part(systems.model.ranking.adapter, systems.model.ranking.memory) if systems.model else None
    return Untaught(firsts, seconds, systems.deployed, _refusals(corpus, systems), part)


def _scored(needs: Sequence[Need], systems: Systems, phrasing: int) -> Scores:
    return _scores(needs, systems.rankers[systems.deployed], phrasing)


def _scores(needs: Sequence[Need], ranker: Ranker, phrasing: int) -> Scores:
    scores: Scores = {metric: [] for metric in METRICS}
    for need in needs:
        ranks = ranks_of(need.golds, ranker.sections(need.phrasings[phrasing], DEPTH))
        for metric, score in METRICS.items():
            scores[metric].append(score(ranks, len(need.golds)))
    return scores


def _joined(first: Scores, second: Scores) -> Scores:
    return {metric: first[metric] + second[metric] for metric in METRICS}


def _means(what: str, scored: Mapping[str, Scores], ours: str) -> list[Line]:
    return [
        Line(f"{what}{metric}", "share", {name: [fmean(each[metric])] for name, each in scored.items()}, ours)
        for metric in METRICS
    ]


def _gains(
    scored: Mapping[str, Scores],
    needs: int,
    ours: str,
    baselines: Sequence[str],
    targets: Mapping[tuple[str, str], str],
) -> list[Line]:
    """What the systems gain over those baselines that stand before them."""
    lines = []
    names = list(scored)
    for baseline in dict.fromkeys(name for name in baselines if name in names[:-1]):
        for metric in (JUDGE, FIRST_HIT):
            gains = {
                name: _gain(scored[name][metric], scored[baseline][metric], needs)
                for name in names[names.index(baseline) + 1 :]
            }
            target = targets.get((baseline, metric), "")
            lines.append(Line(f"… {metric} over {baseline}", "gain", gains, ours, (), target))
    return lines


def _gain(scores: Sequence[float], baseline: Sequence[float], needs: int) -> tuple[float, float, float]:
    """As report.Line has it. Scores come in rounds over all needs, a phrasing each: a need is what is drawn."""
    differences = [mine - theirs for mine, theirs in zip(scores, baseline, strict=True)]
    mean, low, high = bootstrap(differences, [number % needs for number in range(len(scores))], SEED)
    return low, mean, high


def _unharmed(what: str, before: str, asked: Bystanders) -> list[Line]:
    """Both rankers on questions about what nobody spoke of; nothing where there are none."""
    count = len(asked.before)
    if not count:
        return []
    means = {before: [fmean(asked.before)], FEEDBACK: [fmean(asked.after)]}
    gain = _gain(asked.after, asked.before, asked.needs)
    return [
        Line(f"{count} {what} about what nobody spoke of: {JUDGE}", "share", means, FEEDBACK),
        Line(f"… over {before}", "gain", {FEEDBACK: gain}, FEEDBACK, (), UNHARMED),
    ]


def _bystanding(before: Scores, after: Scores, others: Sequence[int], needs: int) -> Bystanders:
    """Those needs' questions, in both phrasings."""
    numbers = [*others, *(needs + number for number in others)]
    return Bystanders(
        [before[JUDGE][number] for number in numbers],
        [after[JUDGE][number] for number in numbers],
        len(others),
    )


def _refusals(corpus: Corpus, systems: Systems) -> list[Line]:
    answerable = [question for need in corpus.needs for question in need.phrasings]
    ours = systems.deployed

    def shares(questions: Sequence[str], *, answered: bool) -> dict[str, list[float]]:
        return {
            name: [fmean(answers(question) is answered for question in questions)]
            for name, answers in systems.gates.items()
        }

    lines = [Line("answerable: answered", "share", shares(answerable, answered=True), ours)]
    for distance, questions in corpus.unanswerable.items():
        what = f"unanswerable, {distance}: refused"
        lines.append(Line(what, "share", shares(questions, answered=False), ours))
    return lines


def _tell(store: Store, needs: Sequence[Need]) -> set[Name]:
    """Say of each need's first phrasing that its first section answers it; these sections."""
    log = FeedbackLogger(store.path)
    sections = [section_of(store.docs, need.golds[0]) for need in needs]
    for need, (path, anchor) in zip(needs, sections, strict=True):
        log.log(query=need.phrasings[0], section=f"{path}#{anchor}", verdict="good")
    return set(sections)


def _taken(when: str, facts: Mapping[str, Any]) -> str:
    """Which ranker the gate let answer, and why not the others, as `crystal train --json` tells it."""
    choice = facts["report"]["ranking"]
    if choice is None:
        return f"{when}: by words only, {facts['lexical']}."
    *refused, rung = choice["rungs"]
    asked = [
        f"{one['name']} {one['deployed']:.3f} → {one['candidate']:.3f} ({one['questions']})"
        for one in rung["comparisons"]
        if one["questions"]
    ]
    beside = "the release before" if choice["against"] else "no training"
    why = [f"; {one['name']} was refused: {', '.join(one['problems'])}" for one in refused]
    return f"{when}, the gate took `{choice['ranker']}`, beside {beside}: {', '.join(asked)}{''.join(why)}."
