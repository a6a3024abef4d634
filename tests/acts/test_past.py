"""`history` and `logs` where there is no user manager: real runs, their records and their files."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from acts.conftest import PROGRAM, Home
from machine.waiting import eventually
from training_watch.config import Job, read_config
from training_watch.events import Moment, Outcome, Run, Starter
from training_watch.history import Past, table
from training_watch.screen import Screen

REPORT = """\
printf '{"schema": 1, "invocation": "%s", "updated_at": "%s", "result": "%s", "error": "%s", "quality": "%s"}' \
  "$INVOCATION_ID" "$(date -Iseconds)" "$1" "$2" "$3" >"$TRAINING_STATUS_FILE"
"""


def reporting(result: str, *, error: str = "", quality: str = "") -> str:
    return f"set -- {result} '{error}' '{quality}'\n{REPORT}"


def train(home: Home, script: str, *, force: bool = True) -> str:
    """A run to its end; its invocation."""
    home.mode(script)
    home.run("trigger", "--wait", *(["--force"] if force else []))
    return str(recorded(home)[0]["invocation"])


def recorded(home: Home, *words: str) -> list[dict[str, Any]]:
    told = json.loads(home.run("history", "--json", *words).stdout)
    assert told["schema"] == 1
    runs: list[dict[str, Any]] = told["runs"]
    return runs


def rows(home: Home, *words: str) -> list[list[str]]:
    """The cells of the table."""
    lines = home.run("history", *words).stdout.splitlines()
    return [re.split(r" {2,}", line) for line in lines]


def said(home: Home, *words: str) -> list[str]:
    """The training's own words."""
    lines = home.run("logs", *words).stdout.splitlines()
    return [line.partition("crystal-train:")[2].strip() for line in lines if "crystal-train: " in line]


@contextmanager
def daemon(home: Home) -> Iterator[None]:
    with home.start_daemon() as process:
        try:
            yield
        finally:
            process.terminate()
            assert process.stderr is not None
            process.stderr.read()
            process.wait(20)


@contextmanager
def following(home: Home, *words: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """`logs --follow`, and the file that it writes to."""
    heard = home.path / "heard"
    with (
        heard.open("w") as file,
        subprocess.Popen(
            [PROGRAM, "logs", "--follow", *words], env=home.environment(), stdout=file, text=True
        ) as process,
    ):
        try:
            yield process, heard
        finally:
            process.kill()


# ---- history ------------------------------------------------------------------------------------


def test_before_the_first_run_both_say_so_and_what_to_do_and_make_nothing(home: Home) -> None:
    before = sorted(home.path.rglob("*"))
    told = home.run("history")
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout == "docs has not trained yet: `training-watch status` says what it waits for\n"
    assert recorded(home) == []
    heard = home.run("logs")
    assert (heard.returncode, heard.stdout) == (0, "")
    assert "docs has not trained yet" in heard.stderr
    assert "training-watch run" in heard.stderr
    assert sorted(home.path.rglob("*")) == before


def test_a_history_that_somebody_is_about_to_write_is_none_yet(home: Home) -> None:
    home.database.parent.mkdir(parents=True, exist_ok=True)
    home.database.touch()
    assert recorded(home) == []
    assert "has not trained yet" in home.run("history").stdout + home.run("history").stderr


def test_each_run_is_told_newest_first_with_how_it_ended_and_what_came_of_it(home: Home) -> None:
    first = train(home, reporting("succeeded", quality="nDCG 0.5"), force=False)
    home.edit("# Guide, second edition\n")
    second = train(home, reporting("failed", error="out of luck") + "\nexit 7")
    third = train(home, "kill -KILL $$")
    heading, *found = rows(home)
    assert heading == ["run", "began", "outcome", "took", "by", "files", "result"]
    assert [row[0] for row in found] == [third[:8], second[:8], first[:8]]
    assert found[2][2:] == ["succeeded", found[2][3], "trigger", "1", "nDCG 0.5"]
    assert found[1][2:] == ["failed", found[1][3], "forced", found[1][5], "exit status 7: out of luck"]
    assert found[0][-1].startswith("signal KILL")
    assert re.fullmatch(r"today \d\d:\d\d:\d\d", found[0][1])
    assert all(re.fullmatch(r"\d\.\ds", row[3]) for row in found)


def test_a_program_reads_each_run_in_full(home: Home) -> None:
    train(home, "exit 7")
    [run] = recorded(home)
    assert (run["job"], run["unit"]) == ("docs", "crystal-train.service")
    assert re.fullmatch("[0-9a-f]{32}", run["invocation"])
    assert (run["outcome"], run["status"], run["started_by"], run["forced"]) == (
        "failed",
        "7",
        "trigger",
        True,
    )
    assert datetime.fromisoformat(run["began"]) <= datetime.fromisoformat(run["ended"])
    last = json.loads(home.run("status", "--json").stdout)["jobs"]["docs"]["last_run"]
    assert {**run, **last} == run


def test_filters_leave_what_they_name(home: Home) -> None:
    outcomes = [train(home, mode) for mode in ("exit 0", "exit 7", "exit 0", "exit 8")]
    assert [run["invocation"] for run in recorded(home)] == outcomes[::-1]
    assert [run["status"] for run in recorded(home, "--failed")] == ["8", "7"]
    assert [run["status"] for run in recorded(home, "--failed", "-n", "1")] == ["8"]
    assert len(recorded(home, "--since", "1h")) == 4
    assert (
        len(recorded(home, "--since", f"{datetime.now(tz=UTC) - timedelta(hours=1):%Y-%m-%dT%H:%M:%S%z}"))
        == 4
    )
    assert recorded(home, "--since", "2099-01-01") == []
    assert home.run("history", "-n", "3").stdout.endswith("3 of 4 runs: -n 4 shows all\n")


def test_a_filter_that_leaves_nothing_says_of_how_many(home: Home) -> None:
    train(home, "exit 0")
    told = home.run("history", "--failed", "--since", "2d")
    assert told.returncode == 0
    assert re.fullmatch(
        r"no run of docs matches --failed --since 2d \(1 run, the last one began today \d\d:\d\d:\d\d\)\n",
        told.stdout,
    )


@pytest.mark.parametrize("time", ["yesterdag", "5", "", "99999999999d", "2026-13-01"])
def test_a_time_that_is_none_is_refused_with_what_is_right(home: Home, time: str) -> None:
    told = home.run("history", "--since", time)
    assert told.returncode == 2
    (line,) = told.stderr.splitlines()
    assert line.startswith(f"training-watch: {time!r} ")
    assert line.endswith("write it like 2026-02-16, '2026-02-16 09:00', 3h or 2d")


def test_a_running_one_is_running_and_one_that_was_killed_is_interrupted(home: Home) -> None:
    home.mode("while [ ! -e go ]; do sleep 0.05; done")
    home.run("trigger", "--no-watch")
    eventually(home.runs, 20, "it trains")
    assert rows(home)[1][2] == "running"
    assert recorded(home)[0]["outcome"] is None
    supervisor = json.loads((home.database.parent / "crystal-train.service.run").read_text())["pid"]
    os.kill(supervisor, signal.SIGKILL)
    eventually(lambda: rows(home)[1][2] == "interrupted", 20, "it is told as interrupted")
    assert recorded(home)[0]["outcome"] == "interrupted"
    # It only says so: to record it, with the marker, is for the daemon, `check` and `trigger`.
    assert not home.marker.exists()


def test_the_history_changes_nothing(home: Home) -> None:
    train(home, "exit 0")
    folder = home.database.parent
    before = {path: path.read_bytes() for path in folder.iterdir()}
    home.run("history")
    home.run("logs")
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_the_runs_of_several_jobs_are_one_table_with_their_names(home: Home) -> None:
    both = home.config.read_text()
    both += (
        both.replace("[job.docs]", "[job.wiki]").replace("/docs", "/wiki")
        + 'service = "wiki-train.service"\n'
    )
    home.config.write_text(both)
    (home.path / "wiki").mkdir()
    home.run("trigger", "docs", "--wait")
    home.run("trigger", "wiki", "--wait")
    heading, *found = rows(home)
    assert heading[0] == "job"
    assert [row[0] for row in found] == ["wiki", "docs"]
    assert [run["job"] for run in recorded(home, "docs")] == ["docs"]
    assert rows(home, "wiki")[0][0] == "run"
    assert "nosuch" in home.run("history", "nosuch").stderr


def test_a_result_that_has_no_room_beside_its_run_stands_below_it(home: Home) -> None:
    job = read_config(home.config).jobs[0]
    error = "CUDA out of memory: tried to allocate 4.00 GiB on device 0, of which 1.2 GiB are free"
    wide, narrow = (table(Screen(width), [past(job, error)], NOON, jobs=False) for width in (160, 80))
    assert wide[1] == f"aaaaaaaa  today 09:00  failed   3h    daemon  1,204  exit status 1: {error}"
    assert narrow[1] == "aaaaaaaa  today 09:00  failed   3h    daemon  1,204"
    assert narrow[2] == "          exit status 1: CUDA out of memory: tried to allocate 4.00 GiB on"
    assert all(len(line) <= 80 for line in narrow)


NOON = datetime(2026, 2, 16, 12).astimezone()


def past(job: Job, error: str) -> Past:
    began = Moment("boot", 0.0, NOON.replace(hour=9))
    ended = Moment("boot", 3 * 3600.0, NOON)
    run = Run(
        1, "a" * 32, Starter.DAEMON, forced=False, began=began, alive=began, ended=ended,
        outcome=Outcome.FAILED, status="1", files=1204, error=error,
    )  # fmt: skip
    return Past(job, run)


# ---- logs ---------------------------------------------------------------------------------------


def test_the_last_run_is_shown_with_what_the_daemon_said_around_it(home: Home) -> None:
    home.mode("echo first words")
    with daemon(home):
        eventually(lambda: "training succeeded" in home.run("logs").stdout, 20, "it has trained")
        said = int(time.time())
        eventually(lambda: int(time.time()) > said, 5, "the logs, which have seconds, tell the runs apart")
        train(home, "echo second words")
        eventually(
            lambda: "training succeeded" in home.run("logs").stdout.partition(" ended: ")[2],
            20,
            "the daemon has seen its end",
        )
        lines = home.run("logs").stdout.splitlines()
    who = [line[26:].partition(":")[0] for line in lines]
    begin, end = (at for at, line in enumerate(lines) if " === run " in line)
    assert who[begin] == who[end] == "supervisor"
    assert who[begin + 1 : begin + 3] == ["crystal-train"] * 2
    assert lines[begin + 2].endswith(" second words")
    assert 0 < begin <= 3, "\n".join(lines)
    assert set(who[:begin]) == {"training-watch"}
    assert "training-watch" in who[end:]
    assert "first words" not in "\n".join(lines)
    assert all(
        re.match(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d\d:\d\d ", line)
        for line in lines
        if "crystal-train:" not in line
    )


def test_what_the_daemon_repeats_of_a_failed_training_is_not_shown_twice(home: Home) -> None:
    home.mode("echo out of luck; exit 7")
    with daemon(home):
        eventually(lambda: "training failed" in home.run("logs").stdout, 20, "it has failed")
        shown = home.run("logs").stdout
    log = (home.path / ".cache/crystal/training-watch.log").read_text()
    assert "docs:   out of luck" in log, "whoever reads the daemon's log alone finds it there"
    assert shown.count("out of luck") == 1


def test_a_run_is_found_by_the_first_characters_of_its_name_and_shown_alone(home: Home) -> None:
    one = train(home, "echo one; echo of one")
    two = train(home, "echo two; exit 7")
    assert said(home, "--run", one[:8])[1:3] == ["one", "of one"]
    told = home.run("logs", "--run", two[:8].upper())
    assert told.returncode == 0
    assert f"=== run {two} of crystal-train.service" in told.stdout
    assert one not in told.stdout
    last = next(line for line in told.stdout.splitlines() if line.startswith("run "))
    assert re.fullmatch(
        rf"run {two[:8]}: today \d\d:\d\d:\d\d, failed \(exit status 7\) after \d\.\ds, started by trigger, forced",
        last,
    )


def test_a_name_that_no_run_has_is_answered_with_the_last_ones(home: Home) -> None:
    assert "nothing has trained yet" in home.run("logs", "--run", "ab").stderr
    one, two = train(home, "exit 0"), train(home, "exit 7")
    told = home.run("logs", "--run", "xyz")
    assert (told.returncode, told.stdout, told.stderr.count("\n")) == (2, "", 1)
    assert re.search(
        rf"no run begins with 'xyz'; the last ones are {two[:8]} \(today \d\d:\d\d:\d\d, failed\), {one[:8]} \(",
        told.stderr,
    )
    assert "no run begins with ''" in home.run("logs", "--run", "").stderr


def test_a_name_that_several_runs_have_is_no_choice(home: Home) -> None:
    runs = [train(home, "exit 0") for _ in range(2)]
    while len({run[0] for run in runs}) == len(runs):  # at most 17, of 16 digits
        runs.append(train(home, "exit 0"))
    common = next(run[0] for run in runs if sum(other[0] == run[0] for other in runs) > 1)
    told = home.run("logs", "--run", common)
    assert told.returncode == 2
    assert f"2 runs begin with '{common}'" in told.stderr


def test_a_run_whose_lines_are_gone_is_told_from_the_history_and_that_they_are(home: Home) -> None:
    run = train(home, "echo one")
    (home.database.parent / "crystal-train.service.log").unlink()
    told = home.run("logs", "--run", run[:8])
    assert told.returncode == 1
    assert f"run {run[:8]}: today" in told.stdout
    assert f"no lines of run {run[:8]} any more" in told.stderr
    assert f"no lines any more of the last training, {run[:8]}" in home.run("logs").stderr


def test_a_program_reads_one_object_a_line(home: Home) -> None:
    run = train(home, "printf 'one\\ttwo\\n'")
    lines = [json.loads(line) for line in home.run("logs", "--json").stdout.splitlines()]
    assert all(line.keys() == {"time", "unit", "by", "invocation", "priority", "message"} for line in lines)
    [told] = [line for line in lines if line["message"] == "one\ttwo"]
    assert (told["unit"], told["by"], told["invocation"], told["time"]) == (
        "crystal-train.service",
        "crystal-train",
        run,
        None,
    )
    assert [line["by"] for line in lines if line["time"]] == ["supervisor"] * 2


def test_what_would_move_the_cursor_is_shown_and_a_bar_as_it_was_drawn_last(home: Home) -> None:
    train(home, r"printf '\033[31mred\033[0m\tand \033[2Jwiped\n 10%%\r 50%%\r100%%\n'")
    assert {"red\tand \\x1b[2Jwiped", "100%"} <= set(said(home))


def test_only_the_last_lines_are_shown_where_that_is_asked_for(home: Home) -> None:
    train(home, "seq 50")
    every = home.run("logs").stdout.splitlines()
    assert home.run("logs", "-n", "3").stdout.splitlines() == every[-3:]
    assert home.run("logs", "-n", "0").stdout == ""


def test_a_follower_sees_runs_that_start_later_and_loses_no_line(home: Home) -> None:
    train(home, "echo before")
    with following(home) as (process, heard):
        eventually(lambda: "before" in heard.read_text(), 20, "it has said what was")
        for number in (1, 2):
            train(home, f"for i in $(seq 200); do echo {number} $i; done")
        eventually(lambda: heard.read_text().count("ended: ") == 3, 20, "it has told of both ends")
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    told = re.findall(r"crystal-train:  ?(\d \d+)$", heard.read_text(), re.MULTILINE)
    assert told == [f"{number} {i}" for number in (1, 2) for i in range(1, 201)]


def test_to_follow_and_to_show_one_run_exclude_each_other(home: Home) -> None:
    told = home.run("logs", "--follow", "--run", "ab")
    assert told.returncode == 2
    assert "leave out --run" in told.stderr


def test_a_reader_that_has_enough_ends_it_without_a_word(home: Home) -> None:
    train(home, "seq 20000")
    head = subprocess.run(
        ["bash", "-o", "pipefail", "-c", f"{PROGRAM} logs | head -1"],
        env=home.environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (head.returncode, head.stderr, head.stdout.count("\n")) == (0, "", 1)


def test_what_the_daemon_says_of_other_jobs_is_left_out(home: Home) -> None:
    both = home.config.read_text()
    both += (
        both.replace("[job.docs]", "[job.wiki]").replace("/docs", "/wiki")
        + 'service = "wiki-train.service"\n'
    )
    home.config.write_text(both)
    (home.path / "wiki").mkdir()
    (home.path / "wiki/page.md").write_text("# Page\n")
    with daemon(home):
        eventually(
            lambda: len({run["job"] for run in recorded(home) if run["ended"]}) == 2, 30, "both have trained"
        )
    for job, other in (("docs", "wiki"), ("wiki", "docs")):
        lines = home.run("logs", job).stdout
        assert f" {job}: " in lines
        assert f" {other}: " not in lines


@pytest.mark.parametrize("begun", ["", "first"])
def test_a_shell_completes_the_runs_with_how_they_ended(home: Home, begun: str) -> None:
    runs = [train(home, mode) for mode in ("exit 0", "exit 7")]
    words = f"training-watch logs --run {runs[0][:3] if begun else ''}"
    told = home.run(
        env=home.environment(_TRAINING_WATCH_COMPLETE="zsh_complete", COMP_WORDS=words, COMP_CWORD="3")
    )
    lines = told.stdout.splitlines()
    assert lines[0::3] == ["plain"] * (1 if begun else 2)
    assert dict(zip(lines[1::3], lines[2::3], strict=True))[runs[0][:8]].startswith("succeeded, today ")
    if not begun:
        assert lines[1::3] == [runs[1][:8], runs[0][:8]], "the newest first"
