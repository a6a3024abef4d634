"""Documents and what is asked of them: the project's own, or a folder with docs/ and questions.txt in it.

questions.txt has one need a line, `GOLD|GOLD… ;; first phrasing ;; second phrasing`, a GOLD as in knowledge_platform.measures.
unanswerable.txt has one question a line that the documents don't answer, `far ;; …` from another field or `near ;; …`.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from knowledge_platform.documents.chunks import chunks_of
from knowledge_platform.gate.measures import Section, matches

BENCH = Path(__file__).parent.parent
# The page that the figures are written to: they would be measured on themselves, and never come out the same twice.
OURS = ("benchmarks.md",)


class CorpusError(Exception):
    """A folder isn't a corpus, or its questions aren't about its documents; the message says what to mend."""


@dataclass(frozen=True, slots=True)
class Need:
    """What somebody wants to know: any of the golds answers it, and the phrasings share no words that carry it."""

    golds: tuple[str, ...]
    phrasings: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Corpus:
    """`unanswerable` is by its distance: `far`, `near`. The project's own has no name.

    `left_out` are files of `docs` that are no part of it.
    """

    name: str
    docs: Path
    left_out: tuple[str, ...]
    needs: tuple[Need, ...]
    unanswerable: dict[str, tuple[str, ...]]

    @property
    def files(self) -> int:
        """How many it has."""
        return sum(path.name not in self.left_out for path in self.docs.rglob("*.md"))

    def copy_to(self, folder: Path) -> None:
        """The documents, into a folder that isn't there yet."""
        shutil.copytree(
            self.docs, folder, ignore=lambda _, names: [name for name in names if name in self.left_out]
        )

    def titled(self, title: str) -> str:
        """A chapter's title: those of another corpus stand beside those of our own."""
        return f"{title}, {self.name}" if self.name else title


def corpus_at(folder: Path | None = None, name: str = "") -> Corpus:
    """The corpus in a folder, by this name or the folder's; or the project's own.

    Without questions of its own that can't be answered it gets our `far` ones: no manual of software answers these.

    Raises:
        OSError: questions.txt is missing.
        CorpusError: a line isn't as described above.
    """
    docs = (folder or BENCH.parent) / "docs"
    needs = tuple(map(_need, _lines((folder or BENCH) / "questions.txt")))
    own = (folder or BENCH) / "unanswerable.txt"
    asked: dict[str, tuple[str, ...]] = {}
    for line in _lines(own if own.exists() else BENCH / "unanswerable.txt"):
        match line.split(" ;; "):
            case ["far" | "near" as distance, question]:
                asked[distance] = (*asked.get(distance, ()), question)
            case _:
                raise CorpusError(f"not `far ;; …` or `near ;; …`: {line}")
    if not own.exists():
        asked = {"far": asked["far"]}
    if folder is None:
        return Corpus("", docs, OURS, needs, asked)
    return Corpus(name or folder.resolve().name, docs, (), needs, asked)


def section_of(docs: Path, gold: str) -> Section:
    """The first section that a gold means. Raises OSError, or CorpusError where there is none."""
    file = gold.partition("#")[0]
    for chunk in chunks_of((docs / file).read_text(encoding="utf-8")):
        if matches(gold, (file, chunk.anchor)):
            return file, chunk.anchor
    raise CorpusError(f"questions.txt asks for {gold}, but {docs / file} has no such section")


def _need(line: str) -> Need:
    match line.split(" ;; "):
        case [golds, first, second]:
            return Need(tuple(golds.split("|")), (first, second))
    raise CorpusError(f"not `GOLD|GOLD… ;; first phrasing ;; second phrasing`: {line}")


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
