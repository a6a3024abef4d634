"""The chain where there is no user manager: `launcher = "process"`, real processes, the same semantics."""

from __future__ import annotations

import json
import os
import re
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from acts.conftest import Home
from machine.waiting import eventually


@contextmanager
def daemon(home: Home) -> Iterator[subprocess.Popen[str]]:
    with home.start_daemon() as process:
        try:
            yield process
        finally:
            process.terminate()
            assert process.stderr is not None
            print(process.stderr.read())
            process.wait(20)


def last_run(home: Home) -> dict[str, object]:
    found: dict[str, object] = (
        json.loads(home.run("status", "--json").stdout)["jobs"]["docs"]["last_run"] or {}
    )
    return found


def waiting_for(home: Home) -> str:
    return str(json.loads(home.run("status", "--json").stdout)["jobs"]["docs"]["waiting_for"])


def test_trigger_prints_what_the_design_shows_and_the_run_is_recorded_at_both_ends(home: Home) -> None:
    done = home.run("trigger", "--force")
    assert done.returncode == 0, done.stderr
    stamp = re.search(r"Timestamp: (\S+)", done.stdout)
    assert stamp is not None
    assert done.stdout.startswith(
        "=== Triggering Knowledge Model Training ===\n\n"
        "Service: crystal-train.service\n"
        f"Timestamp: {stamp[1]}\n"
        "Force: true\n\n"
        "Training started successfully!\n"
    )
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", stamp[1])
    eventually(lambda: last_run(home).get("outcome") == "succeeded", 20, "the run has ended well")
    assert (last_run(home)["started_by"], last_run(home)["forced"]) == ("trigger", True)
    assert len(home.marker.read_text().splitlines()) == 2
    assert waiting_for(home) == "nothing_pending"


def test_a_run_that_is_over_before_anybody_could_follow_it_is_told_so(home: Home) -> None:
    home.mode("exit 0")
    assert "Training started successfully!\n\nIt has succeeded already.\n" in home.run("trigger").stdout
    home.mode("exit 5")
    failed = home.run("trigger", "--force")
    assert "successfully" not in failed.stdout
    assert "`training-watch trigger --force` tries again" in failed.stderr


def test_wait_follows_the_run_and_ends_with_its_result(home: Home) -> None:
    good = home.run("trigger", "--wait")
    assert good.returncode == 0
    assert "training on 1 files" in good.stdout
    assert good.stdout.rstrip().endswith("Training succeeded.")
    home.mode("echo out of luck >&2; exit 7")
    bad = home.run("trigger", "--wait", "--force")
    assert bad.returncode == 1
    assert "out of luck" in bad.stdout + bad.stderr
    assert "exit status 7)" in bad.stderr
    home.mode("kill -KILL $$")
    assert "signal KILL)" in home.run("trigger", "--wait", "--force").stderr
    assert home.marker.exists()


def test_the_cooldown_holds_a_plain_trigger_and_says_what_skips_it(home: Home) -> None:
    assert home.run("trigger", "--wait").returncode == 0
    held = home.run("trigger")
    assert held.returncode == 75
    assert re.search(
        r"the cooldown lasts another (6h|5h 59min), the last training ended today \d\d:\d\d:\d\d\. ",
        held.stdout,
    )
    assert "--force skips it" in held.stdout
    assert "Nothing changed" not in held.stdout, "one reason is enough"
    assert home.runs() == 1


def test_a_job_of_ones_own_is_called_by_its_name(home: Home) -> None:
    home.config.write_text(home.config.read_text() + 'service = "site.service"\n')
    assert home.run("trigger", "--dry-run").stdout.startswith(
        "=== Triggering docs ===\n\nService: site.service\n"
    )


def test_dry_run_starts_nothing(home: Home) -> None:
    done = home.run("trigger", "--dry-run")
    assert (done.returncode, home.runs()) == (0, 0)
    assert "Would start crystal-train.service" in done.stdout


def test_two_triggers_at_once_start_one_training(home: Home) -> None:
    home.mode("while [ ! -e go ]; do sleep 0.05; done")
    both = [
        subprocess.Popen(
            [*home_command(), "trigger", "--force", "--no-watch"],
            env=home.environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    told = [process.communicate(timeout=60)[0] for process in both]
    assert sorted(process.returncode for process in both) == [0, 75]
    follow = "training-watch logs docs --follow"
    assert any(f"is running already. Follow it: {follow}\n" in each for each in told), (
        "there is no journal here"
    )
    assert home.runs() <= 1
    (home.path / "go").touch()
    eventually(lambda: last_run(home).get("outcome") == "succeeded", 20, "the one run has ended")
    assert home.runs() == 1


def test_a_missing_program_is_reported_at_once(home: Home) -> None:
    (home.path / "train").unlink()
    done = home.run("trigger")
    assert done.returncode == 1
    assert "203" in done.stderr


def test_exit_75_is_no_run(home: Home) -> None:
    home.mode("exit 75")
    done = home.run("trigger", "--wait")
    assert done.returncode == 75
    assert not home.marker.exists()


def test_the_daemon_trains_at_first_and_after_an_edit_but_not_inside_the_cooldown(home: Home) -> None:
    home.configure(cooldown="2s")
    with daemon(home):
        eventually(
            lambda: home.runs() == 1 and waiting_for(home) == "nothing_pending", 20, "a first training"
        )
        home.edit("two")
        eventually(lambda: waiting_for(home) == "cooldown", 20, "it waits for the cooldown", every=0.02)
        assert home.runs() == 1
        eventually(lambda: home.runs() == 2, 20, "the second training")
        eventually(lambda: waiting_for(home) == "nothing_pending", 20, "nothing is pending")


def test_a_training_survives_the_daemon_and_is_marked_all_the_same(home: Home) -> None:
    home.mode("while [ ! -e go ]; do sleep 0.05; done")
    with daemon(home) as process:
        eventually(lambda: home.runs() == 1, 20, "a training has begun")
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not home.marker.exists()
    (home.path / "go").touch()
    eventually(home.marker.exists, 20, "the marker is written without the daemon")
    eventually(lambda: last_run(home).get("outcome") == "succeeded", 20, "the history has it")
    assert waiting_for(home) == "nothing_pending"


def test_a_killed_supervisor_is_an_interrupted_run_and_the_marker_its_last_sign_of_life(home: Home) -> None:
    home.mode("while [ ! -e go ]; do sleep 0.05; done")
    home.run("trigger", "--no-watch")
    eventually(lambda: home.runs() == 1, 20, "a training has begun")
    found = subprocess.run(
        ["pgrep", "-f", f"{home.config} supervise docs"], capture_output=True, text=True, check=True
    )
    for pid in found.stdout.split():
        os.kill(int(pid), signal.SIGKILL)
    eventually(
        lambda: home.run("check").stdout.startswith("should_train=false\nreason=cooldown"),
        20,
        "check finds it and writes the marker",
    )
    assert last_run(home)["outcome"] == "interrupted"


def test_a_damaged_history_is_set_aside_said_aloud_and_costs_no_change(home: Home) -> None:
    assert home.run("trigger", "--wait").returncode == 0
    home.database.write_bytes(b"junk" * 5000)
    for suffix in ("-wal", "-shm"):
        home.database.with_name(f"state.db{suffix}").unlink(missing_ok=True)
    done = home.run("check")
    assert done.stdout.splitlines()[1].startswith("reason=cooldown_active")
    assert "set aside as state.db.damaged-1" in done.stderr
    assert home.run("trigger", "--wait", "--force").returncode == 0


def test_a_locked_history_delays_the_marker_not_at_all(home: Home) -> None:
    assert home.run("trigger", "--wait").returncode == 0
    home.marker.unlink()
    environment = home.environment(
        SERVICE_RESULT="success", EXIT_CODE="exited", EXIT_STATUS="0", INVOCATION_ID="x"
    )
    with closing(sqlite3.connect(home.database, isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        done = home.run("mark", "crystal-train.service", env=environment)
        holder.execute("ROLLBACK")
    assert done.returncode == 0
    assert f"Training marker updated: {home.marker}\nNext training available: 20" in done.stdout
    assert home.marker.exists()


def test_a_skipped_start_leaves_the_marker_alone(home: Home) -> None:
    done = home.run("mark", "crystal-train.service", env=home.environment(SERVICE_RESULT="exec-condition"))
    assert done.returncode == 0
    assert not home.marker.exists()


def test_a_read_only_history_is_said_and_the_marker_alone_decides(home: Home) -> None:
    if os.geteuid() == 0:
        pytest.skip("root writes everywhere")
    assert home.run("trigger", "--wait").returncode == 0
    home.database.parent.chmod(0o500)
    home.database.chmod(0o400)
    try:
        done = home.run("check")
        assert done.returncode == 0
        assert "reason=cooldown_active" in done.stdout
    finally:
        home.database.parent.chmod(0o700)
        home.database.chmod(0o600)


def test_a_second_daemon_is_refused(home: Home) -> None:
    with daemon(home):
        eventually(lambda: home.runs() == 1, 20, "the first daemon works")
        second = home.run("run")
        assert second.returncode == 75
        assert "runs already" in second.stderr


def home_command() -> list[str]:
    from acts.conftest import PROGRAM

    return [str(PROGRAM)]


# What a training says of itself (docs/status-file.md), and what `status` makes of it

TELLS = """
tell() { printf '%s' "$1" >"$TRAINING_STATUS_FILE.tmp"; mv "$TRAINING_STATUS_FILE.tmp" "$TRAINING_STATUS_FILE"; }
"""


def shown(home: Home) -> dict[str, str]:
    """What stands behind each label of the job; the last, where there are several."""
    lines = home.run("status").stdout.splitlines()
    return {line[2:11].strip(): line[12:] for line in lines if line.startswith("  ")}


def test_status_tells_how_far_a_training_is_and_afterwards_how_good_its_result(home: Home) -> None:
    home.mode(
        TELLS
        + 'now=$(date -Iseconds); tell "{\\"schema\\": 1, \\"invocation\\": \\"$INVOCATION_ID\\", \\"updated_at\\": \\"$now\\", '
        '\\"phase\\": \\"ingest\\", \\"phase_number\\": 3, \\"phases\\": 6, \\"done\\": 12, \\"total\\": 150, \\"unit\\": \\"files\\", '
        '\\"remaining_seconds\\": 4000}"\n'
        "while [ ! -e go ]; do sleep 0.05; done\n"
        'tell "{\\"schema\\": 1, \\"invocation\\": \\"$INVOCATION_ID\\", \\"result\\": \\"succeeded\\", \\"quality\\": \\"97 % of it\\"}"'
    )
    assert home.run("trigger", "--no-watch").returncode == 0
    eventually(lambda: "phase" in shown(home).get("training", ""), 20, "the training says how far it is")
    assert re.fullmatch(
        r"phase 3/6 ingest, 12 of 150 files, about 1h( [56]\d?min)? left", shown(home)["training"]
    )
    facts = json.loads(home.run("status", "--json").stdout)["jobs"]["docs"]
    assert 3900 < facts["training"]["remaining_seconds"] <= 4000
    assert facts["training"]["quality"] is None
    (home.path / "go").touch()
    eventually(lambda: last_run(home).get("outcome") == "succeeded", 20, "the run has ended well")
    assert (shown(home)["quality"], last_run(home)["quality"]) == ("97 % of it", "97 % of it")
    assert "training" not in shown(home)
    home.mode("exit 0")
    assert home.run("trigger", "--force", "--wait").returncode == 0
    assert "quality" not in shown(home), "it is the run before that said it"
    assert last_run(home)["quality"] is None


def test_a_run_that_failed_is_shown_with_what_it_said(home: Home) -> None:
    home.mode(
        TELLS
        + """tell '{"schema": 1, "updated_at": "2999-01-01T00:00:00Z", "error": "the disk is full"}'; exit 1"""
    )
    assert home.run("trigger", "--wait").returncode == 1
    assert (shown(home)["it said"], last_run(home)["error"]) == ("the disk is full", "the disk is full")


ODD = [
    "", "[]", "null", "{", "3", "\\xff", '{"schema": 2, "phase": "x"}', '{"schema": true, "phase": "x"}', '{"phase": "x"}',
    '{"schema": 1}', '{"schema": 1, "phase": 3, "phase_number": "x", "phases": [], "done": true, "total": {}, "unit": 4}',
    '{"schema": 1, "remaining_seconds": NaN, "done": Infinity, "total": -1}',
    '{"schema": 1, "remaining_seconds": 1e300, "total": 1' + "0" * 400 + "}",
    '{"schema": 1, "invocation": 5, "updated_at": "yesterday", "quality": 3}',
    '{"schema": 1, "phase": "\\u001b[2J", "message": "\\u001b]0;x\\n\\nforged: true", "quality": "\\u001b[1m"}',
    '{"schema": 1, "phase": "' + "x" * 100_000 + '"}', "[" * 10_000,
]  # fmt: skip


def test_whatever_the_status_file_holds_status_has_its_lines(home: Home) -> None:
    file = home.path / ".cache/crystal/crystal-train.service.status.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    home.mode("while [ ! -e go ]; do sleep 0.05; done")
    assert home.run("trigger", "--no-watch").returncode == 0
    for content in ODD:
        file.write_text(content)
        running = home.run("status")
        assert (running.returncode, running.stderr) == (0, ""), content
        assert "\x1b" not in running.stdout
        assert max(map(len, running.stdout.splitlines())) < 1000
        json.loads(home.run("status", "--json").stdout, parse_constant=pytest.fail)
    (home.path / "go").touch()
    eventually(lambda: last_run(home).get("outcome") == "succeeded", 20, "the run has ended well")
    for content in ODD:
        file.write_text(content)
        ended = home.run("status")
        assert (ended.returncode, ended.stderr) == (0, ""), content
        assert "\x1b" not in ended.stdout
