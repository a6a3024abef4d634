"""File names as bad as names can be: seen, shown, kept; no line, key or escape sequence of their own making."""

from __future__ import annotations

import json
import logging
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from acts.conftest import PROGRAM, Home
from fuzz.amount import examples
from fuzz.commands import called, keeps_its_promises
from fuzz.nasty import NAMES, harmless
from machine.waiting import eventually
from training_watch.describe import listing
from training_watch.journal import log, open_log
from training_watch.text import printable

UNIT = "crystal-train.service"


def below(folder: Path, name: bytes) -> bytes:
    return os.path.join(os.fsencode(folder), name)


def write(path: bytes) -> None:
    with open(path, "wb") as file:
        file.write(b"text")


@contextmanager
def watching(home: Home, *options: str) -> Iterator[subprocess.Popen[bytes]]:
    """`watch` on the docs folder, armed: it has shown a first change."""
    words = [str(PROGRAM), "watch", str(home.path / "docs"), *options]
    with subprocess.Popen(
        words, env=home.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        first = home.path / "docs/first.md"
        heard = bytearray()

        def armed() -> bool:
            first.write_text("" if first.exists() and first.read_text() else "x")
            heard.extend(process.stdout.read() or b"" if process.stdout else b"")
            return b"first.md" in heard

        eventually(armed, 20, "the watch is set")
        try:
            yield process
        finally:
            process.terminate()
            process.wait(20)


def heard_of(process: subprocess.Popen[bytes], ends: bytes, last: bytes) -> list[bytes]:
    """All that `watch` says, up to the name that was written last."""
    told = bytearray()

    def complete() -> bool:
        assert process.stdout is not None
        told.extend(process.stdout.read() or b"")
        return last in told and told.endswith(ends)

    eventually(complete, 20, "the last name is told")
    return [line for line in bytes(told).split(ends) if line and b"first.md" not in line]


def test_watch_prints_each_name_on_a_line_of_its_own(home: Home) -> None:
    with watching(home) as process:
        for name in (*NAMES, b"last.md"):
            write(below(home.path / "docs", name))
        lines = heard_of(process, b"\n", b"last.md")
    folder = f"{home.path}/docs/"
    for line in lines:
        assert line.decode().startswith(folder)
        assert harmless(line.decode())
    assert {line.decode() for line in lines} == {
        folder + printable(name) for name in (*NAMES, b"last.md") if not ignored(name)
    }


def ignored(name: bytes) -> bool:
    """Editors' own files: the built-in rules take a name with a tilde at its end for a backup."""
    return name.endswith(b"~")


def test_watch_ends_each_name_with_a_nul_if_asked(home: Home) -> None:
    with watching(home, "-0") as process:
        for name in (*NAMES, b"last.md"):
            write(below(home.path / "docs", name))
        paths = heard_of(process, b"\0", b"last.md")
    assert set(paths) == {
        below(home.path / "docs", name) for name in (*NAMES, b"last.md") if not ignored(name)
    }


def test_watch_prints_each_name_as_json_if_asked(home: Home) -> None:
    with watching(home, "--json") as process:
        for name in (*NAMES, b"last.md"):
            write(below(home.path / "docs", name))
        lines = heard_of(process, b"\n", b"last.md")
    for line in lines:
        assert line.isascii()
        assert harmless(json.loads(line)["path"])


@pytest.fixture
def pending(home: Home) -> Home:
    """A home in which every nasty name waits for a training."""
    for name in NAMES:
        write(below(home.path / "docs", name))
    begun = home.environment(INVOCATION_ID="a" * 32)
    ended = {**begun, "SERVICE_RESULT": "exit-code", "EXIT_CODE": "exited", "EXIT_STATUS": "1"}
    assert home.run("begin", UNIT, env=begun).returncode == 0
    assert home.run("mark", UNIT, env=ended).returncode == 0
    return home


@pytest.mark.parametrize(
    "words", [["status"], ["status", "--json"], ["check"], ["trigger", "--dry-run"], ["trigger"]]
)
def test_pending_names_reach_a_terminal_harmless(pending: Home, words: list[str]) -> None:
    outputs = pending.path / "outputs"
    done = pending.run(*words, env=pending.environment(GITHUB_OUTPUT=str(outputs)))
    keeps_its_promises(done.returncode, done.stdout, done.stderr)
    for stream in (done.stdout, done.stderr):
        assert not any(line.startswith(("::", "should_train=true")) for line in stream.splitlines())
    if words == ["check"]:
        keys = [line.partition("=")[0] for line in outputs.read_text().splitlines()]
        assert keys == ["should_train", "reason", "last_trained", "elapsed_seconds", "cooldown_seconds"]
        assert outputs.read_text() == done.stdout
    else:
        assert not outputs.exists()


def test_the_daemon_logs_pending_names_on_lines_of_its_own(pending: Home) -> None:
    pending.marker.unlink()
    pending.mode("exit 1")
    with pending.start_daemon() as daemon:
        eventually(lambda: pending.runs() >= 1, 20, "a training has begun")
        daemon.terminate()
        assert daemon.stderr is not None
        said = daemon.stderr.read()
        assert daemon.wait(20) == 0
    log_file = (pending.path / ".cache/crystal/training-watch.log").read_text()
    for text in (said, log_file):
        assert harmless(text)
        assert not any(line.startswith(("::", "should_train", "reason")) for line in text.splitlines())
    assert all(line.startswith("20") for line in log_file.splitlines()), "each line begins with its date"


def test_a_watched_folder_of_any_name_is_shown_harmless(home: Home) -> None:
    for name in NAMES:
        try:
            text = name.decode()
        except UnicodeDecodeError:
            continue  # a configuration is UTF-8
        folder = below(home.path, name)
        os.mkdir(folder)
        home.config.write_text(
            f'[job.docs]\npaths = [{json.dumps(f"{home.path}/{text}")}]\nlauncher = "process"\n'.replace("\x7f", "\\u007f")
        )  # fmt: skip
        assert called(home.path, "status").exit_code == 0


names = some.binary(min_size=1, max_size=255).filter(lambda name: b"\0" not in name and b"/" not in name)


@given(names | some.sampled_from(NAMES) | some.text(min_size=1, max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))  # fmt: skip
@example("\u202e".encode())
@examples(1000)
def test_any_name_is_printable_text_on_one_line(name: bytes) -> None:
    shown = printable(name)
    assert harmless(shown)
    assert len(shown.splitlines()) <= 1
    shown.encode()
    assert harmless(listing([name, name], 5))


@given(some.lists(names, min_size=1, max_size=3))
@examples(100)
def test_any_names_are_one_line_of_the_log(
    tmp_path_factory: pytest.TempPathFactory, given_names: list[bytes]
) -> None:
    file = tmp_path_factory.mktemp("log") / "log"
    try:
        assert open_log(file) is None
        for handler in log.handlers[:-1]:
            log.removeHandler(handler)
        log.info("seen: %s", b" ".join(given_names).decode("utf-8", "surrogateescape"))
    finally:
        for handler in log.handlers[:]:
            log.removeHandler(handler)
            handler.close()
        log.propagate = True
        log.setLevel(logging.NOTSET)
    text = file.read_text()
    assert text.count("\n") == 1
    assert harmless(text)
