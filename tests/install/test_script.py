"""scripts/install.sh, with a Python that writes down what pip is asked to install instead of doing it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from install.conftest import Desk

SCRIPT = Path(__file__).parents[2] / "scripts/install.sh"
# It stands for the one on PATH, and for the copy of it in the environment that it makes.
PYTHON = f"""\
#!/bin/sh
case "$*" in
  "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && touch "$3/pyvenv.cfg" "$3/bin/training-watch" "$3/bin/crystal";;
  *"-m pip"*" install "*) for last; do :; done; echo "$last" >>"$FAKE/pip"; [ "$last" = . ] || touch "$FAKE/libraries";;
  "-I -c import markdown_it") [ -e "$FAKE/libraries" ];;
  "-I -m training_watch install "*) printf '%s\\n' "$*" >>"$FAKE/installed";;
  *"-m training_watch "*) exit 1;;
  *) exec {sys.executable} "$@";;
esac
"""


@pytest.fixture
def fresh(desk: Desk) -> Desk:
    program = desk.fake / "bin/python3"
    program.write_text(PYTHON)
    program.chmod(0o755)
    (desk.fake / "bin/bash").unlink()
    return desk


def run(desk: Desk, *words: str) -> str:
    """What it prints; what pip was asked for is in the file `pip` afterwards."""
    (desk.fake / "pip").unlink(missing_ok=True)
    done = subprocess.run(["bash", SCRIPT, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def asked_of_pip(desk: Desk) -> list[str]:
    return (desk.fake / "pip").read_text().splitlines()


def linked(desk: Desk) -> set[str]:
    return {path.name for path in (desk.home / ".local/bin").iterdir()}


def configure(desk: Desk, *lines: str) -> None:
    desk.config.parent.mkdir(parents=True, exist_ok=True)
    desk.config.write_text("\n".join(["[job.docs]", 'paths = ["~/project/docs"]', *lines]))


def test_the_default_training_comes_with_its_libraries(fresh: Desk) -> None:
    said = run(fresh, "--watch", str(fresh.docs))
    assert asked_of_pip(fresh) == [".[crystal]"]
    assert linked(fresh) == {"training-watch", "crystal"}
    assert "left out" not in said


@pytest.mark.parametrize("words", [["--exec", "make train"], ["--exec=make train"]])
def test_with_a_command_of_ones_own_crystal_is_left_out(fresh: Desk, words: list[str]) -> None:
    said = run(fresh, "--watch", str(fresh.docs), *words)
    assert asked_of_pip(fresh) == ["."]
    assert linked(fresh) == {"training-watch"}
    assert "crystal ask" not in said
    assert "left out" in said
    configure(fresh, 'command = ["make", "train"]')
    assert "left out" not in run(fresh), "that is news once"
    assert asked_of_pip(fresh) == ["."]


@pytest.mark.parametrize("words", [["--exec", "make train"], ["--job=site"]])
def test_who_has_a_training_of_their_own_is_asked_for_its_folder(fresh: Desk, words: list[str]) -> None:
    done = subprocess.run(["bash", SCRIPT, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "say which folder to watch: --watch DIR" in done.stderr
    assert not (fresh.home / ".local").exists(), "before anything is done"


def test_the_line_that_it_names_brings_crystal_which_stays_then(fresh: Desk) -> None:
    said = run(fresh, "--watch", str(fresh.docs), "--exec", "make train")
    configure(fresh, 'command = ["make", "train"]')
    (line,) = [line for line in said.splitlines() if "left out; to have it: " in line]
    subprocess.run(["bash", "-euc", line.partition("to have it: ")[2]], check=True, capture_output=True)
    assert linked(fresh) == {"training-watch", "crystal"}
    assert "left out" not in run(fresh, "--exec", "make train")
    assert asked_of_pip(fresh) == [".[crystal]"]


@pytest.mark.parametrize("command", ["crystal train --full", "sh -c '~/.local/bin/crystal train && echo'"])
def test_a_command_of_ones_own_that_calls_crystal_has_it(fresh: Desk, command: str) -> None:
    run(fresh, "--watch", str(fresh.docs), "--exec", command)
    assert asked_of_pip(fresh) == [".[crystal]"]


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ['command = ["crystal", "train", "--full"]'],
        ['command = ["make"]', "[job.more]", 'paths = ["/more"]'],
        ["not TOML"],
    ],
)
def test_an_environment_that_is_made_anew_has_what_the_configuration_needs(
    fresh: Desk, lines: list[str]
) -> None:
    configure(fresh, *lines)
    run(fresh)
    assert asked_of_pip(fresh) == [".[crystal]"]


def test_it_ends_with_the_configuration_and_the_commands_of_every_day_in_eight_lines(fresh: Desk) -> None:
    said = run(fresh, "--watch", str(fresh.docs), "--exec", "make train")
    hints = said.rpartition("\n\n")[2].splitlines()
    assert len([line for line in hints if "on your PATH" not in line]) <= 8
    (line,) = [line for line in hints if str(fresh.config) in line]
    assert line.endswith(" install")
    for name in ("status", "why", "doctor", "trigger", "logs"):
        assert any(f"training-watch {name} " in line for line in hints)


def test_what_a_job_is_asked_to_be_reaches_the_program_word_by_word(fresh: Desk) -> None:
    words = ["--job", "site", "--exec=make it", "--watch", "/a b", "--debounce=20s", "--cooldown", "1h 2min"]
    run(fresh, *words, "--ignore", "drafts/", "--ignore=*.tmp")
    (line,) = (fresh.fake / "installed").read_text().splitlines()
    assert line.startswith(
        "-I -m training_watch install --wait --job site --exec=make it --watch /a b --debounce=20s "
        "--cooldown 1h 2min --ignore drafts/ --ignore=*.tmp"
    )
    assert asked_of_pip(fresh) == ["."]
