"""From the start of a process until its watches are set: cold, and again with what it remembers."""

from __future__ import annotations

import shutil
from collections import defaultdict
from contextlib import closing

from bench.ground import Ground, say
from bench.ours import Home, daemon
from bench.peers import C_LOOP, OURS, RAW, WATCHDOG, WATCHFILES, Peer, announced
from bench.processes import Pipe, started
from bench.report import Line, Section
from bench.trees import Tree, rewrite

LARGE = 200_000

HOW = """\
From the start of the process until it watches: ours says `READY=1` to the service manager, the loops print a line after
their last `inotify_add_watch`, watchdog after `Observer.start()`, watchfiles after its constructor; these return when
the watches are set. There is no state, and the tree is in the kernel's caches. "Known" is from `READY=1` until the
daemon says how many files are pending: the first time it reads them all. Memory is PSS, and VmHWM for the peak."""

HOW_AGAIN = """\
As above, but the daemon has a snapshot of the tree from before, and one file was changed while it was down. "Known" is
from `READY=1` until it says exactly how many files are pending, that one among them. The loops remember nothing."""

Figures = dict[str, list[float]]


def armed(ground: Ground) -> Section:
    """Cold, for each size of tree."""
    lines: list[Line] = []
    for size in ground.scale.sizes:
        lines += cold(ground, ground.tree(size), ground.scale.repeat)
    return Section("armed", "Armed, cold", HOW, tuple(lines), ground.peers.missing)


def cold(ground: Ground, tree: Tree, repeat: int) -> list[Line]:
    """Ours and the peers in turns; the first round warms the caches and isn't counted."""
    took, pss, peak, first, settled, top = (defaultdict[str, list[float]](list) for _ in range(6))
    peers = ground.peers.named(RAW, C_LOOP, WATCHDOG, WATCHFILES)
    for number in range(repeat + 1):
        say(f"armed, cold, {tree.files:,} files: {number or 'warming up'}")
        keep = number > 0
        home = ground.fresh_home(tree)
        with daemon(home) as ours:
            at = ours.armed()
            if keep:
                took[OURS].append(at - ours.process.began)
                pss[OURS].append(ours.process.pss())
                peak[OURS].append(ours.process.peak())
                first[OURS].append(ours.known(tree.files, after=at, within=1200.0).at - at)
                settled[OURS].append(ours.process.pss())
                top[OURS].append(ours.process.peak())
        shutil.rmtree(home.path)
        for peer in peers:
            _once(
                ground,
                peer,
                tree,
                *(([], [], []) if not keep else (took[peer.name], pss[peer.name], peak[peer.name])),
            )
    what = f"{tree.files:,} files / {tree.folders:,} folders"
    full = tree.files == LARGE
    lines = [Line(f"armed, {what}", "s", took, OURS, (RAW, WATCHFILES), "≤ 1.3 × raw loop" if full else "")]
    if tree.files == ground.scale.large or tree.files > LARGE:
        lines += [
            Line("… memory when armed", "MiB", pss, OURS, (RAW,)),
            Line("… its peak", "MiB", peak, OURS, (RAW,)),
            Line("… first snapshot known after", "s", first, OURS),
            Line("… memory then", "MiB", settled, OURS, (), "≤ 24 MiB" if full else ""),
            Line("… peak then", "MiB", top, OURS),
        ]
    else:
        lines += [Line("… first snapshot known after", "s", first, OURS)]
    return lines


def restart(ground: Ground) -> Section:
    """With the state of an earlier daemon, on the largest tree."""
    tree = ground.tree(ground.scale.large)
    home = ground.trained_home(tree)
    took, after, pss, peak = (defaultdict[str, list[float]](list) for _ in range(4))
    changes = tree.spread(ground.scale.repeat)
    _settle(home, 0)
    for number, change in enumerate(changes, 1):
        say(f"armed again, {tree.files:,} files: {number}")
        rewrite(change)
        with daemon(home) as ours:
            at = ours.armed()
            took[OURS].append(at - ours.process.began)
            after[OURS].append(ours.known(number, after=0.0).at - at)
            pss[OURS].append(ours.process.pss())
            peak[OURS].append(ours.process.peak())
        for peer in ground.peers.named(RAW, C_LOOP):
            _once(ground, peer, tree, took[peer.name], [], [])
    full = tree.files == LARGE
    lines = (
        Line(
            f"armed again, {tree.files:,} files", "s", took, OURS, (C_LOOP, RAW), "≤ C loop" if full else ""
        ),
        Line(
            "… changes since the last snapshot known after", "s", after, OURS, (), "≤ 2.5 s" if full else ""
        ),
        Line("… memory then", "MiB", pss, OURS, (), "≤ 24 MiB" if full else ""),
        Line("… peak then", "MiB", peak, OURS),
    )
    return Section("restart", "Armed at a restart", HOW_AGAIN, lines, ground.peers.missing)


def _settle(home: Home, pending: int) -> None:
    """Let a daemon live once, so that what it remembers for its next life is written."""
    with daemon(home) as ours:
        ours.known(pending, after=ours.armed())


def _once(
    ground: Ground, peer: Peer, tree: Tree, took: list[float], pss: list[float], peak: list[float]
) -> None:
    with (
        closing(Pipe()) as pipe,
        started(peer.command(tree.root), {"HOME": str(ground.bare_home())}, stdout=pipe.writing) as process,
    ):
        took.append(announced(pipe) - process.began)
        pss.append(process.pss())
        peak.append(process.peak())
