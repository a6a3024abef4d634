"""Reading the journal: entries that match, and a run's entries as they come.

Reading bytes and understanding them are two functions; what an entry means for a start is systemd.py's.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from training_watch import clock
from training_watch.launching import LaunchError
from training_watch.launching.systemctl import environment

# After a run's end: when this long nothing new comes, everything is out. Arbitrary.
_QUIET = 0.4
# How often a follower asks whether the run still is, when no message says so.
_ASK_AGAIN = 5.0

_FIELDS = (
    "MESSAGE,MESSAGE_ID,JOB_TYPE,JOB_RESULT,UNIT_RESULT,USER_INVOCATION_ID,_SYSTEMD_INVOCATION_ID,_BOOT_ID"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the journal, as far as it matters here; times are in microseconds.

    `invocation` is the one that the manager speaks of. `nameless`: the one that speaks has none.
    """

    message: str
    invocation: str = ""
    message_id: str = ""
    job_type: str = ""
    job_result: str = ""
    unit_result: str = ""
    boot_id: str = ""
    monotonic: int = 0
    realtime: int = 0
    cursor: str = ""
    nameless: bool = False

    @property
    def last_words(self) -> bool:
        """The manager said that the unit's start, or its run, came to an end."""
        return bool(self.job_result or self.unit_result)


def entry(line: str) -> Entry:
    """One line of `journalctl --output=json`."""
    fields = json.loads(line)
    return Entry(
        message=_text(fields.get("MESSAGE")),
        invocation=_text(fields.get("USER_INVOCATION_ID")),
        message_id=_text(fields.get("MESSAGE_ID")),
        job_type=_text(fields.get("JOB_TYPE")),
        job_result=_text(fields.get("JOB_RESULT")),
        unit_result=_text(fields.get("UNIT_RESULT")),
        boot_id=_text(fields.get("_BOOT_ID")),
        monotonic=int(fields.get("__MONOTONIC_TIMESTAMP", 0)),
        realtime=int(fields.get("__REALTIME_TIMESTAMP", 0)),
        cursor=_text(fields.get("__CURSOR")),
        nameless="_SYSTEMD_INVOCATION_ID" not in fields,
    )


def _text(value: object) -> str:
    # Bytes that are no UTF-8 come as a list of numbers, a field that is there twice as a list of texts.
    if isinstance(value, list):
        if all(isinstance(each, int) for each in value):
            return bytes(value).decode("utf-8", "replace")
        return _text(value[-1])
    return value if isinstance(value, str) else ""


_NO_JOURNALCTL = 'there is no journalctl on this machine: install systemd\'s, or put `launcher = "process"` into the configuration'


def of(invocation: str) -> tuple[str, ...]:
    """The matches for a run's own lines, and for what the manager says of it ("+" is "or")."""
    return (f"_SYSTEMD_INVOCATION_ID={invocation}", "+", f"USER_INVOCATION_ID={invocation}")


def _command(*words: str) -> list[str]:
    # Without --user it reads all journals that this user may read, its own included: where user
    # journals aren't split off (Storage=volatile), those are the only ones.
    return [
        "journalctl",
        "--quiet",
        "--no-pager",
        "--all",
        "--output=json",
        f"--output-fields={_FIELDS}",
        *words,
    ]


def read(*words: str) -> list[Entry]:
    """The entries that match, oldest first. Raises LaunchError."""
    try:
        answer = subprocess.run(
            _command(*words),
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=30.0,
            check=False,
        )
    except FileNotFoundError:
        raise LaunchError(_NO_JOURNALCTL) from None
    except subprocess.TimeoutExpired:
        raise LaunchError(
            "journalctl did not answer within 30 s: see `journalctl --user --lines=1`"
        ) from None
    # "No journal files were found" is exit code 1 and no error here: nothing was logged.
    return [entry(line) for line in answer.stdout.splitlines() if line.startswith("{")]


def follow(invocation: str, *, ended: Callable[[], bool]) -> Iterator[Entry]:
    """What `journalctl --follow` says, until the run has ended and the journal is quiet."""
    try:
        child = subprocess.Popen(
            _command("--follow", "--no-tail", *of(invocation)),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise LaunchError(_NO_JOURNALCTL) from None
    if child.stdout is None:
        raise AssertionError("the follower was started without a pipe")
    try:
        yield from _until_quiet(_Pipe(child.stdout.fileno()), ended)
    finally:
        child.kill()
        child.communicate()


class _Pipe:
    """The follower's output, entry by entry."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._rest = b""
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)

    def read(self, *, within: float) -> list[Entry] | None:
        """What came within so many seconds; None at the end of the output."""
        while self._poll.poll(max(0.0, within) * 1000):
            read = os.read(self._fd, 65536)
            if not read:
                return None
            *lines, self._rest = (self._rest + read).split(b"\n")
            if found := [entry(line.decode("utf-8", "replace")) for line in lines if line.startswith(b"{")]:
                return found
        return []


def _until_quiet(pipe: _Pipe, ended: Callable[[], bool]) -> Iterator[Entry]:
    over, ask_at = False, clock.elapsed()
    while True:
        if not over and clock.elapsed() >= ask_at:
            over = ended()
            ask_at = clock.elapsed() + _ASK_AGAIN
        found = pipe.read(within=_QUIET if over else ask_at - clock.elapsed())
        if not found and over:
            return
        if found is None:
            raise LaunchError(
                "journalctl ended before the run did, which goes on: see `journalctl --user --lines=1`"
            )
        for each in found:
            yield each
            if each.last_words:
                ask_at = clock.elapsed()
