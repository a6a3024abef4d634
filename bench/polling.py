"""One scan of a tree that gives no events, where nothing has changed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections import defaultdict
from contextlib import ExitStack

from bench.ground import Ground, say
from bench.ours import daemon, environment
from bench.peers import DAEMON, PROGRAMS, polling
from bench.processes import Process, calm, finished, next_effort, started
from bench.report import Line, Section

LARGE = 200_000

HOW = """\
CPU of one scan of {files:,} files in which nothing has changed, the tree in the kernel's caches: the daemon with
`mode = "poll"`, `find ROOT -printf '%p %s %T@ %C@ %i\\n'`, os.scandir and stat in plain Python, watchfiles with
`force_polling`, watchdog's PollingObserver. Pollers run all the time; a scan is from idle to idle."""

FIND = "find -printf"
SCANDIR = "scandir, stat"
# Seconds between two scans, so that idle can be told from a pause. Arbitrary.
PAUSE = 3.0
QUIET = 0.5


def scan(ground: Ground) -> Section:
    """The pollers one after another, each for several scans; find and Python in between."""
    scale = ground.scale
    tree = ground.tree(scale.large)
    home = ground.trained_home(tree)
    home.configure(mode="poll", poll_interval=f"{PAUSE:.0f}s")
    cpu = defaultdict[str, list[float]](list)
    env = environment(ground.bare_home())
    pollers = polling(ground.peers, PAUSE)

    def look(process: Process, name: str) -> None:
        cpu[name].append(next_effort(process, quiet=QUIET, within=120))

    for number in range(1, scale.repeat + 1):
        say(f"one scan of {tree.files:,} files: {number}")
        with daemon(home) as ours:
            ours.known(after=ours.armed())
            calm(ours.process, quiet=QUIET, within=120)
            look(ours.process, DAEMON)
        if shutil.which("find"):
            found = finished(["find", str(tree.root), "-printf", r"%p %s %T@ %C@ %i\n"], env)
            cpu[FIND].append(found.cpu)
        words = [sys.executable, "-I", str(PROGRAMS / "scan.py"), str(tree.root)]
        took = subprocess.run(words, env=env, capture_output=True, check=True).stdout
        cpu[SCANDIR].append(float(took))
        for peer in pollers:
            with ExitStack() as stack:
                process = stack.enter_context(started(peer.command(tree.root), env))
                calm(process, quiet=1.0, within=120)
                look(process, peer.name)
    full = tree.files == LARGE
    target = "≤ 1.5 × find" if full else ""
    others = (FIND, SCANDIR, *(peer.name for peer in pollers))
    line = Line(f"one scan, {tree.files:,} files", "s", cpu, DAEMON, others, target)
    return Section("scan", "One polling scan", HOW.format(files=tree.files), (line,), ground.peers.missing)
