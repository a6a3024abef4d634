"""The commands of `crystal`, one module a subject; here stands what they share.

A module is loaded when one of its commands is asked for, so each imports at its top what it needs: `ask` waits for no training.
"""

import json
import os

import click

from knowledge_platform.releases import Store
from knowledge_platform.settings import store_folder


class Verbatim(click.Command):
    """A command whose help shows its examples as they are written."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        if self.epilog:
            formatter.write_paragraph()
            for line in self.epilog.strip().splitlines():
                formatter.write(f"{line}\n")


class VerbatimGroup(click.Group):
    command_class = Verbatim
    format_epilog = Verbatim.format_epilog


def store_here() -> Store:
    return Store(store_folder(os.environ))


def print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=1))
