"""Phase 4, training: chunks -> the model. This model is an FTS5 index: BM25 over heading, crumbs and body, with a Porter stemmer.

The index keeps no text of its own (`content=''`): the passages are in the table `chunks`, under the same row ids.
"""

import sqlite3

from knowledge_platform.progress import Progress
from knowledge_platform.settings import TOKENIZER, WEIGHTS

BATCH = 1000  # chunks between two signs of life


def train_index(database: sqlite3.Connection, progress: Progress) -> None:
    (total,) = database.execute("SELECT count(*) FROM chunks").fetchone()
    (last,) = database.execute("SELECT coalesce(max(id), 0) FROM chunks").fetchone()
    database.execute(
        f"CREATE VIRTUAL TABLE passages USING fts5(heading, crumbs, body, content='', tokenize='{TOKENIZER}')"
    )
    database.execute(
        "INSERT INTO passages (passages, rank) VALUES ('rank', ?)", (f"bm25({', '.join(map(str, WEIGHTS))})",)
    )
    progress.expect(total, "chunks")
    for first in range(0, last + 1, BATCH):
        done = database.execute(
            "INSERT INTO passages (rowid, heading, crumbs, body) "
            "SELECT id, heading, crumbs, text FROM chunks WHERE id > ? AND id <= ?",
            (first, first + BATCH),
        ).rowcount
        progress.advance(done)
    database.execute("INSERT INTO passages (passages) VALUES ('optimize')")
    database.commit()
