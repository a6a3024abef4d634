"""What counts of all that people said: a table of cases, and laws over any history."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_platform.feedback.log import Feedback, Verdict
from knowledge_platform.feedback.verdicts import Lesson, lessons, normalised, votes
from knowledge_platform.settings import VERDICT_FLOOR, VERDICT_HALF_LIFE, VERDICTS_EACH

NOW = datetime(2026, 11, 25, 20, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def said(
    user: str | None,
    query: str,
    section: str,
    verdict: Verdict,
    *,
    ago: timedelta = timedelta(0),
    correct: str | None = None,
) -> Feedback:
    at = (NOW - ago).isoformat()
    return Feedback(1, f"{user}/{query}/{section}", at, query, section, verdict, correct=correct, user=user)


def learned(*events: Feedback) -> list[Lesson]:
    return lessons(votes(events), NOW)


def words(*events: Feedback) -> dict[tuple[str, str], float]:
    """(question, section) -> weight, below zero for a bad one."""
    return {
        (one.query, f"{one.path}#{one.anchor}"): one.weight * (1 if one.verdict == "good" else -1)
        for one in learned(*events)
    }


CASES = {
    "nothing said, nothing learned": ([], {}),
    "a good answer is a lesson": ([said("ada", "q", "a#1", "good")], {("q", "a#1"): 1}),
    "a bad one is one too": ([said("ada", "q", "a#1", "bad")], {("q", "a#1"): -1}),
    "the right section of a bad answer is a good one": (
        [said("ada", "q", "a#1", "bad", correct="a#2")],
        {("q", "a#1"): -1, ("q", "a#2"): 1},
    ),
    "a blank correction is none": ([said("ada", "q", "a#1", "bad", correct=" ")], {("q", "a#1"): -1}),
    "a user's last word counts, not the first": (
        [said("ada", "q", "a#1", "good"), said("ada", "q", "a#1", "bad")],
        {("q", "a#1"): -1},
    ),
    "saying it twice counts once": (
        [said("ada", "q", "a#1", "good"), said("ada", "q", "a#1", "good")],
        {("q", "a#1"): 1},
    ),
    "two users add up": (
        [said("ada", "q", "a#1", "good"), said("bob", "q", "a#1", "good")],
        {("q", "a#1"): 2},
    ),
    "two users who disagree teach nothing": (
        [said("ada", "q", "a#1", "good"), said("bob", "q", "a#1", "bad")],
        {},
    ),
    "two against one teach one": (
        [said(user, "q", "a#1", "bad" if user == "bob" else "good") for user in ("ada", "bob", "eve")],
        {("q", "a#1"): 1},
    ),
    "events of nobody known are of one user": (
        [said(None, "q", "a#1", "good"), said(None, "q", "a#1", "good")],
        {("q", "a#1"): 1},
    ),
    "half a year halves it": ([said("ada", "q", "a#1", "good", ago=180 * DAY)], {("q", "a#1"): 0.5}),
    "597 days are remembered": ([said("ada", "q", "a#1", "good", ago=597 * DAY)], {("q", "a#1"): 0.1004}),
    "598 are forgotten": ([said("ada", "q", "a#1", "good", ago=599 * DAY)], {}),
    "a forgotten last word doesn't let the one before speak": (
        [said("ada", "q", "a#1", "good", ago=DAY), said("ada", "q", "a#1", "bad", ago=700 * DAY)],
        {},
    ),
    "what comes from the future is fresh": (
        [said("ada", "q", "a#1", "good", ago=-400 * DAY)],
        {("q", "a#1"): 1},
    ),
    "spelling makes no difference": (
        [said("ada", "Où  est LE \n log?", "a#1", "good"), said("ada", "où est le log?", "a#1", "bad")],
        {("où est le log?", "a#1"): -1},
    ),
    "a section without an anchor is the text above the headings": (
        [said("ada", "q", "a.md", "good")],
        {("q", "a.md#"): 1},
    ),
    "a path may hold a #": ([said("ada", "q", "a#b.md#c", "good")], {("q", "a#b.md#c"): 1}),
}


@pytest.mark.parametrize(("events", "expected"), CASES.values(), ids=CASES)
def test_what_counts(events: list[Feedback], expected: dict[tuple[str, str], float]) -> None:
    assert words(*events) == pytest.approx(expected)


def test_a_lesson_names_who_taught_it_and_by_which_events() -> None:
    (lesson,) = learned(*(said(user, "q", "a#1", "good") for user in ("ada", "bob")))
    assert (lesson.users, lesson.events) == (("ada", "bob"), ("ada/q/a#1", "bob/q/a#1"))


def test_of_one_user_the_newest_count_and_others_lose_nothing_by_it() -> None:
    flood = [said("bot", f"q{number}", "a#1", "good") for number in range(VERDICTS_EACH + 50)]
    found = words(said("ada", "q0", "a#1", "good"), *flood)
    assert len(found) == VERDICTS_EACH + 1
    assert found["q0", "a#1"] == 1
    assert ("q49", "a#1") not in found
    assert ("q50", "a#1") in found


def test_what_is_said_again_is_new() -> None:
    flood = [said("bot", f"q{number}", "a#1", "good") for number in range(VERDICTS_EACH + 50)]
    assert ("q0", "a#1") in words(*flood, flood[0])


def test_what_is_forgotten_takes_no_place() -> None:
    old = [said("ada", f"old {number}", "a#1", "good", ago=900 * DAY) for number in range(VERDICTS_EACH)]
    assert len(words(said("ada", "q", "a#1", "good"), *old)) == 1


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("ﬁle Ⅷ", "file viii"),
        ("Straße", "strasse"),
        (" a\t\u00a0b ", "a b"),
        ("\ud800x", "?x"),
        ("\u3000", ""),
    ],
)
def test_a_query_is_normalised(query: str, expected: str) -> None:
    assert normalised(query) == expected


@given(st.text())
def test_normalising_twice_is_normalising_once(query: str) -> None:
    assert normalised(normalised(query)) == normalised(query)


HISTORY = st.lists(
    st.builds(
        said,
        st.sampled_from(["ada", "bob", None]),
        st.sampled_from(["q", "Q ", "r"]),
        st.sampled_from(["a#1", "a#2"]),
        st.sampled_from(["good", "bad"]),
        ago=st.timedeltas(timedelta(0), 1000 * DAY),
        correct=st.sampled_from([None, "a#1", "b"]),
    )
)


@given(HISTORY)
def test_no_section_weighs_more_than_its_users(history: list[Feedback]) -> None:
    found = learned(*history)
    assert all(VERDICT_FLOOR - 1e-4 <= one.weight <= len(set(one.users)) for one in found)
    assert len({(one.query, one.path, one.anchor) for one in found}) == len(found)


@given(HISTORY)
def test_saying_all_again_in_the_same_order_changes_nothing(history: list[Feedback]) -> None:
    assert words(*history, *history) == words(*history)


@given(HISTORY)
def test_time_alone_teaches_nothing_new_and_turns_nothing_round_while_users_agree(
    history: list[Feedback],
) -> None:
    ada = [event for event in history if event.user == "ada"]
    now, later = (
        {(one.query, one.path, one.anchor): one for one in lessons(votes(ada), moment)}
        for moment in (NOW, NOW + VERDICT_HALF_LIFE)
    )
    assert all(now[key].verdict == one.verdict and one.weight < now[key].weight for key, one in later.items())
