"""`training-watch`: words on the command line → calls. Each command is in commands/, loaded when it is asked for."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from training_watch import __version__, places
from training_watch.commands import Verbatim
from training_watch.config import nearest
from training_watch.terminal import errors_told
from training_watch.text import printable

# In the order in which a person meets them: heading, then each command with the module that has it.
SECTIONS: dict[str, dict[str, str]] = {
    "What it does, and why": {
        "status": "looking", "why": "looking", "history": "history", "logs": "logs", "doctor": "doctor",
    },
    "Train": {"trigger": "cooldown", "check": "cooldown"},
    "Set up": {"install": "setup", "uninstall": "setup"},
    "Without the rest": {"watch": "watch"},
    "What the units execute": {"run": "unit", "begin": "unit", "mark": "unit"},
}  # fmt: skip
HIDDEN = {"supervise": "unit"}
KNOWN = [name for section in SECTIONS.values() for name in section]
MODULES = {name: module for section in (*SECTIONS.values(), HIDDEN) for name, module in section.items()}

# What people type who know other programs, and no spelling would lead from to ours.
MEANT = {"start": "trigger", "train": "trigger", "version": "--version", "help": "--help", "setup": "install"}


class Commands(click.Group):
    """Loads the module of the command that is asked for, and no other. Its commands tell their errors."""

    format_epilog = Verbatim.format_epilog

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return list(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in MODULES:
            return None
        module = import_module(f"training_watch.commands.{MODULES[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading, names in SECTIONS.items():
            commands = [(name, self.get_command(ctx, name)) for name in names]
            rows = [(name, command.get_short_help_str(60)) for name, command in commands if command]
            with formatter.section(heading):
                formatter.write_dl(rows)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, which looks for the nearest name among commands that are loaded, if at all."""
        if args[0] not in MODULES and not args[0].startswith("-") and not ctx.resilient_parsing:
            meant = MEANT.get(args[0])
            better = f"; did you mean {meant!r}?" if meant else nearest(args[0], KNOWN)
            ctx.fail(f"No such command {args[0]!r}{better}")
        return super().resolve_command(ctx, args)

    def invoke(self, context: click.Context) -> Any:
        with _usage_told():
            return errors_told(super().invoke)(context)

    def make_context(self, *words: Any, **options: Any) -> click.Context:
        with _usage_told():
            return super().make_context(*words, **options)

    def main(self, *words: Any, **options: Any) -> Any:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):  # an encoding that lacks a character is no reason to end
                stream.reconfigure(errors="backslashreplace")
        return super().main(*words, **options)


# A command without its words shows its help by way of an error, since click 8.2.
_HELP = getattr(click.exceptions, "NoArgsIsHelpError", ())


@contextmanager
def _usage_told() -> Iterator[None]:
    """What click says of wrong words quotes them, and a shell's * may have made them from files' names."""
    try:
        yield
    except click.UsageError as error:
        if isinstance(error, _HELP):
            raise
        raise click.UsageError(printable(error.format_message()), error.ctx) from None


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""
Examples:
  training-watch install --watch ~/project/docs
  training-watch status
  training-watch trigger --force
""",
)
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path, readable=False),  # what can't be read is told as any other mistake in it
    help="Configuration file; else the one that TRAINING_WATCH_CONFIG names, or the usual one.",
)
@click.version_option(__version__, prog_name="training-watch")
@click.pass_context
def main(context: click.Context, config_path: Path | None) -> None:
    """Save a document, and the training starts: once the edit has settled, at most every six hours,
    one at a time.
    """
    context.obj = (config_path or places.config_file()).absolute()
