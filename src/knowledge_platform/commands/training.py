"""`crystal train`: the words and signals of a training -> the six phases."""

import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from knowledge_platform.clock import Clock, system_clock
from knowledge_platform.commands import Verbatim, print_json
from knowledge_platform.errors import (
    BusyError,
    ConfigError,
    CrystalError,
    Stopped,
    exit_code,
    one_line,
    result_of,
)
from knowledge_platform.gate.reports import measured, quality
from knowledge_platform.meaning.encoder import ENCODER_ID, Encoder, EncoderUnavailable, locate
from knowledge_platform.progress import Bars, Lines, Progress
from knowledge_platform.settings import Settings, docs_roots, encoder_path, store_folder
from knowledge_platform.status import status_file
from knowledge_platform.store.infra import check_programs, check_space
from knowledge_platform.store.releases import Store
from knowledge_platform.text import printable

if TYPE_CHECKING:
    from knowledge_platform.run import Outcome


@click.command(
    cls=Verbatim,
    epilog="""
Examples:
  crystal train                        # docs: CRYSTAL_DOCS, else ./docs
  crystal train --docs guide --docs api
  crystal train --check                # is everything there? trains nothing

Exit codes: 0 deployed or up to date, 1 failed, 3 refused, 4 taken back after
the smoke query, 75 another training runs, 78 something is to be set up first.
""",
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
@click.option(
    "--require-dense", is_flag=True, help="Fail where there is no encoder, instead of going by words only."
)
@click.option(
    "--check", is_flag=True, help="Check programs, docs, store, disk space and encoder; train nothing."
)
@click.option(
    "--json", "as_json", is_flag=True, help="One JSON object on stdout at the end; progress goes to stderr."
)
def train(
    docs: tuple[Path, ...],
    *,
    full: bool,
    allow_mass_delete: bool,
    require_dense: bool,
    check: bool,
    as_json: bool,
) -> int:
    """Train on the docs and deploy what came of it.

    Six phases: infra, validation, ingest, training, evaluation, deployment. A file that can't be used is skipped with its reason. With
    nothing changed there is no new release.
    """
    _stop_on_signals()
    clock = system_clock()
    progress = _progress(clock)
    try:
        settings = Settings(
            store_folder(os.environ),
            docs_roots(docs, os.environ),
            full=full,
            allow_mass_delete=allow_mass_delete,
            encoder=encoder_path(os.environ),
            require_dense=require_dense,
        )
        if check:
            return _check(settings, as_json=as_json)
        check_programs()
        with _importing():
            from knowledge_platform import phases  # noqa: PLC0415 - it imports what was just checked

        outcome = phases.train(settings, progress=progress, clock=clock)
    except BaseException as problem:
        # The training that is running owns the status file; one that was turned away leaves it alone.
        if not check and not isinstance(problem, BusyError):
            progress.finish(result_of(problem), error=one_line(problem))
        if as_json:
            facts = {"exit": exit_code(problem), "error": one_line(problem)}
            print_json({"result": result_of(problem), **facts})
        raise
    message = _outcome_line(outcome)
    progress.finish(outcome.result, message=message, quality=_quality(outcome))
    if as_json:
        print_json(_outcome_json(outcome))
    else:
        if how_good := _quality(outcome):
            click.echo(f"how good: {how_good}; more: crystal report")
        click.echo(message)
    return 0


@contextmanager
def _importing() -> Iterator[None]:
    """A library may be there by its name, and lack what it imports itself. Raises ConfigError."""
    try:
        yield
    except ImportError as problem:
        raise ConfigError(
            f"a library is not whole ({problem}): pip install --force-reinstall 'training-watch[crystal]'"
        ) from problem


def _stop_on_signals() -> None:
    """SIGTERM and its like end the training through its own clean-up."""

    def stop(number: int, _: FrameType | None) -> None:
        raise Stopped(number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)


def _progress(clock: Clock) -> Progress:
    view = (
        Bars(sys.stderr)
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        else Lines(sys.stderr, clock)
    )
    return Progress(view, status_file(os.environ, clock=clock, warn=view.note), clock)


def _check(settings: Settings, *, as_json: bool) -> int:
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
        with _importing():
            import knowledge_platform.phases  # noqa: F401, PLC0415 - all that a training by words imports
        return f"markdown-it-py, SQLite {sqlite3.sqlite_version} with FTS5"

    checks: dict[str, Callable[[], str]] = {
        "programs": programs,
        "docs": docs,
        "store": writable,
        "space": space,
        "encoder": lambda: _encoder(settings),
    }
    results: dict[str, dict[str, object]] = {}
    for name, check in checks.items():
        try:
            results[name] = {"ok": True, "text": check()}
        except (CrystalError, OSError) as problem:
            results[name] = {"ok": False, "text": str(problem)}
    passed = all(result["ok"] for result in results.values())
    if as_json:
        print_json({"ok": passed, "checks": results})
    else:
        for name, result in results.items():
            click.echo(f"{'ok  ' if result['ok'] else 'FAIL'}  {name}: {printable(str(result['text']))}")
    return 0 if passed else ConfigError.exit_code


def _encoder(settings: Settings) -> str:
    """What there is to encode with, loaded once to be sure. None is no failure: there are words."""
    try:
        path = locate(settings.encoder)
        Encoder.load(path)
        with _importing():
            import knowledge_platform.by_meaning  # noqa: F401, PLC0415 - all that one by meaning imports
    except EncoderUnavailable as problem:
        if settings.require_dense:
            raise
        return f"none, so answers will go by words only: {problem}"
    return f"{ENCODER_ID}, {path}, its sha256 is right"


def _outcome_json(outcome: "Outcome") -> dict[str, Any]:
    shown = {field.name: getattr(outcome, field.name) for field in fields(outcome)}
    return shown | {
        "changes": asdict(outcome.changes),
        "skipped": [asdict(one) | {"root": str(one.root)} for one in outcome.skipped],
        "report": outcome.report and outcome.report.as_json(),
    }


def _quality(outcome: "Outcome") -> str | None:
    return None if outcome.report is None else quality(measured(outcome.report.as_json()))


def _outcome_line(outcome: "Outcome") -> str:
    made = f"{outcome.files} files, {outcome.chunks} chunks, {outcome.seconds:.1f} s"
    words = "" if outcome.lexical is None else ", by words only (crystal train --check says why)"
    if not outcome.deployed:
        how = "made, but not deployed" if outcome.report else "up to date, but not deployed"
        pin = f"{outcome.pinned} is pinned and answers until crystal unpin"
        return f"{how}: release {outcome.release}, {made}; {pin}{words}"
    if outcome.report is None:
        return f"up to date: release {outcome.release}, {made}{words}"
    # What a shell would take for its own goes: the line is there to be copied.
    example = " ".join(
        printable(outcome.report.smoke or "…").translate(str.maketrans('"$`\\', "    ")).split()
    )
    return f'deployed {outcome.release}: {made}{words}. Try: crystal ask "{example}"'
