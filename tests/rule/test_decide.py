"""The rule, one line of life at a time: what happened, what is asked when, and what is ordered then."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from rule.moments import marker, moment, pending, run, seen
from training_watch.decide import Settings, State, failures, order, step
from training_watch.events import (
    Balked,
    Changed,
    Compare,
    Compared,
    Doubted,
    Event,
    Order,
    Outcome,
    Reason,
    Start,
    Wait,
)

MINUTE, HOUR = 60.0, 3600.0
SETTINGS = Settings(debounce=5 * MINUTE, max_wait=30 * MINUTE, cooldown=6 * HOUR, retries=3)
GIT = "a rebase in /repo"
NEW, OTHER, OWN = pending(), pending("other"), pending(own=True)
FED = Outcome.SUCCEEDED


@dataclass(frozen=True)
class Case:
    """`story` happens, and at `at` this is ordered."""

    claim: str
    story: tuple[Event, ...]
    at: float
    ordered: Order
    settings: Settings = SETTINGS


def wait(reason: Reason, until: float | None = None, detail: str = "") -> Wait:
    return Wait(reason, until, detail)


def settled(at: float, what: str = "new") -> tuple[Event, ...]:
    """Changes that came to rest and differ from what was trained, compared at `at`."""
    return (Compared(0, None), Changed(at - 300), Compared(at, pending(what)))


def failed(times: int, *, on: str = "new", status: str = "1") -> list[object]:
    return [run(number, on=on, status=status) for number in range(1, times + 1)]


def changed_each_minute(first: int, last: int) -> tuple[Event, ...]:
    return tuple(Changed(minute * MINUTE) for minute in range(first, last + 1))


def balks(times: int, at: float) -> tuple[Event, ...]:
    return tuple(Balked(at, "masked") for _ in range(times))


QUIET = [
    Case("nothing is known before the first comparison, so it is made", (), 0, Compare()),
    Case("a tree that equals what was trained waits for nothing but an event",
         (Compared(0, None),), 1e9, wait(Reason.NOTHING)),
    Case("a doubt is settled by comparing", (Compared(0, None), Doubted(5)), 5, Compare()),
    Case("a doubt is settled even while a training runs",
         (Compared(0, None), seen(1, running=True), Doubted(5)), 5, Compare()),
    Case("a doubt that comparing dispels starts nothing",
         (Compared(0, None), Doubted(5), Compared(6, None)), 6, wait(Reason.NOTHING)),
    Case("a difference that was found at the first comparison starts at once: it settled long ago",
         (Compared(0, NEW),), 0, Start()),
]  # fmt: skip

DEBOUNCE = [
    Case("a change waits for its quiet", (Compared(0, None), Changed(100)), 101, wait(Reason.SETTLING, 400)),
    Case("a moment before its quiet is over it still waits",
         (Compared(0, None), Changed(100)), 399.999, wait(Reason.SETTLING, 400)),
    Case("at the end of its quiet it is compared", (Compared(0, None), Changed(100)), 400, Compare()),
    Case("and started, when it differs", (Compared(0, None), Changed(100), Compared(400, NEW)), 400, Start()),
    Case("and forgotten, when it was but a touch",
         (Compared(0, None), Changed(100), Compared(400, None)), 400, wait(Reason.NOTHING)),
    Case("each further change makes the quiet begin anew",
         (Compared(0, None), Changed(100), Changed(390)), 400, wait(Reason.SETTLING, 690)),
    Case("a comparison before its time ends no burst",
         (Compared(0, None), Changed(100), Compared(200, NEW)), 399, wait(Reason.SETTLING, 400)),
    Case("changes that are told out of order don't shorten the quiet",
         (Compared(0, None), Changed(100), Changed(90)), 101, wait(Reason.SETTLING, 400)),
    Case("a burst that a restart cut short goes on, from before this boot even",
         (Changed(-100), Compared(10, NEW)), 10, wait(Reason.SETTLING, 200)),
    Case("eight hours of suspend count as quiet", (Compared(0, None), Changed(100)), 100 + 8 * HOUR, Compare()),
    Case("what is in doubt in the middle of a burst is compared with it, when it has settled",
         (Compared(0, None), Changed(100), Doubted(150), Doubted(160)), 170, wait(Reason.SETTLING, 400)),
    Case("and not forgotten",
         (Compared(0, None), Changed(100), Doubted(150), Doubted(160)), 400, Compare()),
    Case("without debounce it is compared at once",
         (Compared(0, None), Changed(100)), 100, Compare(), replace(SETTINGS, debounce=0)),
]  # fmt: skip

PATIENCE = [
    Case("changes without end wait no longer than max_wait",
         (Compared(0, None), *changed_each_minute(1, 30)), 30 * MINUTE, wait(Reason.SETTLING, 31 * MINUTE)),
    Case("max_wait after the first of them it is compared",
         (Compared(0, None), *changed_each_minute(1, 30)), 31 * MINUTE, Compare()),
    Case("and started in the middle of them",
         (Compared(0, None), *changed_each_minute(1, 30), Compared(31 * MINUTE, NEW)), 31 * MINUTE, Start()),
    Case("what changes after that is a burst of its own",
         (Compared(0, None), *changed_each_minute(1, 30), Compared(31 * MINUTE, NEW), Changed(32 * MINUTE)),
         32 * MINUTE, wait(Reason.SETTLING, 37 * MINUTE)),
    Case("a burst that settled stays pending through the cooldown",
         (*settled(400), seen(400, rested=marker(0))), 401, wait(Reason.COOLDOWN, 6 * HOUR)),
    Case("a burst in the cooldown's last minute holds the start back until it settles",
         (*settled(400), seen(400, rested=marker(0)), Changed(6 * HOUR - 60)),
         6 * HOUR, wait(Reason.SETTLING, 6 * HOUR + 240)),
]  # fmt: skip

GIT_HOLDS = [
    Case("while git is busy a settled burst is held, and looked at again soon",
         (Compared(0, None), Changed(100), Compared(400, NEW, GIT)), 400, wait(Reason.GIT, 410)),
    Case("the look comes when it is due",
         (Compared(0, None), Changed(100), Compared(400, NEW, GIT)), 410, Compare()),
    Case("git is still busy: again",
         (Compared(0, None), Changed(100), Compared(400, NEW, GIT), Compared(410, NEW, GIT)),
         410, wait(Reason.GIT, 420)),
    Case("git is done and the tree is quiet: it starts",
         (Compared(0, None), Changed(100), Compared(400, NEW, GIT), Compared(410, NEW)), 410, Start()),
    Case("git is done but has just written: its quiet is waited for",
         (Compared(0, None), Changed(100), Compared(400, NEW, GIT), Changed(405), Compared(415, NEW)),
         415, wait(Reason.GIT, 705)),
    Case("git that never ends is waited for max_wait once more, and no longer",
         (Compared(0, None), Changed(100), Compared(400, NEW, GIT), Compared(2195, NEW, GIT)),
         2195, wait(Reason.GIT, 2200)),
    Case("at the end of that it is compared",
         (Compared(0, None), Changed(100), Compared(400, NEW, GIT), Compared(2195, NEW, GIT)), 2200, Compare()),
    Case("and started, busy or not",
         (Compared(0, None), Changed(100), Compared(400, NEW, GIT), Compared(2200, NEW, GIT)), 2200, Start()),
    Case("changes during the hold don't stretch it",
         (Compared(0, None), Changed(100), Compared(400, NEW, GIT), Changed(2100), Compared(2200, NEW, GIT)),
         2200, Start()),
    Case("a doubt while a burst is held waits for the next look",
         (Compared(0, None), Changed(100), Compared(400, NEW, GIT), Doubted(402)), 402, wait(Reason.GIT, 410)),
    Case("and is part of it",
         (Compared(0, None), Changed(100), Compared(400, NEW, GIT), Doubted(402)), 410, Compare()),
    Case("git doesn't hold a burst that has not settled yet",
         (Compared(0, None), Changed(100), Compared(200, NEW, GIT)), 200, wait(Reason.SETTLING, 400)),
    Case("git doesn't hold what settled before",
         (*settled(400), Compared(500, NEW, GIT)), 500, Start()),
    Case("a hold of a burst that was reverted meanwhile ends in nothing",
         (Compared(0, None), Changed(100), Compared(400, NEW, GIT), Compared(410, None)),
         410, wait(Reason.NOTHING)),
]  # fmt: skip

RUNNING = [
    Case("while a training runs nothing starts",
         (*settled(400), seen(400, running=True)), 1e6, wait(Reason.RUNNING)),
    Case("a run that someone started by hand counts like any other",
         (seen(0, run(1, None), running=True), Compared(1, NEW)), 2, wait(Reason.RUNNING)),
    Case("that a training runs is said before all else",
         (seen(0, *[run(n) for n in range(1, 9)], running=True, rested=marker(0), obstacle="x"), *settled(400)),
         400, wait(Reason.RUNNING)),
    Case("a burst during a run is compared when it settles, so that it can be shown",
         (Compared(0, None), seen(1, running=True), Changed(10)), 310, Compare()),
    Case("when the unit is at rest again, what is owed is asked anew",
         (Compared(0, None), seen(1, running=True), seen(50)), 50, Compare()),
    Case("when a run was recorded that nobody saw running, what is owed is asked anew",
         (Compared(0, None), seen(1), seen(50, run(1, Outcome.SUCCEEDED))), 50, Compare()),
    Case("when another run was recorded than the one that was seen, too",
         (seen(0, run(1)), Compared(1, NEW), seen(2, run(1), run(2))), 2, Compare()),
    Case("when the end of a run was recorded, too",
         (seen(0, run(1, None)), Compared(1, NEW), seen(2, run(1))), 2, Compare()),
    Case("the same history twice is no news",
         (seen(0, run(1)), Compared(1, None), seen(2, run(1))), 2, wait(Reason.NOTHING)),
    Case("what changed during a run is owed after its success",
         (Compared(0, NEW), seen(1, run(1, None), running=True), Changed(50),
          seen(500, run(1, Outcome.SUCCEEDED), rested=marker(500)), Compared(500, OTHER)),
         500, wait(Reason.COOLDOWN, 500 + 6 * HOUR)),
]  # fmt: skip

COOLDOWN = [
    Case("no marker, no cooldown", (Compared(0, NEW), seen(0)), 0, Start()),
    Case("whatever the history says", (seen(0, run(1)), Compared(0, NEW)), 0, Start()),
    Case("inside the cooldown it waits for the cooldown's end",
         (Compared(0, NEW), seen(0, rested=marker(0))), 6 * HOUR - 1, wait(Reason.COOLDOWN, 6 * HOUR)),
    Case("at its end it looks again at a tree that it compared long ago",
         (Compared(0, NEW), seen(0, rested=marker(0))), 6 * HOUR, Compare()),
    Case("and starts",
         (Compared(0, NEW), seen(0, rested=marker(0)), Compared(6 * HOUR, NEW)), 6 * HOUR, Start()),
    Case("unless the content was reverted meanwhile",
         (Compared(0, NEW), seen(0, rested=marker(0)), Compared(6 * HOUR, None)), 6 * HOUR, wait(Reason.NOTHING)),
    Case("a comparison of just now needs no other", (Compared(9, NEW),), 10, Start()),
    Case("one of a second ago and more does", (Compared(9, NEW),), 10.001, Compare()),
    Case("removing the marker ends the cooldown",
         (Compared(0, NEW), seen(0, rested=marker(0)), seen(10), Compared(10, NEW)), 10, Start()),
    Case("a forced run inside the cooldown begins another one, for the changes that it didn't read",
         (*settled(400), seen(400, rested=marker(0)), seen(500, run(1, None, forced=True), running=True),
          Changed(600), seen(800, run(1, Outcome.SUCCEEDED, forced=True), rested=marker(800)),
          Compared(900, OTHER)),
         900, wait(Reason.COOLDOWN, 800 + 6 * HOUR)),
    Case("a cooldown of zero is none",
         (Compared(0, NEW), seen(0, rested=marker(0))), 0, Start(), replace(SETTINGS, cooldown=0)),
]  # fmt: skip

FAILURES = [
    Case("a failure is tried again after its cooldown",
         (seen(0, run(1), rested=marker(0)), Compared(6 * HOUR, NEW)), 6 * HOUR, Start()),
    Case("and not before",
         (seen(0, run(1), rested=marker(0)), Compared(10, NEW)), 10, wait(Reason.COOLDOWN, 6 * HOUR)),
    Case("three retries are three",
         (seen(0, *[run(n) for n in range(1, 4)]), Compared(1, NEW)), 1, Start()),
    Case("after them it rests and says so",
         (seen(0, *[run(n) for n in range(1, 5)]), Compared(1, NEW)),
         1, wait(Reason.RETRIES, detail="failed 4 times on the same content")),
    Case("a touch changes nothing of that",
         (seen(0, *[run(n) for n in range(1, 5)]), Compared(1, NEW), Changed(10), Compared(310, NEW)),
         310, wait(Reason.RETRIES, detail="failed 4 times on the same content")),
    Case("other content is tried",
         (seen(0, *[run(n) for n in range(1, 5)]), Compared(1, NEW), Changed(10), Compared(310, OTHER)),
         310, Start()),
    Case("failures on other content in between don't make it forget",
         (seen(0, run(1), run(2), run(3, on="other"), run(4), run(5)), Compared(1, NEW)),
         1, wait(Reason.RETRIES, detail="failed 4 times on the same content")),
    Case("a success does",
         (seen(0, run(1), run(2), run(3, Outcome.SUCCEEDED), run(4), run(5)), Compared(1, NEW)), 1, Start()),
    Case("forced runs don't count",
         (seen(0, *[run(n, forced=True) for n in range(1, 9)]), Compared(1, NEW)), 1, Start()),
    Case("stopped ones neither",
         (seen(0, *[run(n, Outcome.STOPPED) for n in range(1, 9)]), Compared(1, NEW)), 1, Start()),
    Case("nor one that only said: not now",
         (seen(0, *[run(n) for n in range(1, 4)], run(4, Outcome.DEFERRED)), Compared(100, NEW)), 100, Start()),
    Case("interrupted ones do",
         (seen(0, *[run(n, Outcome.INTERRUPTED) for n in range(1, 5)]), Compared(1, NEW)),
         1, wait(Reason.RETRIES, detail="failed 4 times on the same content")),
    Case("with no retries one failure is enough",
         (seen(0, run(1)), Compared(1, NEW)), 1, wait(Reason.RETRIES, detail="failed 1 times on the same content"),
         replace(SETTINGS, retries=0)),
    Case("a training whose gate refused the content isn't asked again",
         (seen(0, run(1, status="3")), Compared(1, NEW)), 1, wait(Reason.REFUSED, detail="exit status 3")),
    Case("nor one that says its configuration is wrong",
         (seen(0, run(1, status="78")), Compared(1, NEW)), 1, wait(Reason.REFUSED, detail="exit status 78")),
    Case("the status that forbids it is the one that is named, not a later one",
         (seen(0, run(1, status="3"), run(2, status="1")), Compared(1, NEW)),
         1, wait(Reason.REFUSED, detail="exit status 3")),
    Case("other content may be asked for",
         (seen(0, run(1, status="3")), Compared(1, OTHER)), 1, Start()),
    Case("a forced run that was refused doesn't forbid it either",
         (seen(0, run(1, status="3", forced=True)), Compared(1, NEW)), 1, Start()),
    Case("a run that succeeded with such a status is no refusal",
         (seen(0, run(1, Outcome.SUCCEEDED, status="3")), Compared(1, NEW)), 1, Start()),
    Case("that retries are used up is said before the cooldown",
         (seen(0, *[run(n) for n in range(1, 5)], rested=marker(0)), Compared(1, NEW)),
         1, wait(Reason.RETRIES, detail="failed 4 times on the same content")),
]  # fmt: skip

TAIL = [
    Case("one run that only its own changes followed may be followed by another",
         (seen(0, run(1, FED, self_fed=True)), Compared(1, OWN)), 1, Start()),
    Case("after two of them it rests",
         (seen(0, run(1, FED, self_fed=True), run(2, FED, self_fed=True)), Compared(1, OWN)),
         1, wait(Reason.OWN)),
    Case("until another path changes",
         (seen(0, run(1, FED, self_fed=True), run(2, FED, self_fed=True)), Compared(1, OTHER)), 1, Start()),
    Case("two of them in a row are meant",
         (seen(0, run(1, FED, self_fed=True), run(2, FED), run(3, FED, self_fed=True)), Compared(1, OWN)),
         1, Start()),
    Case("a run that said: not now doesn't break the row",
         (seen(0, run(1, FED, self_fed=True), run(2, FED, self_fed=True), run(3, Outcome.DEFERRED)),
          Compared(100, OWN)), 100, wait(Reason.OWN)),
    Case("nor does one that is not over",
         (seen(0, run(1, FED, self_fed=True), run(2, FED, self_fed=True), run(3, None)), Compared(100, OWN)),
         100, wait(Reason.OWN)),
]  # fmt: skip

BALKS = [
    Case("a start that came to nothing is tried again after a minute",
         (Compared(0, NEW), *balks(1, 10)), 69, wait(Reason.BALKED, 70, "masked")),
    Case("when the minute is over it starts",
         (Compared(0, NEW), *balks(1, 10), Compared(70, NEW)), 70, Start()),
    Case("the second time after two minutes",
         (Compared(0, NEW), *balks(2, 10)), 11, wait(Reason.BALKED, 130, "masked")),
    Case("the sixth time after 32 minutes",
         (Compared(0, NEW), *balks(6, 10)), 11, wait(Reason.BALKED, 10 + 32 * MINUTE, "masked")),
    Case("from the seventh time on after an hour",
         (Compared(0, NEW), *balks(7, 10)), 11, wait(Reason.BALKED, 10 + HOUR, "masked")),
    Case("after two months of that still an hour",
         (Compared(0, NEW), *balks(1500, 10)), 11, wait(Reason.BALKED, 10 + HOUR, "masked")),
    Case("a run that succeeded ends it",
         (Compared(0, NEW), *balks(7, 10), seen(20, run(1, Outcome.SUCCEEDED)), Compared(20, OTHER)), 20, Start()),
    Case("and so does a run that failed: the start itself was good",
         (Compared(0, NEW), *balks(7, 10), seen(20, run(1, on="old")), Compared(20, NEW)), 20, Start()),
    Case("and the next balk is a first one again",
         (Compared(0, NEW), *balks(7, 10), seen(20, run(1, on="old")), Compared(20, NEW), *balks(1, 30)),
         31, wait(Reason.BALKED, 90, "masked")),
    Case("a run that has only begun doesn't end it",
         (Compared(0, NEW), *balks(2, 10), seen(20, run(1, None)), Compared(20, NEW)),
         20, wait(Reason.BALKED, 130, "masked")),
    Case("a history that says nothing new doesn't either",
         (seen(0, run(1, on="old")), Compared(0, NEW), *balks(2, 10), seen(20, run(1, on="old"))),
         21, wait(Reason.BALKED, 130, "masked")),
    Case("a run that said: not now is a balk",
         (Compared(0, NEW), seen(10, run(1, Outcome.DEFERRED)), Compared(10, NEW)),
         11, wait(Reason.BALKED, 70, "the training said: not now (exit 75)")),
    Case("and the next one doubles it",
         (Compared(0, NEW), seen(10, run(1, Outcome.DEFERRED)), seen(70, run(2, Outcome.DEFERRED)),
          Compared(70, NEW)), 71, wait(Reason.BALKED, 190, "the training said: not now (exit 75)")),
    Case("the cooldown is said before a balk",
         (Compared(0, NEW), seen(0, rested=marker(0)), *balks(1, 10)), 11, wait(Reason.COOLDOWN, 6 * HOUR)),
    Case("nothing is waited for when the content was reverted meanwhile",
         (Compared(0, NEW), *balks(1, 10), Compared(20, None)), 20, wait(Reason.NOTHING)),
]  # fmt: skip

OBSTACLES = [
    Case("a unit that isn't the configured one is not started",
         (Compared(0, NEW), seen(0, obstacle="run install")), 0, wait(Reason.OBSTACLE, detail="run install")),
    Case("when that is mended it starts",
         (Compared(0, NEW), seen(0, obstacle="run install"), seen(1)), 1, Start()),
    Case("where nothing is pending it is no matter",
         (Compared(0, None), seen(0, obstacle="run install")), 0, wait(Reason.NOTHING)),
    Case("it is said before the retries, which the mended unit may not need",
         (seen(0, *[run(n) for n in range(1, 5)], obstacle="run install"), Compared(0, NEW)),
         0, wait(Reason.OBSTACLE, detail="run install")),
]  # fmt: skip

CASES = [
    *QUIET, *DEBOUNCE, *PATIENCE, *GIT_HOLDS, *RUNNING, *COOLDOWN, *FAILURES, *TAIL, *BALKS, *OBSTACLES,
]  # fmt: skip


def after(story: tuple[Event, ...], settings: Settings = SETTINGS) -> State:
    state = State()
    for event in story:
        state = step(state, event, settings)
    return state


@pytest.mark.parametrize("case", CASES, ids=[case.claim for case in CASES])
def test_the_rule(case: Case) -> None:
    assert order(after(case.story, case.settings), moment(case.at), case.settings) == case.ordered


def test_each_claim_is_made_once() -> None:
    assert len({case.claim for case in CASES}) == len(CASES)


def test_each_reason_to_wait_has_a_case() -> None:
    assert {case.ordered.reason for case in CASES if isinstance(case.ordered, Wait)} == set(Reason)


def test_failures_are_counted_for_those_who_ask() -> None:
    history = (run(1), run(2, forced=True), run(3, Outcome.INTERRUPTED), run(4, on="other"))
    assert failures(history, "new") == 2
    assert failures(history, "other") == 1
    assert failures((*history, run(5, Outcome.SUCCEEDED)), "new") == 0
