"""A state.db as an older version of the program would have left it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

SNAPSHOT = ("files", "folders", "roots", "mounts", "noticed")


def age(connection: sqlite3.Connection, version: int, jobs: Mapping[str, str]) -> None:
    """Take away what came after `version`, the rows' own content kept. `jobs` are the names of the units' jobs then."""
    if version < 4:
        for table in SNAPSHOT:
            connection.execute(f"ALTER TABLE {table} RENAME COLUMN unit TO job")
            for unit, job in jobs.items():
                connection.execute(f"UPDATE {table} SET job = ? WHERE job = ?", (job, unit))  # noqa: S608
    if version < 3:
        connection.execute("DROP TABLE reports")
        connection.execute("ALTER TABLE files DROP COLUMN seen_at")
        connection.execute("ALTER TABLE files DROP COLUMN run")
    if version < 2:
        connection.execute("DROP TABLE folders")
        connection.execute("DROP TABLE mounts")
    connection.execute(f"PRAGMA user_version = {version}")
