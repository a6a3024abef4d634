"""Starting the training where there is no user manager: a supervisor process does what a oneshot unit would.

    daemon or trigger ─spawns, lets go─▶ supervisor ─▶ leash.py ─▶ the training
                                         holds the run's lock

The lock (flock(2)) is the truth: a run is active exactly as long as it is held, and the kernel gives it
back however the supervisor ends. The file that it lies on says which run it is. The supervisor outlives
whoever spawned it; nothing outlives the supervisor. Nothing here ever starts a second run beside one.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from training_watch import clock, files, places
from training_watch.launching import LaunchError, NotStarted, Started, UnitState, runlog
from training_watch.launching.exits import ending
from training_watch.launching.leash import EXEC, FORWARDED
from training_watch.launching.variables import variables
from training_watch.mends import refused

# sysexits.h EX_TEMPFAIL: another supervisor runs this unit.
BUSY = 75
# How often a run gives a sign of life, and how long it may take to stop, as TimeoutStopSec= of the unit.
ALIVE_EVERY = 300.0
STOPS_WITHIN = 300.0
# A probe of the lock holds it for microseconds, and must not turn a supervisor away. Arbitrary.
_PROBED_WITHIN = 1.0
_RUNS = "{} is running already: wait for its end"
# Meant for the supervisor's parent, or for a service that the training isn't (sd_notify(3), systemd.exec(5)).
_NOT_FOR_THE_TRAINING = ("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "JOURNAL_STREAM", "MAINPID")


def run_file(unit: str) -> Path:
    """Locked while the unit runs; says which run it is."""
    return places.state_folder() / f"{unit}.run"


def log_file(unit: str) -> Path:
    return places.state_folder() / f"{unit}.log"


# ---- which run it is ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Record:
    """What the run's file says. `result` is empty until the run has ended and its end is recorded."""

    invocation: str = ""
    pid: int = 0
    began: str = ""
    stopping: bool = False
    result: str = ""
    status: str = ""


def read_record(path: Path) -> Record:
    """The last run's record; an empty one where there is none, or where a power cut tore it."""
    try:
        first, *_ = path.read_text(encoding="utf-8", errors="replace").split("\n")
        return Record(**json.loads(first))
    except (FileNotFoundError, ValueError, TypeError, RecursionError):
        return Record()


def _write_record(fd: int, record: Record) -> None:
    # In place, because the lock lies on this very inode. One write of one line, the old rest cut off
    # afterwards: a reader takes the first line, and finds the old one or the new one.
    text = json.dumps(asdict(record)).encode() + b"\n"
    os.pwrite(fd, text, 0)
    os.ftruncate(fd, len(text))


def _held(path: Path) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        # Shared, so that two probes don't see each other.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


# ---- the launcher -----------------------------------------------------------------------------


class Process:
    """Starts one command by way of a supervisor, whose command line is `supervisor`."""

    def __init__(
        self,
        unit: str,
        command: Sequence[str],
        supervisor: Sequence[str],
        *,
        log: Path | None = None,
        lock: Path | None = None,
        hints: Sequence[str] = ("training-watch logs --follow", "training-watch status"),
    ) -> None:
        self.unit = unit
        self.command = tuple(command)
        self._supervisor = list(supervisor)
        self._log = log or log_file(unit)
        self._lock = lock or run_file(unit)
        self._hints = list(hints)
        self._children: set[int] = set()

    def state(self) -> UnitState:
        self._reap()
        try:
            held, record = _held(self._lock), read_record(self._lock)
            # It may have begun between the two.
            if not held and not record.result:
                held = _held(self._lock)
        except OSError as error:
            raise LaunchError(refused(self._lock, error)) from error
        if not held:
            return UnitState(
                active=False, invocation=record.invocation, result=record.result, status=record.status
            )
        if record.result:
            # Held, and the record speaks of a run that has ended: the next one is about to write its own.
            return UnitState(active=True, queued=True)
        return UnitState(active=True, stopping=record.stopping, invocation=record.invocation)

    def start(self, *, within: float) -> Started | NotStarted:
        """Spawn a supervisor and return once it has named its run, at most `within` seconds later."""
        before = self.state()
        if before.active:
            return NotStarted(_RUNS.format(self.unit))
        old = read_record(self._lock).invocation
        deadline = clock.elapsed() + within
        with open(os.memfd_create("words"), "w+b") as words:
            child = self._spawn(words.fileno())
            while True:
                # Asked first: what is read after its end is final.
                status = _exit_status(child)
                if status is not None:
                    self._children.discard(child)
                new = read_record(self._lock).invocation
                if new not in {"", old}:
                    return Started(new)
                if status == BUSY:
                    return NotStarted(_RUNS.format(self.unit))
                if status is not None:
                    words.seek(0)
                    said = words.read().decode("utf-8", "replace").strip().splitlines()
                    return NotStarted(
                        said[-1]
                        if said
                        else f"its supervisor ended with status {status}: see `tail {self._log}`"
                    )
                if clock.elapsed() >= deadline:
                    return NotStarted(
                        f"its supervisor has not begun within {within:g} s: see `tail {self._log}`"
                    )
                clock.pause(0.02)

    def lines(self, invocation: str, *, last: int) -> list[str]:
        return runlog.last_lines(self._log, invocation, last)

    def follow(self, invocation: str) -> Iterator[str]:
        def running() -> bool:
            state = self.state()
            return state.active and state.invocation == invocation

        return runlog.followed(self._log, invocation, running=running)

    def hints(self) -> list[str]:
        return self._hints

    def _spawn(self, words: int) -> int:
        program = self._supervisor
        try:
            child = os.posix_spawnp(
                program[0],
                program,
                os.environ,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, words, 1),
                    (os.POSIX_SPAWN_DUP2, words, 2),
                ],
                # A session of its own: no terminal's Ctrl-C or hang-up reaches it.
                setsid=True,
                setsigdef=(signal.SIGPIPE, *FORWARDED),
            )
        except OSError as error:
            raise LaunchError(refused(program[0], error)) from error
        self._children.add(child)
        return child

    def _reap(self) -> None:
        self._children = {child for child in self._children if _exit_status(child) is None}


def _exit_status(child: int) -> int | None:
    """None while it runs."""
    try:
        pid, status = os.waitpid(child, os.WNOHANG)
    except ChildProcessError:
        return 0  # somebody else reaped it: a supervisor's status is only ever a comment
    return os.waitstatus_to_exitcode(status) if pid else None


# ---- the supervisor ---------------------------------------------------------------------------


def supervise(
    unit: str,
    command: Sequence[str],
    *,
    begin: Callable[[str], None],
    mark: Callable[[str, str, str, str], None],
    alive: Callable[[str], None],
    log: Path | None = None,
    lock: Path | None = None,
    alive_every: float = ALIVE_EVERY,
    stops_within: float = STOPS_WITHIN,
) -> int:
    """Run the command once, as the unit would; returns its exit status, 128 + N for signal N.

    `begin` is told the invocation, `mark` that and how it ended (result, code, status), `alive` the
    invocation every so many seconds in between. SIGTERM, SIGINT and SIGHUP are passed on to the
    training; what still runs `stops_within` seconds later is killed. From the beginning of the run all output of this process goes to the log.
    Where another supervisor runs the unit, nothing happens and BUSY is returned. Raises LaunchError.
    """
    path = lock or run_file(unit)
    try:
        with _caught() as signals, files.lock(path, within=_PROBED_WITHIN, pause=clock.pause) as fd:
            duties = _Duties(begin, mark, alive, alive_every, stops_within)
            return _Run(unit, list(command), duties, signals, fd, log or log_file(unit)).whole()
    except files.Busy:
        print(_RUNS.format(unit), file=sys.stderr)
        return BUSY
    except OSError as error:
        raise LaunchError(refused(error.filename or path, error)) from error


class _Signals:
    """The signals that came, by way of a descriptor that one can wait on."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def taken(self) -> list[int]:
        with suppress(BlockingIOError):
            return [number for number in os.read(self.fd, 512) if number in FORWARDED]
        return []


@contextmanager
def _caught() -> Iterator[_Signals]:
    reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    old = {number: signal.signal(number, lambda *_: None) for number in FORWARDED}
    old_fd = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield _Signals(reading)
    finally:
        signal.set_wakeup_fd(old_fd)
        for number, handler in old.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)


@dataclass(frozen=True, slots=True)
class _Duties:
    """What supervise() was asked to do beside running the command."""

    begin: Callable[[str], None]
    mark: Callable[[str, str, str, str], None]
    alive: Callable[[str], None]
    alive_every: float
    stops_within: float


class _Run:
    """One run, from its name to its record."""

    def __init__(
        self, unit: str, command: list[str], duties: _Duties, signals: _Signals, fd: int, log: Path
    ) -> None:
        self._unit = unit
        self._command = command
        self._duties = duties
        self._signals = signals
        self._fd = fd
        at = clock.calendar()
        began = at.isoformat(timespec="seconds")
        self._record = Record(invocation=os.urandom(16).hex(), pid=os.getpid(), began=began)
        # The log first: whoever sees the new name may ask for its lines.
        self._log = runlog.opened_log(log, unit, self._record.invocation, at)
        _write_record(fd, self._record)
        for stream in (1, 2):
            os.dup2(self._log, stream)

    def whole(self) -> int:
        name = self._record.invocation
        environment = self._prepared()
        # Where ExecStartPre= fails, code and status are empty.
        how, returncode = ("exit-code", "", ""), 1
        if environment is not None:
            returncode, late = self._ran(environment)
            how = ending(returncode, late=late)
        runlog.say_end(self._log, name, how, clock.calendar())
        marked = self._isolated(lambda: self._duties.mark(name, *how))
        _write_record(self._fd, replace(self._record, result=how[0], status=how[2]))
        if not marked:
            return returncode or 1
        return returncode if returncode >= 0 else 128 - returncode

    def _prepared(self) -> dict[str, str] | None:
        """The training's environment, once the run's beginning is recorded; None where that failed."""
        found: dict[str, str] = {}

        def prepare() -> None:
            found.update(self._environment())
            self._duties.begin(self._record.invocation)

        return found if self._isolated(prepare) else None

    def _environment(self) -> dict[str, str]:
        try:
            own = variables(places.environment_file().read_text(encoding="utf-8", errors="surrogateescape"))
        except FileNotFoundError:
            own = {}
        kept = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_THE_TRAINING}
        return {
            # Into a file Python writes whole blocks, and the last one is lost with the process.
            "PYTHONUNBUFFERED": "1",
            **kept,
            **own,
            "INVOCATION_ID": self._record.invocation,
            "TRAINING_STATUS_FILE": str(places.status_file(self._unit)),
        }

    def _isolated(self, act: Callable[[], None]) -> bool:
        """What systemd has between a unit's processes: one's failure is seen, and is not the other's end."""
        try:
            act()
        except Exception:  # noqa: BLE001 - whatever it is, the run goes on and its end must be recorded
            runlog.say(self._log, traceback.format_exc().rstrip())
            return False
        return True

    def _ran(self, environment: dict[str, str]) -> tuple[int, bool]:
        """The training's returncode, and whether it had to be killed because it didn't stop in time."""
        if told := self._signals.taken():
            return -told[0], False
        leash = str(Path(__file__).with_name("leash.py"))
        home = places.home()
        try:
            child = subprocess.Popen(
                [sys.executable, "-I", "-S", leash, *self._command],
                # Held open by nothing but this object, and closed by the kernel with this process.
                stdin=subprocess.PIPE,
                stdout=self._log,
                stderr=self._log,
                env=environment,
                cwd=home if home.is_dir() else "/",
                process_group=0,
            )
        except OSError as error:
            runlog.say(self._log, f"Unable to execute {sys.executable}: {error.strerror}")
            return EXEC, False
        end = os.pidfd_open(child.pid)
        try:
            late = self._waited(child, end)
        finally:
            # What the training left behind, as KillMode=mixed does. The leash is dead and not yet
            # reaped, so its number can't be another group's.
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            os.close(end)
            returncode = child.wait()
            if child.stdin is not None:
                child.stdin.close()
        return returncode, late

    def _waited(self, child: subprocess.Popen[bytes], end: int) -> bool:
        poll = select.poll()
        poll.register(end, select.POLLIN)
        poll.register(self._signals.fd, select.POLLIN)
        alive_at, kill_at, late = clock.elapsed() + self._duties.alive_every, float("inf"), False
        while True:
            ready = {fd for fd, _ in poll.poll(max(0.0, min(alive_at, kill_at) - clock.elapsed()) * 1000)}
            if end in ready:
                return late
            for number in self._signals.taken():
                # By its descriptor: Popen.send_signal could reap the leash, and free its number.
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(end, number)
                kill_at = min(kill_at, clock.elapsed() + self._duties.stops_within)
                self._record = replace(self._record, stopping=True)
                _write_record(self._fd, self._record)
            if clock.elapsed() >= kill_at:
                os.killpg(child.pid, signal.SIGKILL)
                kill_at, late = float("inf"), True
            if clock.elapsed() >= alive_at:
                self._isolated(lambda: self._duties.alive(self._record.invocation))
                alive_at = clock.elapsed() + self._duties.alive_every
