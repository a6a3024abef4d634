"""state.db: made, set aside when damaged, and an error in one line when it can't be had."""

import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from needs import lacking
from training_watch.database import UPGRADES, DatabaseError, open_database, transaction


def unexpected(line: str) -> None:
    raise AssertionError(line)


def test_it_is_made_where_there_is_none_and_found_again(tmp_path: Path) -> None:
    path = tmp_path / "state" / "state.db"
    with closing(open_database(path, say=unexpected)) as connection:
        connection.execute("INSERT INTO starts VALUES ('i', 'u', 'hand', 0)")
    with closing(open_database(path, say=unexpected)) as connection:
        assert connection.execute("SELECT count(*) FROM starts").fetchone() == (1,)
    assert path.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "junk", [b"not a database at all, but long enough to be looked at" * 20, b"\x00" * 4096]
)
def test_junk_is_set_aside_said_aloud_and_never_lost(tmp_path: Path, junk: bytes) -> None:
    path = tmp_path / "state.db"
    for number in (1, 2):
        path.write_bytes(junk)
        said: list[str] = []
        open_database(path, say=said.append).close()
        assert [f"set aside as state.db.damaged-{number}" in line for line in said] == [True]
        assert (tmp_path / f"state.db.damaged-{number}").read_bytes() == junk


def test_one_of_a_future_version_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    said: list[str] = []
    open_database(path, say=said.append).close()
    assert "schema version 99" in said[0]


@pytest.mark.parametrize("version", UPGRADES)
def test_one_that_calls_itself_older_than_it_is_is_set_aside(tmp_path: Path, version: int) -> None:
    path = tmp_path / "state.db"
    with closing(open_database(path, say=unexpected)) as connection:
        connection.execute(f"PRAGMA user_version = {version}")
    said: list[str] = []
    open_database(path, say=said.append).close()
    assert "was damaged" in said[0]
    open_database(path, say=unexpected).close()


def test_one_of_a_format_that_sqlite_does_not_know_is_set_aside(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    open_database(path, say=unexpected).close()
    content = bytearray(path.read_bytes())
    content[47] ^= 1  # the schema format number (sqlite.org/fileformat2.html)
    path.write_bytes(content)
    said: list[str] = []
    open_database(path, say=said.append).close()
    assert "unsupported file format" in said[0]


def test_a_lock_that_lasts_is_an_error_after_the_wait(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with (
        closing(open_database(path, say=unexpected)) as holder,
        closing(open_database(path, say=unexpected, wait=0.05)) as other,
        transaction(holder),
        pytest.raises(sqlite3.OperationalError, match="locked"),
        transaction(other),
    ):
        pass


def test_a_place_that_is_no_folder_is_an_error_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseError, match=r"file/state\.db"):
        open_database(tmp_path / "file" / "state.db", say=unexpected)


def test_a_failed_transaction_leaves_nothing(tmp_path: Path) -> None:
    def broken_off(connection: sqlite3.Connection) -> None:
        with transaction(connection):
            connection.execute("INSERT INTO starts VALUES ('i', 'u', 'hand', 0)")
            raise RuntimeError

    with closing(open_database(tmp_path / "state.db", say=unexpected)) as connection:
        with pytest.raises(RuntimeError):
            broken_off(connection)
        assert connection.execute("SELECT count(*) FROM starts").fetchone() == (0,)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        lacking("mounting a small tmpfs needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", folder], check=False)
    if mounted.returncode != 0:
        lacking("this machine doesn't let us mount")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_is_an_error_in_one_line_and_nothing_is_damaged(small_disk: Path) -> None:
    with closing(open_database(small_disk / "state.db", say=unexpected)):
        pass
    with pytest.raises(OSError, match="No space left"):
        (small_disk / "filler").write_bytes(b"x" * 1_000_000)
    with pytest.raises(DatabaseError, match=r"state\.db: (database or disk is full|disk I/O error)"):
        open_database(small_disk / "state.db", say=unexpected)
    (small_disk / "filler").unlink()
    with closing(open_database(small_disk / "state.db", say=unexpected)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
