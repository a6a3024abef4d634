"""state.db: where runs and snapshots are kept. This module opens it; others know what is in it.

A state.db that can't be read is set aside under a name of its own and a new one is begun: that costs
the history and at most one training, never a change, because then everything counts as untrained.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from training_watch.mends import refused

VERSION = 4

# The snapshot is the unit's, as runs, marker and lock are: what a unit has read doesn't change with the job's name.
# `digest` is NULL where the file is gone; `trained` is NULL where no run has read it, and empty where
# a run may have read something that nobody knows: that differs from every digest and from absence.
# `stirred`: its stamp changed since the last run began. `own`: it had changed during the last run.
# `seen_at`: seconds since the epoch at which `digest` was first found. `run`: the id of the first run that read `trained`.
# `fingerprint` names a folder's listing at which all its rows were true; NULL where that isn't certain.
SNAPSHOT = """
CREATE TABLE files (
    unit TEXT NOT NULL, path BLOB NOT NULL, folder BLOB NOT NULL,
    size INTEGER NOT NULL DEFAULT 0, mtime_ns INTEGER NOT NULL DEFAULT 0,
    ctime_ns INTEGER NOT NULL DEFAULT 0, inode INTEGER NOT NULL DEFAULT 0,
    racy INTEGER NOT NULL DEFAULT 0,
    digest BLOB, attempted BLOB, trained BLOB,
    stirred INTEGER NOT NULL DEFAULT 0, own INTEGER NOT NULL DEFAULT 0,
    seen_at REAL, run INTEGER,
    PRIMARY KEY (unit, path)
) WITHOUT ROWID;
CREATE TABLE folders (
    unit TEXT NOT NULL, path BLOB NOT NULL, parent BLOB NOT NULL, fingerprint BLOB, files INTEGER NOT NULL,
    PRIMARY KEY (unit, path)
) WITHOUT ROWID;
CREATE TABLE roots (
    unit TEXT NOT NULL, path BLOB NOT NULL, mount_point BLOB NOT NULL,
    PRIMARY KEY (unit, path)
) WITHOUT ROWID;
CREATE TABLE mounts (
    unit TEXT NOT NULL, path BLOB NOT NULL,
    PRIMARY KEY (unit, path)
) WITHOUT ROWID;
CREATE TABLE noticed (
    unit TEXT PRIMARY KEY, boot TEXT NOT NULL, elapsed REAL NOT NULL, at TEXT NOT NULL
) WITHOUT ROWID;
"""
INDEXES = """
CREATE INDEX files_by_folder ON files(unit, folder);
CREATE INDEX files_pending ON files(unit) WHERE digest IS NOT trained;
CREATE INDEX files_racy ON files(unit) WHERE racy;
CREATE INDEX folders_by_parent ON folders(unit, parent);
"""
# On how many files a run trained, and what it said of itself in the end.
REPORTS = """
CREATE TABLE reports (
    invocation TEXT PRIMARY KEY, unit TEXT NOT NULL, files INTEGER,
    quality TEXT NOT NULL DEFAULT '', error TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
"""
SCHEMA = (
    """
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    unit TEXT NOT NULL, job TEXT NOT NULL, invocation TEXT NOT NULL UNIQUE,
    began_boot TEXT NOT NULL, began_elapsed REAL NOT NULL, began_at TEXT NOT NULL,
    alive_boot TEXT NOT NULL, alive_elapsed REAL NOT NULL, alive_at TEXT NOT NULL,
    ended_boot TEXT, ended_elapsed REAL, ended_at TEXT,
    outcome TEXT, status TEXT NOT NULL DEFAULT '', content TEXT NOT NULL DEFAULT '',
    self_fed INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX runs_by_unit ON runs(unit, id);
CREATE TABLE starts (
    invocation TEXT PRIMARY KEY, unit TEXT NOT NULL, starter TEXT NOT NULL, forced INTEGER NOT NULL
) WITHOUT ROWID;
"""
    + REPORTS
    + SNAPSHOT
    + INDEXES
)
# Version 3 had the snapshot under the job's name. It goes to the unit whose last run was of that job; under a name that
# is nobody's last, it says nothing that is still true.
OF_JOBS = """
CREATE TABLE owners (job TEXT PRIMARY KEY, unit TEXT NOT NULL) WITHOUT ROWID;
INSERT OR REPLACE INTO owners
    SELECT job, unit FROM runs WHERE id IN (SELECT max(id) FROM runs GROUP BY unit) ORDER BY id;
ALTER TABLE files RENAME TO files_before;
ALTER TABLE folders RENAME TO folders_before;
ALTER TABLE roots RENAME TO roots_before;
ALTER TABLE mounts RENAME TO mounts_before;
ALTER TABLE noticed RENAME TO noticed_before;
"""
OF_UNITS = """
INSERT INTO files SELECT unit, path, folder, size, mtime_ns, ctime_ns, inode, racy,
    digest, attempted, trained, stirred, own, seen_at, run FROM files_before JOIN owners USING (job);
INSERT INTO folders SELECT unit, path, parent, fingerprint, files FROM folders_before JOIN owners USING (job);
INSERT INTO roots SELECT unit, path, mount_point FROM roots_before JOIN owners USING (job);
INSERT INTO mounts SELECT unit, path FROM mounts_before JOIN owners USING (job);
INSERT INTO noticed SELECT unit, boot, elapsed, at FROM noticed_before JOIN owners USING (job);
DROP TABLE files_before;
DROP TABLE folders_before;
DROP TABLE roots_before;
DROP TABLE mounts_before;
DROP TABLE noticed_before;
DROP TABLE owners;
"""
# What takes a state.db of an older version to the next one. The last step makes the snapshot's tables anew, as SNAPSHOT
# has them: for those before it, it is enough that the columns are there.
UPGRADES = {
    1: """
CREATE TABLE folders (job, path, parent, fingerprint, files);
CREATE TABLE mounts (job, path);
""",
    2: REPORTS
    + """
ALTER TABLE files ADD COLUMN seen_at REAL;
ALTER TABLE files ADD COLUMN run INTEGER;
""",
    3: OF_JOBS + SNAPSHOT + OF_UNITS + INDEXES,
}


class DatabaseError(Exception):
    """state.db can't be used now (locked, read-only, disk full); the message names it and why."""


class Unwritten(DatabaseError):
    """Nothing was ever written to state.db: another process may be about to make its tables."""


def open_database(path: Path, *, say: Callable[[str], None], wait: float = 5.0) -> sqlite3.Connection:
    """Open state.db, make it where there is none; wait at most `wait` seconds for another's lock.

    A damaged file, or one of a version that this program doesn't know, is set aside, which `say` is
    told. Raises DatabaseError where there is no way to go on.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        return _opened(path, wait)
    except (sqlite3.OperationalError, OSError) as error:
        raise DatabaseError(refused(path, error)) from error
    except (sqlite3.DatabaseError, UnknownVersion, UnicodeDecodeError) as error:
        # UnicodeDecodeError: SQLite's own message quotes bytes of the file.
        aside = set_aside(path)
        say(f"{path} was damaged ({error}): set aside as {aside.name}; the history begins anew")
    try:
        return _opened(path, wait)
    except sqlite3.Error as error:
        raise DatabaseError(refused(path, error)) from error


@contextmanager
def opened_to_read(path: Path, *, wait: float = 5.0) -> Iterator[sqlite3.Connection]:
    """state.db as it is, of which nothing is changed. Raises DatabaseError, also where there is none, or nothing in it."""
    try:
        # Not mode=ro, which leaves two files beside it when no other process has it open.
        connection = sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=wait, isolation_level=None)
    except sqlite3.Error as error:
        raise DatabaseError(refused(path, error)) from error
    connection.text_factory = _text
    try:
        connection.execute("PRAGMA query_only = ON")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            raise Unwritten(f"{path} has nothing in it yet: try again when something has run")
        if version in UPGRADES:
            raise DatabaseError(
                f"{path} is of an older version: `training-watch status` takes it to this one"
            )
        if version != VERSION:
            raise DatabaseError(f"{path} is not this program's: schema version {version}, not {VERSION}")
        yield connection
    except sqlite3.Error as error:
        raise DatabaseError(refused(path, error)) from error
    finally:
        connection.close()


def temporary() -> sqlite3.Connection:
    """The same tables for as long as the process lives: for what is to be forgotten."""
    # A nameless file rather than memory: SQLite keeps a small cache of it, however large the tree.
    connection = sqlite3.connect("", isolation_level=None)
    _create(connection)
    return connection


class UnknownVersion(Exception):
    """The schema is of another version."""


def _opened(path: Path, wait: float) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=wait, isolation_level=None)
    connection.text_factory = _text
    try:
        # WAL: a reader such as `status` never waits for the daemon. FULL: a commit survives a power cut.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            with transaction(connection):
                if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
                    _create(connection)
        elif version in UPGRADES:
            with transaction(connection):
                _upgrade(connection)
        elif version != VERSION:
            raise UnknownVersion(f"schema version {version}, this program knows {VERSION}")
        _require_tables(connection)
    except sqlite3.OperationalError as error:
        connection.close()
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_ERROR:
            # Not locked, full or read-only: a format or tables that make no sense, and won't next time.
            raise sqlite3.DatabaseError(str(error)) from error
        raise
    except BaseException:
        connection.close()
        raise
    return connection


def _create(connection: sqlite3.Connection) -> None:
    _execute(connection, SCHEMA)
    connection.execute(f"PRAGMA user_version = {VERSION}")


def _upgrade(connection: sqlite3.Connection) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    while version in UPGRADES:  # another process may have been faster
        _execute(connection, UPGRADES[version])
        version += 1
        connection.execute(f"PRAGMA user_version = {version}")


def _execute(connection: sqlite3.Connection, statements: str) -> None:
    # Statement by statement: executescript() would end the transaction that this is a part of.
    for statement in statements.split(";\n"):
        connection.execute(statement)


def _require_tables(connection: sqlite3.Connection) -> None:
    """Raises sqlite3.DatabaseError where a table is not as SCHEMA has it: SQLite itself would say "no such column" for ever."""
    there = {sql for (sql,) in connection.execute("SELECT sql FROM sqlite_schema WHERE type = 'table'")}
    for statement in SCHEMA.split(";\n"):
        table = statement.strip()
        if table.startswith("CREATE TABLE") and table not in there:
            raise sqlite3.DatabaseError(f"a table is missing or altered: {table.split()[2]}")


def _text(stored: bytes) -> str:
    """As Python's own reading, but what is not UTF-8 is damage, and not an operation that may be tried again."""
    try:
        return stored.decode("utf-8")
    except UnicodeDecodeError as error:
        raise sqlite3.DatabaseError(f"a text that is not UTF-8: {stored[:40]!r}") from error


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """BEGIN IMMEDIATE … COMMIT; ROLLBACK where the block raises."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def set_aside(path: Path) -> Path:
    """Move a damaged state.db out of the way; the new name is returned."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    return aside
