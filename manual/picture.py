"""`python -m manual.picture`: docs/status.svg, the screen of `status` as a terminal showed it.

Nothing in it is drawn by hand: a daemon keeps a copy of this manual in a home of its own, `crystal train` trains on it,
two pages are edited, and what `status` then writes to a terminal becomes the picture. Takes about half a minute.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

PROJECT = Path(__file__).parent.parent
PICTURE = PROJECT / "docs/status.svg"
PROGRAM = Path(sys.prefix) / "bin/training-watch"
COLUMNS, ROWS = 92, 24
# A first training with its encoder takes some 10 s. Arbitrary, and far more.
PATIENCE = 300.0

CONFIG = """\
[job.docs]
paths = ["~/project/docs"]
launcher = "process"
debounce = "1s"
"""


def environment(home: Path) -> dict[str, str]:
    path = f"{PROGRAM.parent}:{os.environ['PATH']}"
    zone = os.environ.get("TZ", "UTC")
    return {"HOME": str(home), "PATH": path, "LANG": "C.UTF-8", "TERM": "xterm-256color", "TZ": zone}


def status(home: Path) -> str:
    """What a terminal is sent, colours and all."""
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        os.execve(PROGRAM, [str(PROGRAM), "status"], environment(home))  # noqa: S606 - the child is the program
    told = b""
    while True:
        try:
            told += os.read(terminal, 65536)
        except OSError:  # EIO: the other side is closed
            break
    os.waitpid(pid, 0)
    os.close(terminal)
    return told.decode().replace("\r\n", "\n")


def photograph() -> str:
    """The screen of a job in its cooldown with two files pending."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        docs = home / "project/docs"
        shutil.copytree(PROJECT / "docs", docs)
        config = home / ".config/training-watch/config.toml"
        config.parent.mkdir(parents=True)
        config.write_text(CONFIG)
        with subprocess.Popen([PROGRAM, "run"], env=environment(home), stderr=subprocess.DEVNULL) as daemon:
            try:
                _until(lambda: _waits_for(home) == "nothing_pending" and _trained(home))
                for page in ("index.md", "troubles.md"):
                    (docs / page).write_text((docs / page).read_text() + "\nOne more sentence.\n")
                _until(lambda: _waits_for(home) == "cooldown")
                return status(home)
            finally:
                daemon.terminate()


def _job(home: Path) -> dict[str, object]:
    asked = [str(PROGRAM), "status", "--json"]
    told = subprocess.run(asked, env=environment(home), capture_output=True, text=True, check=True)
    found: dict[str, object] = json.loads(told.stdout)["jobs"]["docs"]
    return found


def _waits_for(home: Path) -> object:
    return _job(home)["waiting_for"]


def _trained(home: Path) -> bool:
    return _job(home)["last_run"] is not None


def _until(claim: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not claim():
        if time.monotonic() > until:
            raise TimeoutError("the picture's scene did not come about")
        time.sleep(0.2)


def drawn(told: str) -> str:
    """The text as a picture."""
    with open(os.devnull, "w") as nowhere:
        console = Console(
            record=True, width=COLUMNS, file=nowhere, force_terminal=True, color_system="truecolor"
        )
        console.print(Text.from_ansi("$ training-watch status\n" + told.rstrip("\n")))
        return console.export_svg(title="training-watch status", theme=DIMMED_MONOKAI, unique_id="status")  # fmt: skip


if __name__ == "__main__":
    PICTURE.write_text(drawn(photograph()), encoding="utf-8")
