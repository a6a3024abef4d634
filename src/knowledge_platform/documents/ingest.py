"""Phase 3, ingest: documents -> chunks in the release's database. What a release already has of the same content is copied.

    files     root, path (bytes: a file name need not be text), sha256, stale (why it is as it was, else NULL)
    chunks    file, start, end, heading, anchor, crumbs, text

A document that changed since validation is taken as it is now: what is stored is what was cut, and its digest says so. One that can't be
cut or read any more keeps the chunks that the release before had of it, however these were cut.
"""

import hashlib
import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from knowledge_platform.documents.chunks import Chunk, chunks_of
from knowledge_platform.documents.document import Document, Earlier, Skipped, Survey
from knowledge_platform.documents.validation import GoneError, UnusableError, content_of
from knowledge_platform.errors import one_line
from knowledge_platform.progress import Progress
from knowledge_platform.words.search import address, has_stale

SCHEMA = """
    CREATE TABLE roots (id INTEGER PRIMARY KEY, path BLOB NOT NULL);
    CREATE TABLE files (
        id INTEGER PRIMARY KEY, root INTEGER NOT NULL REFERENCES roots, path BLOB NOT NULL, sha256 TEXT NOT NULL, stale TEXT
    );
    CREATE TABLE chunks (
        id INTEGER PRIMARY KEY, file INTEGER NOT NULL REFERENCES files, start INTEGER NOT NULL, "end" INTEGER NOT NULL,
        heading TEXT NOT NULL, anchor TEXT NOT NULL, crumbs TEXT NOT NULL, text TEXT NOT NULL
    );
    CREATE INDEX chunks_of_file ON chunks (file);
"""
INSERT = 'INSERT INTO chunks (file, start, "end", heading, anchor, crumbs, text) VALUES (?, ?, ?, ?, ?, ?, ?)'
COPY = """
    INSERT INTO chunks (file, start, "end", heading, anchor, crumbs, text)
    SELECT ?, start, "end", heading, anchor, crumbs, text FROM earlier.chunks WHERE file = ? ORDER BY id
"""
LOST = "Its earlier passages can't be kept: the release before is of another version"


@dataclass(frozen=True, slots=True)
class Ingested:
    """What the database now holds, and how much of it came from the earlier release."""

    survey: Survey
    chunks: int
    copied_files: int


class _UncutError(UnusableError):
    """The content can't be cut into chunks."""

    def __init__(self, reason: str, sha256: str) -> None:
        super().__init__(reason)
        self.sha256 = sha256


def ingest(
    database: sqlite3.Connection,
    surveyed: Survey,
    roots: Sequence[Path],
    earlier: Earlier,
    progress: Progress,
    *,
    base: Path | None,
    alike: bool,
    cut: Callable[[str], list[Chunk]] = chunks_of,
) -> Ingested:
    """Fills the empty database. `base` is that of the earlier release; `alike` says that it was cut as files are cut now."""
    database.executescript(SCHEMA)
    numbers = {root: number for number, root in enumerate(roots)}
    database.executemany(
        "INSERT INTO roots VALUES (?, ?)", [(n, os.fsencode(root)) for root, n in numbers.items()]
    )
    source = _Source(database, base, alike=alike)
    documents: list[Document] = []
    skipped: list[Skipped] = list(surveyed.skipped)
    uncut: dict[str, str] = dict(surveyed.uncut)
    progress.expect(len(surveyed.documents), "files")
    for number, document in enumerate(surveyed.documents):
        taken: Document | Skipped = document
        if document.stale is None and not source.copies_content(number, document.sha256):
            try:
                taken = _cut(database, number, document, cut)
            except GoneError as gone:
                taken = Skipped(document.root, document.path, str(gone))
            except UnusableError as unusable:
                taken = earlier.set_aside(document.root, document.path, str(unusable))
                if isinstance(unusable, _UncutError):
                    uncut[unusable.sha256] = str(unusable)
        if isinstance(taken, Document) and taken.stale is not None and not source.copies_file(number, taken):
            taken = Skipped(taken.root, taken.path, f"{taken.stale}. {LOST}")
        if isinstance(taken, Document):
            row = (number, numbers[taken.root], os.fsencode(taken.path), taken.sha256, taken.stale)
            database.execute("INSERT INTO files VALUES (?, ?, ?, ?, ?)", row)
            documents.append(taken)
        else:
            skipped.append(taken)
        progress.advance()
    database.commit()
    source.close()
    (chunks,) = database.execute("SELECT count(*) FROM chunks").fetchone()
    return Ingested(Survey(tuple(documents), tuple(skipped), uncut), chunks, source.copied)


def _cut(
    database: sqlite3.Connection, number: int, document: Document, cut: Callable[[str], list[Chunk]]
) -> Document:
    content = content_of(document.root, document.path)
    sha256 = hashlib.sha256(content).hexdigest()
    try:
        chunks = cut(content.decode("utf-8"))
    except Exception as error:  # whatever it is: one file that the parser breaks on must not cost the others
        raise _UncutError(f"can't be cut into passages: {one_line(error)}", sha256) from error
    rows = [(number, one.start, one.end, one.heading, one.anchor, one.crumbs, one.text) for one in chunks]
    database.executemany(INSERT, rows)
    return replace(document, sha256=sha256, size=len(content))


class _Source:
    """The earlier release's database, attached. It is asked for contents only where it was cut alike, for files in any case."""

    def __init__(self, database: sqlite3.Connection, base: Path | None, *, alike: bool) -> None:
        self._database = database
        self._contents: dict[str, int] = {}
        self._files: dict[tuple[bytes, bytes], int] = {}
        self._attached = base is not None
        self.copied = 0
        if base is None:
            return
        database.execute("ATTACH ? AS earlier", (address(base),))
        try:
            rows = database.execute(
                "SELECT files.id, roots.path, files.path, sha256 FROM earlier.files JOIN earlier.roots ON roots.id = files.root"
            ).fetchall()
            database.execute(COPY, (0, -1))
        except sqlite3.OperationalError:
            return  # of another schema: nothing can be copied
        self._files = {(root, path): number for number, root, path, _ in rows}
        if alike:
            # What stayed as it was may have been cut in an older way.
            old = self._stale()
            self._contents = {sha256: number for number, _, _, sha256 in rows if number not in old}

    def copies_content(self, number: int, sha256: str) -> bool:
        """Copies the chunks of a file with this content, if there is one."""
        return self._copies(number, self._contents.get(sha256))

    def copies_file(self, number: int, document: Document) -> bool:
        """Copies the chunks of the file of this name, if there is one."""
        return self._copies(number, self._files.get((os.fsencode(document.root), os.fsencode(document.path))))

    def close(self) -> None:
        if self._attached:
            self._database.execute("DETACH earlier")

    def _copies(self, number: int, source: int | None) -> bool:
        if source is None:
            return False
        self._database.execute(COPY, (number, source))
        self.copied += 1
        return True

    def _stale(self) -> set[int]:
        if not has_stale(self._database, "earlier"):
            return set()
        return {
            number
            for (number,) in self._database.execute("SELECT id FROM earlier.files WHERE stale IS NOT NULL")
        }
