"""What goes out to the service manager and the journal: one line each, and never forged."""

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from training_watch.bell import Bell, ring
from training_watch.journal import LARGEST, log, open_log
from training_watch.notify import Notify
from training_watch.text import printable


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        yield listening


def told(manager: socket.socket) -> list[str]:
    datagrams = []
    while True:
        try:
            datagrams.append(manager.recv(4096).decode())
        except BlockingIOError:
            return datagrams


def test_the_manager_is_told_in_its_own_words(manager: socket.socket) -> None:
    notify = Notify(manager.getsockname(), "60000000")
    assert notify.ping_interval == 30
    notify.ready()
    notify.status("3 files changed")
    notify.status("3 files changed")
    notify.status("a name\nREADY=0")
    notify.reloading(5)
    notify.ping()
    notify.stopping()
    assert told(manager) == [
        "READY=1",
        "STATUS=3 files changed",
        "STATUS=a name READY=0",
        "RELOADING=1\nMONOTONIC_USEC=5",
        "WATCHDOG=1",
        "STOPPING=1",
    ]


def test_without_a_manager_nothing_happens(tmp_path: Path) -> None:
    for address in (None, "", "not-a-path", str(tmp_path / "nobody")):
        notify = Notify(address)
        notify.ready()
        assert notify.ping_interval is None


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"plain.md", "plain.md"),
        ("grün.md".encode(), "grün.md"),
        (b"a\nshould_train=true", r"a\nshould_train=true"),
        (b"\xff.md", r"\xff.md"),
        ("\u202egpj.exe".encode(), r"\u202egpj.exe"),
        (b"\x1b[31mred", r"\x1b[31mred"),
    ],
)
def test_a_file_name_can_not_forge_a_line(name: bytes, shown: str) -> None:
    assert printable(name) == shown


def test_lines_go_to_the_file_and_with_a_priority_to_the_journal(tmp_path: Path) -> None:
    file = tmp_path / "new" / "watch.log"
    script = (
        "import os, sys; from pathlib import Path\n"
        "stat = os.fstat(2); os.environ['JOURNAL_STREAM'] = f'{stat.st_dev}:{stat.st_ino}'\n"
        "from training_watch.journal import log, open_log\n"
        "open_log(Path(sys.argv[1])); log.info('one'); log.warning('two\\nlines'); log.error('three')\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script, str(file)], capture_output=True, text=True, check=True
    )
    assert run.stderr.splitlines() == ["<6>one", "<4>two\\nlines", "<3>three"]
    lines = file.read_text().splitlines()
    assert [line.split(" ", 1)[1] for line in lines] == ["INFO one", "WARNING two\\nlines", "ERROR three"]


@pytest.fixture
def log_closed() -> Iterator[None]:
    yield
    for handler in log.handlers[:]:
        log.removeHandler(handler)
        handler.close()


@pytest.mark.usefixtures("log_closed")
def test_a_full_log_file_makes_way_and_the_oldest_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "watch.log"
    open_log(file)
    for generation in range(5):
        log.info("generation %s: %s", generation, "-" * LARGEST)
    kept = {each.name: each.read_text().split()[3] for each in tmp_path.iterdir()}
    assert kept == {"watch.log": "4:", "watch.log.1": "3:", "watch.log.2": "2:"}
    assert "generation 0" in capsys.readouterr().err


@pytest.mark.usefixtures("log_closed")
def test_a_full_log_file_that_can_not_make_way_is_written_further(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)  # as in the daemon
    file = tmp_path / "watch.log"
    (tmp_path / "watch.log.1").mkdir()
    open_log(file)
    log.info("-" * LARGEST)
    log.info("and on")
    assert "and on" in file.read_text()


def test_a_log_file_that_can_not_be_written_is_said_and_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    try:
        assert "no log file" in (open_log(tmp_path / "file" / "log") or "")
        log.info("still here")
    finally:
        for handler in log.handlers[:]:
            log.removeHandler(handler)
        log.propagate = True
        log.setLevel(logging.NOTSET)


def test_the_bell_is_heard_when_a_marker_is_written_removed_or_renamed_into_place(tmp_path: Path) -> None:
    marker, rope = tmp_path / "marker", tmp_path / "state" / "bell"
    rope.parent.mkdir()
    bell = Bell([rope, marker])
    assert not bell.read()
    ring(rope)
    assert bell.read()
    assert not bell.read()
    (tmp_path / "new").write_text("x")
    assert not bell.read(), "a neighbour is none of its business"
    os.replace(tmp_path / "new", marker)
    assert bell.read()
    marker.unlink()
    assert bell.read()
    assert not bell.read()
    bell.close()
    marker.write_text("heard without inotify too")
    assert bell.read()
