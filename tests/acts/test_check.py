"""`check` prints what the design shows, to the byte, in CI too; junk in the marker is read as something."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from acts.conftest import Home


def mark_ended(home: Home, ago: float) -> str:
    ended = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=ago)
    home.marker.parent.mkdir(parents=True, exist_ok=True)
    home.marker.write_text(f"{ended.isoformat()}\n")
    return ended.isoformat()


def reason(home: Home) -> str:
    lines = dict(line.split("=", 1) for line in home.run("check").stdout.splitlines())
    return lines["reason"]


def test_without_a_marker_it_prints_two_lines(home: Home) -> None:
    done = home.run("check")
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "should_train=true\nreason=no_previous_training\n",
        "",
    )


def test_inside_the_cooldown_it_prints_five_lines(home: Home) -> None:
    ended = mark_ended(home, ago=3601)
    lines = home.run("check").stdout.splitlines()
    elapsed = int(lines[3].removeprefix("elapsed_seconds="))
    assert 3601 <= elapsed <= 3620
    assert lines == [
        "should_train=false",
        "reason=cooldown_active_5h",
        f"last_trained={ended}",
        f"elapsed_seconds={elapsed}",
        "cooldown_seconds=21600",
    ]


def test_the_time_is_printed_with_the_offset_that_the_marker_has(home: Home) -> None:
    home.marker.parent.mkdir(parents=True)
    home.marker.write_text("2026-02-16T06:00:58-08:00\n")
    lines = home.run("check").stdout.splitlines()
    assert lines[:3] == [
        "should_train=true",
        "reason=cooldown_expired",
        "last_trained=2026-02-16T06:00:58-08:00",
    ]


def test_exit_code_tells_a_shell(home: Home) -> None:
    assert home.run("check", "--exit-code").returncode == 0
    mark_ended(home, ago=60)
    assert home.run("check", "--exit-code").returncode == 1
    home.config.write_text("junk")
    assert home.run("check", "--exit-code").returncode == 78


@pytest.mark.parametrize("variable", ["GITHUB_OUTPUT", "FORGEJO_OUTPUT"])
def test_in_ci_the_same_lines_are_appended_to_the_outputs(home: Home, tmp_path: Path, variable: str) -> None:
    outputs = tmp_path / "outputs"
    outputs.write_text("earlier=kept\n")
    done = home.run("check", env=home.environment(**{variable: str(outputs)}))
    assert done.stdout == "should_train=true\nreason=no_previous_training\n"
    assert outputs.read_text() == "earlier=kept\n" + done.stdout


def test_where_both_variables_name_one_file_the_lines_are_written_once(home: Home, tmp_path: Path) -> None:
    outputs = tmp_path / "outputs"
    both = home.environment(GITHUB_OUTPUT=str(outputs), FORGEJO_OUTPUT=str(outputs))
    assert home.run("check", env=both).stdout == outputs.read_text()


def test_outputs_that_can_not_be_written_are_said_and_the_verdict_stands(home: Home) -> None:
    done = home.run("check", env=home.environment(GITHUB_OUTPUT="/proc/none"))
    assert done.returncode == 0
    assert "should_train=true" in done.stdout
    assert "outputs were not written: /proc/none" in done.stderr


@pytest.mark.parametrize(
    "junk", [b"", b"\x00\xff", b"soon\n", b"should_train=true\nreason=x\n", b"2026-13-45\n"]
)
def test_an_unreadable_marker_follows_its_modification_time_and_warns(home: Home, junk: bytes) -> None:
    home.marker.parent.mkdir(parents=True)
    home.marker.write_bytes(junk)
    done = home.run("check")
    lines = done.stdout.splitlines()
    assert lines[:2] == ["should_train=false", "reason=marker_unreadable"]
    assert len(lines) == 5
    assert "its first line is no time" in done.stderr
    an_age_ago = time.time() - 100_000
    os.utime(home.marker, (an_age_ago, an_age_ago))
    assert home.run("check").stdout.startswith("should_train=true\nreason=marker_unreadable\n")


def test_a_marker_without_read_permission_follows_its_modification_time(home: Home) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    mark_ended(home, ago=60)
    home.marker.chmod(0)
    assert reason(home) == "marker_unreadable"


def test_a_marker_from_the_future_never_blocks_longer_than_one_cooldown(home: Home) -> None:
    home.configure(cooldown="1h")
    mark_ended(home, ago=-1_000_000)
    assert reason(home) in ("cooldown_active_1h", "cooldown_active_60m")
    assert '"seconds_left": 3' in home.run("check", "--json").stdout
    an_age_ago = time.time() - 3601
    os.utime(home.marker, (an_age_ago, an_age_ago))
    assert reason(home) == "cooldown_expired"


def test_a_configuration_with_five_mistakes_is_five_lines_and_78(home: Home) -> None:
    home.config.write_text(
        '[job.docs]\npaths = "/x"\ndebounse = "5min"\ncooldown = "x"\nmode = "no"\nretries = -1\n'
    )
    done = home.run("check")
    assert (done.returncode, done.stdout) == (78, "")
    assert len(done.stderr.splitlines()) == 5
    assert "Traceback" not in done.stderr


def test_without_a_home_variable_the_user_database_says_where_it_is(home: Home) -> None:
    environment = {**home.environment(), "TRAINING_WATCH_CONFIG": str(home.config)}
    del environment["HOME"]
    text = home.config.read_text() + f'marker = "{home.marker}"\n'
    home.config.write_text(text)
    environment |= {"XDG_STATE_HOME": str(home.path / "state")}
    done = home.run("check", env=environment)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, "should_train=true")
