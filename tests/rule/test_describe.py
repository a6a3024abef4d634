"""What is told of a moment and of an end, in the words that every command has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from training_watch.decide import Settings, State
from training_watch.describe import clock_time, day_time, ending, sentence
from training_watch.events import Moment, Pending, Reason, Running, Wait

NOON = datetime(2026, 2, 16, 12, tzinfo=UTC)
NOW = Moment("boot", 50_000.0, NOON)


@pytest.fixture(autouse=True)
def _at_greenwich(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")


@pytest.mark.parametrize(
    ("apart", "told"),
    [
        (9, "today 12:00:09"),
        (-9, "today 11:59:51"),
        (599, "today 12:09:59"),
        (-599, "today 11:50:01"),
        (600, "today 12:10"),
        (-600, "today 11:50"),
        (86400, "tomorrow 12:00"),
        (-86400 * 2, "Sat 14 Feb 12:00"),
        (-86400 * 300, "2025-04-22 12:00"),
    ],
)
def test_a_moment_is_told_with_its_second_where_it_is_near(apart: int, told: str) -> None:
    assert day_time(NOON + timedelta(seconds=apart), NOON) == told


@pytest.mark.parametrize(
    ("left", "told"), [(9, "12:00:09"), (600, "12:10"), (86400, "Tue 17 Feb 12:00"), (None, "later")]
)
def test_so_is_a_deadline(left: int | None, told: str) -> None:
    assert clock_time(NOW.elapsed + left if left is not None else None, NOW) == told


def test_a_night_between_two_near_moments_takes_no_second_away() -> None:
    late = NOON + timedelta(hours=11, minutes=59)
    assert day_time(late + timedelta(seconds=70), late) == "tomorrow 00:00:10"
    at_night = Moment("boot", NOW.elapsed, late)
    assert clock_time(NOW.elapsed + 70, at_night) == "Tue 17 Feb 00:00:10"


@pytest.mark.parametrize(
    ("ago", "told"),
    [
        (3, "training since 11:59:57"),
        (3600, "training since 11:00"),
        (86400, "training since Sun 15 Feb 12:00"),
    ],
)
def test_when_a_training_began_is_told_as_any_moment(ago: int, told: str) -> None:
    began = Moment("boot", NOW.elapsed - ago, NOON - timedelta(seconds=ago))
    state = State(running=Running("a" * 32, began))
    assert sentence(Wait(Reason.RUNNING), state, Settings(), NOW) == told


def test_a_short_cooldown_is_told_to_the_second() -> None:
    state = State(pending=Pending(2, "content"))
    told = sentence(Wait(Reason.COOLDOWN, NOW.elapsed + 120), state, Settings(), NOW)
    assert told == "cooldown until 12:02:00, 2 files waiting"


@pytest.mark.parametrize(
    ("status", "told"), [("7", "exit status 7"), ("KILL", "signal KILL"), ("0", ""), ("", "")]
)
def test_an_end_is_a_status_or_a_signal(status: str, told: str) -> None:
    assert ending(status) == told
