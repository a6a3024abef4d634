"""The marker: whole or not there, and every junk in it is read as something."""

import os
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from training_watch.events import Moment
from training_watch.marker import MarkerError, read_marker, write_marker

MOMENT = Moment("boot-1", 81234.5678, datetime(2026, 2, 16, 6, 0, 58, 123456, timezone(timedelta(hours=-8))))


def test_a_marker_says_the_time_for_people_and_the_boot_for_the_cooldown(tmp_path: Path) -> None:
    file = tmp_path / "new" / "marker"
    write_marker(file, MOMENT)
    assert file.read_text() == "2026-02-16T06:00:58-08:00\nboot-1 81234.568\n"
    marker = read_marker(file)
    assert marker is not None
    assert marker.readable
    assert marker.ended.isoformat() == "2026-02-16T06:00:58-08:00"
    assert (marker.boot_id, marker.elapsed) == ("boot-1", 81234.568)


def test_no_marker_is_no_error(tmp_path: Path) -> None:
    assert read_marker(tmp_path / "none") is None


def test_a_time_alone_is_a_marker(tmp_path: Path) -> None:
    file = tmp_path / "marker"
    file.write_text("2026-02-16T06:00:58Z")
    marker = read_marker(file)
    assert marker is not None
    assert marker.readable
    assert marker.ended == datetime(2026, 2, 16, 6, 0, 58, tzinfo=UTC)
    assert marker.boot_id is None


@pytest.mark.parametrize(
    ("line", "ended"),
    [
        ("2026-02-16T06:00:58-08:00", "2026-02-16T14:00:58"),  # date -Iseconds
        ("2026-02-16 06:00:58+05:30", "2026-02-16T00:30:58"),  # date --rfc-3339=seconds
        ("20260216T060058Z", "2026-02-16T06:00:58"),
        ("2026-02-16T06:00:58,123456789Z", "2026-02-16T06:00:58.123456"),  # date --iso-8601=ns
        ("2026-W08-1T06Z", "2026-02-16T06:00:00"),
        ("2026-047T06:00Z", "2026-02-16T06:00:00"),
        ("2026-02-15T24:00Z", "2026-02-16T00:00:00"),
    ],
)
def test_any_iso_8601_time_is_read(tmp_path: Path, line: str, ended: str) -> None:
    file = tmp_path / "marker"
    file.write_text(f"{line}\n")
    marker = read_marker(file)
    assert marker is not None
    assert marker.readable
    assert marker.ended == datetime.fromisoformat(ended).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"\n",
        b"yesterday\n",
        b"\x00\xff\xfe",
        b"9" * 100_000,
        b"9999-99-99T99:99:99Z",
        b"should_train=true\n",
    ],
)
def test_junk_is_unreadable_and_its_modification_time_stands_for_it(tmp_path: Path, junk: bytes) -> None:
    file = tmp_path / "marker"
    file.write_bytes(junk)
    os.utime(file, (1_700_000_000, 1_700_000_000))
    marker = read_marker(file)
    assert marker is not None
    assert not marker.readable
    assert marker.ended.timestamp() == 1_700_000_000


def test_a_folder_in_its_place_is_unreadable(tmp_path: Path) -> None:
    marker = read_marker(tmp_path)
    assert marker is not None
    assert not marker.readable


def test_a_place_that_can_not_be_written_is_an_error_and_leaves_the_old_marker(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(MarkerError, match=r"Not a directory|File exists"):
        write_marker(blocked / "marker", MOMENT)
    with pytest.raises(MarkerError, match=r"Is a directory|Not a directory|File exists"):
        write_marker(tmp_path, MOMENT)
    assert list(tmp_path.iterdir()) == [blocked]
