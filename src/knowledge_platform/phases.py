"""The six phases of a training, in order: what `crystal train` does, from the lock to the release that answers.

    infra -> validation -> ingest -> training -> evaluation -> deployment

Nothing that a reader could see changes before the last phase. However the run ends, its staging folder goes, the status file says how,
and runs/ keeps the record.
"""

import contextlib
import json
import os
import signal
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from knowledge_platform.clock import Clock
from knowledge_platform.deployment import publish, record_run, run_id
from knowledge_platform.documents import (
    Difference,
    Earlier,
    Skipped,
    Survey,
    difference,
    refuse_mass_deletion,
)
from knowledge_platform.errors import CrystalError, exit_code, one_line, result_of
from knowledge_platform.evaluation import Report, evaluate
from knowledge_platform.feedback import FeedbackLogger
from knowledge_platform.infra import check_space, staging_folder, training_lock
from knowledge_platform.ingest import ingest
from knowledge_platform.progress import Progress
from knowledge_platform.releases import SCHEMA, Release, Store, digest, next_id
from knowledge_platform.search import opened
from knowledge_platform.settings import ENCODER_ID, KEEP_RELEASES, Settings, config_hash
from knowledge_platform.text import printable
from knowledge_platform.training import train_index
from knowledge_platform.validation import survey

SHOWN = 10  # files that can't be used, named one by one; the rest is counted, and all are in the manifest


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a training ended that ended well. `deployed` is False for a release that a pin keeps from answering."""

    result: Literal["succeeded", "up-to-date"]
    release: str | None
    deployed: bool
    pinned: str | None
    files: int
    chunks: int
    changes: Difference
    skipped: tuple[Skipped, ...]
    stale: list[dict[str, object]]
    report: Report | None
    seconds: float
    phases: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Base:
    """The release that this training goes on from, if there is a sound one."""

    release: Release
    manifest: dict[str, Any]
    alike: bool

    @property
    def database(self) -> Path:
        return self.release.folder / "chunks.sqlite"


def train(settings: Settings, *, progress: Progress, clock: Clock) -> Outcome:
    """Runs the six phases.

    Raises:
        CrystalError: it didn't end well; the kind says what to do about it.
        Stopped: a signal came.
    """
    store = Store(settings.store)
    store.create()
    started, began = clock.now(), clock.elapsed()
    with training_lock(store):
        release_id = next_id(started, store.newest(), os.urandom(4))
        record: dict[str, object] = {
            "schema": 1,
            "started_at": started.isoformat(timespec="seconds"),
            "release": None,
        }
        try:
            with _writing(store):
                outcome = _phases(settings, store, release_id, progress, clock)
        except BaseException as problem:
            record |= {"result": result_of(problem), "exit": exit_code(problem), "error": one_line(problem)}
            raise
        else:
            record |= {"result": outcome.result, "exit": 0, "release": outcome.release}
        finally:
            record |= {"phases": progress.seconds, "seconds": round(clock.elapsed() - began, 3)}
            _record(store, run_id(started, release_id), record, progress)
    return outcome


def _phases(settings: Settings, store: Store, release_id: str, progress: Progress, clock: Clock) -> Outcome:
    began = clock.elapsed()

    progress.begin("infra")
    for done in store.settle():
        progress.note(done)
    free, _ = check_space(store)
    base = _base(store, progress)
    progress.end(f"{printable(str(store.folder))}, {free // 2**20} MiB free")

    progress.begin("validation")
    alike = base is not None and base.alike and not settings.full
    earlier = Earlier.of(base.manifest if base else None, alike=alike)
    surveyed = survey(settings.roots, earlier, progress)
    changes = difference(surveyed.documents, earlier)
    feedback = sum(1 for _ in FeedbackLogger(store.folder).iter())
    progress.end(f"{surveyed}, {changes}")
    _tell(surveyed.notes(), progress)
    _refuse_losses(surveyed, earlier, settings)

    if base and alike and not changes and base.manifest["feedback_events"] == feedback:
        return Outcome(
            result="up-to-date",
            release=base.release.id,
            deployed=store.pinned() in (None, base.release.id),
            pinned=store.pinned(),
            files=len(surveyed.documents),
            chunks=base.manifest["chunks"],
            changes=changes,
            skipped=surveyed.skipped,
            stale=surveyed.stale_json(),
            report=None,
            seconds=round(clock.elapsed() - began, 3),
            phases=progress.seconds,
        )

    with staging_folder(store, release_id) as staging:
        with contextlib.closing(_database(staging / "chunks.sqlite")) as database:
            progress.begin("ingest")
            source = base.database if base else None
            ingested = ingest(database, surveyed, settings.roots, earlier, progress, base=source, alike=alike)
            told = set(surveyed.notes())
            _tell([note for note in ingested.survey.notes() if note not in told], progress)
            _refuse_losses(ingested.survey, earlier, settings)
            progress.end(f"{ingested.chunks} chunks, {ingested.copied_files} files as in the release before")

            progress.begin("training")
            train_index(database, progress)
            progress.end(f"{ingested.chunks} chunks indexed")

            progress.begin("evaluation")
            with _deployed(store) as deployed:
                report = evaluate(database, deployed, progress)
            progress.end(str(report))

        progress.begin("deployment")
        _write_json(staging / "report.json", report.as_json())
        manifest = {
            "schema": SCHEMA,
            "id": release_id,
            "created_at": clock.now().isoformat(timespec="seconds"),
            "parent": base.release.id if base else None,
            "encoder_id": ENCODER_ID,
            "config_sha256": config_hash(),
            "roots": [str(root) for root in settings.roots],
            "feedback_events": feedback,
            "chunks": ingested.chunks,
            "documents": ingested.survey.documents_json(),
            "skipped": ingested.survey.skipped_json(),
            "uncut": dict(ingested.survey.uncut),
            "files": {name: digest(staging / name) for name in ("chunks.sqlite", "report.json")},
        }
        _write_json(staging / "manifest.json", manifest)
        with _undisturbed():
            release, answers = publish(store, staging, release_id, report.smoke)
            store.prune(KEEP_RELEASES)
        progress.end(
            f"{release.id} answers"
            if answers
            else f"{release.id} is built, {store.pinned()} is pinned and answers"
        )

    return Outcome(
        result="succeeded",
        release=release.id,
        deployed=answers,
        pinned=store.pinned(),
        files=len(ingested.survey.documents),
        chunks=ingested.chunks,
        changes=changes,
        skipped=ingested.survey.skipped,
        stale=ingested.survey.stale_json(),
        report=report,
        seconds=round(clock.elapsed() - began, 3),
        phases=progress.seconds,
    )


def _base(store: Store, progress: Progress) -> _Base | None:
    release = store.newest() if store.pinned() else store.current()
    if release is None:
        return None
    if not release.intact():
        progress.note(f"release {release.id} is damaged: everything is made anew")
        return None
    manifest = release.manifest()
    return _Base(release, manifest, alike=manifest["config_sha256"] == config_hash())


def _database(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path.absolute().as_uri(), uri=True)
    # The file is synced once, when it is whole; until then nobody but us reads it.
    database.executescript(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;"
    )
    return database


@contextlib.contextmanager
def _deployed(store: Store) -> Iterator[sqlite3.Connection | None]:
    current = store.current()
    if current is None or not current.intact():
        yield None
        return
    with contextlib.closing(opened(current)) as database:
        yield database


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1) + "\n")


def _refuse_losses(surveyed: Survey, earlier: Earlier, settings: Settings) -> None:
    """Asked again after ingest: a mount may go between two phases."""
    if not settings.allow_mass_delete:
        refuse_mass_deletion(difference(surveyed.documents, earlier))


def _tell(notes: Sequence[str], progress: Progress) -> None:
    for note in notes[:SHOWN]:
        progress.note(note)
    if len(notes) > SHOWN:
        progress.note(f"and {len(notes) - SHOWN} more: see skipped and stale in the release's manifest.json")


@contextlib.contextmanager
def _writing(store: Store) -> Iterator[None]:
    """Says where and what to do when the disk says no; each phase up to the swap may meet a full one."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise CrystalError(
            f"the training could not write or read below {printable(str(store.folder))}: {one_line(error)}. "
            "What was deployed goes on answering; make room there, or set CRYSTAL_STORE"
        ) from error


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """A signal that asks to stop is heard before a deployment or after it, never within."""
    stopping = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, stopping)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _record(store: Store, name: str, record: dict[str, object], progress: Progress) -> None:
    try:
        record_run(store, name, record)
    except OSError as error:
        progress.note(f"the record of this run can't be kept: {one_line(error)}")
