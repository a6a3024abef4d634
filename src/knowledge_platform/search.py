"""A question -> the passages of one release that answer it, best first.

Any text is a safe question: only its words reach FTS5, each quoted, so that AND, NEAR, * and quotes mean nothing special. The best
passage must cover a fair share of what the question asks, weighed by how rare each word is; else the answer is nothing, not nonsense.
"""

import math
import os
import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from knowledge_platform.errors import CrystalError
from knowledge_platform.releases import Release

WORDS = 32  # of a question count; more is a pasted page, and its first words say what it is about
STOP_WORDS = frozenset(
    re.findall(
        r"\w+",
        """
        a about an and are as at be been but by can could did do does for from
        had has have how i if in into is it its me my of on or our please
        should so than that the their them then there these they this those to use using want was
        we were what when where which who why will with would you your
        """,
    )
)  # with them R@5 is .675 on the same 120 questions, without .658


@dataclass(frozen=True, slots=True)
class Passage:
    """Lines `start` to `end` of `root`/`path`. `score` is BM25, higher is better, comparable within one answer only.

    `stale`: the file can't be used at present, for this reason; the lines are those of its last good content.
    """

    root: str
    path: str
    start: int
    end: int
    anchor: str
    heading: str
    crumbs: str
    text: str
    score: float
    stale: str | None = None


def address(path: Path) -> str:
    """SQLite's URI for a database that nobody writes any more (sqlite.org/uri.html)."""
    quoted = "".join(chr(byte) if chr(byte) in _PLAIN else f"%{byte:02x}" for byte in os.fsencode(path))
    return f"file:{quoted}?mode=ro&immutable=1"


_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/")


def words_of(question: str) -> list[str]:
    """The words that carry the question, each once; stop words only where there is nothing else."""
    words = list(dict.fromkeys(re.findall(r"\w+", question.casefold())))
    return ([word for word in words if word not in STOP_WORDS] or words)[:WORDS]


def opened(release: Release) -> sqlite3.Connection:
    """The release's database, for reading.

    Raises:
        CrystalError: it is missing or damaged.
    """
    try:
        database = sqlite3.connect(address(release.folder / "chunks.sqlite"), uri=True, isolation_level=None)
        try:
            database.execute("SELECT 1 FROM chunks LIMIT 1")
        except sqlite3.Error:
            database.close()
            raise
    except sqlite3.Error as error:
        raise CrystalError(
            f"release {release.id} can't be read: {error}. Go back with: crystal rollback"
        ) from error
    return database


def search(database: sqlite3.Connection, question: str, count: int, *, floor: float) -> list[Passage]:
    """At most `count` passages, or none when not one covers at least `floor` (0 to 1) of the question."""
    words = words_of(question)
    if not words:
        return []
    found = database.execute(
        "SELECT rowid, -rank FROM passages WHERE passages MATCH ? ORDER BY rank, rowid LIMIT ?",
        (" OR ".join(f'"{word}"' for word in words), count),
    ).fetchall()
    covered = (
        _coverage(database, words, [row for row, _ in found])
        if floor
        else dict.fromkeys((row for row, _ in found), 0.0)
    )
    if max(covered.values(), default=0.0) < floor:
        return []
    stale = "files.stale" if has_stale(database) else "NULL"
    return [_passage(database, row, score, stale) for row, score in found]


def has_stale(database: sqlite3.Connection, name: str = "main") -> bool:
    """Whether its table `files` says which are stale; that of the first releases doesn't."""
    (columns,) = database.execute(
        "SELECT count(*) FROM pragma_table_info('files', ?) WHERE name = 'stale'", (name,)
    ).fetchone()
    return bool(columns)


def _coverage(database: sqlite3.Connection, words: Sequence[str], rows: Sequence[int]) -> dict[int, float]:
    """For each row, the share of the question's weight that it has; a word's weight is its inverse document frequency."""
    (total,) = database.execute("SELECT count(*) FROM chunks").fetchone()
    among = ", ".join(map(str, rows))
    covered = dict.fromkeys(rows, 0.0)
    weight = 0.0
    for word in words:
        (frequency,) = database.execute(
            "SELECT count(*) FROM passages WHERE passages MATCH ?", (f'"{word}"',)
        ).fetchone()
        rarity = math.log(1 + (total - frequency + 0.5) / (frequency + 0.5))
        weight += rarity
        for (row,) in database.execute(
            f"SELECT rowid FROM passages WHERE passages MATCH ? AND rowid IN ({among})",  # noqa: S608 - row ids only
            (f'"{word}"',),
        ):
            covered[row] += rarity
    return {row: part / weight for row, part in covered.items()}


def _passage(database: sqlite3.Connection, row: int, score: float, stale_column: str) -> Passage:
    root, path, start, end, anchor, heading, crumbs, text, stale = database.execute(
        f'SELECT roots.path, files.path, start, "end", anchor, heading, crumbs, text, {stale_column} FROM chunks '  # noqa: S608
        "JOIN files ON files.id = chunks.file JOIN roots ON roots.id = files.root WHERE chunks.id = ?",
        (row,),
    ).fetchone()
    return Passage(
        root=os.fsdecode(root),
        path=os.fsdecode(path),
        start=start,
        end=end,
        anchor=anchor,
        heading=heading,
        crumbs=crumbs,
        text=text,
        score=round(score, 4),
        stale=stale,
    )
