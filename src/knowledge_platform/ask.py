"""Asking the model that is deployed: one question in, passages out, and how they are shown to people."""

import contextlib
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from knowledge_platform.errors import CrystalError
from knowledge_platform.releases import Release, Store
from knowledge_platform.search import Passage, opened, search, words_of
from knowledge_platform.settings import FLOOR
from knowledge_platform.text import printable

SNIPPET_LINES = 3
SNIPPET_WIDTH = 110


@dataclass(frozen=True, slots=True)
class Answer:
    """No passages means that nothing matched well enough. The same question to the same release has the same id."""

    answer_id: str
    release: str
    question: str
    passages: tuple[Passage, ...]

    def as_json(self) -> dict[str, object]:
        return asdict(self)


def ask(store: Store, question: str, count: int) -> Answer:
    """Asks the release that answers at this moment; a swap meanwhile changes nothing.

    Raises:
        ConfigError: nothing is deployed yet.
        CrystalError: the release can't be read.
    """
    release = store.answering()
    while True:
        try:
            return _asked(release, question, count)
        except CrystalError:
            # Five trainings may have ended between the look at the link and the opening: then the release is pruned.
            seen, release = release, store.answering()
            if release.id == seen.id:
                raise


def _asked(release: Release, question: str, count: int) -> Answer:
    name = hashlib.sha256(f"{release.id}\n{question}".encode("utf-8", "surrogateescape")).hexdigest()[:16]
    with contextlib.closing(opened(release)) as database:
        return Answer(name, release.id, question, tuple(search(database, question, count, floor=FLOOR)))


def shown(answer: Answer, folder: Path) -> list[str]:
    """The answer as lines for a terminal in this folder: where, under which headings, and the lines that match best."""
    if not answer.passages:
        return ["no good match"]
    lines: list[str] = []
    words = words_of(answer.question)
    for passage in answer.passages:
        trail = " > ".join(part for part in (passage.crumbs, passage.heading) if part)
        stale = f" (stale: {printable(passage.stale)})" if passage.stale is not None else ""
        lines += ["", f"{_place(passage, folder)}{stale}  {printable(trail)}".rstrip()]
        lines += [f"    {line}" for line in _snippet(passage, words)]
    return [*lines[1:], "", f"answer {answer.answer_id}"]


def _place(passage: Passage, folder: Path) -> str:
    """path:start-end that a terminal can open: relative where the file is below the folder."""
    path = os.path.join(passage.root, passage.path)
    inside = f"{folder}{os.sep}"
    return f"{printable(path.removeprefix(inside))}:{passage.start}-{passage.end}"


def _snippet(passage: Passage, words: Sequence[str]) -> list[str]:
    """The lines around the one with the most of the question's words; a long word's first letters will do, as stems go."""
    lines = [line for line in passage.text.split("\n") if line.strip()]
    if len(lines) > 1 and passage.heading and passage.heading in lines[0]:
        lines = lines[1:]
    stems = [re.escape(word[: max(4, len(word) - 3)]) for word in words]
    pattern = re.compile(rf"\b({'|'.join(stems)})", re.IGNORECASE)
    counts = [len(set(map(str.casefold, pattern.findall(line)))) for line in lines]
    best = counts.index(max(counts))
    return [_shortened(line) for line in lines[best : best + SNIPPET_LINES]]


def _shortened(line: str) -> str:
    line = printable(line.replace("\t", "    "))
    return line if len(line) <= SNIPPET_WIDTH else line[: SNIPPET_WIDTH - 1] + "…"
