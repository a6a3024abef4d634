"""`crystal ask`: a question -> the passages, for people or as JSON."""

from pathlib import Path

import click

from knowledge_platform import ask as asking
from knowledge_platform.answers import keep
from knowledge_platform.clock import system_clock
from knowledge_platform.commands import Verbatim, print_json, store_here
from knowledge_platform.errors import one_line
from knowledge_platform.releases import Store


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
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON.")
def ask(question: str, count: int, *, lexical: bool, as_json: bool) -> int:  # noqa: ARG001 - the model is lexical
    """Print the passages that answer a question.

    Each with its file and lines, its headings, and the lines that match best.
    """
    store = store_here()
    answer = asking.ask(store, question, count)
    problem = _problem_of_keeping(store, answer)
    if as_json:
        print_json({**answer.as_json(), "recorded": problem is None})
        return 0
    for line in asking.shown(answer, Path.cwd()):
        click.echo(line)
    if problem is not None:
        click.echo(f"crystal: feedback can't refer to this answer: {problem}", err=True)
    elif not answer.passages:
        known = f"crystal feedback {answer.answer_id} good --correct PATH#ANCHOR"
        click.echo(f"if you know where it is: {known}", err=True)
    return 0


def _problem_of_keeping(store: Store, answer: asking.Answer) -> str | None:
    try:
        keep(store, answer, system_clock().now())
    except (OSError, ValueError) as problem:
        return one_line(problem)
    return None
