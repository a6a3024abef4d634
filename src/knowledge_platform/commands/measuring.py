"""`crystal report`, `crystal eval`: how good a release is, as its training found, and as anybody can ask it again."""

import json
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import asdict
from typing import TextIO

import click

from knowledge_platform.clock import system_clock
from knowledge_platform.commands import Verbatim, print_json, reading, store_here
from knowledge_platform.errors import ConfigError
from knowledge_platform.feedback import golden as pinning
from knowledge_platform.feedback.lessons import known_lessons, resolved, sections
from knowledge_platform.feedback.log import FeedbackLogger
from knowledge_platform.gate.exam import Asks, Marks, Result, asks_ranker, asks_words, held, said
from knowledge_platform.gate.questions import Need, QuestionsError, needs_of
from knowledge_platform.gate.reports import SEVERAL, lines, report_of
from knowledge_platform.meaning.encoder import ENCODER_ID, Encoder, EncoderUnavailable, locate
from knowledge_platform.settings import encoder_path
from knowledge_platform.store.releases import Release, Store
from knowledge_platform.text import printable
from knowledge_platform.words.search import facts_of

KINDS = {
    "golden": "golden queries",
    "learned": "accepted answers that it was trained on, asked back",
    "unheard": "accepted answers that it was not trained on yet",
}


class QuestionsFileError(click.ClickException):
    """In one line, without the usage: the command was right, the file isn't."""

    exit_code = 2


@click.command(
    cls=Verbatim,
    epilog="""
Examples:
  crystal report                                # of the release that answers
  crystal report 20261123T200512Z-1a2b3c4d      # of this one; its beginning will do
  crystal report --json

nDCG@10 is 1 when the right section comes first, less the further down it stands, and
0 beyond the tenth place. Held-out questions were kept away from the training.
Exit codes: 0 shown, 1 the report is damaged, 78 no such release.
""",
)
@click.argument("release", required=False)
@click.option("--json", "as_json", is_flag=True, help="The report as JSON, as the release keeps it.")
def report(release: str | None, *, as_json: bool) -> int:
    """Show what the training of a release measured.

    Which ranker was taken and why, what it was compared with, where the golden queries are found, and whether the passages are what
    their files say.
    """
    found = _release(store_here(), release)
    manifest = found.manifest()
    measured = report_of(found)
    with reading(found) as database:
        lessons = len(known_lessons(database))
    if as_json:
        kept = json.loads((found.folder / "report.json").read_bytes())
        print_json(
            {"release": found.id, "encoder_id": manifest["encoder_id"], "lessons": lessons, "report": kept}
        )
        return 0
    click.echo(f"release     {found.id}, made {manifest['created_at']}")
    for line in lines(measured, encoder=manifest["encoder_id"], lessons=lessons):
        click.echo(line)
    return 0


@click.command(
    name="eval",
    cls=Verbatim,
    epilog="""
Examples:
  crystal eval                                  # what you pinned and what you called good
  crystal eval --queries questions.txt
  crystal eval --release 20261123T2005 --json

FILE has one need a line, # begins a comment:
  ops/logs.md#rotation|ops/disk.md ;; how do I rotate the logs? ;; old logs fill up
First what answers it: sections, of whose anchors the beginning will do, or whole
files. Then the question, in one or more wordings.

R@1, R@5: the share of questions with an answer first, or among the first five.
MRR@10: 1 divided by the place of the first answer. nDCG@10: 1 when all answers come
first, less the further down they stand. All count nothing beyond the tenth place.
Exit codes: 0 asked, 1 failed, 2 the file can't be used, 78 no release or no question.
""",
)
@click.option("--release", metavar="ID", help="This release, not the one that answers.")
@click.option(
    "--queries", type=click.File(encoding="utf-8"), metavar="FILE", help="Questions with their answers."
)
@click.option(
    "-k", "depth", type=click.IntRange(1, 100), default=10, show_default=True, help="Look at so many places."
)
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
def evaluate(release: str | None, queries: TextIO | None, depth: int, *, as_json: bool) -> int:
    """Ask a release questions whose answers are known.

    By words alone and by the release's ranker. Without --queries the questions are the golden queries and those whose answers were
    called good.
    """
    store = store_here()
    found = _release(store, release)
    found.manifest()
    with reading(found) as database:
        needs = _from_file(queries, database) if queries else _said(store, database)
        ranker, problem = _ranker(found, database, depth)
        name = str(facts_of(database).get("ranker") or "by ranker")
        by_words = asks_words(database, depth)
        results = [held(kind, each, depth, by_words, ranker) for kind, each in needs.items()]
    if as_json:
        kinds = [asdict(result) for result in results]
        facts = {"release": found.id, "ranker": name if ranker else None, "lexical": problem, "depth": depth}
        print_json(facts | {"kinds": kinds})
        return 0
    click.echo(f"release {found.id}")
    if problem is not None:
        click.echo(f"by words only: {problem}", err=True)
    for result in results:
        for line in _table(result, depth, printable(name)):
            click.echo(line)
    return 0


def _release(store: Store, wanted: str | None) -> Release:
    return store.answering() if wanted is None else store.named(wanted)


def _from_file(file: TextIO, database: sqlite3.Connection) -> dict[str, list[Need]]:
    name = printable(file.name)
    try:
        needs = needs_of(file.read(), sections(database))
    except QuestionsError as problem:
        raise QuestionsFileError(f"{name}:{problem}") from problem
    except UnicodeDecodeError as problem:
        raise QuestionsFileError(f"{name} is not UTF-8: save it as UTF-8") from problem
    return {name: needs}


def _said(store: Store, database: sqlite3.Connection) -> dict[str, list[Need]]:
    events, pinned = FeedbackLogger(store.folder).iter(), pinning.load(store)
    # The release is its own base: it knows where the sections went that were named in its time.
    found = resolved(events, pinned, system_clock().now(), database, database)
    needs = said(found, {lesson.query for lesson in known_lessons(database)})
    if not needs:
        raise ConfigError(
            "there is no question to ask: pin one with crystal golden add, say which answers were good with crystal feedback, "
            "or name a file with --queries"
        )
    return needs


def _ranker(release: Release, database: sqlite3.Connection, depth: int) -> tuple[Asks | None, str | None]:
    """How the release's ranker is asked; or why it can't be."""
    trained_with = facts_of(database).get("encoder_id")
    if not trained_with:
        return (
            None,
            "the release was trained without an encoder: crystal train, once crystal train --check finds one",
        )
    if trained_with != ENCODER_ID:
        return (
            None,
            f"the release was trained with another encoder, {printable(str(trained_with))}: crystal train",
        )
    try:
        encoder = Encoder.load(locate(encoder_path(os.environ)))
    except EncoderUnavailable as problem:
        return None, str(problem)
    return asks_ranker(release, database, encoder, depth), None


def _table(result: Result, depth: int, ranker: str) -> Iterator[str]:
    needs = "" if result.needs == result.questions else f" about {result.needs} needs"
    number = f"{result.questions} question{'' if result.questions == 1 else 's'}{needs}"
    yield ""
    yield f"{KINDS.get(result.kind, result.kind)}: {number}"
    columns = ["R@1", *(["R@5"] if result.words.r5 is not None else []), f"MRR@{depth}", f"nDCG@{depth}"]
    yield f"  {'':12}" + "".join(f"{column:>9}" for column in columns) + "   no good match"
    yield _row("by words", result.words)
    if result.ranker is None or result.gain is None:
        return
    yield _row(ranker, result.ranker)
    gain = result.gain
    few = "; too few questions to be sure of anything" if result.questions < SEVERAL else ""
    yield f"  nDCG@{depth} {gain.mean:+.3f}, 95 % interval {gain.low:+.3f} to {gain.high:+.3f}{few}"


def _row(name: str, marks: Marks) -> str:
    figures = [marks.r1, *([marks.r5] if marks.r5 is not None else []), marks.mrr, marks.ndcg]
    return f"  {name:12}" + "".join(f"{figure:9.3f}" for figure in figures) + f"{marks.refused:16}"
