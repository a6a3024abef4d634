"""Two million files: whether the cost of arming grows with the folders, and memory not with the tree."""

from __future__ import annotations

from bench.armed import cold
from bench.ground import Ground, say
from bench.ours import daemon
from bench.processes import calm
from bench.report import Line, Section
from bench.settling import changed

HUGE = 2_000_000

HOW = """\
As the rows above, on {files:,} files / {folders:,} folders, each measured once."""


def huge(ground: Ground) -> Section:
    """Cold, then a settling of one change."""
    tree = ground.tree(ground.scale.huge)
    lines: list[Line] = cold(ground, tree, 1)
    home = ground.trained_home(tree)
    with daemon(home) as ours:
        say(f"settling of 1 in {tree.files:,} files")
        ours.known(0, after=ours.armed())
        calm(ours.process, quiet=1.0, within=60)
        lines += changed(ours, tree, 1, ground.scale.repeat)
        lines.append(
            Line("memory at the end", "MiB", {"daemon": [ours.process.pss()]}, "daemon", (), "≤ 64 MiB")
        )
    ground.forget(tree)
    how = HOW.format(files=tree.files, folders=tree.folders)
    return Section("huge", "Two million files", how, tuple(lines), ground.peers.missing)
