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
from typing import Any

from knowledge_platform.errors import CrystalError
from knowledge_platform.settings import LEXICAL_DEPTH
from knowledge_platform.store.releases import Release

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

LIKE = 0.5  # two questions that share less aren't about the same; arbitrary


@dataclass(frozen=True, slots=True)
class Passage:
    """Lines `start` to `end` of `root`/`path`. `score`, higher is better, is comparable within one answer only.

    `stale`: the file can't be used at present, for this reason; the lines are those of its last good content. `lifted`: it stands higher
    because people said that it answers a question like this one.
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
    lifted: bool = False

    @property
    def section(self) -> tuple[str, str, str]:
        """What one answer shows once."""
        return self.root, self.path, self.anchor


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


def matching(database: sqlite3.Connection, question: str) -> list[tuple[int, float]]:
    """The rows of passages that have words of the question, with their BM25, higher is better; the best LEXICAL_DEPTH, best first."""
    words = words_of(question)
    if not words:
        return []
    return database.execute(
        "SELECT rowid, -rank FROM passages WHERE passages MATCH ? ORDER BY rank, rowid LIMIT ?",
        (" OR ".join(f'"{word}"' for word in words), LEXICAL_DEPTH),
    ).fetchall()


def search(database: sqlite3.Connection, question: str, count: int, *, floor: float) -> list[Passage]:
    """At most `count` passages by their words alone, each of another section.

    None when not one covers at least `floor` (0 to 1) of the question, and nobody said anything of a question like it.
    """
    found = matching(database, question)
    taught = _taught(database, question)
    if floor and not any(likeness > 0 for likeness in taught.values()):
        shares = coverage(database, question, [row for row, _ in found[:count]])
        if max(shares.values(), default=0.0) < floor:
            return []
    top = found[0][1] if found else 1.0
    scores = dict(found)
    plain = list(scores)
    lifts: set[int] = set()
    for rows, likeness in taught.items():
        if likeness > 0:
            best = max(rows, key=lambda row: scores.get(row, 0.0))
            scores[best] = scores.get(best, 0.0) + likeness * top
            lifts.add(best)
        else:
            # What no word of the question is in isn't found by its being wrong.
            for row in scores.keys() & rows:
                scores[row] += likeness * top
    order = sorted(scores, key=lambda row: (-scores[row], row)) if taught else plain
    places = {row: place for place, row in enumerate(plain)}
    passages: list[Passage] = []
    sections: set[tuple[str, str, str]] = set()
    for place, row in enumerate(order):
        if len(passages) == count:
            break
        lifted = row in lifts and places.get(row, len(plain)) > place
        passage = passage_in(database, row, scores[row], lifted=lifted)
        if passage.section not in sections:
            sections.add(passage.section)
            passages.append(passage)
    return passages


def _taught(database: sqlite3.Connection, question: str) -> dict[tuple[int, ...], float]:
    """Sections, by their rows, that people called right or wrong for a question like this one: how much like it, below 0 for wrong.

    Two questions are alike by the words that they share: the cosine of their sets of words. The strongest word of each kind counts.
    """
    if not has_table(database, "lessons"):
        return {}
    asked = set(words_of(question))
    good: dict[tuple[int, str], float] = {}
    bad: dict[tuple[int, str], float] = {}
    for query, verdict, weight, file, anchor in database.execute(
        "SELECT query, verdict, weight, files.id, anchor FROM lessons JOIN files ON files.path = lessons.path"
    ):
        said = set(words_of(query))
        shared = len(asked & said) / math.sqrt(len(asked) * len(said)) if asked and said else 0.0
        if shared >= LIKE:
            kind = good if verdict == "good" else bad
            kind[file, anchor] = max(kind.get((file, anchor), 0.0), shared * min(weight, 1.0))
    found: dict[tuple[int, ...], float] = {}
    for section in sorted(good.keys() | bad.keys()):
        rows = database.execute("SELECT id FROM chunks WHERE file = ? AND anchor = ? ORDER BY id", section)
        if numbers := tuple(row for (row,) in rows):
            found[numbers] = good.get(section, 0.0) - bad.get(section, 0.0)
    return found


def has_table(database: sqlite3.Connection, name: str) -> bool:
    """Whether this release has it; the first ones had fewer."""
    return (
        database.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)).fetchone()
        is not None
    )


def has_stale(database: sqlite3.Connection, name: str = "main") -> bool:
    """Whether its table `files` says which are stale; that of the first releases doesn't."""
    (columns,) = database.execute(
        "SELECT count(*) FROM pragma_table_info('files', ?) WHERE name = 'stale'", (name,)
    ).fetchone()
    return bool(columns)


def coverage(database: sqlite3.Connection, question: str, rows: Sequence[int]) -> dict[int, float]:
    """For each row, the share of the question's weight that it has; a word's weight is its inverse document frequency."""
    words = words_of(question)
    (total,) = database.execute("SELECT count(*) FROM passages_docsize").fetchone()
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


def facts_of(database: sqlite3.Connection) -> dict[str, Any]:
    """What a release says of its ranker (model.py); nothing in one of an older version."""
    if not has_table(database, "model"):
        return {}
    return dict(database.execute("SELECT name, value FROM model"))


def passage_in(database: sqlite3.Connection, row: int, score: float, *, lifted: bool = False) -> Passage:
    """The passage of this row."""
    stale_column = "files.stale" if has_stale(database) else "NULL"
    found = database.execute(
        f'SELECT roots.path, files.path, start, "end", anchor, heading, crumbs, text, {stale_column} FROM chunks '  # noqa: S608
        "JOIN files ON files.id = chunks.file JOIN roots ON roots.id = files.root WHERE chunks.id = ?",
        (row,),
    ).fetchone()
    if found is None:
        raise sqlite3.DatabaseError(f"passage {row} has no file")
    root, path, start, end, anchor, heading, crumbs, text, stale = found
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
        lifted=lifted,
    )
