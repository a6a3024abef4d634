"""Lengths of time: what systemd takes is taken, and means the same."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from training_watch.timespan import SECONDS, seconds, spoken, took

SYSTEMD = shutil.which("systemd-analyze")


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("90", 90),
        ("0", 0),
        ("5min", 300),
        ("5 min", 300),
        ("1h 30min", 5400),
        ("1h30min", 5400),
        ("1h 30", 3630),
        ("  6h  ", 21600),
        ("1.5h", 5400),
        (".5h", 1800),
        ("250ms", 0.25),
        ("2d", 172800),
        ("1w", 604800),
        ("1M", 2629800),
        ("1m", 60),
        ("1y", 31557600),
        ("55s500ms", 55.5),
        ("10µs", 1e-5),  # the micro sign
        ("10μs", 1e-5),  # the Greek letter
    ],
)
def test_a_length_as_systemd_writes_it(text: str, length: float) -> None:
    assert seconds(text) == pytest.approx(length)


@pytest.mark.parametrize(
    "text",
    ["", " ", "min", "5 fortnights", "-5min", "5min!", "1,5h", "1:30", "5 Min", "1e3", "1.h", "1.5.5", ".0.0", "nan", "infinity",
     "\u0665min", "9" * 400 + "y", "1h\0"],
)  # fmt: skip
def test_what_is_no_length_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write it like 5min, 1h 30min or 90"):
        seconds(text)


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (0, "0s"),
        (-5, "0s"),
        (0.2, "1s"),
        (59.2, "1min"),
        (250, "4min 10s"),
        (3600, "1h"),
        (5400, "1h 30min"),
        (18003, "5h"),
        (86460, "1d"),
        (90061, "1d 1h"),
    ],
)
def test_a_length_for_people_in_its_two_largest_units(length: float, said: str) -> None:
    assert spoken(length) == said


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (0, "0.0s"),
        (-5, "0.0s"),
        (0.12, "0.1s"),
        (4.17, "4.2s"),
        (9.94, "9.9s"),
        (9.96, "10s"),
        (10.4, "10s"),
        (10.6, "11s"),
        (59.4, "59s"),
        (59.6, "1min"),
        (250.2, "4min 10s"),
        (18003.4, "5h"),
    ],
)
def test_a_length_that_is_over_is_no_longer_than_it_was(length: float, said: str) -> None:
    assert took(length) == said


numbers = st.integers(0, 99_999).map(str) | st.floats(0, 999).map("{:.3f}".format)
parts = st.tuples(numbers, st.sampled_from(["", " "]), st.sampled_from(sorted(SECONDS))).map("".join)
spans = st.lists(parts, min_size=1, max_size=4).map(" ".join)
scribbles = st.text("0123456789.,-+:e hmsdwyMµ\n", min_size=1, max_size=8)


@given(st.text() | scribbles)
def test_whatever_is_written_is_a_length_or_a_refusal(text: str) -> None:
    try:
        assert seconds(text) >= 0
    except ValueError as error:
        assert "write it like" in str(error)  # noqa: PT017 - a refusal is one of two good answers


@given(st.integers(0, 10**7))
def test_what_is_said_is_understood_and_off_by_less_than_its_smallest_unit(length: int) -> None:
    smallest = 3600 if length >= 86400 else 60 if length >= 3600 else 1
    assert 0 <= length - seconds(spoken(length)) < smallest


# ---- systemd's own ------------------------------------------------------------------------------


def microseconds(text: str) -> int | None:
    """What systemd makes of it; None where it refuses."""
    assert SYSTEMD is not None
    answer = subprocess.run([SYSTEMD, "timespan", "--", text], capture_output=True, text=True, check=False)
    found = [line for line in answer.stdout.splitlines() if line.strip().startswith(("μs:", "us:"))]
    return int(found[0].partition(":")[2]) if answer.returncode == 0 and found else None


systemd = pytest.mark.skipif(SYSTEMD is None, reason="systemd-analyze is not installed")
# Each example is a process: a few dozen are two seconds.
few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@systemd
@few
@given(spans)
def test_what_we_take_means_the_same_to_systemd(text: str) -> None:
    assert microseconds(text) == pytest.approx(seconds(text) * 1e6, rel=1e-12, abs=10)


@systemd
@few
@example("1.h")
@example("5minh")
@example("1h\n30min")
@given(scribbles)
def test_what_we_take_is_never_refused_by_systemd(text: str) -> None:
    try:
        length = seconds(text)
    except ValueError:
        return
    assert microseconds(text) == pytest.approx(length * 1e6, abs=10)
