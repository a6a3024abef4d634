"""A state.db as an older version of the program would have left it."""

from __future__ import annotations

import sqlite3

# As version 2 had it.
FILES = """
CREATE TABLE files (
    job TEXT NOT NULL, path BLOB NOT NULL, folder BLOB NOT NULL,
    size INTEGER NOT NULL DEFAULT 0, mtime_ns INTEGER NOT NULL DEFAULT 0,
    ctime_ns INTEGER NOT NULL DEFAULT 0, inode INTEGER NOT NULL DEFAULT 0,
    racy INTEGER NOT NULL DEFAULT 0,
    digest BLOB, attempted BLOB, trained BLOB,
    stirred INTEGER NOT NULL DEFAULT 0, own INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (job, path)
) WITHOUT ROWID
"""
INDEXES = (
    "CREATE INDEX files_by_folder ON files(job, folder)",
    "CREATE INDEX files_pending ON files(job) WHERE digest IS NOT trained",
    "CREATE INDEX files_racy ON files(job) WHERE racy",
)
COLUMNS = "job, path, folder, size, mtime_ns, ctime_ns, inode, racy, digest, attempted, trained, stirred, own"


def age(connection: sqlite3.Connection, version: int) -> None:
    """Take away what came after `version`, the rows' own content kept."""
    connection.execute("DROP TABLE reports")
    connection.execute("ALTER TABLE files RENAME TO newer")
    connection.execute(FILES)
    connection.execute(f"INSERT INTO files SELECT {COLUMNS} FROM newer")  # noqa: S608
    connection.execute("DROP TABLE newer")
    for index in INDEXES:
        connection.execute(index)
    if version < 2:
        connection.execute("DROP TABLE folders")
        connection.execute("DROP TABLE mounts")
    connection.execute(f"PRAGMA user_version = {version}")
