"""The manual names every command, option, configuration key, exit code and reason that there is."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import click
import pytest

from training_watch import terminal
from training_watch.cli import main
from training_watch.config import KEYS, Job, read_config
from training_watch.events import Reason

MANUAL = Path(__file__).parent.parent / "docs"
REFERENCE = (MANUAL / "reference.md").read_text()
CONTEXT = click.Context(main)
EVERY = {name: main.get_command(CONTEXT, name) for name in main.list_commands(CONTEXT)}
COMMANDS = {name: command for name, command in EVERY.items() if command is not None and not command.hidden}


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_the_reference_has_each_command_with_each_option(name: str) -> None:
    row = next((line for line in REFERENCE.splitlines() if f"`training-watch {name}" in line), None)
    assert row is not None
    for parameter in COMMANDS[name].params:
        if isinstance(parameter, click.Option) and parameter.name != "help":
            assert any(re.search(rf"(?<![\w-]){option}(?![\w-])", row) for option in parameter.opts), (
                parameter.opts
            )


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_each_help_has_an_example(name: str) -> None:
    assert "Example" in (COMMANDS[name].epilog or "")


def example() -> str:
    found = re.search(r"```toml\n(.*?)```", REFERENCE, re.DOTALL)
    assert found is not None
    return found[1]


def test_the_reference_shows_each_key_of_the_configuration() -> None:
    assert sorted(tomllib.loads(example())["job"]["docs"]) == sorted(KEYS)


def test_the_defaults_that_the_reference_shows_are_the_defaults(tmp_path: Path) -> None:
    full, bare = tmp_path / "full.toml", tmp_path / "bare.toml"
    full.write_text(example())
    bare.write_text('[job.docs]\npaths = ["~/project/docs"]\n')
    assert read_config(full).jobs == read_config(bare).jobs
    assert isinstance(read_config(full).jobs[0], Job)


@pytest.mark.parametrize(
    "code", [0, 2, terminal.FAILED, terminal.UNAVAILABLE, terminal.NOT_NOW, terminal.BAD_CONFIG]
)
def test_the_reference_lists_each_exit_code(code: int) -> None:
    assert f"\n| {code} |" in REFERENCE


def test_the_reference_lists_each_reason_of_status() -> None:
    missing = [reason.value for reason in Reason if f"`{reason.value}`" not in REFERENCE]
    assert missing == []


@pytest.mark.parametrize(
    "page", sorted(MANUAL.parent.glob("*.md")) + sorted(MANUAL.glob("*.md")), ids=lambda page: page.name
)
def test_each_link_to_a_file_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
