"""`crystal status`, `releases`, `rollback`, `unpin`: which release answers, and which one shall."""

import json
import os
from typing import Any

import click

from knowledge_platform.commands import Verbatim, print_json, reading, store_here
from knowledge_platform.errors import CrystalError, one_line
from knowledge_platform.feedback import golden as pinning
from knowledge_platform.feedback.lessons import known_lessons
from knowledge_platform.feedback.log import FeedbackLogger
from knowledge_platform.gate.reports import quality, report_of
from knowledge_platform.meaning.encoder import ENCODER_ID, EncoderUnavailable, checked, locate
from knowledge_platform.settings import encoder_path
from knowledge_platform.store.infra import training_pid
from knowledge_platform.store.releases import Release, Store
from knowledge_platform.text import printable


@click.command(
    cls=Verbatim,
    epilog="""
Examples:
  crystal status
  crystal status --json
""",
)
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
def status(*, as_json: bool) -> int:
    """Show what answers, and how training goes.

    The release that answers, the training that runs, and how the last one ended.
    """
    store = store_here()
    current = store.current()
    facts: dict[str, Any] = {
        "store": str(store.folder),
        "release": _release_json(store, current) if current else None,
        "pinned": store.pinned(),
        "encoder": _encoder(),
        "feedback": sum(1 for _ in FeedbackLogger(store.folder).iter()),
        "golden": _golden(store),
        "training_pid": training_pid(store),
        "last_run": _last_run(store),
    }
    if as_json:
        print_json(facts)
        return 0
    click.echo(f"store       {printable(facts['store'])}")
    click.echo(
        f"release     {_release_line(facts['release']) if current else 'none yet: run crystal train --docs DIR'}"
    )
    if facts["pinned"]:
        click.echo(f"pinned      {facts['pinned']}: trainings don't replace it until crystal unpin")
    if current and "error" in facts["release"]:
        click.echo(f"damaged     {printable(facts['release']['error'])}")
    elif current:
        _show_release(facts["release"])
    click.echo(f"encoder     {_encoder_line(facts['encoder'])}")
    click.echo(f"feedback    {_taught(facts)}")
    click.echo(f"golden      {_pinned_queries(facts['golden'])}")
    if facts["training_pid"]:
        click.echo(f"training    running, pid {facts['training_pid']}")
    if run := facts["last_run"]:
        click.echo(f"last run    {_run_line(run)}")
    return 0


@click.command(
    cls=Verbatim,
    epilog="""
Examples:
  crystal releases
  crystal releases --json
""",
)
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
def releases(*, as_json: bool) -> int:
    """List the releases that are kept.

    Newest first, with the ranker that was taken, its quality, and their marks: current, previous, pinned. `crystal report` says more.
    """
    store = store_here()
    listed = [_release_json(store, release) for release in reversed(store.all())]
    if as_json:
        print_json(listed)
    else:
        for facts in listed:
            click.echo(_release_line(facts))
            if "error" in facts:
                click.echo(f"    {printable(facts['error'])}")
            else:
                click.echo(f"    {_ranker_line(facts)}")
        if not listed:
            click.echo("no release yet: run crystal train --docs DIR")
    return 0


@click.command(
    cls=Verbatim,
    epilog="""
Examples:
  crystal rollback                              # to the release before
  crystal rollback 20261123T200512Z-1a2b3c4d    # to this one; its beginning will do
""",
)
@click.argument("release", required=False)
def rollback(release: str | None) -> int:
    """Let an older release answer, and pin it.

    Trainings don't undo it until `crystal unpin`. It doesn't wait for a training that is running.
    """
    target = store_here().roll_back(release)
    click.echo(f"{target.id} answers, and is pinned: trainings don't replace it until crystal unpin")
    return 0


@click.command(
    cls=Verbatim,
    epilog="""
Examples:
  crystal unpin
""",
)
def unpin() -> int:
    """Let the newest release answer again.

    Further trainings deploy theirs.
    """
    newest = store_here().unpin()
    click.echo(f"{newest.id} answers, nothing is pinned" if newest else "nothing was pinned")
    return 0


def _release_json(store: Store, release: Release) -> dict[str, Any]:
    try:
        facts = _made_of(release)
    except (CrystalError, OSError) as problem:
        return {"id": release.id, "error": one_line(problem)}
    except (KeyError, TypeError) as problem:
        return {"id": release.id, "error": f"its manifest is damaged: {one_line(problem)}"}
    current, previous = store.current(), store.previous()
    return {
        **facts,
        **_measured(release),
        "current": current is not None and current.id == release.id,
        "previous": previous is not None and previous.id == release.id,
        "pinned": store.pinned() == release.id,
    }


def _made_of(release: Release) -> dict[str, Any]:
    manifest = release.manifest()
    with reading(release) as database:
        lessons = len(known_lessons(database))
    return {
        "id": release.id,
        "created_at": manifest["created_at"],
        "files": len(manifest["documents"]),
        "chunks": manifest["chunks"],
        "skipped": len(manifest["skipped"]),
        "bytes": release.size(),
        "roots": list(manifest["roots"]),
        "encoder_id": manifest["encoder_id"],
        "lessons": lessons,
    }


def _measured(release: Release) -> dict[str, str | None]:
    """The ranker and its quality; a release whose report is damaged may answer all the same."""
    try:
        report = report_of(release)
    except CrystalError:
        return {"ranker": None, "quality": None}
    return {"ranker": report.ranker, "quality": quality(report)}


def _release_line(facts: dict[str, Any]) -> str:
    if "error" in facts:
        return f"{facts['id']}  damaged"
    marks = " ".join(mark for mark in ("current", "previous", "pinned") if facts[mark])
    return f"{facts['id']}  {facts['created_at']}  {facts['files']} files, {facts['chunks']} chunks  {marks}".rstrip()


def _ranker_line(facts: dict[str, Any]) -> str:
    """Which ranker answers, and how good it is."""
    if facts["ranker"] is None:
        return "its report is damaged: crystal report says how"
    return ": ".join(printable(part) for part in (facts["ranker"], facts["quality"]) if part)


def _show_release(facts: dict[str, Any]) -> None:
    click.echo(f"docs        {', '.join(printable(root) for root in facts['roots'])}")
    click.echo(f"ranker      {_ranker_line(facts)}")


def _encoder() -> dict[str, Any]:
    """Whether questions can be asked by meaning. It reads the file's digest and loads no library: `train --check` does."""
    try:
        path = locate(encoder_path(os.environ))
        checked(path)
    except EncoderUnavailable as problem:
        return {"id": None, "path": None, "problem": str(problem)}
    return {"id": ENCODER_ID, "path": str(path), "problem": None}


def _encoder_line(encoder: dict[str, Any]) -> str:
    if encoder["problem"] is not None:
        return printable(f"none, so answers go by words only: {encoder['problem']}")
    return printable(f"{encoder['id']}, {encoder['path']}")


def _golden(store: Store) -> dict[str, Any]:
    """How many queries are pinned; or what is wrong with their file."""
    try:
        return {"queries": len(pinning.load(store)), "problem": None}
    except CrystalError as problem:
        return {"queries": None, "problem": one_line(problem)}


def _taught(facts: dict[str, Any]) -> str:
    release = facts["release"] or {}
    verdicts = _number(facts["feedback"], "verdict")
    if "lessons" not in release:
        return verdicts
    return f"{verdicts}; the release learned {_number(release['lessons'], 'lesson')}"


def _pinned_queries(golden: dict[str, Any]) -> str:
    return golden["problem"] or _number(golden["queries"], "query", "queries")


def _number(count: int, one: str, several: str | None = None) -> str:
    return f"{count} {one if count == 1 else several or one + 's'}"


def _last_run(store: Store) -> dict[str, Any] | None:
    """The record of the newest run; None where there is none, or it makes no sense."""
    try:
        newest = max((store.folder / "runs").glob("*.json"), default=None)
        record = json.loads(newest.read_bytes()) if newest else None
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _run_line(run: dict[str, Any]) -> str:
    seconds = run.get("seconds")
    took = f", {seconds:.1f} s" if isinstance(seconds, int | float) else ""
    ending = f", {run['error']}" if run.get("error") else ""
    return printable(f"{run.get('started_at')}: {run.get('result')} (exit {run.get('exit')}{took}{ending})")
