"""`crystal ask`: a question -> the passages, for people or as JSON."""

import contextlib
import os
import shutil
import sys
import threading
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import click

from knowledge_platform.asking import ask as asking
from knowledge_platform.asking.answers import keep
from knowledge_platform.asking.showing import shown
from knowledge_platform.clock import system_clock
from knowledge_platform.commands import Verbatim, print_json, store_here
from knowledge_platform.errors import mend_of, one_line
from knowledge_platform.meaning.loading import QuestionVector
from knowledge_platform.settings import encoder_path
from knowledge_platform.store.releases import Store

PATIENCE = 0.5  # seconds before a terminal shows what words find: with less it would flicker where the encoder is quick


@click.command(
    cls=Verbatim,
    epilog="""
Examples:
  crystal ask "how do I rotate the logs?"
  crystal ask -k 1 --json "where is the marker kept?"

Prints path:start-end for each passage, or "no good match". On a terminal places are
links, and the question's words bold; NO_COLOR=1 leaves out the colour. Exit codes: 0
asked (whether or not something matched), 1 failed, 78 no model yet.
""",
)
@click.argument("question")
@click.option(
    "-k", "count", type=click.IntRange(1, 100), default=5, show_default=True, help="At most so many passages."
)
@click.option("--lexical", is_flag=True, help="By words only, without the encoder.")
@click.option("--json", "as_json", is_flag=True, help="The answer as JSON.")
def ask(question: str, count: int, *, lexical: bool, as_json: bool) -> int:
    """Print the passages that answer a question.

    Each with its file and lines, its headings, and the lines that match best. Where the encoder is slow to load, a terminal shows what
    the words alone find until it is there.
    """
    store = store_here()
    vector = None if lexical else QuestionVector(question, encoder_path(os.environ))
    terminal = sys.stdout.isatty() and not as_json and os.environ.get("TERM") != "dumb"
    if terminal and vector is not None and not vector.ready(PATIENCE):
        with _meanwhile(asking.ask(store, question, count)):
            vector.ready(threading.TIMEOUT_MAX)
    answer = asking.ask(store, question, count, vector)
    problem = _problem_of_keeping(store, answer)
    if as_json:
        print_json({**answer.as_json(), "recorded": problem is None})
        return 0
    if answer.lexical is not None:
        click.echo(f"by words only: {answer.lexical}", err=True)
    coloured = not os.environ.get("NO_COLOR")  # no-color.org: colour only, bold may stay
    for line in shown(answer, Path.cwd(), styled=terminal, coloured=coloured):
        click.echo(line)
    if problem is not None:
        click.echo(f"crystal: feedback can't refer to this answer: {problem}", err=True)
    elif not answer.passages:
        known = f"crystal feedback {answer.answer_id} good --correct PATH#ANCHOR"
        click.echo(f"if you know where it is: {known}", err=True)
    return 0


@contextlib.contextmanager
def _meanwhile(answer: asking.Answer) -> Iterator[None]:
    """Shows the answer by words as long as the block runs; a terminal that is too low for it keeps it."""
    size = shutil.get_terminal_size()
    lines = ["by words, while the encoder loads:", "", *shown(answer, Path.cwd())]
    for line in lines:
        click.echo(cut(line, size.columns - 1))
    yield
    if len(lines) < size.lines:
        # Up so many lines, and all below cleared (ECMA-48 CUU, ED).
        click.echo(f"\x1b[{len(lines)}A\x1b[J", nl=False)
    else:
        click.echo()


def cut(line: str, columns: int) -> str:
    """As much of the line as fits, so that it stays one: East Asian letters take two columns, what is added to a letter none."""
    taken = 0
    for number, letter in enumerate(line):
        taken += 2 if unicodedata.east_asian_width(letter) in "WF" else not unicodedata.combining(letter)
        if taken > columns:
            return line[:number]
    return line


def _problem_of_keeping(store: Store, answer: asking.Answer) -> str | None:
    try:
        keep(store, answer, system_clock().now())
    except ValueError as problem:
        return one_line(problem)
    except OSError as problem:
        return f"{one_line(problem)}; {mend_of(problem)}"
    return None
