"""Which run an entry of the journal is of, told from the entries in their order."""

from __future__ import annotations

import json

import pytest

from launching.test_systemd import Programs, programs
from training_watch.launching.journalctl import STARTING, Entry
from training_watch.launching.unitlog import Attribution, JournalLog, run_entries

__all__ = ["programs"]

UNIT, OTHER = "t.service", "training-watch.service"
A, B = "a" * 32, "b" * 32


def starting(invocation: str, unit: str = UNIT) -> Entry:
    return Entry("Starting…", about=unit, invocation=invocation, message_id=STARTING)


NAMELESS = Entry("gone already", identifier="t")


@pytest.mark.parametrize(
    ("entries", "runs"),
    [
        pytest.param([Entry("one", unit=UNIT, speaker=A)], [A], id="a line that carries its run's name"),
        pytest.param([starting(A), NAMELESS], [A, A], id="a nameless line is of the run that began last"),
        pytest.param([starting(A), starting(B), NAMELESS], [A, B, B], id="and not of the one before it"),
        pytest.param(
            [starting(A), starting(B), Entry("late", unit=UNIT, speaker=A), NAMELESS], [A, B, A, B],
            id="a late line with a name changes nothing for those without",
        ),
        pytest.param([starting(A), Entry("x", unit=UNIT)], [A, A], id="a line of which the unit alone is known"),
        pytest.param([NAMELESS], [""], id="a nameless line before any run"),
        pytest.param([starting(A), starting(B, OTHER), NAMELESS], [A, "", A], id="another unit's start is none"),
        pytest.param(
            [starting(A), Entry("x", unit=OTHER, speaker=B), Entry("x", identifier="training-watch")], [A, "", ""],
            id="what the watcher says is of no run",
        ),
        pytest.param(
            [starting(A), Entry("x", unit="session.scope", identifier="t")], [A, ""],
            id="what somebody logs under the unit's name elsewhere is of no run",
        ),
        pytest.param([starting(A), Entry("Dependency failed", about=UNIT)], [A, ""], id="the manager on no run"),
    ],
)  # fmt: skip
def test_each_entry_is_of_the_right_run(entries: list[Entry], runs: list[str]) -> None:
    told = Attribution(UNIT)
    assert [told.run_of(each) for each in entries] == runs


def test_what_had_begun_before_the_first_entry_may_be_known() -> None:
    assert Attribution(UNIT, A).run_of(NAMELESS) == A


@pytest.mark.parametrize(
    ("each", "unit", "who"),
    [
        pytest.param(Entry("x", unit=UNIT, speaker=A), UNIT, "t", id="the training"),
        pytest.param(Entry("x", identifier="t"), UNIT, "t", id="a child of the training that is gone"),
        pytest.param(Entry("x", about=UNIT, unit="init.scope"), UNIT, "systemd", id="the manager on the training"),
        pytest.param(Entry("x", unit=OTHER, speaker=B), OTHER, "training-watch", id="the watcher"),
        pytest.param(Entry("x", identifier="training-watch"), OTHER, "training-watch", id="a watcher that is gone"),
        pytest.param(Entry("x", about=OTHER, unit=OTHER, speaker=B), OTHER, "systemd", id="the manager in the watcher's process"),
    ],
)  # fmt: skip
def test_each_line_says_who_speaks_and_of_which_unit(each: Entry, unit: str, who: str) -> None:
    [line] = JournalLog(UNIT, OTHER)._lines(each, "")
    assert (line.unit, line.who) == (unit, who)


def test_an_entry_of_several_lines_is_several_and_a_progress_bar_is_one() -> None:
    lines = JournalLog(UNIT, OTHER)._lines(Entry("one\ntwo\n 10%\r 20%", unit=UNIT, speaker=A), A)
    assert [line.message for line in lines] == ["one", "two", " 10%\r 20%"]


def test_a_first_line_that_journald_read_before_the_start_is_the_runs_and_a_nameless_one_is_not(
    programs: Programs,
) -> None:
    begin = 1_000_000_000_000_000
    start = {"MESSAGE": "Starting", "USER_UNIT": UNIT, "USER_INVOCATION_ID": A, "MESSAGE_ID": STARTING}
    entries = [
        {"MESSAGE": "of the run before", "SYSLOG_IDENTIFIER": "t", "__REALTIME_TIMESTAMP": begin - 20},
        {"MESSAGE": "one", "_SYSTEMD_USER_UNIT": UNIT, "_SYSTEMD_INVOCATION_ID": A, "__REALTIME_TIMESTAMP": begin - 10},
        {**start, "__REALTIME_TIMESTAMP": begin},
        {"MESSAGE": "two", "SYSLOG_IDENTIFIER": "t", "__REALTIME_TIMESTAMP": begin + 10},
    ]  # fmt: skip
    window = "\n".join(map(json.dumps, entries))
    programs.says(
        "journalctl",
        f"case $* in *{STARTING}*) cat <<'END'\n{json.dumps(entries[2])}\nEND\n;; *) cat <<'END'\n{window}\nEND\nesac",
    )
    assert [each.message for each in run_entries(UNIT, A)] == ["one", "Starting", "two"]
    assert "--since=@999999999.000000" in programs.calls[-1]
