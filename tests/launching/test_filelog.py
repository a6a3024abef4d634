"""The logs in the journal's place: which lines are of which run, in which order, and none lost while one follows."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from training_watch.launching import SUPERVISOR, LaunchError, Line, runlog
from training_watch.launching.filelog import FileLog

A, B = "a" * 32, "b" * 32
TEN = datetime(2026, 2, 16, 10, tzinfo=UTC)


class Machine:
    """A log of runs and a daemon's log, written as their writers write them."""

    def __init__(self, folder: Path) -> None:
        self.runs = folder / "t.service.log"
        self.daemon = folder / "training-watch.log"
        self.log = FileLog(
            "t.service", "training-watch.service", self.runs, [folder / "training-watch.log.1", self.daemon]
        )

    def begin(self, invocation: str, minute: int = 0) -> None:
        os.close(runlog.opened_log(self.runs, "t.service", invocation, TEN + timedelta(minutes=minute)))

    def said(self, *lines: str) -> None:
        with self.runs.open("a") as log:
            log.writelines(f"{line}\n" for line in lines)

    def end(self, invocation: str, minute: int = 0) -> None:
        with self.runs.open("ab") as log:
            at = TEN + timedelta(minutes=minute)
            runlog.say_end(log.fileno(), invocation, ("success", "exited", "0"), at)

    def watched(self, minute: int, line: str, level: str = "INFO") -> None:
        with self.daemon.open("a") as log:
            log.write(f"{TEN + timedelta(minutes=minute):%Y-%m-%dT%H:%M:%S%z} {level} {line}\n")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def words(lines: list[Line]) -> list[str]:
    """The messages, with the marks as `begin` and `end`."""
    marks = {True: "begin", False: "end"}
    return [marks[" of " in line.message] if line.who == SUPERVISOR else line.message for line in lines]


def test_a_run_has_its_own_lines_and_what_marks_its_ends(machine: Machine) -> None:
    machine.begin(A)
    machine.said("one", "=== run of the mill", "two")
    machine.end(A)
    machine.said("Training marker updated")
    machine.begin(B, 5)
    machine.said("three")
    assert words(machine.log.of_run(A)) == [
        "begin",
        "one",
        "=== run of the mill",
        "two",
        "end",
        "Training marker updated",
    ]
    assert words(machine.log.of_run(B)) == ["begin", "three"]
    assert [(each.invocation, each.at) for each in machine.log.begins()] == [
        (A, TEN),
        (B, TEN + timedelta(minutes=5)),
    ]


def test_what_the_daemon_said_stands_at_its_time_and_the_little_before_the_run_leads(
    machine: Machine,
) -> None:
    for minute in range(4):
        machine.watched(minute, f"waiting {minute}")
    machine.begin(A, 5)
    machine.said("one")
    machine.watched(5, "training began")
    machine.end(A, 7)
    machine.watched(6, "files changed", "WARNING")
    machine.watched(8, "nothing to train")
    [begin] = machine.log.begins()
    lines = next(machine.log.heard(begin, lead=2))
    assert words(lines) == [
        "waiting 2",
        "waiting 3",
        "begin",
        "one",
        "training began",
        "files changed",
        "end",
        "nothing to train",
    ]
    assert [line.priority for line in lines if line.message == "files changed"] == [4]


def test_only_the_last_run_is_heard(machine: Machine) -> None:
    machine.begin(A)
    machine.said("old")
    machine.end(A, 1)
    machine.begin(B, 2)
    machine.said("new")
    assert words(next(machine.log.heard(machine.log.begins()[-1], lead=3))) == ["begin", "new"]


def test_before_the_first_run_the_daemons_last_lines_are_heard_and_then_all_that_comes(
    machine: Machine,
) -> None:
    for minute in range(4):
        machine.watched(minute, f"waiting {minute}")
    heard = machine.log.heard(None, lead=2)
    assert words(next(heard)) == ["waiting 2", "waiting 3"]
    machine.begin(A, 5)
    machine.said("one")
    assert words(next(heard)) == ["begin", "one"]
    machine.said("two")
    assert words(next(heard)) == ["two"]


def test_a_line_is_told_when_it_is_whole(machine: Machine) -> None:
    machine.begin(A)
    heard = machine.log.heard(None, lead=9)
    next(heard)
    with machine.runs.open("a") as log:
        log.write("half")
        log.flush()
        machine.watched(1, "something")
        assert words(next(heard)) == ["something"]
        log.write(" and half\n")
    assert words(next(heard)) == ["half and half"]
    assert words(machine.log.of_run(A)) == ["begin", "half and half"]


def test_the_half_line_of_a_run_that_goes_on_is_one_of_its_lines(machine: Machine) -> None:
    machine.begin(A)
    with machine.runs.open("a") as log:
        log.write(" 10%\r 50%")
    assert words(machine.log.of_run(A)) == ["begin", " 50%"]


def test_no_line_is_lost_or_told_twice_when_the_log_is_trimmed_under_a_follower(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runlog, "KEPT", 200)
    machine.begin(A)
    machine.said(*(f"early {number}" for number in range(50)))
    heard = machine.log.heard(None, lead=3)
    next(heard)
    machine.said("late 1", "caf\N{LATIN SMALL LETTER E WITH ACUTE}")
    with machine.runs.open("ab") as log:
        log.write(b"\xff no UTF-8\n")
    inode = machine.runs.stat().st_ino
    machine.begin(B, 5)
    assert machine.runs.stat().st_ino != inode, "it was trimmed"
    machine.said("of the next")
    told = [
        "late 1",
        "caf\N{LATIN SMALL LETTER E WITH ACUTE}",
        "\N{REPLACEMENT CHARACTER} no UTF-8",
        "begin",
        "of the next",
    ]
    assert words(next(heard)) == told


def test_a_log_that_a_person_removed_is_read_from_the_start_of_the_new_one(machine: Machine) -> None:
    machine.begin(A)
    heard = machine.log.heard(None, lead=9)
    next(heard)
    with machine.runs.open("a") as log:
        log.write("cut off")
    machine.runs.unlink()
    machine.begin(B, 1)
    machine.said("anew")
    assert words(next(heard)) == ["cut off", "begin", "anew"]


def test_no_line_is_lost_when_the_daemons_log_is_rotated_under_a_follower(machine: Machine) -> None:
    machine.watched(0, "one")
    heard = machine.log.heard(None, lead=9)
    assert words(next(heard)) == ["one"]
    machine.watched(1, "two")
    machine.daemon.rename(machine.daemon.with_name("training-watch.log.1"))
    machine.watched(2, "three")
    assert words(next(heard)) == ["two", "three"]
    assert words(next(machine.log.heard(None, lead=9))) == ["one", "two", "three"]


def test_where_nothing_was_ever_said_nothing_is_heard(machine: Machine) -> None:
    assert (machine.log.begins(), machine.log.of_run(A)) == ([], [])
    assert next(machine.log.heard(None, lead=3)) == []


def test_what_is_no_file_is_said_with_what_to_do(machine: Machine) -> None:
    machine.runs.mkdir()
    with pytest.raises(LaunchError, match="something else is in its place"):
        machine.log.begins()
