"""What a watcher costs while nothing happens."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import ExitStack, closing

from bench.ground import Ground, say
from bench.ours import daemon
from bench.peers import DAEMON, OURS, watching
from bench.processes import Pipe, Process, calm
from bench.report import Line, Section

HOW = """\
All watchers at once on a tree of {files:,} files in which nothing happens, for {seconds:.0f} s: context switches of all
their threads, wanted or not, and CPU. The daemon has `WATCHDOG_USEC` set as by its unit: it pings each 30 s."""

# As WatchdogSec= in the unit, in µs.
WATCHDOG_USEC = "60000000"


def idle(ground: Ground) -> Section:
    """All at the same time: who is idle disturbs nobody."""
    scale = ground.scale
    tree = ground.tree(scale.small)
    home = ground.trained_home(tree)
    switches, cpu = (defaultdict[str, list[float]](list) for _ in range(2))
    with ExitStack() as stack:
        ours = stack.enter_context(daemon(home, WATCHDOG_USEC=WATCHDOG_USEC))
        ours.known(0, after=ours.armed())
        processes: dict[str, Process] = {DAEMON: ours.process}
        for peer in ground.watchers():
            pipe = stack.enter_context(closing(Pipe()))
            processes[peer.name] = stack.enter_context(watching(peer, tree, ground.bare_home(), pipe))
        # The probe file has stirred the daemon: its debounce and one comparison have to pass.
        time.sleep(min(3.0, scale.idle))
        calm(ours.process, quiet=min(2.0, scale.idle), within=60)
        for number in range(1, scale.repeat + 1):
            say(f"idle, {scale.idle:.0f} s: {number}")
            before = {name: (each.switches(), each.cpu()) for name, each in processes.items()}
            time.sleep(scale.idle)
            for name, each in processes.items():
                switches[name].append(each.switches() - before[name][0])
                cpu[name].append((each.cpu() - before[name][1]) * 1000)
    lines = (
        Line("context switches", "count", switches, DAEMON, (), "0 but for the ping"),
        Line("CPU", "ms", cpu, DAEMON),
    )
    how = HOW.format(files=tree.files, seconds=scale.idle)
    return Section(
        "idle", "Idle", how, lines, (*ground.peers.missing, f"`{OURS}` is `training-watch watch`.")
    )
