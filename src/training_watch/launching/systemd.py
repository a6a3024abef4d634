"""Starting the training as a user unit, by asking `systemctl --user` and the journal.

A start is told from no start by a new InvocationID, never by an exit code: `systemctl start` of a
running unit joins the running job, a skipped start exits 0, and a training that failed at once exits 1.

Facts that shape this, measured on systemd 252 and 257:
  - a unit that ended well, or was skipped, is unloaded at once unless a loaded unit names it in a
    dependency; `show` then answers with an empty InvocationID, and only the journal still knows
  - a failed unit stays loaded; refused by its start limit it keeps the old InvocationID and Result
  - ending the `systemctl start` that waits for a job leaves the job alone
  - this module never stops, enables or reloads anything
"""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from training_watch import clock, places
from training_watch.launching import LaunchError, NoManager, NotStarted, NoUnit, Started, UnitState

PROPERTIES = (
    "ActiveState", "SubState", "InvocationID", "Job", "Result", "ExecMainStatus", "ExecMainCode", "LoadState",
    "LoadError", "UnitFileState", "NeedDaemonReload",
)  # fmt: skip

# systemctl answers in 30 ms; a manager that doesn't answer in this time is in trouble. Arbitrary.
PATIENCE = 10.0
# How long journald may lag behind the manager that has just logged a job's end. Arbitrary.
_JOURNAL_LAG = 2.0
# After a run's end: when this long nothing new comes, everything is out. Arbitrary.
_QUIET = 0.4
# How often a follower asks whether the run still is, when no message says so.
_ASK_AGAIN = 5.0

# systemd.journal-fields(7), and the catalog's "A start job for unit … has begun execution".
_STARTING = "7d4958e842da4a758f6c1cdc7b36dcc5"
_FIELDS = "MESSAGE,MESSAGE_ID,JOB_TYPE,JOB_RESULT,UNIT_RESULT,USER_INVOCATION_ID,_BOOT_ID"

_MENDS = (
    "log in as this user (not by su or sudo), or set XDG_RUNTIME_DIR=/run/user/$(id -u) and "
    "run `loginctl enable-linger`; in a container without systemd put `launcher = \"process\"` into the configuration"
)  # fmt: skip


# ---- asking -----------------------------------------------------------------------------------


def systemctl(*words: str, timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
    """`systemctl --user WORDS…`, whatever its exit code. Raises NoManager where nobody answers."""
    try:
        answer = subprocess.run(
            ["systemctl", "--user", "--no-ask-password", *words],
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError:
        raise NoManager(f"there is no systemctl on this machine: {_MENDS}") from None
    except subprocess.TimeoutExpired:
        raise NoManager(
            f"`systemctl --user {' '.join(words)}` did not answer within {timeout:g} s: "
            f"see `systemctl status user@{os.getuid()}.service`"
        ) from None
    except OSError as error:
        raise NoManager(f"systemctl can't be run: {error.strerror}") from error
    _require_manager(answer.stderr)
    return answer


def environment() -> dict[str, str]:
    """The environment for systemctl and journalctl: plain words, and the way to the user manager.

    cron, CI and some ssh set-ups lack XDG_RUNTIME_DIR; the manager's socket is there all the same.
    """
    runtime = places.runtime_folder()
    found = {} if runtime is None else {"XDG_RUNTIME_DIR": str(runtime)}
    return {**os.environ, **found, "LC_ALL": "C", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}


def version() -> int:
    """The major version of systemctl. Raises LaunchError."""
    said = systemctl("--version").stdout
    told = re.match(r"systemd (\d+)", said)
    if told is None:
        raise LaunchError(f"`systemctl --version` says no version: {said[:80]!r}")
    return int(told[1])


def user_unit_folder() -> Path:
    """Where the running manager looks for this user's own unit files. Raises LaunchError.

    It follows the *manager's* XDG_CONFIG_HOME, which a shell's may contradict.
    """
    return unit_folder(systemctl("show", "--property=UnitPath").stdout)


def unit_folder(shown: str) -> Path:
    """The user's own folder in the manager's UnitPath.

    UnitPath begins with the folder for `systemctl set-property`, which is that one's name with
    ".control" (systemd.unit(5), table "Load path when running in user mode"); found by that, since
    the entries are parted by blanks that a path may hold too.
    """
    told = re.match(r"UnitPath=(/.*?/systemd/user)\.control(?:\s|$)", shown)
    if told is None:
        raise LaunchError(f"the user manager says no unit path: {shown[:80]!r}")
    return Path(told[1])


def _require_manager(stderr: str) -> None:
    # 252: "Failed to connect to bus: …"; 257: "Failed to connect to user scope bus via …".
    # Without systemd as PID 1: "System has not been booted with systemd as init system (PID 1)."
    if re.search(r"Failed to connect to .*bus|not been booted with systemd|Transport endpoint", stderr):
        raise NoManager(f"no user manager answers ({_first_line(stderr)}): {_MENDS}")


# ---- understanding ------------------------------------------------------------------------------


def properties(shown: str) -> dict[str, str]:
    """`systemctl show` as a table; it prints in its own order, whatever order was asked for."""
    pairs = (line.partition("=") for line in shown.splitlines())
    return {**dict.fromkeys(PROPERTIES, ""), **{name: value for name, _, value in pairs if name}}


def unit_state(shown: Mapping[str, str], *, job: str = "") -> UnitState:
    """What the properties mean; `job` is the type of the unit's job, as `list-jobs` has it."""
    return UnitState(
        # A oneshot is "activating" all the time it runs, never "active" (systemd.service(5)).
        active=shown["ActiveState"] in {"activating", "active", "reloading", "refreshing", "deactivating"},
        queued=bool(shown["Job"]),
        stopping=job in {"stop", "restart", "try-restart"},
        invocation=shown["InvocationID"],
        result=shown["Result"] if shown["InvocationID"] else "",
        status=exit_status(shown["ExecMainCode"], shown["ExecMainStatus"]),
    )


def exit_status(code: str, status: str) -> str:
    """ExecMainCode= and ExecMainStatus= as $EXIT_STATUS has them (systemd.exec(5)).

    The code is waitid(2)'s si_code: 1 exited, 2 killed, 3 dumped; 0 where the program never ran.
    """
    if code == "1":
        return status
    if code in {"2", "3"} and status.isdecimal():
        return signal_name(int(status))
    return ""


def signal_name(number: int) -> str:
    """TERM for 15; the number where it has no name."""
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return str(number)


def job_type(listed: str, job: str) -> str:
    """The type of job number `job` in `list-jobs --no-legend`: start, stop, restart…; else empty."""
    rows = (line.split() for line in listed.splitlines())
    return next((row[2] for row in rows if len(row) > 2 and row[0] == job), "")


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the journal, as far as it matters here."""

    message: str
    invocation: str = ""
    message_id: str = ""
    job_result: str = ""
    unit_result: str = ""
    boot_id: str = ""
    monotonic: int = 0
    cursor: str = ""

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
        job_result=_text(fields.get("JOB_RESULT")),
        unit_result=_text(fields.get("UNIT_RESULT")),
        boot_id=_text(fields.get("_BOOT_ID")),
        monotonic=int(fields.get("__MONOTONIC_TIMESTAMP", 0)),
        cursor=_text(fields.get("__CURSOR")),
    )


def _text(value: object) -> str:
    # Bytes that are no UTF-8 come as a list of numbers, a field that is there twice as a list of texts.
    if isinstance(value, list):
        if all(isinstance(each, int) for each in value):
            return bytes(value).decode("utf-8", "replace")
        return _text(value[-1])
    return value if isinstance(value, str) else ""


def verdict(entries: Iterable[Entry], *, before: str) -> Started | NotStarted | None:
    """What the journal says of a start since it was ordered; None while it has not said how it went.

    `before` is the invocation that was there already: a start refused by the start limit is logged
    under it.
    """
    started = ""
    for each in entries:
        if each.unit_result == "exec-condition":
            return NotStarted("skipped: one of its ExecCondition= lines said no")
        if each.message_id == _STARTING and each.invocation not in {"", before}:
            started = each.invocation
        if "repeated too quickly" in each.message:
            return NotStarted("refused by its start limit (StartLimitBurst=)")
        # Where a Condition*= of [Unit] fails, the job is "done" and there never was an invocation.
        if each.job_result == "done" and not each.invocation:
            return NotStarted(f"skipped: {each.message}")
        if each.job_result and started:
            return Started(started)
        if each.job_result:
            return NotStarted(each.message)
    return None


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "no reason given")


# ---- the launcher -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Systemd:
    """Starts one unit of the user manager."""

    unit: str

    def state(self) -> UnitState:
        shown = self._shown()
        self._require_unit(shown)
        job = ""
        if shown["Job"]:
            listed = systemctl("list-jobs", "--no-legend", "--full", "--plain").stdout
            job = job_type(listed, shown["Job"])
        return unit_state(shown, job=job)

    def start(self, *, within: float) -> Started | NotStarted:
        """Order a start and return once a new invocation is seen, at most `within` seconds later.

        The order is a `systemctl start` that waits for the job: with --no-block it could say neither
        that a dependency failed nor that the start came to nothing. It is ended, not awaited, as
        soon as the run is there.
        """
        shown = self._shown()
        self._require_unit(shown)
        if why := self._obstacle(shown):
            return NotStarted(why)
        before = seen = shown["InvocationID"]
        ordered_at = clock.monotonic_usec()
        deadline = clock.elapsed() + within
        with _ordered(self.unit) as order:
            while True:
                # Asked first: what is shown after the job's end is final.
                over = order.over()
                shown = self._shown()
                seen = shown["InvocationID"] or seen
                # A run exists when its ExecCondition= lines have let it pass, not before.
                if seen != before and shown["SubState"] != "condition":
                    if shown["Result"] == "exec-condition":
                        return NotStarted(f"{self.unit}: skipped: one of its ExecCondition= lines said no")
                    if shown["InvocationID"]:
                        return Started(seen)
                if over:
                    return self._after(order, before=before, seen=seen, since=ordered_at, deadline=deadline)
                if clock.elapsed() >= deadline:
                    break
                clock.pause(0.03)
        if seen != before:
            return Started(seen)
        return NotStarted(
            f"{self.unit} is still queued after {within:g} s: it waits for other units "
            "(`systemctl --user list-jobs`) and starts when they are ready"
        )

    def lines(self, invocation: str, *, last: int) -> list[str]:
        """The last lines that this activation has logged, without time stamps.

        A process that lives for a few milliseconds can be gone before journald has looked up its
        cgroup; then its lines carry no unit, and are missing here (journald's, systemd issue 2913).
        """
        if last <= 0:
            return []
        entries = _journal(f"--lines={last}", *_of(invocation))
        return [line for each in entries for line in each.message.splitlines()][-last:]

    def follow(self, invocation: str) -> Iterator[str]:
        """Its lines from the first, as they come, until it has ended and all are out."""
        cursor = ""
        for each in _followed(invocation, ended=lambda: self._ended(invocation)):
            cursor = each.cursor
            yield from each.message.splitlines()
        # Whatever reached the journal while the follower was being ended.
        for each in _journal(*([f"--after-cursor={cursor}"] if cursor else []), *_of(invocation)):
            yield from each.message.splitlines()

    def hints(self) -> list[str]:
        return [f"journalctl --user -u {self.unit} -f", f"systemctl --user status {self.unit}"]

    def _shown(self) -> dict[str, str]:
        answer = systemctl("show", f"--property={','.join(PROPERTIES)}", "--", self.unit)
        if answer.returncode != 0:
            raise LaunchError(f"`systemctl --user show {self.unit}`: {_first_line(answer.stderr)}")
        return properties(answer.stdout)

    def _require_unit(self, shown: Mapping[str, str]) -> None:
        # A unit whose file was removed while it runs is "not-found" and running.
        if shown["LoadState"] == "not-found" and shown["ActiveState"] in {"", "inactive"}:
            raise NoUnit(f"the user manager knows no {self.unit}: run `training-watch install`")

    def _obstacle(self, shown: Mapping[str, str]) -> str | None:
        match shown["LoadState"]:
            case "masked":
                return f"{self.unit} is masked: `systemctl --user unmask {self.unit}`"
            case "bad-setting" | "error":
                # LoadError is a bus error's name and its quoted words.
                words = shown["LoadError"].partition(" ")[2].strip('"') or f"{self.unit} can't be loaded"
                return f"{words} See `systemctl --user status {self.unit}`"
        # Ordered now, a start would join that run, or be one more training right behind it.
        if unit_state(shown).active:
            return f"{self.unit} is running already"
        if shown["Job"]:
            return f"a job is queued for {self.unit} already: `systemctl --user list-jobs`"
        return None

    def _after(
        self, order: _Order, *, before: str, seen: str, since: int, deadline: float
    ) -> Started | NotStarted:
        """The start job is over and the manager shows no run of ours: the journal is asked."""
        words = order.words()
        _require_manager(words)
        # These never became a job; there is nothing to wait for in the journal.
        enqueued = not words.startswith("Failed to start")
        patience = min(deadline, clock.elapsed() + _JOURNAL_LAG)
        while enqueued:
            entries = _journal("--lines=50", f"USER_UNIT={self.unit}")
            boot = clock.boot_id().replace("-", "")
            fresh = [each for each in entries if each.boot_id == boot and each.monotonic >= since]
            match verdict(fresh, before=before):
                case Started() as started:
                    return started
                case NotStarted(why):
                    return NotStarted(self._refusal(why, words))
            if clock.elapsed() >= patience:
                break
            clock.pause(0.05)
        if seen != before:
            return Started(seen)
        if order.failed():
            return NotStarted(_first_line(words))
        return NotStarted(
            f"{self.unit} was skipped, or ended at once: systemctl reports success, but neither the manager "
            f"nor the journal shows a run: `systemctl --user status {self.unit}`"
        )

    def _refusal(self, why: str, words: str) -> str:
        if "start limit" in why:
            return f"{self.unit}: {why}: `systemctl --user reset-failed {self.unit}`"
        if why.startswith("skipped"):
            return f"{self.unit}: {why}"
        return _first_line(words) if words.strip() else why

    def _ended(self, invocation: str) -> bool:
        try:
            state = self.state()
        except LaunchError:
            # The unit's file, or the manager with all its units, is gone.
            return True
        return not (state.active and state.invocation == invocation)


class _Order:
    """A `systemctl start` that waits for its job's end."""

    def __init__(self, child: subprocess.Popen[bytes], stderr: IO[bytes]) -> None:
        self._child = child
        self._stderr = stderr

    def over(self) -> bool:
        return self._child.poll() is not None

    def failed(self) -> bool:
        return self._child.poll() != 0

    def words(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read().decode("utf-8", "replace")


@contextmanager
def _ordered(unit: str) -> Iterator[_Order]:
    with tempfile.TemporaryFile() as stderr:
        child = subprocess.Popen(
            ["systemctl", "--user", "--no-ask-password", "start", "--", unit],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
        try:
            yield _Order(child, stderr)
        finally:
            # The job belongs to the manager; this ends only the waiting for it.
            child.kill()
            child.wait()


# ---- the journal ------------------------------------------------------------------------------


_NO_JOURNALCTL = "there is no journalctl on this machine"


def _of(invocation: str) -> tuple[str, ...]:
    """The matches for a run's own lines, and for what the manager says of it ("+" is "or")."""
    return (f"_SYSTEMD_INVOCATION_ID={invocation}", "+", f"USER_INVOCATION_ID={invocation}")


def _journalctl(*words: str) -> list[str]:
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


def _journal(*words: str) -> list[Entry]:
    """The entries that match, oldest first. Raises LaunchError."""
    try:
        answer = subprocess.run(
            _journalctl(*words),
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
        raise LaunchError("journalctl did not answer within 30 s") from None
    # "No journal files were found" is exit code 1 and no error here: nothing was logged.
    return [entry(line) for line in answer.stdout.splitlines() if line.startswith("{")]


def _followed(invocation: str, *, ended: Callable[[], bool]) -> Iterator[Entry]:
    """What `journalctl --follow` says, until the run has ended and the journal is quiet."""
    try:
        child = subprocess.Popen(
            _journalctl("--follow", "--no-tail", *_of(invocation)),
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
    except FileNotFoundError:
        raise LaunchError(_NO_JOURNALCTL) from None
    try:
        yield from _until_quiet(child, ended)
    finally:
        child.kill()
        child.communicate()


def _until_quiet(child: subprocess.Popen[bytes], ended: Callable[[], bool]) -> Iterator[Entry]:
    if child.stdout is None:
        raise AssertionError("the follower was started without a pipe")
    fd, rest, over = child.stdout.fileno(), b"", False
    with selectors.DefaultSelector() as selector:
        selector.register(fd, selectors.EVENT_READ)
        ask_at = clock.elapsed()
        while True:
            if not over and clock.elapsed() >= ask_at:
                over = ended()
                ask_at = clock.elapsed() + _ASK_AGAIN
            if not selector.select(_QUIET if over else max(0.0, ask_at - clock.elapsed())):
                if over:
                    return
                continue
            read = os.read(fd, 65536)
            if not read:
                if over or ended():
                    return
                raise LaunchError(
                    "journalctl ended before the run did: is there a journal that this user may read?"
                )
            *lines, rest = (rest + read).split(b"\n")
            for line in lines:
                if line.startswith(b"{"):
                    each = entry(line.decode("utf-8", "replace"))
                    yield each
                    if each.last_words:
                        ask_at = clock.elapsed()
