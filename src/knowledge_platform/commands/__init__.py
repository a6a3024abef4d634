"""The commands of `crystal`, one module a subject; here stands what they share.

A module is loaded when one of its commands is asked for, so each imports at its top what it needs: `ask` waits for no training.
"""

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator

import click

from knowledge_platform.errors import CrystalError, one_line
from knowledge_platform.settings import store_folder
from knowledge_platform.store.releases import Release, Store
from knowledge_platform.words.search import opened


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


@contextlib.contextmanager
def reading(release: Release) -> Iterator[sqlite3.Connection]:
    """The release's database. Damage that shows only while it is read is named with the release, as that which shows at once."""
    with contextlib.closing(opened(release)) as database:
        try:
            yield database
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            raise CrystalError(
                f"release {release.id} can't be read: {one_line(error)}. Go back with: crystal rollback"
            ) from error


def print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=1))
