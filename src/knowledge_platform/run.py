"""The six phases of a training, in order, each a method of one run.

infra -> validation -> ingest -> training -> evaluation -> deployment
"""

import contextlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from knowledge_platform.clock import Clock
from knowledge_platform.deployment import last_run, publish, undisturbed
from knowledge_platform.documents.document import (
    Difference,
    Earlier,
    Skipped,
    Survey,
    difference,
    refuse_mass_deletion,
)
from knowledge_platform.documents.ingest import Ingested, ingest
from knowledge_platform.documents.validation import survey
from knowledge_platform.errors import RefusedError
from knowledge_platform.feedback import golden
from knowledge_platform.feedback.lessons import Resolved, resolved, store_lessons
from knowledge_platform.feedback.log import Feedback, FeedbackLogger
from knowledge_platform.gate.evaluation import Report, evaluate
from knowledge_platform.making import ByWords, Making
from knowledge_platform.meaning.encoder import ENCODER_ID, Encoder, EncoderUnavailable, checked, locate
from knowledge_platform.progress import Progress
from knowledge_platform.settings import KEEP_RELEASES, Settings, config_hash
from knowledge_platform.store.infra import check_space, staging_folder
from knowledge_platform.store.releases import SCHEMA, Release, Store, digest
from knowledge_platform.text import printable
from knowledge_platform.words.index import build_index
from knowledge_platform.words.search import opened

# Seconds per 1,000 chunks, as measured on FastAPI's docs on two processors.
LATER = {"training": 2.0, "evaluation": 1.0, "deployment": 0.2}
SHOWN = 10  # files that can't be used, named one by one; the rest is counted, and all are in the manifest

Before = tuple[Release, sqlite3.Connection]


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
class Base:
    """The release that a training goes on from, if there is a sound one; `alike`: it was made as releases are made now."""

    release: Release
    manifest: dict[str, Any]
    alike: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What validation found: the documents, what people said, and how far that is from the base release."""

    earlier: Earlier
    alike: bool
    survey: Survey
    changes: Difference
    events: Sequence[Feedback]
    golden: Sequence[golden.Golden]


class Run:
    """One training. Its steps come in their order, each once."""

    def __init__(
        self, settings: Settings, store: Store, release_id: str, progress: Progress, clock: Clock
    ) -> None:
        self._settings, self._store, self._id = settings, store, release_id
        self._progress, self._clock = progress, clock
        self._began = clock.elapsed()
        self._encoder: Path | None = None
        self._lexical: str | None = None

    def outcome(self) -> Outcome:
        """Runs the phases.

        Raises:
            CrystalError: one of them failed, or refused.
        """
        base = self._infra()
        found = self._validation(base)
        if (
            base
            and found.alike
            and not found.changes
            and base.manifest["feedback_events"] == len(found.events)
        ):
            return self._up_to_date(base, found)
        with contextlib.ExitStack() as stack:
            staging = stack.enter_context(staging_folder(self._store, self._id))
            database = stack.enter_context(contextlib.closing(_database(staging / "chunks.sqlite")))
            before = stack.enter_context(_deployed(self._store))
            ingested, said = self._ingest(base, found, database)
            making = stack.enter_context(self._making(database, said, before))
            self._encode(making, ingested)
            self._training(making)
            report = self._evaluation(making, database, before)
            release, answers = self._deployment(staging, base, found, ingested, database, making, report)
        return self._ended(
            ingested.survey,
            found.changes,
            result="succeeded",
            release=release.id,
            deployed=answers,
            chunks=ingested.chunks,
            report=report,
            embedded=making.embedded,
            encoded=making.encoded,
        )

    def _infra(self) -> Base | None:
        store, progress = self._store, self._progress
        progress.begin("infra")
        for done in store.settle():
            progress.note(done)
        free, _ = check_space(store)
        self._find_encoder()
        base = self._base()
        where = f"{printable(str(store.folder))}, {free // 2**20} MiB free"
        progress.end(f"{where}, {self._encoder_id or 'no encoder'}")
        return base

    def _validation(self, base: Base | None) -> Found:
        self._progress.begin("validation")
        alike = base is not None and base.alike and not self._settings.full
        earlier = Earlier.of(base.manifest if base else None, alike=alike)
        surveyed = survey(self._settings.roots, earlier, self._progress)
        changes = difference(surveyed.documents, earlier)
        events = list(FeedbackLogger(self._store.folder).iter())
        pinned = golden.load(self._store)
        self._progress.end(f"{surveyed}, {changes}")
        self._tell(surveyed.notes())
        self._refuse_losses(surveyed, earlier)
        return Found(earlier, alike, surveyed, changes, events, pinned)

    def _ingest(
        self, base: Base | None, found: Found, database: sqlite3.Connection
    ) -> tuple[Ingested, Resolved]:
        progress = self._progress
        progress.begin("ingest")
        source = base.release.folder / "chunks.sqlite" if base else None
        ingested = ingest(
            database,
            found.survey,
            self._settings.roots,
            found.earlier,
            progress,
            base=source,
            alike=found.alike,
        )
        told = set(found.survey.notes())
        self._tell([note for note in ingested.survey.notes() if note not in told])
        # Asked again: a mount may go between two phases.
        self._refuse_losses(ingested.survey, found.earlier)
        if not ingested.chunks:
            where = ", ".join(printable(str(root)) for root in self._settings.roots)
            raise RefusedError(
                f"the documents in {where} have no text in them: name another folder with --docs. "
                "The deployed release goes on answering"
            )
        build_index(database, progress)
        said = self._said(base, found, database)
        store_lessons(database, said)
        return ingested, said

    def _encode(self, making: Making, ingested: Ingested) -> None:
        """The second half of ingest."""
        self._progress.foresee(_foreseen(self._store, ingested.chunks))
        encoded = making.prepare()
        copied = f"{ingested.copied_files} files as in the release before"
        self._progress.end(f"{ingested.chunks} chunks, {copied}{encoded}")

    def _training(self, making: Making) -> None:
        self._progress.begin("training")
        self._progress.end(making.train())

    def _evaluation(self, making: Making, database: sqlite3.Connection, before: Before | None) -> Report:
        self._progress.begin("evaluation")
        report = making.judge(evaluate(database, before[1] if before else None, self._progress))
        self._progress.end(str(report))
        return report

    def _deployment(
        self,
        staging: Path,
        base: Base | None,
        found: Found,
        ingested: Ingested,
        database: sqlite3.Connection,
        making: Making,
        report: Report,
    ) -> tuple[Release, bool]:
        store, progress = self._store, self._progress
        progress.begin("deployment")
        _write_json(staging / "report.json", report.as_json())
        files = ["chunks.sqlite", "report.json", *making.save(staging)]
        database.close()
        manifest = {
            "schema": SCHEMA,
            "id": self._id,
            "created_at": self._clock.now().isoformat(timespec="seconds"),
            "parent": base.release.id if base else None,
            "encoder_id": self._encoder_id,
            "config_sha256": config_hash(self._encoder_id),
            "roots": [str(root) for root in self._settings.roots],
            "feedback_events": len(found.events),
            "chunks": ingested.chunks,
            "documents": ingested.survey.documents_json(),
            "skipped": ingested.survey.skipped_json(),
            "uncut": dict(ingested.survey.uncut),
            "files": {name: digest(staging / name) for name in files},
        }
        _write_json(staging / "manifest.json", manifest)
        with undisturbed():
            release, answers = publish(store, staging, self._id, report.smoke, making.answers)
            store.prune(KEEP_RELEASES)
        progress.end(
            f"{release.id} answers"
            if answers
            else f"{release.id} is built, {store.pinned()} is pinned and answers"
        )
        return release, answers

    def _up_to_date(self, base: Base, found: Found) -> Outcome:
        return self._ended(
            found.survey,
            found.changes,
            result="up-to-date",
            release=base.release.id,
            deployed=self._store.pinned() in (None, base.release.id),
            chunks=base.manifest["chunks"],
            report=None,
        )

    def _ended(self, surveyed: Survey, changes: Difference, **ending: Any) -> Outcome:
        return Outcome(
            **ending,
            pinned=self._store.pinned(),
            files=len(surveyed.documents),
            changes=changes,
            skipped=surveyed.skipped,
            stale=surveyed.stale_json(),
            seconds=round(self._clock.elapsed() - self._began, 3),
            phases=self._progress.seconds,
            lexical=self._lexical,
        )

    @property
    def _encoder_id(self) -> str | None:
        return ENCODER_ID if self._encoder else None

    def _find_encoder(self) -> None:
        """The encoder, if it is there and is the right one; else words must do, which is said, or refused.

        Raises:
            EncoderUnavailable: `require_dense` was given.
        """
        try:
            path = locate(self._settings.encoder)
            checked(path)
        except EncoderUnavailable as problem:
            self._go_by_words(problem)
        else:
            self._encoder = path

    def _go_by_words(self, problem: EncoderUnavailable) -> None:
        if self._settings.require_dense:
            raise problem
        self._encoder, self._lexical = None, str(problem)
        self._progress.note(f"by words only: {problem}")

    def _base(self) -> Base | None:
        release = self._store.newest() if self._store.pinned() else self._store.current()
        if release is None:
            return None
        if not release.intact():
            self._progress.note(f"release {release.id} is damaged: everything is made anew")
            return None
        manifest = release.manifest()
        return Base(release, manifest, alike=manifest["config_sha256"] == config_hash(self._encoder_id))

    def _said(self, base: Base | None, found: Found, database: sqlite3.Connection) -> Resolved:
        """What people said, related to the new sections."""
        with contextlib.ExitStack() as stack:
            earlier = stack.enter_context(contextlib.closing(opened(base.release))) if base else None
            said = resolved(found.events, found.golden, self._clock.now(), database, earlier)
        self._tell(
            [
                f"feedback: section {printable(name)} is gone, and counts again if it comes back"
                for name in said.gone
            ]
        )
        self._tell(
            [
                f"feedback: section {printable(then)} is now {printable(now)}"
                for then, now in said.moved.items()
            ]
        )
        lost = [one.query for one, section in said.golden if section is None]
        self._tell(
            [
                f"golden query: its section is gone, so it decides nothing: {printable(query)}; pin it anew with crystal golden add"
                for query in lost
            ]
        )
        return said

    @contextlib.contextmanager
    def _making(
        self, database: sqlite3.Connection, said: Resolved, before: Before | None
    ) -> Iterator[Making]:
        if self._encoder is None:
            yield ByWords(database, said)
            return
        from knowledge_platform.by_meaning import ByMeaning  # noqa: PLC0415 - it needs numpy, which is there if there is an encoder

        cache = self._store.folder / "cache"
        try:
            encoder = Encoder.load(self._encoder)
        except EncoderUnavailable as problem:  # the file is right: it is what runs it that isn't
            self._go_by_words(problem)
            yield ByWords(database, said)
            return
        with ByMeaning.kept(cache, encoder, database, said, before, self._progress) as made:
            yield made

    def _refuse_losses(self, surveyed: Survey, earlier: Earlier) -> None:
        if not self._settings.allow_mass_delete:
            refuse_mass_deletion(difference(surveyed.documents, earlier))

    def _tell(self, notes: Sequence[str]) -> None:
        for note in notes[:SHOWN]:
            self._progress.note(note)
        if len(notes) > SHOWN:
            self._progress.note(f"and {len(notes) - SHOWN} more of these: see the release's manifest.json")


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
