"""Reading the journal: entries that match, and entries as they come.

Reading bytes and understanding them are two functions; what an entry means for a start is systemd.py's,
and of which run it is, unitlog.py's.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from training_watch import clock
from training_watch.launching import LaunchError
from training_watch.launching.systemctl import environment

# After a run's end: when this long nothing new comes, everything is out. Arbitrary.
_QUIET = 0.4
# How often a follower asks whether the run still is, when no message says so.
_ASK_AGAIN = 5.0

_FIELDS = (
    "MESSAGE,MESSAGE_ID,PRIORITY,SYSLOG_IDENTIFIER,JOB_TYPE,JOB_RESULT,UNIT_RESULT,USER_UNIT,"
    "USER_INVOCATION_ID,_SYSTEMD_USER_UNIT,_SYSTEMD_INVOCATION_ID,_BOOT_ID"
)
# systemd.journal-fields(7), and the catalog's "A start job for unit … has begun execution".
STARTING = "7d4958e842da4a758f6c1cdc7b36dcc5"
# The catalog's "Messages from a service have been suppressed".
DROPPED = "a596d6fe7bfa4994828e72309e95d61e"


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the journal, as far as it matters here; times are in microseconds.

    `about` and `invocation` are the unit and the activation that the manager speaks of, `unit` and `speaker`
    those that speak; each is empty where there is none, or where journald came too late to look.
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
    about: str = ""
    unit: str = ""
    speaker: str = ""
    identifier: str = ""
    priority: int = 6

    @property
    def starts(self) -> bool:
        """The manager said that an activation begins."""
        return self.message_id == STARTING

    @property
    def drops(self) -> bool:
        """It says that lines are missing."""
        return self.message_id == DROPPED

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
        about=_text(fields.get("USER_UNIT")),
        unit=_text(fields.get("_SYSTEMD_USER_UNIT")),
        speaker=_text(fields.get("_SYSTEMD_INVOCATION_ID")),
        identifier=_text(fields.get("SYSLOG_IDENTIFIER")),
        priority=int(_text(fields.get("PRIORITY")) or 6),
    )


def _text(value: object) -> str:
    # Bytes that are no UTF-8 come as a list of numbers, a field that is there twice as a list of texts.
    if isinstance(value, list):
        if all(isinstance(each, int) for each in value):
            return bytes(value).decode("utf-8", "replace")
        return _text(value[-1])
    return value if isinstance(value, str) else ""


_NO_JOURNALCTL = 'there is no journalctl on this machine: install systemd\'s, or put `launcher = "process"` into the configuration'


_CAN_NOT_READ = (
    "your user may not read the journal: run `sudo usermod -aG systemd-journal $USER` and log in anew"
)
_NO_JOURNAL = (
    "no journal is kept on this machine: put Storage=persistent into /etc/systemd/journald.conf "
    "and run `sudo systemctl restart systemd-journald`"
)


def trouble() -> str | None:
    """Why the journal says nothing, with the mend, where that is the journal's fault. Raises LaunchError."""
    # Nothing that makes it quiet, as --output=cat does: it would hide that there is no file.
    said = _asked(["journalctl", "--no-pager", "--lines=1"]).stderr
    if "insufficient permissions" in said:
        return _CAN_NOT_READ
    return _NO_JOURNAL if "No journal files were found" in said else None


def moment(usec: int) -> str:
    """A time for --since= and --until=, to the microsecond."""
    return f"@{usec // 1_000_000}.{usec % 1_000_000:06}"


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
    # "No journal files were found" is exit code 1 and no error here: nothing was logged.
    answer = _asked(_command(*words))
    return [entry(line) for line in answer.stdout.splitlines() if line.startswith("{")]


def last(count: int, *words: str) -> list[Entry]:
    """The last `count` of the entries that match, oldest first. Raises LaunchError."""
    # Forwards, --lines= counts from --since= on, and from the journal's end whatever --until= says (252).
    return read("--reverse", f"--lines={count}", *words)[::-1]


def _asked(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            command,
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


def until_over(*words: str, ended: Callable[[], bool]) -> Iterator[Entry]:
    """All entries that match, and those to come until `ended` says so and the journal is quiet. Raises LaunchError."""
    with _following(*words) as pipe:
        yield from _until_quiet(pipe, ended)


def endless(*words: str) -> Iterator[list[Entry]]:
    """All entries that match, and those to come, in the portions in which they are read. Raises LaunchError."""
    with _following(*words) as pipe:
        while (found := pipe.read(within=_ASK_AGAIN)) is not None:
            yield found
    raise LaunchError("journalctl ended: see `journalctl --user --lines=1`")


@contextmanager
def _following(*words: str) -> Iterator[_Pipe]:
    try:
        child = subprocess.Popen(
            _command("--follow", "--no-tail", *words),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            # A terminal's Ctrl-C is for this program, which ends the other.
            process_group=0,
        )
    except FileNotFoundError:
        raise LaunchError(_NO_JOURNALCTL) from None
    if child.stdout is None:
        raise AssertionError("the follower was started without a pipe")
    try:
        yield _Pipe(child.stdout.fileno())
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
