"""Who is measured beside us: each a program in programs/ that prints the path of each change.

A peer that isn't installed, or can't be compiled, is left out, and the report says so.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from bench.ours import environment
from bench.processes import Late, Process, started
from bench.trees import Tree, rewrite

PROGRAMS = Path(__file__).parent / "programs"
# The flags that our own unit has: what a shell's environment holds changes nothing.
PYTHON = (sys.executable, "-I")

OURS = "training-watch"
DAEMON = "daemon"
RAW = "raw loop"
C_LOOP = "C loop"
WATCHDOG = "watchdog"
WATCHFILES = "watchfiles"
WATCHFILES_1 = "watchfiles, step 1 ms"


@dataclass(frozen=True, slots=True)
class Peer:
    """A program that watches the folder that follows its `argv`, and then `more`.

    One that `announces` prints `armed` when its watches are set; the other is asked with a probe file.
    """

    name: str
    argv: tuple[str, ...]
    more: tuple[str, ...] = ()
    announces: bool = True

    def command(self, folder: Path) -> list[str]:
        return [*self.argv, str(folder), *self.more]


class Lines(Protocol):
    """What a watcher prints: a pipe or a file."""

    @property
    def writing(self) -> int:
        """The file descriptor that it gets as its standard output."""

    def lines(self, within: float) -> list[bytes]:
        """The next lines, as soon as there are any; none after `within` seconds."""


@dataclass(frozen=True, slots=True)
class Peers:
    """Those that this machine has, and a sentence on each that it hasn't."""

    loops: tuple[Peer, ...]
    missing: tuple[str, ...]

    def named(self, *names: str) -> list[Peer]:
        return [peer for peer in self.loops if peer.name in names]

    def has(self, name: str) -> bool:
        return any(peer.name == name for peer in self.loops)


def watch_command(program: tuple[str, ...]) -> Peer:
    """Our own `watch`, as a peer of the others."""
    return Peer(OURS, (*program, "watch"), announces=False)


def find_peers(scratch: Path) -> Peers:
    """Look for the peers, and compile the C loop into `scratch`."""
    found = [Peer(RAW, (*PYTHON, str(PROGRAMS / "loop.py")))]
    missing = []
    loop = _compiled(PROGRAMS / "loop.c", scratch / "loop")
    if loop is None:
        missing.append("No C loop: there is no working `cc`.")
    else:
        found.append(Peer(C_LOOP, (str(loop),)))
    if importlib.util.find_spec("watchdog"):
        found.append(Peer(WATCHDOG, (*PYTHON, str(PROGRAMS / "dog.py"))))
    else:
        missing.append("No watchdog: it isn't installed (`pip install --group bench`).")
    if importlib.util.find_spec("watchfiles"):
        program = (*PYTHON, str(PROGRAMS / "files.py"))
        found += [Peer(WATCHFILES, program), Peer(WATCHFILES_1, program, ("1",))]
    else:
        missing.append("No watchfiles: it isn't installed (`pip install --group bench`).")
    return Peers(tuple(found), tuple(missing))


def polling(peers: Peers, pause: float) -> list[Peer]:
    """Those that can poll, told to poll with so many seconds between two scans."""
    words = {WATCHDOG: ("poll", str(pause)), WATCHFILES: ("50", "poll", str(pause))}
    return [Peer(each.name, each.argv, words[each.name]) for each in peers.loops if each.name in words]


@contextmanager
def watching(peer: Peer, tree: Tree, home: Path, out: Lines) -> Iterator[Process]:
    """A peer that has begun to watch `tree` and prints to `out`. Raises Late where it doesn't begin."""
    with started(peer.command(tree.root), environment(home), stdout=out.writing) as process:
        if peer.announces:
            announced(out)
        else:
            probed(out, tree)
        yield process


def announced(out: Lines, within: float = 120.0) -> float:
    """Wait for the line `armed`; when it was there, on time.perf_counter. Raises Late."""
    if b"armed" not in out.lines(within):
        raise Late("a peer was not armed")
    return time.perf_counter()


def probed(out: Lines, tree: Tree, within: float = 120.0) -> None:
    """Write a probe file until it is reported, and let its echoes pass. Raises Late."""
    probe = tree.root / "probe.md"
    until = time.perf_counter() + within
    while time.perf_counter() < until:
        rewrite(str(probe))
        if out.lines(0.05):
            probe.unlink()
            while out.lines(0.2):
                pass
            return
    raise Late("the probe file was not reported")


def _compiled(source: Path, target: Path) -> Path | None:
    compiler = shutil.which("cc")
    if compiler is None:
        return None
    command: Sequence[str | Path] = [compiler, "-O2", "-o", target, source]
    done = subprocess.run(command, capture_output=True, check=False)
    return target if done.returncode == 0 else None
