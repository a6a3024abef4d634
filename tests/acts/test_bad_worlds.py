"""No manager, no room on the disk: each has its line, its exit code, and an end."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from acts.conftest import PROGRAM, Home
from machine.waiting import eventually
from needs import lacking


def without_manager(home: Home) -> dict[str, str]:
    home.config.write_text(f'[job.docs]\npaths = ["{home.path}/docs"]\n')
    return home.environment(
        XDG_RUNTIME_DIR="/nonexistent", DBUS_SESSION_BUS_ADDRESS="unix:path=/nonexistent/bus"
    )


def test_without_a_user_manager_trigger_ends_with_69_and_says_what_to_do(home: Home) -> None:
    done = home.run("trigger", env=without_manager(home))
    assert done.returncode == 69
    assert len(done.stderr.splitlines()) == 1
    assert "user manager" in done.stderr
    assert 'launcher = "process"' in done.stderr


def test_without_a_user_manager_check_follows_the_marker_and_says_so(home: Home) -> None:
    done = home.run("check", env=without_manager(home))
    assert (done.returncode, done.stdout) == (0, "should_train=true\nreason=no_previous_training\n")
    assert "the verdict follows the marker alone" in done.stderr


def test_without_a_user_manager_install_ends_with_69_and_writes_nothing(home: Home) -> None:
    environment = without_manager(home)
    home.config.unlink()
    done = home.run("install", "--watch", str(home.path / "docs"), env=environment)
    assert done.returncode == 69
    assert "--launcher process" in done.stderr
    assert not home.config.exists()


@pytest.fixture
def small_state(home: Home) -> Iterator[Path]:
    """The state folder on a disk of 512 KiB."""
    if os.geteuid() != 0:
        lacking("mounting a small tmpfs needs root")
    folder = home.database.parent
    folder.mkdir(parents=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", folder], check=False)
    if mounted.returncode != 0:
        lacking("this machine doesn't let us mount")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path) -> Path:
    filler = folder / "filler"
    with pytest.raises(OSError, match="No space left"):
        filler.write_bytes(b"x" * 1_000_000)
    return filler


def test_on_a_full_disk_check_still_answers(home: Home, small_state: Path) -> None:
    assert home.run("trigger", "--wait").returncode == 0
    fill(small_state)
    done = home.run("check")
    assert done.returncode == 0
    assert "reason=cooldown_active_" in done.stdout
    assert "Traceback" not in done.stderr


def test_on_a_full_disk_the_daemon_says_so_loses_nothing_and_goes_on_when_there_is_room(
    home: Home, small_state: Path
) -> None:
    home.configure(cooldown="0")
    with subprocess.Popen(
        [PROGRAM, "run"], env=home.environment(), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as daemon:
        try:
            eventually(lambda: home.runs() == 1, 20, "a first training")
            eventually(lambda: "nothing to train" in home.run("status").stdout, 20, "it is recorded")
            filler = fill(small_state)
            for number in range(400):
                home.edit("x" * number, f"{number}.md")
            assert daemon.stderr is not None
            lines = iter(daemon.stderr.readline, "")
            assert any("trying again" in line for line in lines)
            filler.unlink()
            eventually(lambda: home.runs() >= 2, 120, "it trains when there is room")
        finally:
            daemon.send_signal(signal.SIGTERM)
            assert daemon.wait(20) == 0


def test_a_marker_that_can_not_be_written_leaves_the_old_one_and_fails(home: Home) -> None:
    home.marker.parent.mkdir(parents=True)
    home.marker.mkdir()
    ended = home.environment(SERVICE_RESULT="success", EXIT_CODE="exited", EXIT_STATUS="0", INVOCATION_ID="x")
    done = home.run("mark", "crystal-train.service", env=ended)
    assert done.returncode == 1
    assert str(home.marker) in done.stderr
    assert len(done.stderr.splitlines()) == 1
