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
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from knowledge_platform import golden
from knowledge_platform.clock import Clock
from knowledge_platform.deployment import last_run, publish, record_run, run_id
from knowledge_platform.documents import (
    Difference,
    Earlier,
    Skipped,
    Survey,
    difference,
    refuse_mass_deletion,
)
from knowledge_platform.encoder import ENCODER_ID, Encoder, EncoderUnavailable, checked, locate
from knowledge_platform.errors import CrystalError, RefusedError, exit_code, one_line, result_of
from knowledge_platform.evaluation import Report, evaluate
from knowledge_platform.feedback import Feedback, FeedbackLogger
from knowledge_platform.index import build_index
from knowledge_platform.infra import check_space, staging_folder, training_lock
from knowledge_platform.ingest import ingest
from knowledge_platform.lessons import Resolved, resolved, store_lessons
from knowledge_platform.making import ByWords, Making
from knowledge_platform.progress import Progress
from knowledge_platform.releases import SCHEMA, Release, Store, digest, next_id
from knowledge_platform.search import opened
from knowledge_platform.settings import KEEP_RELEASES, Settings, config_hash
from knowledge_platform.text import printable
from knowledge_platform.validation import survey

# Seconds per 1,000 chunks, as measured on FastAPI's docs on two processors.
LATER = {"training": 2.0, "evaluation": 1.0, "deployment": 0.2}
SHOWN = 10  # files that can't be used, named one by one; the rest is counted, and all are in the manifest


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a training ended that ended well. `deployed` is False for a release that a pin keeps from answering.

    `embedded` passages were encoded, of `encoded` texts in all; both are None where there is no encoder, and `lexical` says why.
    """

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
    lexical: str | None
    embedded: int | None = None
    encoded: int | None = None


@dataclass(frozen=True, slots=True)
class _Base:
    """The release that this training goes on from, if there is a sound one."""

    release: Release
    manifest: dict[str, Any]
    alike: bool

    @property
    def database(self) -> Path:
        return self.release.folder / "chunks.sqlite"


@dataclass(frozen=True, slots=True)
class _Means:
    """What the training encodes with: the encoder's file, or why there is none."""

    encoder: Path | None
    problem: str | None

    @property
    def encoder_id(self) -> str | None:
        return ENCODER_ID if self.encoder else None


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
    means = _means(settings, progress)
    base = _base(store, means, progress)
    progress.end(
        f"{printable(str(store.folder))}, {free // 2**20} MiB free, {means.encoder_id or 'no encoder'}"
    )

    progress.begin("validation")
    alike = base is not None and base.alike and not settings.full
    earlier = Earlier.of(base.manifest if base else None, alike=alike)
    surveyed = survey(settings.roots, earlier, progress)
    changes = difference(surveyed.documents, earlier)
    events = list(FeedbackLogger(store.folder).iter())
    pinned = golden.load(store)
    progress.end(f"{surveyed}, {changes}")
    _tell(surveyed.notes(), progress)
    _refuse_losses(surveyed, earlier, settings)

    def outcome(found: Survey, **ending: Any) -> Outcome:
        return Outcome(
            **ending,
            pinned=store.pinned(),
            files=len(found.documents),
            changes=changes,
            skipped=found.skipped,
            stale=found.stale_json(),
            seconds=round(clock.elapsed() - began, 3),
            phases=progress.seconds,
            lexical=means.problem,
        )

    if base and alike and not changes and base.manifest["feedback_events"] == len(events):
        answers = store.pinned() in (None, base.release.id)
        made = {"release": base.release.id, "deployed": answers, "chunks": base.manifest["chunks"]}
        return outcome(surveyed, result="up-to-date", report=None, **made)

    with contextlib.ExitStack() as stack:
        staging = stack.enter_context(staging_folder(store, release_id))
        database = stack.enter_context(contextlib.closing(_database(staging / "chunks.sqlite")))
        before = stack.enter_context(_deployed(store))

        progress.begin("ingest")
        source = base.database if base else None
        ingested = ingest(database, surveyed, settings.roots, earlier, progress, base=source, alike=alike)
        told = set(surveyed.notes())
        _tell([note for note in ingested.survey.notes() if note not in told], progress)
        _refuse_losses(ingested.survey, earlier, settings)
        if not ingested.chunks:
            raise RefusedError("the documents have no text in them. The deployed release goes on answering")
        build_index(database, progress)
        said = _said(base, database, events, pinned, clock)
        store_lessons(database, said)
        _tell_said(said, progress)
        progress.foresee(_foreseen(store, ingested.chunks))
        making = stack.enter_context(_making(store, means, database, said, before, progress))
        encoded = making.prepare()
        progress.end(
            f"{ingested.chunks} chunks, {ingested.copied_files} files as in the release before{encoded}"
        )

        progress.begin("training")
        progress.end(making.train())

        progress.begin("evaluation")
        report = making.judge(evaluate(database, before[1] if before else None, progress))
        progress.end(str(report))

        progress.begin("deployment")
        _write_json(staging / "report.json", report.as_json())
        files = ["chunks.sqlite", "report.json", *making.save(staging)]
        database.close()
        manifest = {
            "schema": SCHEMA,
            "id": release_id,
            "created_at": clock.now().isoformat(timespec="seconds"),
            "parent": base.release.id if base else None,
            "encoder_id": means.encoder_id,
            "config_sha256": config_hash(means.encoder_id),
            "roots": [str(root) for root in settings.roots],
            "feedback_events": len(events),
            "chunks": ingested.chunks,
            "documents": ingested.survey.documents_json(),
            "skipped": ingested.survey.skipped_json(),
            "uncut": dict(ingested.survey.uncut),
            "files": {name: digest(staging / name) for name in files},
        }
        _write_json(staging / "manifest.json", manifest)
        with _undisturbed():
            release, answers = publish(store, staging, release_id, report.smoke, making.answers)
            store.prune(KEEP_RELEASES)
        progress.end(
            f"{release.id} answers"
            if answers
            else f"{release.id} is built, {store.pinned()} is pinned and answers"
        )

    return outcome(
        ingested.survey,
        result="succeeded",
        release=release.id,
        deployed=answers,
        chunks=ingested.chunks,
        report=report,
        embedded=making.embedded,
        encoded=making.encoded,
    )


def _means(settings: Settings, progress: Progress) -> _Means:
    """The encoder, if it is there and is the right one; else words must do, which is said, or refused.

    Raises:
        EncoderUnavailable: `require_dense` was given.
    """
    try:
        path = locate(settings.encoder)
        checked(path)
    except EncoderUnavailable as problem:
        if settings.require_dense:
            raise
        progress.note(f"by words only: {problem}")
        return _Means(None, str(problem))
    return _Means(path, None)


def _base(store: Store, means: _Means, progress: Progress) -> _Base | None:
    release = store.newest() if store.pinned() else store.current()
    if release is None:
        return None
    if not release.intact():
        progress.note(f"release {release.id} is damaged: everything is made anew")
        return None
    manifest = release.manifest()
    return _Base(release, manifest, alike=manifest["config_sha256"] == config_hash(means.encoder_id))


def _said(
    base: _Base | None,
    database: sqlite3.Connection,
    events: Sequence[Feedback],
    pinned: Sequence[golden.Golden],
    clock: Clock,
) -> Resolved:
    """What people said, related to the new sections."""
    if base is None:
        return resolved(events, pinned, clock.now(), database, None)
    with contextlib.closing(opened(base.release)) as earlier:
        return resolved(events, pinned, clock.now(), database, earlier)


def _tell_said(said: Resolved, progress: Progress) -> None:
    _tell(
        [f"feedback: section {name} is gone, what was said of it is kept in mind" for name in said.gone],
        progress,
    )
    _tell([f"feedback: section {then} is now {now}" for then, now in said.moved.items()], progress)
    _tell(
        [f"golden query: its section is gone, it decides nothing: {printable(one.query)}" for one, at in said.golden if at is None],
        progress,
    )  # fmt: skip


@contextlib.contextmanager
def _making(
    store: Store,
    means: _Means,
    database: sqlite3.Connection,
    said: Resolved,
    before: tuple[Release, sqlite3.Connection] | None,
    progress: Progress,
) -> Iterator[Making]:
    if means.encoder is None:
        yield ByWords(database, said)
        return
    from knowledge_platform.meaning import ByMeaning  # noqa: PLC0415 - it needs numpy, which is there if there is an encoder

    cache = store.folder / "cache"
    with ByMeaning.kept(cache, Encoder.load(means.encoder), database, said, before, progress) as made:
        yield made


def _foreseen(store: Store, chunks: int) -> dict[str, float]:
    """What the phases after ingest took the last time, in seconds; else what they took elsewhere, by the size of the docs."""
    last = last_run(store, "succeeded")
    if last is not None and all(phase in last["phases"] for phase in LATER):
        return {phase: float(last["phases"][phase]) for phase in LATER}
    return {phase: seconds * chunks / 1000 for phase, seconds in LATER.items()}


def _database(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path.absolute().as_uri(), uri=True)
    # The file is synced once, when it is whole; until then nobody but us reads it.
    database.executescript(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;"
    )
    return database


@contextlib.contextmanager
def _deployed(store: Store) -> Iterator[tuple[Release, sqlite3.Connection] | None]:
    current = store.current()
    if current is None or not current.intact():
        yield None
        return
    with contextlib.closing(opened(current)) as database:
        yield current, database


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


def _record(store: Store, name: str, record: dict[str, object], progress: Progress) -> None:
    try:
        record_run(store, name, record)
    except OSError as error:
        progress.note(f"the record of this run can't be kept: {one_line(error)}")
