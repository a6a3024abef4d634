"""How this program is called, so that what it names can be copied into the shell that it was called in."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from training_watch import places
from training_watch.config import Config, Job
from training_watch.typed import Typed, anywhere, for_job, here


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An interpreter in `venv`, and a PATH of `bin` alone."""
    for name in ("venv", "bin"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(sys, "executable", str(tmp_path / "venv/python"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv(places.CONFIG, raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return tmp_path


def program(path: Path) -> Path:
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_a_name_that_leads_to_this_program_is_enough(shell: Path) -> None:
    (shell / "bin/training-watch").symlink_to(program(shell / "venv/training-watch"))
    assert here(places.config_file()) == "training-watch"


def test_a_name_that_leads_to_another_program_or_to_none_is_no_name(shell: Path) -> None:
    own = program(shell / "venv/training-watch")
    assert here(places.config_file()) == str(own)
    program(shell / "bin/training-watch")
    assert here(places.config_file()) == str(own)


def test_a_script_that_lies_apart_from_its_interpreter_is_found_by_its_name_or_not_needed(
    shell: Path,
) -> None:
    assert here(places.config_file()) == f"{shell}/venv/python -m training_watch"
    program(shell / "bin/training-watch")
    assert here(places.config_file()) == "training-watch"


def test_a_configuration_is_named_where_it_is_not_the_one_that_is_taken_anyway(
    shell: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(shell / "bin/training-watch")
    other = shell / "my config.toml"
    assert here(other) == anywhere(other) == f"training-watch --config '{other}'"
    monkeypatch.setenv(places.CONFIG, str(other))
    assert here(other) == "training-watch"


def test_a_job_is_named_where_there_are_several(shell: Path) -> None:
    docs, wiki = (Job(name, (shell / name,), shell / f"{name}-run") for name in ("docs", "wiki"))
    several, one = Config(shell / "x.toml", (docs, wiki)), Config(shell / "x.toml", (docs,))
    assert for_job(several, docs, "it")("logs", "--run", "ab") == "it logs docs --run ab"
    assert for_job(one, docs, "it")("logs", "--run", "ab") == "it logs --run ab"
    assert Typed()("trigger") == "training-watch trigger"
