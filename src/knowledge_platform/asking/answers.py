"""The answers that were given, so that a verdict can name one by its id.

    answers.jsonl          one JSON object a line: id, at, release, question, passages (path, anchor, heading)
    answers.old.jsonl      the file before, when that had grown to ANSWERS_LIMIT

A convenience, never a condition: an answer that can't be kept is given all the same. So nothing is waited for here, no lock and no disk.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from knowledge_platform.asking.ask import Answer
from knowledge_platform.errors import ConfigError
from knowledge_platform.feedback.anchors import Section
from knowledge_platform.feedback.lines import append, records
from knowledge_platform.settings import ANSWERS_LIMIT, QUERY_LIMIT
from knowledge_platform.store.releases import Store
from knowledge_platform.words.search import words_of

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Given:
    """An answer as it was shown: the sections of its passages, each once, best first."""

    id: str
    release: str
    question: str
    sections: tuple[Section, ...]


def keep(store: Store, answer: Answer, at: datetime) -> None:
    """Remembers the answer.

    Raises:
        ValueError: nothing could be learned from a verdict on it: the question has no word, or is longer than QUERY_LIMIT.
        OSError: the store can't be written.
    """
    if not words_of(answer.question):
        raise ValueError("the question has no word: ask with one")
    if len(answer.question) > QUERY_LIMIT:
        raise ValueError(
            f"the question has {len(answer.question)} characters, {QUERY_LIMIT} are the most: shorten it"
        )
    sections = dict.fromkeys(
        (one.path, one.anchor, " > ".join(part for part in (one.crumbs, one.heading) if part))
        for one in answer.passages
    )
    record = {
        "schema": SCHEMA,
        "id": answer.answer_id,
        "at": at.isoformat(timespec="seconds"),
        "release": answer.release,
        "question": answer.question,
        "passages": [{"path": path, "anchor": anchor, "heading": trail} for path, anchor, trail in sections],
    }
    path = store.folder / "answers.jsonl"
    if append(path, record, durable=False) >= ANSWERS_LIMIT:
        _set_aside(path)


def given(store: Store, beginning: str) -> Given:
    """The answer of this id, or the only one whose id begins so; of two with one id, the later.

    Raises:
        ConfigError: there is none, or more than one.
    """
    found = {one.id: one for one in _all(store) if beginning and one.id.startswith(beginning)}
    if len(found) != 1:
        problem = (
            f"{len(found)} answers begin with {beginning!r}: give more of the id"
            if found
            else f"there is no answer {beginning!r}: crystal ask prints the id of each, and the last thousand or so are remembered"
        )
        raise ConfigError(problem)
    return next(iter(found.values()))


def _all(store: Store) -> Iterator[Given]:
    for name in ("answers.old.jsonl", "answers.jsonl"):
        for record in records(store.folder / name):
            with contextlib.suppress(KeyError, TypeError):
                if record["schema"] == SCHEMA:
                    yield _parsed(record)


def _parsed(record: dict[str, Any]) -> Given:
    sections = tuple(
        Section(_text(one["path"]), _text(one["anchor"]), _text(one["heading"])) for one in record["passages"]
    )
    return Given(_text(record["id"]), _text(record["release"]), _text(record["question"]), sections)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"not a text: {value!r}")
    return value


def _set_aside(path: Path) -> None:
    """Renames the file away, once: of two that find it full, the second finds another file, and that isn't full."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            full = os.fstat(descriptor)
            if full.st_size >= ANSWERS_LIMIT and os.path.samestat(full, path.stat()):
                path.replace(path.with_name("answers.old.jsonl"))
    finally:
        os.close(descriptor)
