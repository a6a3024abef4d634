"""Which files are made: docs/commands.md, and man/ from the commands and from chapters of docs/."""

from __future__ import annotations

import re
from pathlib import Path

from manual.commands import PROGRAMS, Described, chapter, described
from manual.roff import page
from training_watch import __version__

PROJECT = Path(__file__).resolve().parents[1]
SOURCE = f"training-watch {__version__}"
_OPENING = """\
Every command of the two programs with its options and examples, as `--help` shows them. Exit codes, files and
environment variables are in the [reference](reference.md). After an installation `man training-watch` and
`man crystal` have all of it."""


def files() -> dict[str, str]:
    """Each file's name within the project, and its text."""
    return {
        "docs/commands.md": _commands(),
        "man/training-watch.1": _program_page(
            "training-watch",
            "starts a training when files have changed",
            "reference.md",
            ("Exit codes", "Environment", "Files"),
            "`crystal`(1), `training-watch`(5), `systemctl`(1), `journalctl`(1), `systemd.time`(7)",
        ),
        "man/crystal.1": _program_page(
            "crystal",
            "trains a model on a folder of Markdown, and asks it",
            "crystal.md",
            ("When it stops", "Files"),
            "`training-watch`(1)",
        ),
        "man/training-watch.5": _configuration_page(),
    }


def _commands() -> str:
    parts = [
        "# Commands",
        _OPENING,
    ]
    for name, program in PROGRAMS.items():
        for one in described(name, program):
            level = "##" if one.path == name else "###"
            parts += [f"{level} {one.path}", f"```\n{one.usage}\n```", chapter(one)]
    return "\n\n".join(parts) + "\n"


def _program_page(name: str, what: str, reference: str, chapters: tuple[str, ...], see: str) -> str:
    whole, *commands = described(name, PROGRAMS[name])
    parts = ["## Name", f"{name} - {what}", "## Synopsis", f"`{name}`{whole.usage.removeprefix(name)}"]
    parts += ["## Description", chapter(whole), "## Commands", *map(_command, commands)]
    for title in chapters:
        parts.append(_chapter(reference, title))
    parts += ["## See also", f"{see}"]
    return page(name, 1, SOURCE, "\n\n".join(parts))


def _command(one: Described) -> str:
    return f"### `{one.path}`{one.usage.removeprefix(one.path)}\n\n{chapter(one)}"


def _configuration_page() -> str:
    parts = [
        "## Name",
        "training-watch - configuration of `training-watch`(1)",
        "## Synopsis",
        "`~/.config/training-watch/config.toml`",
        _chapter("reference.md", "Configuration", "Description"),
        _chapter("reference.md", "What a job waits for"),
        "## See also",
        "`training-watch`(1), `systemd.time`(7), `gitignore`(5), `systemd.unit`(5)",
    ]
    return page("training-watch", 5, SOURCE, "\n\n".join(parts))


def _chapter(file: str, title: str, new: str = "") -> str:
    """The chapter of that title, up to the next of its level or above, as one of the second level."""
    text = (PROJECT / "docs" / file).read_text(encoding="utf-8")
    found = re.search(rf"(?ms)^(##+) {re.escape(title)}\n(.*?)(?=^#{{2,3}} |\Z)", text)
    if found is None:
        raise ValueError(f"docs/{file} has no chapter {title!r}")
    return f"## {new or title}\n{found[2].rstrip()}"
