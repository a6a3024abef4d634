"""The daemon under test: a real process, and everything that can be done to it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

TESTS = Path(__file__).parent.parent
GOODBYE = b"the test is over"

CONFIG = """\
[job.docs]
paths = ["{place}/docs"]
debounce = "100ms"
max_wait = "1s"
cooldown = "{cooldown}"
retries = 10000
poll_interval = "2s"
rescan_interval = "{rescan}"
launcher = "process"
command = ["{python}", "-m", "churn.training", "{place}"]
"""


class Daemon:
    """`status` is the last STATUS= that it told, `ready` whether it said READY=1 since it was started."""

    def __init__(self, place: Path, *, cooldown: str, rescan: str) -> None:
        self.place = place
        self.home = place / "home"
        self.log = place / "daemon.log"
        self.frozen = False
        self.status = ""
        self.ready = False
        self._process: subprocess.Popen[bytes] | None = None
        config = self.home / ".config/training-watch/config.toml"
        config.parent.mkdir(parents=True)
        config.write_text(
            CONFIG.format(place=place, cooldown=cooldown, rescan=rescan, python=sys.executable),
            encoding="utf-8",
        )
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(os.fspath(place / "notify"))
        # A manager reads what it is told at once; a full socket would hold the daemon up.
        self._ear = threading.Thread(target=self._hear, daemon=True)
        self._ear.start()

    @property
    def database(self) -> Path:
        return self.home / ".local/state/training-watch/state.db"

    @property
    def marker(self) -> Path:
        return self.home / ".cache/crystal/last-training-run"

    @property
    def run_file(self) -> Path:
        return self.database.with_name("crystal-train.service.run")

    @property
    def alive(self) -> bool:
        return self._process is not None

    @property
    def fate(self) -> int | None:
        """The exit status of a daemon that ended although nobody told it to."""
        return self._process.poll() if self._process else None

    def start(self) -> None:
        if self._process is not None:
            return
        self.status, self.ready, self.frozen = "", False, False
        environment = {
            "HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "NOTIFY_SOCKET": str(self.place / "notify"),
            "PYTHONPATH": str(TESTS),
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-m", "training_watch", "run"],
                env=environment,
                cwd=self.home,
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self.thaw()
        self._end(signal.SIGTERM)

    def freeze(self) -> None:
        self._send(signal.SIGSTOP)
        self.frozen = self._process is not None

    def thaw(self) -> None:
        self._send(signal.SIGCONT)
        self.frozen = False

    def reload(self) -> None:
        if self.ready:  # before that it has no handler, and the signal would end it
            self._send(signal.SIGHUP)

    def ring(self) -> None:
        """Have it look at its run now: one whose supervisor was killed is found by a look each minute."""
        self.database.with_name("bell").write_bytes(b"")

    def close(self) -> None:
        self.kill()
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(GOODBYE, str(self.place / "notify"))
        self._ear.join()
        self._socket.close()

    def _send(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(60)
            self._process, self.frozen = None, False

    def _hear(self) -> None:
        while (datagram := self._socket.recv(65536)) != GOODBYE:
            told = datagram.decode("utf-8", "replace")
            if told.startswith("STATUS="):
                self.status = told.removeprefix("STATUS=")
            self.ready = self.ready or "READY=1" in told.split("\n")
