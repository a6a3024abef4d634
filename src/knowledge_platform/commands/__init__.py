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
from knowledge_platform.text import printable
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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, which looks for the nearest name among commands that are loaded, if at all."""
        names = self.list_commands(ctx)
        if args[0] not in names and not args[0].startswith("-") and not ctx.resilient_parsing:
            import difflib  # noqa: PLC0415 - only a mistake needs it

            near = difflib.get_close_matches(args[0], names, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else f"there is {', '.join(names)}"
            ctx.fail(f"No such command {printable(args[0])!r}; {hint}")
        return super().resolve_command(ctx, args)


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
