"""`crystal status`, `releases`, `rollback`, `unpin`: which release answers, and which one shall."""

import json
from typing import Any

import click

from knowledge_platform.commands import Verbatim, print_json, store_here
from knowledge_platform.errors import CrystalError
from knowledge_platform.infra import training_pid
from knowledge_platform.releases import Release, Store
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
    if current:
        click.echo(f"docs        {', '.join(printable(root) for root in facts['release']['roots'])}")
    if facts["training_pid"]:
        click.echo(f"training    running, pid {facts['training_pid']}")
    if run := facts["last_run"]:
        ending = f", {run['error']}" if run.get("error") else ""
        click.echo(
            f"last run    {run['started_at']}: {run['result']} (exit {run['exit']}, {run['seconds']:.1f} s{ending})"
        )
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

    Newest first, with their marks: current, previous, pinned.
    """
    store = store_here()
    listed = [_release_json(store, release) for release in reversed(store.all())]
    if as_json:
        print_json(listed)
    else:
        for facts in listed:
            click.echo(_release_line(facts))
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
        manifest = release.manifest()
    except CrystalError as problem:
        return {"id": release.id, "error": str(problem)}
    current, previous = store.current(), store.previous()
    return {
        "id": release.id,
        "created_at": manifest["created_at"],
        "files": len(manifest["documents"]),
        "chunks": manifest["chunks"],
        "skipped": len(manifest["skipped"]),
        "bytes": release.size(),
        "roots": manifest["roots"],
        "encoder_id": manifest["encoder_id"],
        "current": current is not None and current.id == release.id,
        "previous": previous is not None and previous.id == release.id,
        "pinned": store.pinned() == release.id,
    }


def _release_line(facts: dict[str, Any]) -> str:
    if "error" in facts:
        return f"{facts['id']}  damaged"
    marks = " ".join(mark for mark in ("current", "previous", "pinned") if facts[mark])
    return f"{facts['id']}  {facts['created_at']}  {facts['files']} files, {facts['chunks']} chunks  {marks}".rstrip()


def _last_run(store: Store) -> dict[str, Any] | None:
    try:
        newest = max((store.folder / "runs").glob("*.json"), default=None)
        return json.loads(newest.read_bytes()) if newest else None
    except (OSError, ValueError):
        return None
