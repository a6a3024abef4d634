"""`crystal ask`: a question -> the passages, for people or as JSON."""

from pathlib import Path

import click

from knowledge_platform import ask as asking
from knowledge_platform.commands import Verbatim, print_json, store_here


@click.command(
    cls=Verbatim,
    epilog="""
Examples:
  crystal ask "how do I rotate the logs?"
  crystal ask -k 1 --json "where is the marker kept?"

Prints path:start-end for each passage, or "no good match". Exit codes: 0 asked
(whether or not something matched), 1 failed, 78 no model yet.
""",
)
@click.argument("question")
@click.option(
    "-k", "count", type=click.IntRange(1, 100), default=5, show_default=True, help="At most so many passages."
)
@click.option("--lexical", is_flag=True, help="By words only; the present model is nothing else.")
@click.option("--json", "as_json", is_flag=True, help="answer_id and passages as JSON.")
def ask(question: str, count: int, *, lexical: bool, as_json: bool) -> int:  # noqa: ARG001 - the model is lexical
    """Print the passages that answer a question.

    Each with its file and lines, its headings, and the lines that match best.
    """
    answer = asking.ask(store_here(), question, count)
    if as_json:
        print_json(answer.as_json())
    else:
        for line in asking.shown(answer, Path.cwd()):
            click.echo(line)
    return 0
