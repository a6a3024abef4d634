"""training-watch from outside, as its unit runs it: a home, a command line, a notify socket, its own words.

What it says of itself is read in STATUS= and `status --json`; what it says is checked against what the
bench has done to the tree.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from bench.processes import Late, Process, started
from bench.trees import Tree

# As units.py writes it into ExecStart=, after the interpreter.
MODULE = ("-I", "-m", "training_watch")

# Its words in STATUS=: what is pending is known; files were seen changing and are not compared yet.
KNOWN = re.compile(r"(?:([\d,]+) files?|nothing) waiting|(nothing) to train")
SEEN = re.compile(r"files? changed")

CONFIG = """\
[job.bench]
paths = [{tree}]
launcher = "process"
command = ["true"]
debounce = "{debounce}"
mode = "{mode}"
poll_interval = "{poll_interval}"
"""

_sockets = count()


def environment(home: Path) -> dict[str, str]:
    """Nothing of the caller's but where programs are."""
    return {"HOME": str(home), "PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Home:
    """A user's home in which one tree is watched by `program`."""

    program: tuple[str, ...]
    path: Path
    tree: Tree

    @property
    def config(self) -> Path:
        return self.path / "config.toml"

    def configure(self, *, debounce: str = "1s", mode: str = "auto", poll_interval: str = "5min") -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        self.config.write_text(
            CONFIG.format(
                tree=json.dumps(str(self.tree.root)),
                debounce=debounce,
                mode=mode,
                poll_interval=poll_interval,
            )
        )

    def rest(self) -> None:
        """Write the marker of a training that has just ended: the cooldown then keeps the daemon still."""
        marker = self.path / ".cache/crystal/last-training-run"
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.write_text(datetime.now(UTC).isoformat(timespec="seconds") + "\n")

    def train(self) -> None:
        """Let a training take in the tree as it is: nothing is pending afterwards, and the cooldown begins."""
        self._run("trigger", "--force", "--wait")

    def pending(self) -> int:
        """How many files `status` says differ from what was trained."""
        found = json.loads(self._run("status", "--json"))
        return int(found["jobs"]["bench"]["pending"]["count"])

    def _run(self, *words: str) -> str:
        done = subprocess.run(
            [*self.program, "--config", self.config, *words],
            env=environment(self.path), capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(f"training-watch {' '.join(words)}: {done.stdout}{done.stderr}")
        return done.stdout


@dataclass(frozen=True, slots=True)
class Letter:
    """One datagram of the daemon, and when it came, on time.perf_counter."""

    at: float
    text: str


class Mailbox:
    """The service manager's side of sd_notify(3). It is always read: a full queue would stop the daemon."""

    def __init__(self) -> None:
        self.sender: Process | None = None
        name = f"training-watch-bench-{os.getpid()}-{next(_sockets)}"
        self.address = f"@{name}"
        self._letters: list[Letter] = []
        self._came = threading.Condition()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{name}")
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def find(self, wanted: Callable[[str], object], *, after: float, within: float, what: str) -> Letter:
        """The first letter since `after` that is wanted. Raises Late, and soon where the sender has ended."""
        until = time.perf_counter() + within
        with self._came:
            while (found := self._first(wanted, after)) is None:
                ended = self.sender is not None and self.sender.ended()
                if ended or time.perf_counter() > until:
                    last = self._letters[-1].text if self._letters else "nothing"
                    how = "ended" if ended else f"waited for {within:.0f} s"
                    raise Late(f"the daemon did not say {what} ({how}), but last {last!r}")
                self._came.wait(1.0)
            return found

    def has(self, wanted: Callable[[str], object], *, after: float) -> bool:
        """Whether a letter that is wanted has come since `after`."""
        with self._came:
            return self._first(wanted, after) is not None

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._reader.join()
        self._socket.close()

    def _first(self, wanted: Callable[[str], object], after: float) -> Letter | None:
        return next((each for each in self._letters if each.at > after and wanted(each.text)), None)

    def _read(self) -> None:
        while data := self._socket.recv(65536):
            at = time.perf_counter()
            with self._came:
                self._letters.append(Letter(at, data.decode("utf-8", "replace")))
                self._came.notify_all()


@dataclass(frozen=True, slots=True)
class Daemon:
    """A running `training-watch run`."""

    process: Process
    mailbox: Mailbox

    def armed(self, within: float = 60.0) -> float:
        """When it said READY=1."""
        return self.mailbox.find(lambda text: "READY=1" in text, after=0.0, within=within, what="READY=1").at

    def known(self, pending: int | None = None, *, after: float, within: float = 600.0) -> Letter:
        """Its first word since `after` on what is pending; where a count is given, on that count. Raises Late."""
        what = f"{'how many' if pending is None else pending} files are waiting"
        return self.mailbox.find(lambda text: _says(text, pending), after=after, within=within, what=what)

    def saw(self, *, after: float, within: float = 60.0) -> Letter:
        """Its first word since `after` that files changed."""
        return self.mailbox.find(SEEN.search, after=after, within=within, what="that files changed")


def waiting(text: str) -> int | None:
    """How many files the daemon said are pending; None where it said something else."""
    found = KNOWN.search(text) if text.startswith("STATUS=") and not SEEN.search(text) else None
    return int((found[1] or "0").replace(",", "")) if found else None


def _says(text: str, pending: int | None) -> bool:
    said = waiting(text)
    return said is not None and pending in (None, said)


@contextmanager
def daemon(home: Home, **more: str) -> Iterator[Daemon]:
    """The daemon in a home, as long as the block runs."""
    mailbox = Mailbox()
    env: Mapping[str, str] = {**environment(home.path), "NOTIFY_SOCKET": mailbox.address, **more}
    try:
        with started([*home.program, "--config", str(home.config), "run"], env) as process:
            mailbox.sender = process
            yield Daemon(process, mailbox)
    finally:
        mailbox.close()
