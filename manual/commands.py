"""Click's commands → Markdown: usage, help, options, examples and exit codes of every command that isn't hidden."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass

import click

import knowledge_platform.cli
import training_watch.cli

PROGRAMS: dict[str, click.Command] = {
    "training-watch": training_watch.cli.main,
    "crystal": knowledge_platform.cli.crystal,
}
# In a manual everything is wide: what folds is the reader's screen.
WIDTH = 200
_CODE = re.compile(r" +(\d+) +(.+)")


@dataclass(frozen=True, slots=True)
class Described:
    """One command: the words that call it, and its context, which knows the rest."""

    path: str
    context: click.Context

    @property
    def command(self) -> click.Command:
        return self.context.command

    @property
    def usage(self) -> str:
        return " ".join([self.path, *self.command.collect_usage_pieces(self.context)])

    @property
    def help(self) -> str:
        return inspect.cleandoc(self.command.help or "")

    @property
    def options(self) -> list[tuple[str, str]]:
        """(how it is written, what it does), but for --help."""
        records = (
            parameter.get_help_record(self.context)
            for parameter in self.command.params
            if isinstance(parameter, click.Option) and "--help" not in parameter.opts
        )
        return [(names, " ".join(text.split())) for names, text in filter(None, records)]


def described(name: str, program: click.Command) -> list[Described]:
    """The program and all its commands, in the order of its help."""
    return list(_described(click.Context(program, info_name=name, terminal_width=WIDTH)))


def _described(context: click.Context) -> Iterator[Described]:
    yield Described(context.command_path, context)
    command = context.command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            if inner is not None and not inner.hidden:
                yield from _described(
                    click.Context(inner, context, info_name=name, terminal_width=WIDTH)
                )  # fmt: skip


def chapter(one: Described) -> str:
    """All there is to say of a command, below its heading."""
    return "\n\n".join([one.help, *_options(one), *_blocks(one.command.epilog or "")])


def _options(one: Described) -> Iterator[str]:
    if one.options:
        rows = (f"| {_code(names)} | {_cell(text)} |" for names, text in one.options)
        yield "\n".join(["| option | does |", "|---|---|", *rows])


def _blocks(epilog: str) -> Iterator[str]:
    """What stands indented in a help is to be typed or copied, but for exit codes, which are a table; the rest is text."""
    for block in re.split(r"\n\s*\n", epilog.strip("\n")):
        for kind, lines in _runs(block.split("\n")):
            if not kind:
                yield " ".join(line.strip() for line in lines)
            elif all(_CODE.fullmatch(line) for line in lines):
                rows = (
                    f"| {found[1]} | {_cell(found[2])} |" for found in map(_CODE.fullmatch, lines) if found
                )
                yield "\n".join(["| exit code | meaning |", "|---|---|", *rows])
            else:
                yield "\n".join(["```sh", *inspect.cleandoc("\n".join(lines)).split("\n"), "```"])


def _runs(lines: list[str]) -> Iterator[tuple[bool, list[str]]]:
    """Neighbouring lines that are all indented, or all not."""
    run: list[str] = []
    for line in lines:
        if run and line.startswith(" ") != run[0].startswith(" "):
            yield run[0].startswith(" "), run
            run = []
        run.append(line)
    if run:
        yield run[0].startswith(" "), run


def _code(text: str) -> str:
    return f"`{_cell(text)}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
