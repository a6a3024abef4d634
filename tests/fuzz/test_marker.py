"""The marker, whatever is in its place: a verdict, or an error of one line; never a traceback, never a wait."""

from __future__ import annotations

import math
import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from acts.conftest import Home
from fuzz.amount import examples
from training_watch.check import verdict
from training_watch.events import Marker, Moment
from training_watch.marker import LONGEST, MarkerError, read_marker

BOOT = "2f15fbe2-4dd8-4a45-96bd-cb37f3c22406"
NOW = Moment(BOOT, 5000.0, datetime(2026, 11, 25, 13, 0, tzinfo=UTC))
COOLDOWN = 21600.0
REASONS = {"cooldown_expired", "marker_unreadable"}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("marker") / "marker"


def judged(marker: Marker | None) -> None:
    """It leads to a verdict that no line of the file could forge, and never blocks longer than one cooldown."""
    assert marker is not None
    assert marker.elapsed is None or math.isfinite(marker.elapsed)
    asked = verdict(marker, NOW, COOLDOWN, running=False)
    assert 0 <= asked.left <= COOLDOWN
    keys = [line.partition("=")[0] for line in asked.lines()]
    assert keys == ["should_train", "reason", "last_trained", "elapsed_seconds", "cooldown_seconds"]
    assert asked.reason in REASONS or asked.reason.startswith("cooldown_active_")
    assert all(line.isprintable() for line in asked.lines())


first_lines = (
    some.sampled_from(
        ["", "0001-01-01T00:00:00", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "9999-12-31T24:00:00",
         "2026-02-16T24:00:00", "2026-W01-1", "2026", "20260216T00", "10000-01-01", "2026-02-16T00:00:00+24:00",
         "2026-02-16T00:00:00.123456789Z", "-2026-02-16", "2026-02-30", "should_train=true", "2026-02-16\nreason=x"]
    )
    | some.datetimes(timezones=some.timezones()).map(datetime.isoformat)
    | some.text(alphabet="0123456789-+:.TWZ ", max_size=30)
)  # fmt: skip
second_lines = (
    some.sampled_from(["", "x", "a b c", "should_train=true"])
    | some.tuples(
        some.sampled_from([BOOT, "other-boot", "\x00"]),
        some.floats().map(repr) | some.sampled_from(["nan", "inf", "-inf", "1e400", "1_0", "0x1", "9" * 400]),
    ).map(" ".join)
)  # fmt: skip


@given(first_lines, second_lines, some.sampled_from(["\n", "\r\n", "\r", "\x0b", "\x85"]))
@example("2026-02-16T06:00:58Z", f"{BOOT} inf", "\n")
@example("2026-02-16T06:00:58Z", f"{BOOT} nan", "\n")
@examples(400)
def test_two_lines_of_any_kind_are_judged(file: Path, first: str, second: str, end: str) -> None:
    file.write_bytes(f"{first}{end}{second}{end}".encode())
    judged(read_marker(file))


@given(some.binary(max_size=100))
@example(b"2026-02-16T06:00:58Z\n" + b"x" * 100_000)
@example(b"9" * LONGEST)
@examples(300)
def test_any_bytes_are_judged(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    judged(read_marker(file))


@given(some.integers(-(2**40), 2**40))
@examples(200)
def test_an_unreadable_one_of_any_age_is_judged(file: Path, age: int) -> None:
    file.write_bytes(b"junk")
    os.utime(file, (age, age))
    try:
        marker = read_marker(file)
    except MarkerError as error:
        told = str(error)
    else:
        judged(marker)
        return
    assert told.startswith(f"{file}: ")


def test_one_whose_second_line_is_no_clocks_leaves_nothing_in_the_history(home: Home) -> None:
    begun = home.environment(INVOCATION_ID="a" * 32)
    assert home.run("begin", "crystal-train.service", env=begun).returncode == 0
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    home.marker.parent.mkdir(parents=True, exist_ok=True)
    home.marker.write_text(f"{datetime.now(UTC) + timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}\n{boot} nan\n")
    for words in (["check"], ["status"], ["status", "--json"]):
        done = home.run(*words)
        assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


@pytest.mark.parametrize("kind", ["folder", "fifo", "socket", "loop", "below a file", "a device"])
def test_what_is_no_file_is_judged_or_told_at_once(home: Home, kind: str) -> None:
    home.marker.parent.mkdir(parents=True)
    match kind:
        case "folder":
            home.marker.mkdir()
        case "fifo":
            os.mkfifo(home.marker)
        case "socket":
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(str(home.marker))
        case "loop":
            home.marker.symlink_to(home.marker)
        case "a device":
            home.marker.symlink_to("/dev/zero")
        case _:
            home.marker.parent.rmdir()
            home.marker.parent.write_text("")
    for words in (["check"], ["status"], ["trigger", "--dry-run"]):
        done = home.run(*words, timeout=20)
        assert done.returncode in (0, 1, 75)
        assert "Traceback" not in done.stderr
        if done.returncode == 1:
            assert len(done.stderr.splitlines()) == 1
            assert str(home.marker) in done.stderr
