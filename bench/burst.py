"""A burst at full speed: what it costs, and which changes are never reported."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from contextlib import ExitStack, closing
from dataclasses import dataclass, field

from bench.ground import Ground, say
from bench.ours import daemon, waiting
from bench.peers import DAEMON, OURS, RAW, WATCHFILES_1, Peer, watching
from bench.processes import Late, Told, calm
from bench.queue import queue_of
from bench.report import Line, Section
from bench.trees import DEPTH, Tree, make, rewrite

HOW = """\
{files:,} files rewritten and {folders:,} new folders made, each nested in the last ({depth} deep) and with a file in it,
at full speed. CPU of all threads from its begin until the watcher has read all of it and is idle; the daemon then still
waits for quiet (`debounce`), and what comparing costs it afterwards stands in a line of its own. Lost are the files of
whose change nothing was said: a watcher never printed the path; the daemon counts fewer files pending than differ. The
lower half is the same for watchers that began while `fs.inotify.max_queued_events` was {queue:,}: the kernel drops more
events then, which it tells by one that says so."""

SHORT = 1024
# The daemon's quiet: long enough that it is still waiting when the burst has been read.
DEBOUNCE = "10s"
QUIET = 1.5


@dataclass(frozen=True, slots=True)
class Toll:
    """What bursts cost, by who watched: lists with one value for each repetition."""

    cpu: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    compared: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    peak: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    pss: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    lost: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    queue: set[int] = field(default_factory=set)


def burst(ground: Ground) -> Section:
    """The daemon, `watch` and the peers in turns, with the queue as it is and with a short one."""
    scale = ground.scale
    tree = ground.tree(scale.burst)
    notes = list(ground.peers.missing)
    # Looking each ms, watchfiles is never idle: there is no end to measure to.
    watchers = [peer for peer in ground.watchers() if peer.name != WATCHFILES_1]
    lines: list[Line] = []
    for queue in (None, SHORT):
        if queue is not None and os.geteuid() != 0:
            notes.append(f"Not with a queue of {queue:,} events: only root can set it.")
            continue
        toll = Toll()
        for number in range(1, scale.repeat + 1):
            say(f"burst, {'default queue' if queue is None else f'queue of {queue:,}'}: {number}")
            _of_daemon(ground, tree, queue, toll, notes)
            for peer in watchers:
                _of_watcher(ground, peer, tree, queue, toll, notes)
        if len(toll.queue) != 1:
            raise RuntimeError(f"the queue changed while it was measured: {sorted(toll.queue)}")
        lines += _lines(toll, f"queue of {toll.queue.pop():,}: ")
    how = HOW.format(files=scale.burst, folders=scale.new_folders, depth=DEPTH, queue=SHORT)
    notes.append(f"`{OURS}` is `training-watch watch`, `{DAEMON}` is `training-watch run`.")
    return Section("burst", "A burst", how, tuple(lines), tuple(dict.fromkeys(notes)))


def _lines(toll: Toll, queue: str) -> list[Line]:
    return [
        Line(f"{queue}CPU", "s", toll.cpu, DAEMON, (RAW,), "≤ 0.7 s"),
        Line(f"{queue}CPU of comparing afterwards", "s", toll.compared, DAEMON),
        Line(f"{queue}peak memory", "MiB", toll.peak, DAEMON, (RAW,)),
        Line(f"{queue}memory at the end", "MiB", toll.pss, DAEMON, (RAW,), "≤ 36 MiB"),
        Line(f"{queue}changes lost", "count", toll.lost, DAEMON, (), "0"),
    ]


def _of_daemon(ground: Ground, tree: Tree, queue: int | None, toll: Toll, notes: list[str]) -> None:
    tree.clean()
    home = ground.trained_home(tree, debounce=DEBOUNCE)
    with ExitStack() as stack:
        with queue_of(queue) as length:
            toll.queue.add(length)
            ours = stack.enter_context(daemon(home))
            at = ours.armed()
        ours.known(0, after=at)
        before = calm(ours.process, quiet=0.5, within=60)
        began = time.perf_counter()
        changed = _burst(tree, ground.scale.new_folders)
        cpu = calm(ours.process, quiet=QUIET, within=300)
        if ours.mailbox.has(lambda text: waiting(text) is not None, after=began):
            notes.append("The daemon had compared already when it was idle: its CPU holds both.")
        ours.known(after=began)
        toll.compared[DAEMON].append(calm(ours.process, quiet=QUIET, within=300) - cpu)
        toll.cpu[DAEMON].append(cpu - before)
        toll.peak[DAEMON].append(ours.process.peak())
        toll.pss[DAEMON].append(ours.process.pss())
        toll.lost[DAEMON].append(len(changed) - home.pending())


def _of_watcher(
    ground: Ground, peer: Peer, tree: Tree, queue: int | None, toll: Toll, notes: list[str]
) -> None:
    tree.clean()
    with ExitStack() as stack:
        told = stack.enter_context(closing(Told(ground.scratch / "told")))
        with queue_of(queue) as length:
            toll.queue.add(length)
            process = stack.enter_context(watching(peer, tree, ground.bare_home(), told))
        try:
            before = calm(process, quiet=0.5, within=20)
        except Late:
            notes.append(f"{peer.name} was not idle before a burst: that round isn't counted.")
            return
        changed = _burst(tree, ground.scale.new_folders)
        try:
            cpu = calm(process, quiet=QUIET, within=60, still=told.size)
        except Late:
            notes.append(
                f"{peer.name} was not idle again after a burst: its CPU and memory of that round aren't counted."
            )
        else:
            toll.cpu[peer.name].append(cpu - before)
            toll.peak[peer.name].append(process.peak())
            toll.pss[peer.name].append(process.pss())
        toll.lost[peer.name].append(len(changed.difference(told.lines(0))))


def _burst(tree: Tree, new_folders: int) -> set[bytes]:
    """Change everything at full speed; the paths of all files that changed."""
    old, new = tree.burst(new_folders)
    for path in old:
        rewrite(path)
    for path in new:
        make(path)
    return {os.fsencode(path) for path in (*old, *new)}
