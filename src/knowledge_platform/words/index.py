"""The words' half of the model: an FTS5 index over heading, crumbs and body, with BM25 and a Porter stemmer.

The index keeps no text of its own (`content=''`): the passages are in the table `chunks`, under the same row ids.
"""

import sqlite3
from collections.abc import Iterable

from knowledge_platform.progress import Progress
from knowledge_platform.settings import TOKENIZER, WEIGHTS

BATCH = 1000  # chunks between two signs of life


def build_index(database: sqlite3.Connection, progress: Progress) -> None:
    """Indexes the table `chunks`."""
    (total,) = database.execute("SELECT count(*) FROM chunks").fetchone()
    _create(database)
    progress.expect(total, "chunks")
    for first in range(0, total, BATCH):
        done = database.execute(
            "INSERT INTO passages (rowid, heading, crumbs, body) "
            "SELECT id, heading, crumbs, text FROM chunks WHERE id > ? AND id <= ?",
            (first, first + BATCH),
        ).rowcount
        progress.advance(done)
    database.execute("INSERT INTO passages (passages) VALUES ('optimize')")
    database.commit()


def index_of(database: sqlite3.Connection, rows: Iterable[tuple[str, str, str]]) -> None:
    """Indexes passages given as (heading, crumbs, body); their row ids count from 1."""
    _create(database)
    database.executemany(
        "INSERT INTO passages (rowid, heading, crumbs, body) VALUES (?, ?, ?, ?)",
        ((row, *passage) for row, passage in enumerate(rows, 1)),
    )


def _create(database: sqlite3.Connection) -> None:
    database.execute(
        f"CREATE VIRTUAL TABLE passages USING fts5(heading, crumbs, body, content='', tokenize='{TOKENIZER}')"
    )
    database.execute(
        "INSERT INTO passages (passages, rank) VALUES ('rank', ?)", (f"bm25({', '.join(map(str, WEIGHTS))})",)
    )
