"""Verdicts -> lessons: what of all that people said counts for a training, and how much.

    events ──votes──▶ one user, one question, one section, one word ──lessons──▶ one question, one section, one weight

Between the two each vote's section is looked up anew (anchors.py), so that two words on a section that moved are two words on one
section. PURE: time is an argument.
"""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from knowledge_platform.feedback.anchors import Section, section_named
from knowledge_platform.feedback.log import Feedback, Verdict
from knowledge_platform.settings import VERDICT_FLOOR, VERDICT_HALF_LIFE, VERDICTS_EACH


@dataclass(frozen=True, slots=True)
class Vote:
    """One user's word: this section answers this question, or it doesn't. The question is normalised."""

    event: str
    user: str
    at: datetime
    query: str
    section: Section
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Lesson:
    """What all users together said of a section as the answer to a question. `weight` is 1 for one fresh verdict."""

    query: str
    path: str
    anchor: str
    verdict: Verdict
    weight: float
    users: tuple[str, ...]
    events: tuple[str, ...]


def votes(events: Iterable[Feedback]) -> list[Vote]:
    """Each event as one vote, or as two where it names the section that would have been right."""
    found = []
    for event in events:
        query, user, at = normalised(event.query), event.user or "", datetime.fromisoformat(event.at)
        if not query:
            continue
        section = section_named(event.section, event.heading, event.digest)
        found.append(Vote(event.id, user, at, query, section, event.verdict))
        if event.correct and event.correct.strip():
            right = section_named(event.correct, event.correct_heading, event.correct_digest)
            found.append(Vote(event.id, user, at, query, right, "good"))
    return found


def lessons(cast: Iterable[Vote], now: datetime) -> list[Lesson]:
    """What counts at this moment, in the order of questions and sections. The votes come oldest first.

    The last word of a user on a question and section counts. It weighs 1, half of it after each VERDICT_HALF_LIFE, nothing below
    VERDICT_FLOOR; of one user the newest VERDICTS_EACH count. Of several users the weights add up, good against bad.
    """
    last: dict[tuple[str, str, str, str], Vote] = {}
    for vote in cast:
        key = (vote.user, vote.query, vote.section.path, vote.section.anchor)
        last.pop(key, None)
        last[key] = vote
    counted: Counter[str] = Counter()
    together: defaultdict[tuple[str, str, str], list[tuple[Vote, float]]] = defaultdict(list)
    for vote in reversed(last.values()):
        weight = _aged(vote.at, now)
        if weight >= VERDICT_FLOOR and counted[vote.user] < VERDICTS_EACH:
            counted[vote.user] += 1
            together[vote.query, vote.section.path, vote.section.anchor].append((vote, weight))
    learned = []
    for (query, path, anchor), weighed in sorted(together.items()):
        total = sum(weight if vote.verdict == "good" else -weight for vote, weight in weighed)
        if abs(total) < VERDICT_FLOOR:
            continue
        verdict: Verdict = "good" if total > 0 else "bad"
        agreeing = [vote for vote, _ in reversed(weighed) if vote.verdict == verdict]
        learned.append(
            Lesson(
                query=query,
                path=path,
                anchor=anchor,
                verdict=verdict,
                weight=round(abs(total), 4),
                users=tuple(vote.user for vote in agreeing),
                events=tuple(vote.event for vote in agreeing),
            )
        )
    return learned


def normalised(query: str) -> str:
    """The question without what makes no difference: case, spacing, and the ways in which Unicode writes the same letter."""
    # A lone surrogate is no letter, and no database takes one.
    clean = query.encode("utf-8", "replace").decode("utf-8")
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", clean).casefold()).split())


def _aged(at: datetime, now: datetime) -> float:
    """A vote from the future, whose clock was wrong, is fresh."""
    return float(0.5 ** max(0.0, (now - at) / VERDICT_HALF_LIFE))
