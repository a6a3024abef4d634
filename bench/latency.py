"""From a change to the line on a pipe that names it."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from contextlib import closing
from itertools import chain
from statistics import quantiles

from bench.ground import Ground, say
from bench.peers import C_LOOP, OURS, RAW, WATCHDOG, WATCHFILES, WATCHFILES_1, watching
from bench.processes import Pipe
from bench.report import Line, Section

HOW = """\
One append to a file of {files:,}, then a pause; the time from just before `write(2)` until the line that names the file
can be read from the pipe. `training-watch watch`, the loops, watchdog and watchfiles as it comes (it looks each 50 ms)
and looking each ms. {samples} appends in {rounds} rounds, p50 as the median of the rounds, p99 over all."""

# How long the machine rests between two appends, in seconds. Longer than each answer but watchfiles' own step.
PAUSE = 0.005
# A change that isn't reported within this many seconds is lost.
PATIENCE = 5.0


def latency(ground: Ground) -> Section:
    """All watchers in turns, one at a time."""
    scale = ground.scale
    tree = ground.tree(scale.small)
    samples: dict[str, list[list[float]]] = defaultdict(list)
    lost: dict[str, list[float]] = defaultdict(list)
    each = -(-scale.samples // scale.repeat)
    for number in range(1, scale.repeat + 1):
        for peer in ground.watchers():
            say(f"latency, {peer.name}: {number}")
            with closing(Pipe()) as pipe, watching(peer, tree, ground.bare_home(), pipe):
                found = [
                    _append(tree.file((number * each + step) % tree.files), pipe) for step in range(each)
                ]
            samples[peer.name].append([took for took in found if took is not None])
            lost[peer.name].append(found.count(None))
    p50 = {name: [_percentile(found, 50) for found in rounds if found] for name, rounds in samples.items()}
    p99 = {
        name: [_percentile(list(chain.from_iterable(rounds)), 99)]
        for name, rounds in samples.items()
        if any(rounds)
    }
    others = (RAW, C_LOOP, WATCHDOG, WATCHFILES_1, WATCHFILES)
    lines = [
        Line("p50", "ms", p50, OURS, others, "≤ 1.3 × raw loop"),
        Line("p99", "ms", p99, OURS, others),
        Line(
            "appends never reported",
            "count",
            {name: [sum(each)] for name, each in lost.items()},
            OURS,
            (),
            "0",
        ),
    ]
    how = HOW.format(files=tree.files, samples=each * scale.repeat, rounds=scale.repeat)
    return Section("latency", "Noticed", how, tuple(lines), ground.peers.missing)


def _append(path: str, pipe: Pipe) -> float | None:
    """Milliseconds until the line; None where it didn't come."""
    wanted = os.fsencode(path)
    while pipe.lines(PAUSE):
        pass
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    began = time.perf_counter()
    os.write(fd, b"One more line.\n")
    os.close(fd)
    while (left := began + PATIENCE - time.perf_counter()) > 0:
        if wanted in pipe.lines(left):
            return (time.perf_counter() - began) * 1000
    return None


def _percentile(found: list[float], percent: int) -> float:
    return quantiles(found, n=100, method="inclusive")[percent - 1] if len(found) > 1 else found[0]
