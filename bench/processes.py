"""A process, and what /proc says of it: CPU, switches, memory. All of its threads count."""

from __future__ import annotations

import os
import re
import select
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

# After a process has gone, the kernel still frees its watches. Arbitrary, seen to be enough for 10,000.
CALM = 0.3
# Seconds between two looks at a process, and from how much CPU within one it is busy: looking each 50 ms costs watchfiles less.
LOOK = 0.05
BUSY = 0.001


class Late(Exception):
    """What was waited for did not come; the message says what."""


@dataclass(frozen=True, slots=True)
class Process:
    """One that runs. `began` is when its start was ordered, on time.perf_counter."""

    pid: int
    began: float

    def ended(self) -> bool:
        """Whether it is a zombie: its parent, who waits for it at the end, is this process."""
        return Path(f"/proc/{self.pid}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z"

    def cpu(self) -> float:
        """Seconds of CPU so far, of all threads."""
        running = 0.0
        for task in self._tasks():
            with suppress(OSError):  # a thread that ended meanwhile
                running += int((task / "schedstat").read_bytes().split()[0]) / 1e9
        # Nanoseconds, but without the threads that have ended; with them, but in ticks (proc(5)).
        fields = Path(f"/proc/{self.pid}/stat").read_bytes().rpartition(b")")[2].split()
        return max(running, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))

    def switches(self) -> int:
        """Context switches so far, of all threads, wanted or not."""
        found = 0
        for task in self._tasks():
            with suppress(OSError):
                text = (task / "status").read_text(encoding="ascii", errors="replace")
                found += sum(map(int, re.findall(r"ctxt_switches:\s+(\d+)", text)))
        return found

    def pss(self) -> float:
        """MiB of memory now, what is shared with other processes in proportion."""
        return self._kilobytes("smaps_rollup", "Pss") / 1024

    def peak(self) -> float:
        """MiB of the most memory it ever had, what is shared in full."""
        return self._kilobytes("status", "VmHWM") / 1024

    def _tasks(self) -> Iterator[Path]:
        return Path(f"/proc/{self.pid}/task").iterdir()

    def _kilobytes(self, file: str, key: str) -> int:
        text = Path(f"/proc/{self.pid}/{file}").read_text(encoding="ascii", errors="replace")
        found = re.search(rf"^{key}:\s+(\d+) kB", text, re.MULTILINE)
        return int(found[1]) if found else 0


@contextmanager
def started(
    argv: Sequence[str], env: Mapping[str, str], *, stdout: int = subprocess.DEVNULL
) -> Iterator[Process]:
    """A process that runs as long as the block; then it is told to stop, and waited for."""
    began = time.perf_counter()
    child = subprocess.Popen(
        argv, env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.DEVNULL
    )
    try:
        yield Process(child.pid, began)
    finally:
        child.terminate()
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        time.sleep(CALM)


@dataclass(frozen=True, slots=True)
class Ended:
    """What a command took: seconds by the clock and of CPU, and MiB of the most memory it had, seen each LOOK."""

    seconds: float
    cpu: float
    peak: float


def finished(
    argv: Sequence[str],
    env: Mapping[str, str],
    *,
    stdout: int = subprocess.DEVNULL,
    look: Callable[[], object] = lambda: None,
) -> Ended:
    """Run a command to its end; `look` is called each LOOK. Raises RuntimeError, with its last words, where it fails."""
    peak = 0.0
    with tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        with subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL, stdout=stdout, stderr=errors) as child:
            with os.fdopen(os.pidfd_open(child.pid)) as end:
                poller = select.poll()
                poller.register(end, select.POLLIN)
                # Not ru_maxrss: that is never less than what this process had when it forked (exec_mmap in fs/exec.c).
                while not poller.poll(LOOK * 1000):
                    peak = max(peak, Process(child.pid, began).peak())
                    look()
            seconds = time.perf_counter() - began
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            errors.seek(0)
            words = errors.read()[-1000:].decode("utf-8", "replace")
            raise RuntimeError(f"{' '.join(argv)} ended with {child.returncode}: {words}")
    return Ended(seconds, usage.ru_utime + usage.ru_stime, peak)


class Pipe:
    """The lines that a process writes, with the moment at which each was readable."""

    def __init__(self) -> None:
        self._reading, self.writing = os.pipe()
        self._rest = b""

    def lines(self, within: float) -> list[bytes]:
        """The next lines, as soon as there are any; none after `within` seconds."""
        poller = select.poll()
        poller.register(self._reading, select.POLLIN)
        until = time.perf_counter() + within
        while (left := until - time.perf_counter()) > 0:
            if poller.poll(left * 1000):
                *lines, self._rest = (self._rest + os.read(self._reading, 1 << 16)).split(b"\n")
                if lines:
                    return lines
        return []

    def close(self) -> None:
        os.close(self._reading)
        os.close(self.writing)


class Told:
    """The lines that a process writes into a file: it never has to wait for us."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.writing = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC)
        self._read = 0

    def lines(self, within: float) -> list[bytes]:
        """The next lines, as soon as there are any; none after `within` seconds."""
        until = time.perf_counter() + within
        while True:
            with self._path.open("rb") as file:
                file.seek(self._read)
                found = file.read()
            whole = found.rfind(b"\n") + 1
            if whole or time.perf_counter() > until:
                self._read += whole
                return found[:whole].splitlines()
            time.sleep(0.005)

    def size(self) -> int:
        """Bytes written so far."""
        return self._path.stat().st_size

    def close(self) -> None:
        os.close(self.writing)
        self._path.unlink()


def calm(
    process: Process, *, quiet: float, within: float, still: Callable[[], object] = lambda: None
) -> float:
    """Wait until it was idle for `quiet` seconds, and `still` gave the same; its CPU when that began.

    Raises Late after `within` seconds.
    """
    until = time.perf_counter() + within
    at, cpu, state = time.perf_counter(), process.cpu(), still()
    last = cpu
    while time.perf_counter() < until:
        time.sleep(LOOK)
        now, seen = process.cpu(), still()
        if now - last > BUSY or seen != state:
            at, cpu, state = time.perf_counter(), now, seen
        elif time.perf_counter() - at >= quiet:
            return cpu
        last = now
    raise Late(f"process {process.pid} was not idle within {within:.0f} s")


def next_effort(process: Process, *, quiet: float, within: float) -> float:
    """Wait until an idle process works and is idle again; the seconds of CPU that it worked. Raises Late."""
    until = time.perf_counter() + within
    before = last = process.cpu()
    while time.perf_counter() < until:
        time.sleep(LOOK)
        now = process.cpu()
        if now - last > BUSY:
            return calm(process, quiet=quiet, within=within) - before
        before = last = now
    raise Late(f"process {process.pid} did nothing within {within:.0f} s")
