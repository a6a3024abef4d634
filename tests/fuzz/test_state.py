"""state.db, whatever became of its bytes: set aside and begun anew, or an error of one line; never a traceback."""

from __future__ import annotations

import os
import re
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from acts.conftest import Home
from fuzz.amount import examples
from fuzz.commands import called, furnished
from training_watch.files import lock

UNIT = "crystal-train.service"
NEXT = {"INVOCATION_ID": "f" * 32}
LAST = {"INVOCATION_ID": f"{3:032x}", "SERVICE_RESULT": "success", "EXIT_CODE": "exited", "EXIT_STATUS": "0"}
COMMANDS = (
    ("check",),
    ("status",),
    ("status", "--json"),
    ("trigger", "--dry-run"),
    ("begin", UNIT),
    ("mark", UNIT),
)


class Lived:
    """A home with a history of four runs, of which the last has no end; its state.db is put back before each test."""

    def __init__(self, home: Path) -> None:
        self.home = furnished(home)
        for number in range(20):
            (home / f"docs/page-{number}.md").write_text(f"page {number}")
        for number in range(4):
            (home / f"docs/page-{number}.md").write_text("edited")
            run = {**LAST, "INVOCATION_ID": f"{number:032x}"}
            assert called(home, "begin", UNIT, env=run).exit_code == 0
            if number < 3:
                assert called(home, "mark", UNIT, env=run).exit_code == 0
        self.database = home / ".local/state/training-watch/state.db"
        with closing(sqlite3.connect(self.database)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        self.good = self.database.read_bytes()
        # Most of the file is empty pages; a bit that matters is one of these.
        self.written = [place for place, byte in enumerate(self.good) if byte]

    def put(self, content: bytes, **beside: bytes) -> None:
        shutil.rmtree(self.database.parent)
        self.database.parent.mkdir()
        self.database.write_bytes(content)
        for suffix, other in beside.items():
            self.database.with_name(f"state.db-{suffix}").write_bytes(other)

    def endure(self, *words: str) -> None:
        """The command keeps its promises, and whatever it found, the next one but one works."""
        called(self.home, *words, env=LAST if words[0] == "mark" else NEXT)
        for _ in range(2):
            then = called(self.home, "status")
        # A flipped bit may also say that the file is of a newer SQLite, to be read only.
        assert then.exit_code == 0 or "readonly" in then.stderr, then.stderr


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Lived:
    return Lived(tmp_path_factory.mktemp("lived"))


commands = some.sampled_from(COMMANDS)


@given(
    some.lists(some.tuples(some.floats(0, 1, exclude_max=True), some.integers(1, 255)), min_size=1), commands
)
@examples(150)
def test_flipped_bits_are_survived(
    lived: Lived, flips: list[tuple[float, int]], command: tuple[str, ...]
) -> None:
    content = bytearray(lived.good)
    for place, bits in flips:
        content[lived.written[int(place * len(lived.written))]] ^= bits
    lived.put(bytes(content))
    lived.endure(*command)


@pytest.mark.parametrize(
    ("known", "damaged"),
    [
        pytest.param(rb"(\d\d)T(\d\d:)", rb"\1\xff\2", id="a time that is not UTF-8"),
        pytest.param(rb"(\d\d)T(\d\d:)", rb"\1\r\2", id="a time with another letter in it"),
        pytest.param(rb"[+-]\d\d:\d\d", b"      ", id="a time without its offset"),
        pytest.param(rb"succeeded", b"succeeeed", id="an outcome that there isn't"),
        pytest.param(rb"alive_elapsed REAL", b"alive_elapsee REAL", id="a column of another name"),
        pytest.param(rb"CREATE TABLE starts", b"CREATE TABLE starte", id="a table of another name"),
        pytest.param(rb"CREATE TABLE runs", b"CREATE TABLE ru\xffs", id="a table's name that is not UTF-8"),
    ],
)
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_damage_that_sqlite_does_not_see_is_seen(
    lived: Lived, known: bytes, damaged: bytes, command: tuple[str, ...]
) -> None:
    content, times = re.subn(known, damaged.replace(rb"\xff", b"\xff").replace(rb"\r", b"\r"), lived.good)
    assert times
    lived.put(content)
    lived.endure(*command)


@given(some.integers(0, 70_000), commands)
@example(0, ("status",))
@example(1, ("begin", UNIT))
@example(100, ("mark", UNIT))
@example(4096, ("check",))
@examples(60)
def test_a_file_that_was_cut_off_is_survived(lived: Lived, length: int, command: tuple[str, ...]) -> None:
    lived.put(lived.good[:length])
    lived.endure(*command)


@given(
    some.binary(max_size=200) | some.sampled_from([b"SQLite format 3\0", bytes(4096), b"\xff" * 8192]),
    commands,
)
@examples(60)
def test_any_bytes_are_survived(lived: Lived, content: bytes, command: tuple[str, ...]) -> None:
    lived.put(content)
    lived.endure(*command)


@given(some.binary(max_size=300), some.booleans(), commands)
@example(b"7\x7f\x06\x82" + bytes(5000), True, ("status",))
@examples(60)
def test_garbage_beside_it_is_survived(
    lived: Lived, garbage: bytes, shared: bool, command: tuple[str, ...]
) -> None:
    if shared:
        lived.put(lived.good, wal=garbage, shm=garbage)
    else:
        lived.put(lived.good, wal=garbage)
    lived.endure(*command)


def _folder(path: Path) -> None:
    path.mkdir()
    (path / "inside").touch()


@pytest.mark.parametrize(
    "put",
    [_folder, os.mkfifo, lambda path: path.symlink_to(path), lambda path: path.symlink_to("/dev/zero")],
    ids=["folder", "fifo", "loop", "device"],
)
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_what_is_no_file_is_told(lived: Lived, put: Callable[[Path], None], command: tuple[str, ...]) -> None:
    lived.put(b"")
    lived.database.unlink()
    put(lived.database)
    called(lived.home, *command, env=LAST if command[0] == "mark" else NEXT)


# ---- what lies beside it -----------------------------------------------------------------------

JUNK = [b"", b"[", b"[" * 100_000, b"null", b"1", b"\xff", b'{"jobs": 1}', b'{"schema": 2, "jobs": {"docs": {"burst": [1]}}}',
        b'{"schema": 1, "jobs": []}', b'{"schema": NaN, "pid": "\\u001b[2J", "since": "\\u202e"}']  # fmt: skip


@pytest.mark.parametrize("junk", JUNK, ids=lambda junk: ascii(junk[:40]))
def test_junk_that_a_daemon_or_a_run_left_behind_is_passed_over(lived: Lived, junk: bytes) -> None:
    lived.put(lived.good)
    state = lived.database.parent
    for name in ("daemon.json", f"{UNIT}.run"):
        (state / name).write_bytes(junk)
    with lock(state / "daemon.lock", within=0, pause=lambda _: None):
        for command in COMMANDS[:4]:
            assert called(lived.home, *command).exit_code in (0, 75)


# ---- the daemon --------------------------------------------------------------------------------


def runs_in_the_end(home: Home) -> None:
    """The daemon starts, at the latest when systemd has started it again; it is told to stop then."""
    for _ in range(3):
        with home.start_daemon() as daemon:
            assert daemon.stderr is not None
            lines = []
            for line in iter(daemon.stderr.readline, ""):
                lines.append(line)
                if "watching" in line:
                    daemon.send_signal(signal.SIGTERM)
                    break
            lines += daemon.stderr.readlines()
            code = daemon.wait(30)
        assert "Traceback" not in "".join(lines), "".join(lines)
        if code == 0:
            return
        assert code == 1
    raise AssertionError("".join(lines))


@pytest.mark.parametrize("damage", ["page", "schema", "text", "cut"])
def test_the_daemon_runs_again_after_any_damage(home: Home, lived: Lived, damage: str) -> None:
    home.configure(cooldown="1h")
    home.marker.parent.mkdir(parents=True)
    home.marker.write_text("2999-01-01T00:00:00Z\n")
    content = lived.good.replace(str(lived.home).encode(), str(home.path).encode())
    match damage:
        case "page":
            content = content[:4096] + bytes(len(content) - 4096)
        case "schema":
            content = content.replace(b"began_elapsed REAL", b"began_elapsee REAL")
        case "text":
            content = content.replace(b"succeeded", b"succeed\xffd")
        case _:
            content = content[: len(content) // 2]
    home.database.parent.mkdir(parents=True)
    home.database.write_bytes(content)
    runs_in_the_end(home)
