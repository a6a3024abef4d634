"""`crystal feedback`, `crystal golden`: what people know about the right answers -> the store, for the trainings to come."""

import contextlib
import os
from dataclasses import asdict
from typing import Literal

import click

from knowledge_platform.asking.answers import Given, given
from knowledge_platform.asking.ask import ask
from knowledge_platform.clock import system_clock
from knowledge_platform.commands import Verbatim, VerbatimGroup, print_json, store_here
from knowledge_platform.errors import CrystalError
from knowledge_platform.feedback import golden as pinning
from knowledge_platform.feedback.anchors import Section
from knowledge_platform.feedback.lessons import sections
from knowledge_platform.feedback.log import Feedback, FeedbackLogger
from knowledge_platform.feedback.naming import named
from knowledge_platform.meaning.loading import QuestionVector
from knowledge_platform.settings import GOLDEN_TOP, QUERY_LIMIT, encoder_path
from knowledge_platform.store.releases import Release, Store
from knowledge_platform.text import printable
from knowledge_platform.words.search import opened, words_of


@click.command(
    cls=Verbatim,
    epilog="""
Examples:
  crystal feedback bd7baa2b7a2c3698 good
  crystal feedback bd7b bad
  crystal feedback bd7b bad --correct ops/logs.md#rotation
  crystal feedback bd7b bad --correct docs/ops/logs.md:5-7

An answer's id is the last line of it; its beginning will do. A section is named by
its anchor or by a line of it; of the path its end will do, and the path alone is the
file's first section. Exit codes: 0 noted, 1 failed, 2 nothing to be learned from
this, 78 no such answer or section.
""",
)
@click.argument("answer_id")
@click.argument("verdict", type=click.Choice(["good", "bad"]))
@click.option(
    "--correct", metavar="PATH#ANCHOR", help="The section that is right; or PATH:LINE, as answers show it."
)
@click.option("--json", "as_json", is_flag=True, help="What was noted, as JSON.")
def feedback(answer_id: str, verdict: Literal["good", "bad"], correct: str | None, *, as_json: bool) -> int:
    """Say whether an answer was good; the next training learns it.

    `good` is about the section of the first passage, or the one that --correct names. `bad` says that the first passage's section is
    wrong, and --correct which one is right.
    """
    store = store_here()
    answer = given(store, answer_id)
    event = _noted(store, answer, verdict, correct)
    if as_json:
        print_json(asdict(event))
    else:
        says = "answers" if event.verdict == "good" else "does not answer"
        right = f", {printable(event.correct)} does" if event.correct else ""
        click.echo(f'noted: {printable(event.section)} {says} "{printable(event.query)}"{right}')
        click.echo("the next training learns it: crystal train")
    return 0


@click.group(
    cls=VerbatimGroup,
    epilog="""
Examples:
  crystal golden add "how do I rotate the logs?" ops/logs.md#rotation
  crystal golden list
  crystal golden remove 1
""",
)
def golden() -> None:
    """Pin questions that must be answered by a certain section.

    A training after which one of them is no longer among the first passages is refused.
    """


@golden.command(
    epilog="""
Examples:
  crystal golden add "how do I rotate the logs?" ops/logs.md#rotation
  crystal golden add "where do I begin?" index.md     # its first section
  crystal golden add "what rotates?" docs/ops/logs.md:5-7
"""
)
@click.argument("question")
@click.argument("section", metavar="PATH#ANCHOR")
def add(question: str, section: str) -> int:
    """Pin a question to the section that must answer it.

    A question that is pinned already is pinned anew.
    """
    if not words_of(question) or len(question) > QUERY_LIMIT:
        raise click.UsageError(f"QUESTION must have at least one word, and at most {QUERY_LIMIT} characters")
    store = store_here()
    place = _named(store.answering(), section)
    now = system_clock().now().isoformat(timespec="seconds")
    wanted = pinning.Golden(question, place.path, place.anchor, place.trail, place.digest, now)
    replaced = pinning.add(store, wanted)
    instead = f", no longer {printable(replaced.section.name)}" if replaced else ""
    click.echo(f'pinned: "{printable(question)}" must find {printable(place.name)}{instead}')
    if place.key not in [
        (one.path, one.anchor)
        for one in ask(
            store, question, GOLDEN_TOP, QuestionVector(question, encoder_path(os.environ))
        ).passages
    ]:
        click.echo(
            f"{printable(place.name)} is not among the first {GOLDEN_TOP} now: trainings are refused until it is, or crystal golden remove",
            err=True,
        )
    return 0


@golden.command(
    name="list",
    epilog="""
Examples:
  crystal golden list
  crystal golden list --json
""",
)
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
def show(*, as_json: bool) -> int:
    """List the questions that are pinned, with their numbers."""
    every = pinning.load(store_here())
    if as_json:
        print_json([asdict(one) for one in every])
    else:
        for number, one in enumerate(every, start=1):
            click.echo(f'{number}  "{printable(one.query)}"  {printable(one.section.name)}')
        if not every:
            click.echo("no golden query yet: crystal golden add QUESTION PATH#ANCHOR")
    return 0


@golden.command(
    epilog="""
Examples:
  crystal golden remove 1
  crystal golden remove "how do I rotate the logs?"
"""
)
@click.argument("which", metavar="NUMBER|QUESTION")
def remove(which: str) -> int:
    """Unpin a question, by its number in the list or its words."""
    removed = pinning.remove(store_here(), which)
    click.echo(f'unpinned: "{printable(removed.query)}" from {printable(removed.section.name)}')
    return 0


def _noted(store: Store, answer: Given, verdict: Literal["good", "bad"], correct: str | None) -> Feedback:
    release = store.answering()
    right = _named(release, correct) if correct is not None else None
    first = _as_it_was(store, answer, release)
    if first is None or (verdict == "good" and right is not None):
        first, right, verdict = right, None, "good"
    if first is None:
        raise click.UsageError(
            f"answer {answer.id} found nothing: say with --correct which section would have been right"
        )
    if right is not None and right.key == first.key:
        raise click.UsageError(f"{right.name} can't be both wrong and right: name another with --correct")
    try:
        return FeedbackLogger(store.folder).log(
            query=answer.question,
            section=first.name,
            verdict=verdict,
            answer_id=answer.id,
            correct=right.name if right else None,
            heading=first.trail or None,
            digest=first.digest or None,
            correct_heading=(right.trail or None) if right else None,
            correct_digest=(right.digest or None) if right else None,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _as_it_was(store: Store, answer: Given, answering: Release) -> Section | None:
    """The section of the answer's first passage, as the release has it that gave the answer, if it is kept yet."""
    if not answer.sections:
        return None
    shown = answer.sections[0]
    with contextlib.suppress(CrystalError):
        answering = store.named(answer.release)
    with contextlib.closing(opened(answering)) as database:
        return sections(database).get(shown.key, shown)


def _named(release: Release, wanted: str) -> Section:
    with contextlib.closing(opened(release)) as database:

        def anchor_at(path: str, line: int) -> str | None:
            row = database.execute(
                "SELECT anchor FROM chunks JOIN files ON files.id = chunks.file "
                'WHERE files.path = ? AND start <= ? AND "end" >= ?',
                (os.fsencode(path), line, line),
            ).fetchone()
            return row[0] if row else None

        roots = [os.fsdecode(path) for (path,) in database.execute("SELECT path FROM roots")]
        return named(wanted, sections(database), roots, anchor_at)
