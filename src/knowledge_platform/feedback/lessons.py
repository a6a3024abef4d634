"""The lessons of a release: what people said, related to the sections that the release has. Called once in a training.

    events, golden queries ──▶ resolved(…, candidate, base) ──▶ lessons to train with, those whose section is gone, golden queries placed
                                        │
                                        └── store_lessons ──▶ the candidate's tables, for the training after this one

    lessons   query (normalised), verdict, weight, path (bytes), anchor
    origins   origin: path#anchor as people named it; path, anchor, trail, digest: where that was last seen and what it looked like;
              here: whether this release has it

An event names a section as it was then. The release knows where that went, so that the next move starts from there.
"""

import hashlib
import os
import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby
from typing import Any

from knowledge_platform.feedback.anchors import Key, Section, Whereabouts, section_named
from knowledge_platform.feedback.golden import Golden
from knowledge_platform.feedback.log import Feedback
from knowledge_platform.feedback.verdicts import Lesson, Vote, lessons, votes

SCHEMA = """
    CREATE TABLE lessons (
        query TEXT NOT NULL, verdict TEXT NOT NULL, weight REAL NOT NULL, path BLOB NOT NULL, anchor TEXT NOT NULL,
        PRIMARY KEY (query, path, anchor)
    );
    CREATE TABLE origins (
        origin BLOB PRIMARY KEY, path BLOB NOT NULL, anchor BLOB NOT NULL, trail BLOB NOT NULL, digest BLOB NOT NULL, here INTEGER NOT NULL
    );
"""
# A text below this many characters says too little to be known again by ("See above."); arbitrary.
DISTINCTIVE = 40
_UNDERLINE = re.compile(r" {0,3}(=+|-+)\s*$")


@dataclass(frozen=True, slots=True)
class Resolved:
    """`kept` is what to train with, its sections those of the candidate. `dropped` counted too, but its sections are gone.

    `golden`: each golden query with its section in the candidate, None where it is gone. `seen`: each section that was named, by the
    path#anchor that named it, where it is now or was last, with whether it is here.
    """

    kept: tuple[Lesson, ...]
    dropped: tuple[Lesson, ...]
    golden: tuple[tuple[Golden, Section | None], ...]
    seen: dict[str, tuple[Section, bool]]

    def __str__(self) -> str:
        counts = {"found elsewhere": len(self.moved), "gone": len(self.gone)}
        return ", ".join(
            [
                f"{len(self.kept)} lessons",
                *(f"{count} sections {what}" for what, count in counts.items() if count),
            ]
        )

    @property
    def moved(self) -> dict[str, str]:
        """Which sections were found elsewhere than they were named: path#anchor then and now."""
        return {
            origin: place.name for origin, (place, here) in self.seen.items() if here and place.name != origin
        }

    @property
    def gone(self) -> list[str]:
        """The sections of `dropped`, each once."""
        return list(dict.fromkeys(f"{lesson.path}#{lesson.anchor}" for lesson in self.dropped))


def resolved(
    events: Iterable[Feedback],
    golden: Iterable[Golden],
    now: datetime,
    candidate: sqlite3.Connection,
    base: sqlite3.Connection | None,
) -> Resolved:
    """Relates all that was said to the candidate's sections. `base` is the release before, whatever version made it."""
    cast, pinned = votes(events), tuple(golden)
    looks: defaultdict[Key, list[Section]] = defaultdict(list)
    for section in (*(query.section for query in pinned), *(vote.section for vote in reversed(cast))):
        looks[section.key].append(section)
    if not looks:
        return Resolved((), (), (), {})
    whereabouts = _whereabouts(looks, candidate, base)
    places = {key: whereabouts.place(key, seen) for key, seen in looks.items()}
    here: list[Vote] = []
    elsewhere: list[Vote] = []
    for vote in cast:
        place = places[vote.section.key]
        if place is None:
            elsewhere.append(vote)
        else:
            here.append(replace(vote, section=place))
    return Resolved(
        kept=tuple(lessons(here, now)),
        dropped=tuple(lessons(elsewhere, now)),
        golden=tuple((query, places[query.section.key]) for query in pinned),
        seen={
            f"{key[0]}#{key[1]}": (place, True)
            if place
            else (_best_look(key, looks[key], whereabouts), False)
            for key, place in places.items()
        },
    )


def store_lessons(database: sqlite3.Connection, found: Resolved) -> None:
    """Writes the candidate's two tables."""
    database.executescript(SCHEMA)
    database.executemany(
        "INSERT INTO lessons VALUES (?, ?, ?, ?, ?)",
        [(one.query, one.verdict, one.weight, os.fsencode(one.path), one.anchor) for one in found.kept],
    )
    database.executemany(
        "INSERT INTO origins VALUES (?, ?, ?, ?, ?, ?)",
        [
            (*map(_stored, (origin, place.path, place.anchor, place.trail, place.digest)), here)
            for origin, (place, here) in found.seen.items()
        ],
    )
    database.commit()


def known_lessons(database: sqlite3.Connection) -> list[Lesson]:
    """The lessons that a release was trained with, without who taught them; a release of an older version knows none."""
    return [
        Lesson(query, os.fsdecode(path), anchor, verdict, weight, (), ())
        for query, verdict, weight, path, anchor in _rows(
            database,
            "lessons",
            "SELECT query, verdict, weight, path, anchor FROM lessons ORDER BY query, path, anchor",
        )
    ]


def sections(database: sqlite3.Connection) -> dict[Key, Section]:
    """Every section of a release, in the order of the documents."""
    found: dict[Key, Section] = {}
    rows = database.execute(
        "SELECT files.path, chunks.file, anchor, crumbs, heading, text FROM chunks JOIN files ON files.id = chunks.file "
        "ORDER BY chunks.file, chunks.id"
    )
    for (path, _), chunks in groupby(rows, key=lambda row: (row[0], row[1])):
        texts: dict[str, list[str]] = {}
        trails: dict[str, str] = {}
        for _, _, anchor, crumbs, heading, text in chunks:
            texts.setdefault(anchor, []).append(text)
            trails.setdefault(anchor, " > ".join(part for part in (crumbs, heading) if part))
        for anchor, parts in texts.items():
            section = Section(os.fsdecode(path), anchor, trails[anchor], text_digest(parts))
            found.setdefault(section.key, section)
    return found


def text_digest(chunks: Sequence[str]) -> str:
    """Names a section's text by what a reader reads: not its heading, nor blank lines, nor where it was cut. "" if that is too little."""
    lines = [line.rstrip() for chunk in chunks for line in chunk.split("\n") if line.strip()]
    body = "\n".join(lines[_heading_lines(lines) :])
    return hashlib.sha256(body.encode()).hexdigest() if len(body) >= DISTINCTIVE else ""


def _heading_lines(lines: Sequence[str]) -> int:
    """How many lines at the top are the heading: one with #, or those above an underline and the underline (CommonMark 4.2, 4.3)."""
    if not lines or lines[0].lstrip().startswith("#"):
        return 1
    return next((number for number, line in enumerate(lines[1:3], start=2) if _UNDERLINE.match(line)), 0)


def _whereabouts(
    named: Iterable[Key], candidate: sqlite3.Connection, base: sqlite3.Connection | None
) -> Whereabouts:
    here = sections(candidate)
    if base is None or all(key in here for key in named):
        return Whereabouts(here, {}, {})
    known = {}
    for row in _rows(base, "origins", "SELECT origin, path, anchor, trail, digest FROM origins"):
        origin, *place = (value.decode("utf-8", "surrogatepass") for value in row)
        known[section_named(origin).key] = Section(*place)
    return Whereabouts(here, sections(base), known)


def _best_look(key: Key, seen: Sequence[Section], whereabouts: Whereabouts) -> Section:
    """What is remembered of a section that is gone: it may come back."""
    looks = (whereabouts.known.get(key), whereabouts.before.get(key), *seen)
    return next((look for look in looks if look is not None and (look.trail or look.digest)), Section(*key))


def _stored(text: str) -> bytes:
    """Names and headings in events may hold anything, lone surrogates too, which SQLite's TEXT can't."""
    return text.encode("utf-8", "surrogatepass")


def _rows(database: sqlite3.Connection, table: str, query: str) -> Iterator[tuple[Any, ...]]:
    there = database.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)
    ).fetchone()
    return iter(database.execute(query)) if there else iter(())
