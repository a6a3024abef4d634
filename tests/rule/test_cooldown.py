"""The cooldown: one number from a marker and a moment, whatever the clock did in between."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rule.moments import BOOT, EPOCH, calendar
from training_watch.cooldown import rest, since
from training_watch.events import Marker, Moment

HOUR, DAY = 3600.0, 86400.0
COOLDOWN = 6 * HOUR
UPTIME = 2 * DAY


def at(hours: float, *, boot: str = BOOT, clock: float = 0.0) -> Moment:
    """So many hours after UPTIME; the wall clock is off by `clock` seconds."""
    elapsed = UPTIME + hours * HOUR
    return Moment(boot, elapsed, calendar(elapsed + clock))


def up(hours: float, *, after: float, clock: float = 0.0) -> Moment:
    """Another boot that is up for so many hours, `after` hours after UPTIME by a right clock."""
    return Moment("boot-2", hours * HOUR, calendar(UPTIME + after * HOUR + clock))


def left_by_mark(hours: float = 0.0, *, clock: float = 0.0) -> Marker:
    """The marker of a run that ended so many hours after UPTIME."""
    moment = at(hours, clock=clock)
    return Marker(moment.calendar, moment.calendar, moment.boot_id, moment.elapsed)


def by_hand(hours: float, *, written: float | None = None, readable: bool = True) -> Marker:
    """`date -Is > marker`: one line that names that hour, in a file of the time `written`."""
    ended = at(hours).calendar
    return Marker(ended, ended if written is None else at(written).calendar, readable=readable)


@dataclass(frozen=True)
class Case:
    claim: str
    marker: Marker | None
    now: Moment
    elapsed: float  # hours
    left: float  # hours


CASES = [
    Case("no marker, no cooldown", None, at(0), 0, 0),
    Case("right after a run all of it is left", left_by_mark(), at(0), 0, 6),
    Case("an hour after a run five are left", left_by_mark(), at(1), 1, 5),
    Case("at its very end nothing is left", left_by_mark(), at(6), 6, 0),
    Case("long after it nothing is left", left_by_mark(), at(600), 600, 0),
    Case("eight hours of suspend count, for elapsed is CLOCK_BOOTTIME", left_by_mark(), at(8), 8, 0),
    Case("the clock set back a day changes nothing within a boot", left_by_mark(), at(2, clock=-DAY), 2, 4),
    Case("the clock set forth a day changes nothing within a boot", left_by_mark(), at(2, clock=DAY), 2, 4),
    Case("a run that ended by a wrong clock counts rightly within a boot",
         left_by_mark(clock=9 * DAY), at(2), 2, 4),
    Case("after a reboot the calendar decides", left_by_mark(), up(0.1, after=4), 4, 2),
    Case("after a reboot and a clock that was set forth it is believed",
         left_by_mark(), up(0.1, after=1, clock=DAY), 25, 0),
    Case("after a reboot and a clock that was set back the time since boot is what is known",
         left_by_mark(), up(1, after=3, clock=-DAY), 1, 5),
    Case("and once the machine was up for a cooldown it is over",
         left_by_mark(), up(6, after=8, clock=-DAY), 6, 0),
    Case("a marker of this boot from later than now is judged by the calendar",
         Marker(at(-2).calendar, at(-2).calendar, BOOT, UPTIME + HOUR), at(0), 2, 4),
    Case("a marker of this boot from before it began is judged by the calendar",
         Marker(at(-2).calendar, at(-2).calendar, BOOT, -1e300), at(0), 2, 4),
    Case("a marker of this boot that counts endlessly is judged by the calendar",
         Marker(at(-2).calendar, at(-2).calendar, BOOT, float("-inf")), at(0), 2, 4),
    Case("a marker of this boot that counts in no number is judged by the calendar",
         Marker(at(-2).calendar, at(-2).calendar, BOOT, float("nan")), at(0), 2, 4),
    Case("the clock set back, and by that time once more: it doesn't begin again",
         left_by_mark(), up(7, after=7, clock=-7 * HOUR + 60), 7, 0),
    Case("a marker of one line is judged by the calendar", by_hand(-2), at(0), 2, 4),
    Case("one from the future by its file's time", by_hand(48, written=-2), at(0), 2, 4),
    Case("also when that time has come", by_hand(48, written=-2), at(48), 50, 0),
    Case("one that was copied lately by what it says", by_hand(-2, written=0), at(0), 2, 4),
    Case("with a file from the future too, by the time since boot",
         by_hand(48), Moment(BOOT, HOUR, at(0).calendar), 1, 5),
    Case("and is over when that is a cooldown", by_hand(48), at(0), 48, 0),
    Case("a marker that can't be read counts by its file's time", by_hand(-2, readable=False), at(0), 2, 4),
    Case("half a second line is none",
         Marker(at(-2).calendar, at(-2).calendar, BOOT, None), at(0), 2, 4),
    Case("an offset is but another way to write the same instant",
         Marker(at(-2).calendar.astimezone(timezone(timedelta(hours=-8))), at(-2).calendar), at(0), 2, 4),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.claim for case in CASES])
def test_the_cooldown(case: Case) -> None:
    state = rest(case.marker, case.now, COOLDOWN)
    assert state.elapsed == pytest.approx(case.elapsed * HOUR)
    assert state.left == pytest.approx(case.left * HOUR)


def test_at_its_very_end_it_is_over_and_not_before() -> None:
    ended, now = Moment(BOOT, 1000.0, EPOCH), EPOCH + timedelta(seconds=99)
    marker = Marker(ended.calendar, ended.calendar, ended.boot_id, ended.elapsed)
    assert rest(marker, Moment(BOOT, 1000.0 + COOLDOWN - 0.5, now), COOLDOWN).left == 0.5
    assert rest(marker, Moment(BOOT, 1000.0 + COOLDOWN, now), COOLDOWN).left == 0


def test_a_cooldown_of_zero_is_none() -> None:
    assert rest(left_by_mark(), at(0), 0.0).left == 0


def test_since_counts_as_the_cooldown_does() -> None:
    assert since(at(0), at(2, clock=-DAY)) == 2 * HOUR
    assert since(at(0), up(1, after=3)) == pytest.approx(3 * HOUR)
    assert since(at(0), up(1, after=3, clock=-DAY)) == HOUR


# ---- laws -------------------------------------------------------------------------------------

calendars = st.datetimes(datetime(1970, 1, 2), datetime(9990, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 - the zone is the next argument
near = st.floats(-30 * DAY, 30 * DAY).map(lambda seconds: calendar(UPTIME + seconds))
whens = near | calendars
boots = st.sampled_from([BOOT, "boot-2"])
cooldowns = st.floats(0, 60 * DAY)
moments = st.builds(Moment, boots, st.floats(0, 400 * DAY), whens)
markers = st.builds(
    Marker,
    ended=whens,
    written=whens,
    boot_id=boots | st.none(),
    elapsed=st.floats(0, 400 * DAY) | st.floats() | st.none(),
    readable=st.booleans(),
)


@given(marker=markers | st.none(), now=moments, cooldown=cooldowns)
def test_what_is_left_is_never_more_than_the_cooldown_and_never_less_than_nothing(
    marker: Marker | None, now: Moment, cooldown: float
) -> None:
    state = rest(marker, now, cooldown)
    assert 0 <= state.left <= cooldown
    assert 0 <= state.elapsed < float("inf")


def passing(now: Moment, seconds: float) -> Moment:
    """So much later, by a right clock."""
    return Moment(now.boot_id, now.elapsed + seconds, now.calendar + timedelta(seconds=seconds))


def known_to_be_older(marker: Marker, now: Moment) -> bool:
    """Whether it is known when, or at least before which boot, it was written."""
    if marker.boot_id is None or marker.elapsed is None:
        return False
    return marker.boot_id != now.boot_id or 0 <= marker.elapsed <= now.elapsed


@given(marker=markers, now=moments, cooldown=cooldowns)
def test_a_marker_as_runs_write_it_is_over_one_cooldown_after_it_was_found(
    marker: Marker, now: Moment, cooldown: float
) -> None:
    assume(known_to_be_older(marker, now))
    assert rest(marker, passing(now, cooldown + 1), cooldown).left == 0


@given(marker=markers, now=moments, cooldown=cooldowns, passed=st.floats(0, 60 * DAY))
def test_time_that_passes_by_a_right_clock_never_lengthens_the_wait(
    marker: Marker, now: Moment, cooldown: float, passed: float
) -> None:
    # A line by hand that names the future, in a file from the future, may be from before this boot or
    # of just now: it can block a second time when the clock comes by it, by one cooldown at most. So can
    # a second line that names a time since boot that is yet to come.
    future = min(marker.ended, marker.written) > now.calendar
    ahead = marker.boot_id == now.boot_id and marker.elapsed is not None and marker.elapsed > now.elapsed
    assume(known_to_be_older(marker, now) or not (future or ahead or marker.ended > now.calendar))
    assert rest(marker, passing(now, passed), cooldown).left <= rest(marker, now, cooldown).left + 0.001


@given(
    ended=st.floats(0, 400 * DAY),
    passed=st.floats(0, 60 * DAY),
    stepped=st.floats(-30 * DAY, 30 * DAY),
    cooldown=cooldowns,
)
def test_within_one_boot_the_wall_clock_is_not_asked(
    ended: float, passed: float, stepped: float, cooldown: float
) -> None:
    marker = Marker(EPOCH, EPOCH, BOOT, ended)
    now = Moment(BOOT, ended + passed, EPOCH + timedelta(seconds=passed + stepped))
    assert rest(marker, now, cooldown).left == pytest.approx(max(0.0, cooldown - passed), abs=0.001)


@given(uptime=st.floats(0, 30 * DAY), passed=st.floats(0, 60 * DAY), cooldown=cooldowns)
def test_after_a_reboot_by_a_right_clock_the_cooldown_is_real_time(
    uptime: float, passed: float, cooldown: float
) -> None:
    now = Moment("boot-2", min(uptime, passed), EPOCH + timedelta(seconds=passed))
    left = rest(Marker(EPOCH, EPOCH, BOOT, 1e6), now, cooldown).left
    assert left == pytest.approx(max(0.0, cooldown - passed), abs=0.001)
