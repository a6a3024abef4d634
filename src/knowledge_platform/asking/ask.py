"""Asking the model that is deployed: one question in, passages out."""

import contextlib
import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from knowledge_platform.errors import CrystalError
from knowledge_platform.meaning.encoder import ENCODER_ID, EncoderUnavailable
from knowledge_platform.settings import FLOOR
from knowledge_platform.store.releases import Release, Store
from knowledge_platform.words.search import Passage, facts_of, opened, search

if TYPE_CHECKING:
    from knowledge_platform.meaning.embeddings import Vectors

Vector = Callable[[], "Vectors"]


@dataclass(frozen=True, slots=True)
class Answer:
    """No passages means that nothing matched well enough. The same question to the same release has the same id.

    `lexical` says why the answer goes by words only; None: it goes by meaning, too.
    """

    answer_id: str
    release: str
    question: str
    passages: tuple[Passage, ...]
    lexical: str | None = None

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def ask(store: Store, question: str, count: int, vector: Vector | None = None) -> Answer:
    """Asks the release that answers at this moment; a swap meanwhile changes nothing.

    `vector` gives the question's when it is wanted; without it, or where it can't, the answer goes by words and says why.

    Raises:
        ConfigError: nothing is deployed yet.
        CrystalError: the release can't be read.
    """
    if vector is None:
        return _asked(store, question, _by_words(question, count), None)
    try:
        return _asked(store, question, _by_meaning(question, count, vector), None)
    except _WordsOnly as why:
        return _asked(store, question, _by_words(question, count), str(why))


Passages = Callable[[Release, sqlite3.Connection], Sequence[Passage]]


class _WordsOnly(Exception):
    """There is no answer by meaning; the text says why."""


def _by_words(question: str, count: int) -> Passages:
    return lambda _, database: search(database, question, count, floor=FLOOR)


def _by_meaning(question: str, count: int, vector: Vector) -> Passages:
    def passages(release: Release, database: sqlite3.Connection) -> Sequence[Passage]:
        trained_with = facts_of(database).get("encoder_id")
        if not trained_with:
            raise _WordsOnly(
                "the release was trained without an encoder: crystal train, once crystal train --check finds one"
            )
        if trained_with != ENCODER_ID:
            raise _WordsOnly("the release was trained with another encoder: crystal train")
        try:
            found = vector()
        except EncoderUnavailable as problem:
            raise _WordsOnly(str(problem)) from problem
        from knowledge_platform.meaning.model import load  # noqa: PLC0415 - numpy, which an answer by words doesn't wait for

        return load(release, database).answer(database, question, found, count)

    return passages


def _asked(
    store: Store,
    question: str,
    passages: Passages,
    lexical: str | None,
) -> Answer:
    release = store.answering()
    while True:
        try:
            with contextlib.closing(opened(release)) as database:
                found = tuple(_whole(release, passages, database))
        except CrystalError:
            # Five trainings may have ended between the look at the link and the opening: then the release is pruned.
            seen, release = release, store.answering()
            if release.id == seen.id:
                raise
        else:
            name = hashlib.sha256(f"{release.id}\n{question}".encode("utf-8", "surrogateescape")).hexdigest()
            return Answer(name[:16], release.id, question, found, lexical)


def _whole(release: Release, passages: Passages, database: sqlite3.Connection) -> Sequence[Passage]:
    try:
        return passages(release, database)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise CrystalError(
            f"release {release.id} can't be read: {error}. Go back with: crystal rollback"
        ) from error
