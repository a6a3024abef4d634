"""Phase 3, ingest: documents -> chunks in the release's database. What a release already has of the same content is copied.

    files     root, path (bytes: a file name need not be text), sha256
    chunks    file, start, end, heading, anchor, crumbs, text

A document that changed since validation is taken as it is now: what is stored is what was cut, and its digest says so.
"""

import hashlib
import os
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from knowledge_platform.chunks import chunks_of
from knowledge_platform.progress import Progress
from knowledge_platform.search import address
from knowledge_platform.validation import Document, Skipped, Survey, UnusableError, content_of

SCHEMA = """
    CREATE TABLE roots (id INTEGER PRIMARY KEY, path BLOB NOT NULL);
    CREATE TABLE files (id INTEGER PRIMARY KEY, root INTEGER NOT NULL REFERENCES roots, path BLOB NOT NULL, sha256 TEXT NOT NULL);
    CREATE TABLE chunks (
        id INTEGER PRIMARY KEY, file INTEGER NOT NULL REFERENCES files, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
        heading TEXT NOT NULL, anchor TEXT NOT NULL, crumbs TEXT NOT NULL, text TEXT NOT NULL
    );
    CREATE INDEX chunks_of_file ON chunks (file);
"""


@dataclass(frozen=True, slots=True)
class Ingested:
    """What the database now holds, and how much of it came from the earlier release."""

    survey: Survey
    chunks: int
    copied_files: int


def ingest(
    database: sqlite3.Connection,
    surveyed: Survey,
    roots: Sequence[Path],
    earlier: Path | None,
    progress: Progress,
) -> Ingested:
    """Fills the empty database. `earlier` is the database of a release that was cut the same way."""
    database.executescript(SCHEMA)
    known = _known(database, earlier)
    numbers = {root: number for number, root in enumerate(roots)}
    database.executemany(
        "INSERT INTO roots VALUES (?, ?)", [(n, os.fsencode(root)) for root, n in numbers.items()]
    )
    documents: list[Document] = []
    skipped: list[Skipped] = list(surveyed.skipped)
    copied = 0
    progress.expect(len(surveyed.documents), "files")
    for number, document in enumerate(surveyed.documents):
        source = known.get(document.sha256)
        try:
            taken = document if source is not None else _cut(database, number, document)
        except UnusableError as unusable:
            skipped.append(Skipped(document.root, document.path, str(unusable)))
        else:
            if source is not None:
                _copy(database, number, source)
                copied += 1
            row = (number, numbers[taken.root], os.fsencode(taken.path), taken.sha256)
            database.execute("INSERT INTO files VALUES (?, ?, ?, ?)", row)
            documents.append(taken)
        progress.advance()
    database.commit()
    if earlier is not None:
        database.execute("DETACH earlier")
    (chunks,) = database.execute("SELECT count(*) FROM chunks").fetchone()
    return Ingested(Survey(tuple(documents), tuple(skipped)), chunks, copied)


def _known(database: sqlite3.Connection, earlier: Path | None) -> dict[str, int]:
    if earlier is None:
        return {}
    database.execute("ATTACH ? AS earlier", (address(earlier),))
    return dict(database.execute("SELECT sha256, id FROM earlier.files"))


def _copy(database: sqlite3.Connection, number: int, source: int) -> None:
    database.execute(
        'INSERT INTO chunks (file, start, "end", heading, anchor, crumbs, text) '
        'SELECT ?, start, "end", heading, anchor, crumbs, text FROM earlier.chunks WHERE file = ? ORDER BY id',
        (number, source),
    )


def _cut(database: sqlite3.Connection, number: int, document: Document) -> Document:
    content = content_of(document.root, document.path)
    database.executemany(
        'INSERT INTO chunks (file, start, "end", heading, anchor, crumbs, text) VALUES (?, ?, ?, ?, ?, ?, ?)',
        [
            (number, chunk.start, chunk.end, chunk.heading, chunk.anchor, chunk.crumbs, chunk.text)
            for chunk in chunks_of(content.decode("utf-8"))
        ],
    )
    return replace(document, sha256=hashlib.sha256(content).hexdigest(), size=len(content))
