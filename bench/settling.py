"""What it costs the daemon to find out what a settled burst has changed."""

from __future__ import annotations

import time
from contextlib import ExitStack

from bench.ground import Ground, say
from bench.ours import Daemon, daemon
from bench.peers import DAEMON
from bench.processes import calm
from bench.queue import queue_of
from bench.report import Line, Section
from bench.trees import Tree, rewrite

LARGE = 200_000

HOW = """\
So many of {files:,} files are rewritten, spread over the whole tree; the debounce is 1 s. CPU of the daemon from just
before that until it has said how many files are pending: reading the events, and after the quiet comparing and hashing
the touched files. Nobody else remembers what was there before."""

# How long after the last change the events are certainly read and the debounce of 1 s is not over, in seconds.
READ = 0.7
# As the home has it, in seconds.
DEBOUNCE = 1.0
# After it has told, it writes its status file: that counts too.
WRITTEN = 0.2
QUIET = 0.5


def settle(ground: Ground) -> Section:
    """One daemon; the files of a smaller burst are among those of a larger, so what is pending is known."""
    scale = ground.scale
    tree = ground.tree(scale.large)
    home = ground.trained_home(tree)
    lines: list[Line] = []
    with ExitStack() as stack:
        with queue_of(None):
            ours = stack.enter_context(daemon(home))
            ours.armed()
        ours.known(0, after=0.0)
        calm(ours.process, quiet=1.0, within=60)
        for changes in scale.changes:
            say(f"settling of {changes:,} in {tree.files:,} files")
            lines += changed(ours, tree, changes, scale.repeat)
    return Section("settle", "Settling", HOW.format(files=tree.files), tuple(lines))


def changed(ours: Daemon, tree: Tree, changes: int, repeat: int) -> list[Line]:
    """The cost of so many changes. Raises Late where the daemon doesn't find exactly these."""
    reading: list[float] = []
    comparing: list[float] = []
    total: list[float] = []
    took: list[float] = []
    for _ in range(repeat):
        before = ours.process.cpu()
        began = time.perf_counter()
        for path in tree.spread(changes):
            rewrite(path)
        ended = time.perf_counter()
        ours.saw(after=began)
        time.sleep(max(0.0, ended + READ - time.perf_counter()))
        read = ours.process.cpu()
        letter = ours.known(changes, after=ended)
        time.sleep(WRITTEN)
        after = ours.process.cpu()
        reading.append((read - before) * 1000)
        comparing.append((after - read) * 1000)
        total.append((after - before) * 1000)
        took.append(letter.at - ended - DEBOUNCE)
        calm(ours.process, quiet=QUIET, within=60)
    what = f"{changes:,} changed"
    target = "≤ 20 ms" if changes == 1 and tree.files >= LARGE else ""
    return [
        Line(f"{what}: CPU", "ms", {DAEMON: total}, DAEMON, (), target),
        Line("… of it reading events", "ms", {DAEMON: reading}, DAEMON),
        Line("… of it comparing", "ms", {DAEMON: comparing}, DAEMON),
        Line("… known after the debounce", "s", {DAEMON: took}, DAEMON),
    ]
