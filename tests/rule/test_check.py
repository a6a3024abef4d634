"""What `check` prints, to the byte."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_watch.check import rounded, verdict
from training_watch.events import Marker, Moment

HOUR = 3600.0
COOLDOWN = 6 * HOUR
ENDED = datetime(2026, 2, 16, 6, 0, 58, tzinfo=timezone(timedelta(hours=-8)))
NOW = 500_000.0
FIVE_KEYS = ["should_train", "reason", "last_trained", "elapsed_seconds", "cooldown_seconds"]


def now(after: float = 0.0, boot: str = "boot-1") -> Moment:
    return Moment(boot, NOW + after, ENDED + timedelta(seconds=after))


def left_by_mark() -> Marker:
    return Marker(ended=ENDED, written=ENDED, boot_id="boot-1", elapsed=NOW)


@dataclass(frozen=True)
class Case:
    claim: str
    marker: Marker | None
    after: float
    running: bool
    printed: str


CASES = [
    Case("an hour and a second after a run five hours are left", left_by_mark(), 3601, False, """\
should_train=false
reason=cooldown_active_5h
last_trained=2026-02-16T06:00:58-08:00
elapsed_seconds=3601
cooldown_seconds=21600
"""),
    Case("with exactly five hours left it says so", left_by_mark(), 3600, False, """\
should_train=false
reason=cooldown_active_5h
last_trained=2026-02-16T06:00:58-08:00
elapsed_seconds=3600
cooldown_seconds=21600
"""),
    Case("a second earlier it is six: hours are rounded up", left_by_mark(), 3599, False, """\
should_train=false
reason=cooldown_active_6h
last_trained=2026-02-16T06:00:58-08:00
elapsed_seconds=3599
cooldown_seconds=21600
"""),
    Case("right after a run all of it is left", left_by_mark(), 0.25, False, """\
should_train=false
reason=cooldown_active_6h
last_trained=2026-02-16T06:00:58-08:00
elapsed_seconds=0
cooldown_seconds=21600
"""),
    Case("below one hour it says minutes", left_by_mark(), COOLDOWN - 42 * 60, False, """\
should_train=false
reason=cooldown_active_42m
last_trained=2026-02-16T06:00:58-08:00
elapsed_seconds=19080
cooldown_seconds=21600
"""),
    Case("half a second before the end it is not over", left_by_mark(), COOLDOWN - 0.5, False, """\
should_train=false
reason=cooldown_active_1m
last_trained=2026-02-16T06:00:58-08:00
elapsed_seconds=21599
cooldown_seconds=21600
"""),
    Case("at its end it is over", left_by_mark(), COOLDOWN, False, """\
should_train=true
reason=cooldown_expired
last_trained=2026-02-16T06:00:58-08:00
elapsed_seconds=21600
cooldown_seconds=21600
"""),
    Case("without a marker two lines are all there is to say", None, 0, False, """\
should_train=true
reason=no_previous_training
"""),
    Case("that one runs outranks the cooldown", left_by_mark(), 3601, True, """\
should_train=false
reason=already_running
last_trained=2026-02-16T06:00:58-08:00
elapsed_seconds=3601
cooldown_seconds=21600
"""),
    Case("and the end of the cooldown", left_by_mark(), 99999, True, """\
should_train=false
reason=already_running
last_trained=2026-02-16T06:00:58-08:00
elapsed_seconds=99999
cooldown_seconds=21600
"""),
    Case("and that nothing was ever trained", None, 0, True, """\
should_train=false
reason=already_running
"""),
    Case("a marker that can't be read is named, and its file's time decides: not yet",
         Marker(ended=ENDED, written=ENDED, readable=False), 3601, False, """\
should_train=false
reason=marker_unreadable
last_trained=2026-02-16T06:00:58-08:00
elapsed_seconds=3601
cooldown_seconds=21600
"""),
    Case("a marker that can't be read is named, and its file's time decides: now",
         Marker(ended=ENDED, written=ENDED, readable=False), COOLDOWN, False, """\
should_train=true
reason=marker_unreadable
last_trained=2026-02-16T06:00:58-08:00
elapsed_seconds=21600
cooldown_seconds=21600
"""),
    Case("that one runs outranks even that",
         Marker(ended=ENDED, written=ENDED, readable=False), 3601, True, """\
should_train=false
reason=already_running
last_trained=2026-02-16T06:00:58-08:00
elapsed_seconds=3601
cooldown_seconds=21600
"""),
    Case("fractions of a second in a marker are not printed",
         Marker(ended=ENDED + timedelta(microseconds=999_999), written=ENDED + timedelta(seconds=1)), 3601, False, """\
should_train=false
reason=cooldown_active_5h
last_trained=2026-02-16T06:00:58-08:00
elapsed_seconds=3600
cooldown_seconds=21600
"""),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.claim for case in CASES])
def test_check_prints(case: Case) -> None:
    asked = verdict(case.marker, now(case.after), COOLDOWN, running=case.running)
    assert "".join(f"{line}\n" for line in asked.lines()) == case.printed


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (6 * HOUR, "6h"),
        (5 * HOUR + 0.001, "6h"),
        (5 * HOUR, "5h"),
        (HOUR + 0.001, "2h"),
        (HOUR, "1h"),
        (HOUR - 0.001, "60m"),
        (59 * 60, "59m"),
        (42 * 60, "42m"),
        (60.001, "2m"),
        (60, "1m"),
        (0.001, "1m"),
    ],
)
def test_what_is_left_is_rounded_up_to_hours_and_below_one_to_minutes(left: float, said: str) -> None:
    assert rounded(left) == said


def test_what_is_not_printed_is_there_for_programs() -> None:
    asked = verdict(left_by_mark(), now(3601), COOLDOWN, running=False)
    assert (asked.left, asked.elapsed, asked.cooldown) == (17999, 3601, 21600)


offsets = st.integers(-23 * 60, 23 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
whens = st.datetimes(timezones=st.just(UTC) | offsets)
text = st.text() | st.sampled_from(["boot-1", "x\nshould_train=true", "\r\x85\u2028reason=cooldown_expired"])
markers = st.builds(
    Marker,
    ended=whens,
    written=whens,
    boot_id=text | st.none(),
    elapsed=st.floats() | st.none(),
    readable=st.booleans(),
)


@given(marker=markers, when=whens, running=st.booleans(), cooldown=st.floats(0, 1e9))
def test_nothing_in_a_marker_can_forge_a_key_or_break_the_answer(
    marker: Marker, when: datetime, running: bool, cooldown: float
) -> None:
    asked = verdict(marker, Moment("boot-1", NOW, when), cooldown, running=running)
    lines = asked.lines()
    assert [line.partition("=")[0] for line in lines] == FIVE_KEYS
    assert "\n".join(lines).splitlines() == lines
    assert all(line.isascii() and line.isprintable() for line in lines)
    assert lines[0] == ("should_train=true" if asked.should_train else "should_train=false")
    assert asked.should_train == (not running and asked.left <= 0)
