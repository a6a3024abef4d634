"""A home of its own for each test, and the program run in it as a user runs it: as a process."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAM = Path(sys.prefix) / "bin" / "training-watch"

CONFIG = """\
[job.docs]
paths = ["{home}/docs"]
debounce = "200ms"
max_wait = "2s"
cooldown = "{cooldown}"
retries = 1
launcher = "process"
command = ["{home}/train"]
"""

TRAINING = """\
#!/bin/sh
cd "$(dirname "$0")" || exit 1
echo "$(cat docs/* | cksum)" >>runs
echo "training on $(ls docs | wc -l) files"
. ./mode
"""


@dataclass(frozen=True)
class Home:
    """A user's home with a docs folder, and a training that does what the file `mode` says."""

    path: Path

    @property
    def marker(self) -> Path:
        return self.path / ".cache/crystal/last-training-run"

    @property
    def database(self) -> Path:
        return self.path / ".local/state/training-watch/state.db"

    @property
    def config(self) -> Path:
        return self.path / ".config/training-watch/config.toml"

    def configure(self, *, cooldown: str = "6h") -> None:
        self.config.parent.mkdir(parents=True, exist_ok=True)
        self.config.write_text(CONFIG.format(home=self.path, cooldown=cooldown))

    def environment(self, **more: str) -> dict[str, str]:
        path = f"{PROGRAM.parent}:{os.environ['PATH']}"
        return {"HOME": str(self.path), "PATH": path, "LANG": "C.UTF-8", "TZ": "UTC", **more}

    def run(
        self, *words: str, env: dict[str, str] | None = None, timeout: float = 60
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, *words],
            env=self.environment() if env is None else env,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start_daemon(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [PROGRAM, "run"],
            env=self.environment(),
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )

    def mode(self, script: str) -> None:
        (self.path / "mode").write_text(f"{script}\n")

    def edit(self, text: str, name: str = "guide.md") -> None:
        (self.path / "docs" / name).write_text(text)

    def runs(self) -> int:
        log = self.path / "runs"
        return len(log.read_text().splitlines()) if log.exists() else 0


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    home = Home(tmp_path)
    (tmp_path / "docs").mkdir()
    home.edit("# Guide\n")
    train = tmp_path / "train"
    train.write_text(TRAINING)
    train.chmod(0o755)
    home.mode("exit 0")
    home.configure()
    yield home
    (tmp_path / "go").touch()  # a training that still waits for it ends


class Manager:
    """Collects what the daemon tells its manager."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)
        self.told: list[str] = []

    def __contains__(self, datagram: str) -> bool:
        return any(datagram in each for each in self._all())

    def count(self, datagram: str) -> int:
        return self._all().count(datagram)

    @property
    def last(self) -> str:
        return self._all()[-1]

    def close(self) -> None:
        self._socket.close()

    def _all(self) -> list[str]:
        while True:
            try:
                self.told.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return self.told


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(tmp_path / "notify")
    yield manager
    manager.close()
