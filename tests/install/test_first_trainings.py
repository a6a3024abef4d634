"""What `install` says of trainings when it is done, as a process says it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from install.conftest import Desk

PROGRAM = Path(sys.prefix) / "bin/training-watch"


def installed(desk: Desk, *words: str, code: int = 0) -> str:
    given = () if desk.config.exists() else ("--watch", str(desk.docs), "--launcher", "process")
    done = subprocess.run(
        [PROGRAM, "install", "--wait", *given, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stdout


def test_a_command_that_was_wrong_is_mended_by_saying_it_again_with_the_way_round_the_cooldown(
    desk: Desk,
) -> None:
    installed(desk, "--exec", "false", code=1)
    again = installed(desk, "--exec", "true")
    assert "as `install` had written it, and is written anew" in again
    assert "at the earliest; now: training-watch trigger --force\n" in again
    forced = subprocess.run(
        [PROGRAM, "trigger", "--force", "--wait"], capture_output=True, text=True, check=False
    )
    assert "Training succeeded." in forced.stdout


def test_of_several_jobs_the_way_round_names_each(desk: Desk) -> None:
    installed(desk, "--exec", "true")
    with desk.config.open("a") as config:
        config.write('[job.more]\npaths = ["~/project"]\nservice = "more.service"\nlauncher = "process"\n')
        config.write('command = ["true"]\n')
    assert "now: training-watch trigger docs --force\n" in installed(desk)
    assert "now: training-watch trigger more --force\n" in installed(desk)
