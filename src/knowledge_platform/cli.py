"""`crystal`: words on the command line -> calls, and how they end -> exit codes, here and nowhere else."""

import sqlite3
import sys
from importlib import import_module
from typing import NoReturn

import click

from knowledge_platform.commands import VerbatimGroup
from knowledge_platform.errors import CrystalError, Stopped, mend_of, one_line

MODULES = {
    "train": "training",
    "ask": "asking",
    "status": "releasing",
    "releases": "releasing",
    "rollback": "releasing",
    "unpin": "releasing",
    "feedback": "teaching",
    "golden": "teaching",
    "report": "measuring",
    "eval": "measuring",
}
# Where the command's name is none of ours: `eval` is Python's.
FUNCTIONS = {"eval": "evaluate"}


class Commands(VerbatimGroup):
    """Loads the module of the command that is asked for, and no other."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in MODULES:
            return None
        command: click.Command = getattr(
            import_module(f"knowledge_platform.commands.{MODULES[cmd_name]}"),
            FUNCTIONS.get(cmd_name, cmd_name),
        )
        return command


@click.group(
    cls=Commands,
    epilog="""
Examples:
  crystal train --docs ~/project/docs
  crystal ask "how do I rotate the logs?"
  crystal status

The model is kept in ~/.local/share/crystal; CRYSTAL_STORE moves it.
""",
)
@click.version_option(package_name="training-watch", prog_name="crystal")
def crystal() -> None:
    """Train a model on a folder of Markdown, and ask it."""


def main() -> NoReturn:
    """The program: runs a command, says in one line what went wrong, and exits with its code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = crystal.main(prog_name="crystal", standalone_mode=False)
    except click.exceptions.Abort:
        code = 130
    except click.ClickException as problem:
        problem.show()
        code = problem.exit_code
    except (CrystalError, Stopped) as problem:
        code = _complain(problem, problem.exit_code)
    except (OSError, sqlite3.Error) as problem:
        code = _complain(problem, 1, mend_of(problem))
    sys.exit(code)


def _complain(problem: BaseException, code: int, mend: str = "") -> int:
    click.echo(f"crystal: {one_line(problem)}{f'; {mend}' if mend else ''}", err=True)
    return code
