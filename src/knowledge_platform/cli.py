"""`crystal`: words on the command line -> calls. The clock, the environment and the exit codes enter here and nowhere else."""

import json
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import click

from knowledge_platform.clock import Clock, system_clock
from knowledge_platform.errors import (
    BusyError,
    ConfigError,
    CrystalError,
    Stopped,
    exit_code,
    one_line,
    result_of,
)
from knowledge_platform.settings import Settings, docs_roots, store_folder
from knowledge_platform.text import printable

if TYPE_CHECKING:
    from knowledge_platform.phases import Outcome
    from knowledge_platform.progress import Progress
    from knowledge_platform.releases import Release, Store


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


@click.group(
    cls=VerbatimGroup,
    epilog="""
Examples:
  crystal train --docs ~/project/docs
  crystal ask "how do I rotate the logs?"
  crystal status

The model is kept in ~/.local/share/crystal; CRYSTAL_STORE moves it.
""",
)
@click.version_option(package_name="training-watch", prog_name="crystal")
def crystal() -> None:
    """Train a model on a folder of Markdown, and ask it."""


@crystal.command(
    epilog="""
Examples:
  crystal train                        # docs: CRYSTAL_DOCS, else ./docs
  crystal train --docs guide --docs api
  crystal train --check                # is everything there? trains nothing

Exit codes: 0 deployed or up to date, 1 failed, 3 refused, 4 taken back after
the smoke query, 75 another training runs, 78 something is to be set up first.
"""
)
@click.option(
    "--docs",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="A docs folder; may be repeated.",
)
@click.option("--full", is_flag=True, help="Make everything anew, even when nothing changed.")
@click.option(
    "--allow-mass-delete", is_flag=True, help="Go on when more than 30 % of the deployed files are gone."
)
@click.option("--check", is_flag=True, help="Check programs, docs, store and disk space; train nothing.")
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object on stdout at the end; progress goes to stderr."
)
def train(docs: tuple[Path, ...], *, full: bool, allow_mass_delete: bool, check: bool, as_json: bool) -> int:
    """Train on the docs and deploy what came of it.

    Six phases: infra, validation, ingest, training, evaluation, deployment. A file that can't be used is skipped with its reason. With
    nothing changed there is no new release.
    """
    from knowledge_platform.infra import check_programs  # noqa: PLC0415 - `ask` must not wait for it

    _stop_on_signals()
    clock = system_clock()
    progress = _progress(clock)
    try:
        settings = Settings(
            store_folder(os.environ),
            docs_roots(docs, os.environ),
            full=full,
            allow_mass_delete=allow_mass_delete,
        )
        if check:
            return _check(settings, as_json=as_json)
        check_programs()
        from knowledge_platform import phases  # noqa: PLC0415 - it imports what was just checked

        outcome = phases.train(settings, progress=progress, clock=clock)
    except BaseException as problem:
        # The training that is running owns the status file; one that was turned away leaves it alone.
        if not check and not isinstance(problem, BusyError):
            progress.finish(result_of(problem), error=one_line(problem))
        if as_json:
            facts = {"exit": exit_code(problem), "error": one_line(problem)}
            _print_json({"result": result_of(problem), **facts})
        raise
    message = _outcome_line(outcome)
    progress.finish(outcome.result, message=message)
    if as_json:
        _print_json(_outcome_json(outcome))
    else:
        click.echo(message)
    return 0


@crystal.command(
    epilog="""
Examples:
  crystal ask "how do I rotate the logs?"
  crystal ask -k 1 --json "where is the marker kept?"

Prints path:start-end for each passage, or "no good match". Exit codes: 0 asked
(whether or not something matched), 1 failed, 78 no model yet.
"""
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
    from knowledge_platform import ask as asking  # noqa: PLC0415 - each command imports what it needs

    answer = asking.ask(_store(), question, count)
    if as_json:
        _print_json(answer.as_json())
    else:
        for line in asking.shown(answer, Path.cwd()):
            click.echo(line)
    return 0


@crystal.command(
    epilog="""
Examples:
  crystal status
  crystal status --json
"""
)
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
def status(*, as_json: bool) -> int:
    """Show what answers, and how training goes.

    The release that answers, the training that runs, and how the last one ended.
    """
    from knowledge_platform.infra import training_pid  # noqa: PLC0415

    store = _store()
    current = store.current()
    facts: dict[str, Any] = {
        "store": str(store.folder),
        "release": _release_json(store, current) if current else None,
        "pinned": store.pinned(),
        "training_pid": training_pid(store),
        "last_run": _last_run(store),
    }
    if as_json:
        _print_json(facts)
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


@crystal.command(
    epilog="""
Examples:
  crystal releases
  crystal releases --json
"""
)
@click.option("--json", "as_json", is_flag=True, help="The same as JSON.")
def releases(*, as_json: bool) -> int:
    """List the releases that are kept.

    Newest first, with their marks: current, previous, pinned.
    """
    store = _store()
    listed = [_release_json(store, release) for release in reversed(store.all())]
    if as_json:
        _print_json(listed)
    else:
        for facts in listed:
            click.echo(_release_line(facts))
        if not listed:
            click.echo("no release yet: run crystal train --docs DIR")
    return 0


@crystal.command(
    epilog="""
Examples:
  crystal rollback                              # to the release before
  crystal rollback 20261123T200512Z-1a2b3c4d    # to this one; its beginning will do
"""
)
@click.argument("release", required=False)
def rollback(release: str | None) -> int:
    """Let an older release answer, and pin it.

    Trainings don't undo it until `crystal unpin`. It doesn't wait for a training that is running.
    """
    target = _store().roll_back(release)
    click.echo(f"{target.id} answers, and is pinned: trainings don't replace it until crystal unpin")
    return 0


@crystal.command(
    epilog="""
Examples:
  crystal unpin
"""
)
def unpin() -> int:
    """Let the newest release answer again.

    Further trainings deploy theirs.
    """
    newest = _store().unpin()
    click.echo(f"{newest.id} answers, nothing is pinned" if newest else "nothing was pinned")
    return 0


def main() -> NoReturn:
    """The program: runs a command, says in one line what went wrong, and exits with its code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = crystal.main(standalone_mode=False)
    except click.exceptions.Abort:
        code = 130
    except click.ClickException as problem:
        problem.show()
        code = problem.exit_code
    except (CrystalError, Stopped) as problem:
        code = _complain(problem, problem.exit_code)
    except (OSError, sqlite3.Error) as problem:
        code = _complain(problem, 1)
    sys.exit(code)


def _complain(problem: BaseException, code: int) -> int:
    click.echo(f"crystal: {one_line(problem)}", err=True)
    return code


def _stop_on_signals() -> None:
    """SIGTERM and its like end the training through its own clean-up."""

    def stop(number: int, _: FrameType | None) -> None:
        raise Stopped(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)


def _progress(clock: Clock) -> "Progress":
    from knowledge_platform.progress import Bars, Lines, Progress  # noqa: PLC0415
    from knowledge_platform.status import status_file  # noqa: PLC0415

    view = (
        Bars(sys.stderr)
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        else Lines(sys.stderr, clock)
    )
    return Progress(view, status_file(os.environ, clock=clock, warn=view.note), clock)


def _check(settings: Settings, *, as_json: bool) -> int:
    from knowledge_platform.infra import check_programs, check_space  # noqa: PLC0415
    from knowledge_platform.releases import Store  # noqa: PLC0415

    store = Store(settings.store)

    def space() -> str:
        free, needed = check_space(store)
        return f"{free // 2**20} MiB free, {needed // 2**20} MiB needed"

    def docs() -> str:
        for root in settings.roots:
            os.listdir(root)
        return ", ".join(str(root) for root in settings.roots)

    def writable() -> str:
        store.create()
        return str(store.folder)

    def programs() -> str:
        check_programs()
        return f"markdown-it-py, SQLite {sqlite3.sqlite_version} with FTS5"

    checks: dict[str, Callable[[], str]] = {
        "programs": programs,
        "docs": docs,
        "store": writable,
        "space": space,
    }
    results: dict[str, dict[str, object]] = {}
    for name, check in checks.items():
        try:
            results[name] = {"ok": True, "text": check()}
        except (CrystalError, OSError) as problem:
            results[name] = {"ok": False, "text": str(problem)}
    passed = all(result["ok"] for result in results.values())
    if as_json:
        _print_json({"ok": passed, "checks": results})
    else:
        for name, result in results.items():
            click.echo(f"{'ok  ' if result['ok'] else 'FAIL'}  {name}: {printable(str(result['text']))}")
    return 0 if passed else ConfigError.exit_code


def _outcome_json(outcome: "Outcome") -> dict[str, Any]:
    from dataclasses import asdict  # noqa: PLC0415

    return asdict(outcome) | {"skipped": [asdict(one) | {"root": str(one.root)} for one in outcome.skipped]}


def _outcome_line(outcome: "Outcome") -> str:
    made = f"{outcome.files} files, {outcome.chunks} chunks, {outcome.seconds:.1f} s"
    if not outcome.deployed:
        pin = f"{outcome.pinned} is pinned and answers until crystal unpin"
        return f"{'built' if outcome.report else 'up to date:'} {outcome.release}: {made}; {pin}"
    if outcome.report is None:
        return f"up to date: release {outcome.release}, {made}"
    example = printable(outcome.report.smoke or "…").translate(str.maketrans('"$`\\', "'   "))
    return f'deployed {outcome.release}: {made}. Try: crystal ask "{example}"'


def _store() -> "Store":
    from knowledge_platform.releases import Store  # noqa: PLC0415

    return Store(store_folder(os.environ))


def _release_json(store: "Store", release: "Release") -> dict[str, Any]:
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


def _last_run(store: "Store") -> dict[str, Any] | None:
    try:
        newest = max((store.folder / "runs").glob("*.json"), default=None)
        return json.loads(newest.read_bytes()) if newest else None
    except (OSError, ValueError):
        return None


def _print_json(value: object) -> None:
    click.echo(json.dumps(value, indent=1))
