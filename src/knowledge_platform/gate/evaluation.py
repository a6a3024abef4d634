"""Phase 5, evaluation: is the candidate fit to answer? What was measured goes into report.json; choice.py says which ranker is taken.

Two checks first. Integrity: sampled passages are compared with the lines of their files. Known-item search: the corpus's own unique headings
are asked, and the share whose section is among the first TOP passages is measured, beside the deployed release's share on the same
headings. The heading's words are part of the indexed text, so this shows that the index works, not that it answers well.
"""

import hashlib
import os
import sqlite3
from dataclasses import asdict, dataclass, fields
from itertools import groupby
from pathlib import Path

from knowledge_platform.documents.markdown import lines_of
from knowledge_platform.documents.validation import UnusableError, content_of
from knowledge_platform.errors import RefusedError
from knowledge_platform.gate.decision import Decision
from knowledge_platform.gate.reports import measured, sentence
from knowledge_platform.progress import Progress
from knowledge_platform.settings import GATE_CHUNKS, GATE_QUERIES, TOP
from knowledge_platform.text import printable
from knowledge_platform.words.search import search, words_of


@dataclass(frozen=True, slots=True)
class Query:
    """A heading, and the one section that it belongs to."""

    text: str
    path: str
    anchor: str


@dataclass(frozen=True, slots=True)
class Pinned:
    """A golden query: where its section is now (None: gone) and at which place it is found (None: not among the first GOLDEN_TOP)."""

    query: str
    section: str | None
    place: int | None


@dataclass(frozen=True, slots=True)
class Report:
    """`found_deployed` is None where nothing was deployed. A chunk is passed over when its file was edited during the training."""

    schema: int
    chunks_checked: int
    chunks_passed_over: int
    queries: int
    found: int
    found_deployed: int | None
    top: int
    smoke: str | None
    golden: tuple[Pinned, ...] = ()
    ranking: Decision | None = None

    def __str__(self) -> str:
        return f"{self._checks()}; {sentence(measured(self.as_json()))}"

    def _checks(self) -> str:
        if not self.queries:
            return f"{self.chunks_checked} passages match their lines, no heading to search for"
        before = "" if self.found_deployed is None else f" (deployed release: {self.found_deployed})"
        return f"{self.chunks_checked} passages match their lines, {self.found} of {self.queries} headings found{before}"

    def as_json(self) -> dict[str, object]:
        shown = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in ("golden", "ranking")
        }
        return {
            **shown,
            "golden": [asdict(one) for one in self.golden],
            "ranking": self.ranking
            and {
                "ranker": self.ranking.ranker,
                "against": self.ranking.against,
                "rungs": [asdict(rung) | {"problems": rung.problems} for rung in self.ranking.rungs],
            },
        }


def evaluate(
    candidate: sqlite3.Connection, deployed: sqlite3.Connection | None, progress: Progress
) -> Report:
    """Measures the candidate.

    Raises:
        RefusedError: a passage isn't what its lines say, or not one heading can be found.
    """
    samples = _sampled_chunks(candidate)
    queries = _queries(candidate)
    progress.expect(len(samples) + len(queries), "checks")
    passed_over = 0
    for (root, path, sha256), of_file in groupby(
        samples, lambda sample: (sample.root, sample.path, sample.sha256)
    ):
        lines = _content(root, path, sha256)
        for sample in of_file:
            if lines is None:
                passed_over += 1
            else:
                _compare(sample, lines)
            progress.advance()
    found = found_deployed = 0
    smoke = None
    for query in queries:
        if _finds(candidate, query):
            found += 1
            smoke = smoke or query.text
        if deployed is not None and _finds(deployed, query):
            found_deployed += 1
        progress.advance()
    if queries and not found:
        raise RefusedError(
            f"the gate refused: not one of {len(queries)} headings is found in the new index. The deployed release goes on answering; "
            "try crystal train --full"
        )
    return Report(
        schema=1,
        chunks_checked=len(samples) - passed_over,
        chunks_passed_over=passed_over,
        queries=len(queries),
        found=found,
        found_deployed=None if deployed is None else found_deployed,
        top=TOP,
        smoke=smoke,
    )


@dataclass(frozen=True, slots=True)
class _Sample:
    root: Path
    path: str
    sha256: str
    start: int
    end: int
    text: str


def _sampled_chunks(database: sqlite3.Connection) -> list[_Sample]:
    """Evenly spread over the corpus, so that each training of the same corpus checks the same ones."""
    (total,) = database.execute("SELECT count(*) FROM chunks").fetchone()
    step = max(1, -(-total // GATE_CHUNKS))
    rows = database.execute(
        'SELECT roots.path, files.path, sha256, start, "end", text FROM chunks JOIN files ON files.id = chunks.file '
        "JOIN roots ON roots.id = files.root WHERE chunks.id % ? = 0 ORDER BY chunks.id",
        (step,),
    )
    return [_Sample(Path(os.fsdecode(root)), os.fsdecode(path), *rest) for root, path, *rest in rows]


def _content(root: Path, path: str, sha256: str) -> list[str] | None:
    """The file's lines; None when it is no longer the file that was cut."""
    try:
        content = content_of(root, path)
    except UnusableError:
        return None
    return lines_of(content.decode()) if hashlib.sha256(content).hexdigest() == sha256 else None


def _compare(sample: _Sample, lines: list[str]) -> None:
    if "\n".join(lines[sample.start - 1 : sample.end]) != sample.text:
        raise RefusedError(
            f"the gate refused: a passage of {printable(sample.path)} is not what lines {sample.start}-{sample.end} say. "
            "The deployed release goes on answering; try crystal train --full"
        )


def _queries(database: sqlite3.Connection) -> list[Query]:
    """Headings that occur once in the corpus, chosen by digest: a query stays in or out as other documents come and go."""
    rows = database.execute(
        "SELECT heading, files.path, anchor FROM chunks JOIN files ON files.id = chunks.file "
        "WHERE heading <> '' "
        "GROUP BY heading HAVING count(DISTINCT file || '#' || anchor) = 1"
    )
    queries = [
        Query(heading, os.fsdecode(path), anchor)
        for heading, path, anchor in rows
        if any(word.strip("_") for word in words_of(heading))
    ]
    queries.sort(key=lambda query: hashlib.sha256(query.text.encode()).digest())
    return queries[:GATE_QUERIES]


def _finds(database: sqlite3.Connection, query: Query) -> bool:
    gold = (query.path, query.anchor)  # without the root: a docs folder that moved is the same corpus
    return any(
        (passage.path, passage.anchor) == gold for passage in search(database, query.text, TOP, floor=0.0)
    )
