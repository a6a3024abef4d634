"""How good the answers are: each part of a release beside the others, on questions whose answers are known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

from bench.crystal.corpus import Corpus, Need, corpus_at, section_of
from bench.crystal.rankers import FTS5, RRF, Ranker, systems_in
from bench.crystal.store import Store, fresh
from bench.ground import Ground, say
from bench.metrics import DEPTH, bootstrap, ndcg, ranks_of, recall, reciprocal_rank
from bench.report import Line, Section
from knowledge_platform.feedback import FeedbackLogger

FEEDBACK = "feedback"
SEED = 0

HOW = """\
{needs} needs, each asked in two phrasings, and the sections that answer them: ranks are over sections. R@k is the share of
questions with an answer among the first k; nDCG@10 has binary gold, and is ideal where all answers to a need stand first.
The gold is not complete: compare systems, don't read absolute values. Gains are of nDCG@10, with 95 % intervals by a
paired bootstrap that draws whole needs. For `{feedback}`, of each need the first phrasing was said to be well answered by
its first section, and crystal was trained again; the second phrasing is the test. Below, which questions `crystal ask`
answers, and which it refuses with "no good match": those from entirely other fields (far), and those from this field
that the documents say nothing about (near). Measured once: the same documents give the same answers."""

METRICS: dict[str, Callable[[Sequence[int], int], float]] = {
    "R@1": lambda ranks, _: recall(ranks, 1),
    "R@5": lambda ranks, _: recall(ranks, 5),
    "MRR@10": lambda ranks, _: reciprocal_rank(ranks),
    "nDCG@10": ndcg,
}
JUDGE = "nDCG@10"

# What one system scored: metric → a score for each question.
Scores = dict[str, list[float]]


def quality(ground: Ground) -> Section:
    """One release without feedback, and one with."""
    corpus = corpus_at(ground.corpus)
    with fresh(ground, corpus.docs) as store:
        say("crystal trains for its answers")
        store.train()
        with systems_in(store.path) as systems:
            firsts, seconds = (
                {name: _scores(corpus.needs, ranker, phrasing) for name, ranker in systems.rankers.items()}
                for phrasing in (0, 1)
            )
            deployed = systems.deployed
            refusals = _refusals(corpus, systems.answers, deployed)
        say("crystal learns from feedback")
        _tell(store, corpus.needs)
        store.train()
        with systems_in(store.path) as systems:
            taught = _scores(corpus.needs, systems.rankers[systems.deployed], 1)
    needs = len(corpus.needs)
    both = {
        name: {metric: firsts[name][metric] + seconds[name][metric] for metric in METRICS} for name in firsts
    }
    told = {**seconds, FEEDBACK: taught}
    lines = (
        *_lines("", both, needs, deployed, (FTS5, RRF)),
        *_lines("second phrasing: ", told, needs, FEEDBACK, (FTS5, RRF, deployed)),
        *refusals,
    )
    how = HOW.format(needs=needs, feedback=FEEDBACK)
    return Section("crystal-quality", corpus.titled("crystal: answers"), how, lines)


def _scores(needs: Sequence[Need], ranker: Ranker, phrasing: int) -> Scores:
    scores: Scores = {metric: [] for metric in METRICS}
    for need in needs:
        ranks = ranks_of(need.golds, ranker.sections(need.phrasings[phrasing], DEPTH))
        for metric, score in METRICS.items():
            scores[metric].append(score(ranks, len(need.golds)))
    return scores


def _lines(
    what: str, scored: Mapping[str, Scores], needs: int, ours: str, baselines: Sequence[str]
) -> list[Line]:
    """The means, and what the systems gain over those baselines that stand before them."""
    lines = [
        Line(f"{what}{metric}", "share", {name: [fmean(each[metric])] for name, each in scored.items()}, ours)
        for metric in METRICS
    ]
    names = list(scored)
    for baseline in dict.fromkeys(name for name in baselines if name in names):
        gains = {
            name: _gain(scored[name][JUDGE], scored[baseline][JUDGE], needs)
            for name in names[names.index(baseline) + 1 :]
        }
        if gains:
            lines.append(Line(f"… {JUDGE} over {baseline}", "gain", gains, ours))
    return lines


def _gain(scores: Sequence[float], baseline: Sequence[float], needs: int) -> tuple[float, float, float]:
    """As report.Line has it. Scores come in rounds over all needs, a phrasing each: a need is what is drawn."""
    differences = [mine - theirs for mine, theirs in zip(scores, baseline, strict=True)]
    mean, low, high = bootstrap(differences, [number % needs for number in range(len(scores))], SEED)
    return low, mean, high


def _refusals(corpus: Corpus, answers: Callable[[str], bool], who: str) -> list[Line]:
    answerable = [question for need in corpus.needs for question in need.phrasings]
    lines = [Line("answerable: answered", "share", {who: [fmean(map(answers, answerable))]}, who)]
    for distance, questions in corpus.unanswerable.items():
        refused = [not answers(question) for question in questions]
        lines.append(Line(f"unanswerable, {distance}: refused", "share", {who: [fmean(refused)]}, who))
    return lines


def _tell(store: Store, needs: Sequence[Need]) -> None:
    """Say of each need's first phrasing that its first section answers it."""
    log = FeedbackLogger(store.path)
    for need in needs:
        log.log(query=need.phrasings[0], section=section_of(store.docs, need.golds[0]), verdict="good")
