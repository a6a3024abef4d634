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


def forced() -> str:
    done = subprocess.run(
        [PROGRAM, "trigger", "--force", "--wait"], capture_output=True, text=True, check=False
    )
    return done.stdout


def test_a_first_training_that_failed_is_tried_again_at_once_by_the_corrected_line(desk: Desk) -> None:
    installed(desk, "--exec", "false", code=1)
    again = installed(desk, "--exec", "true")
    assert "as `install` had written it: it is written anew" in again
    assert "docs: no training has succeeded yet, so the cooldown is not waited for\n" in again
    assert "Training succeeded." in again
    assert "docs: the last training ended " in installed(desk), "one has succeeded"


def test_a_training_that_failed_after_one_that_succeeded_waits_and_is_told_as_failed_with_the_way_round(
    desk: Desk,
) -> None:
    installed(desk, "--exec", "test ! -e broken")
    (desk.home / "broken").touch()
    forced()
    told = installed(desk)
    assert "docs: the last training failed " in told
    assert f"or at once by: {PROGRAM} trigger --force\n" in told
    (desk.home / "broken").unlink()
    assert "Training succeeded." in forced()


def test_a_marker_of_which_no_run_is_recorded_is_waited_for(desk: Desk) -> None:
    marker = desk.home / ".cache/crystal/last-training-run"
    marker.parent.mkdir(parents=True)
    marker.touch()
    assert "docs: the last training ended " in installed(desk, "--exec", "true")


def test_of_several_jobs_the_way_round_names_each(desk: Desk) -> None:
    installed(desk, "--exec", "true")
    with desk.config.open("a") as config:
        config.write('[job.more]\npaths = ["~/project"]\nservice = "more.service"\nlauncher = "process"\n')
        config.write('command = ["true"]\n')
    assert f"at once by: {PROGRAM} trigger docs --force\n" in installed(desk)
    assert f"at once by: {PROGRAM} trigger more --force\n" in installed(desk)
