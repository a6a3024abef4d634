"""Phase 6, deployment: a staged folder -> the release that answers.

    fsync every file, fsync the folder       a power cut can't tear what a link will show
    rename into releases/, fsync releases/   complete, but nobody reads it yet
    swap the link                            the one moment that counts
    ask it something                         through the link, as a user would; no answer: swap back

Killed anywhere before the swap, the release that answered goes on answering, and the next training clears up.
"""

import contextlib
import json
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from knowledge_platform.durable import sync_file, sync_folder, write_whole
from knowledge_platform.errors import CrystalError, SmokeError
from knowledge_platform.settings import KEEP_RUNS
from knowledge_platform.store.releases import Release, Store
from knowledge_platform.words.search import opened

READ_ONLY = 0o444

Probe = Callable[[Release, sqlite3.Connection, str], bool]


def publish(
    store: Store, staging: Path, release_id: str, smoke: str | None, answers: Probe
) -> tuple[Release, bool]:
    """The staged folder becomes a release and answers, unless another one is pinned: (release, whether it answers).

    `answers` asks the deployed release the question `smoke`.

    Raises:
        SmokeError: it didn't answer, and the release before it does so again.
    """
    for file in staging.iterdir():
        file.chmod(READ_ONLY)
        sync_file(file)
    sync_folder(staging)
    release = Release(store.releases / release_id)
    with store.swapping():
        staging.rename(release.folder)
        sync_folder(store.releases)
        if store.pinned() is not None:
            return release, False
        before = store.current()
        store.swap(release)
        try:
            _ask_something(store, release, smoke, answers)
        except CrystalError as problem:
            store.withdraw(release, before)
            again = f"{before.id} answers again" if before else "nothing is deployed"
            raise SmokeError(
                f"release {release_id} was taken back, it doesn't answer: {problem}. {again}; try crystal train --full"
            ) from problem
    return release, True


def record_run(store: Store, run_id: str, record: dict[str, object]) -> None:
    """Keeps what a run did: its phases' seconds, its end."""
    folder = store.folder / "runs"
    write_whole(folder / f"{run_id}.json", json.dumps(record, indent=1).encode() + b"\n")
    for old in sorted(folder.glob("*.json"))[:-KEEP_RUNS]:
        old.unlink(missing_ok=True)


def last_run(store: Store, result: str | None = None) -> dict[str, Any] | None:
    """The record of the last run, or of the last that ended so; None where there is none that can be read."""
    for path in sorted((store.folder / "runs").glob("*.json"), reverse=True):
        with contextlib.suppress(OSError, ValueError):
            record = json.loads(path.read_bytes())
            if isinstance(record, dict) and (result is None or record.get("result") == result):
                return record
    return None


def run_id(started: datetime, release_id: str) -> str:
    """Runs are named by when they began, to the microsecond so that they sort, with the tail of the release that they may make."""
    return f"{started.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}-{release_id.rpartition('-')[2]}"


def _ask_something(store: Store, release: Release, smoke: str | None, answers: Probe) -> None:
    answering = store.answering()
    if answering.id != release.id:
        raise CrystalError(f"the link shows {answering.id}")
    if not answering.intact():
        raise CrystalError("its files are not the ones that were staged")
    with contextlib.closing(opened(answering)) as database:
        if smoke is not None and not answers(answering, database, smoke):
            raise CrystalError(f"no passage for {smoke!r}")


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """A signal that asks to stop is heard before a deployment or after it, never within.

    Handlers are put off, not blocked: the kernel gives a signal to any thread that doesn't block it (signal(7)), and libraries have some.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are handled elsewhere
        return
    heard: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: heard.append(number))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if callable(signal.getsignal(number))
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if heard:
        signal.raise_signal(heard[0])
