"""What a person waits for: commands as processes of their own, beside a daemon that keeps a large tree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from bench.armed import LARGE
from bench.ground import Ground, say
from bench.ours import Home, daemon, environment
from bench.processes import finished
from bench.report import Line, Section
from bench.trees import rewrite

PYTHON = "python -c pass"
PENDING = 10
TARGET = "≤ 150 ms"

HOW = """\
Each command from the start of its process to its end, while the daemon keeps the largest tree, {files:,} files of which
{pending} are pending; then with all of them pending, as before a first training. Beside each, what the interpreter takes to
do nothing. In turns, all files in the kernel's caches. The job's launcher is `process`: with systemd it is `systemctl` that
is asked for the unit, once or twice, and that takes what it takes."""

Figures = Mapping[str, list[float]]


def commands(ground: Ground) -> Section:
    """Status, check, trigger and why."""
    tree = ground.tree(ground.scale.large)
    home = ground.trained_home(tree)
    changes = tree.spread(PENDING)
    with daemon(home) as ours:
        at = ours.armed()
        for change in changes:
            rewrite(change)
        ours.known(PENDING, after=at)
        words: dict[str, Sequence[str]] = {
            "status": ("status",), "check": ("check",), "trigger --dry-run": ("trigger", "--dry-run", "--force"),
            "why": ("why",), "why PATH": ("why", str(changes[0])), "history": ("history",),
        }  # fmt: skip
        took = _timed(ground, home, words)
    bare = ground.fresh_home(tree)
    with daemon(bare) as ours:
        ours.known(tree.files, after=ours.armed(), within=1200.0)
        words = {f"{name}, all pending": words[name] for name in ("status", "why")}
        took |= _timed(ground, bare, words)
    full = tree.files == LARGE
    # Python alone was measured beside each pair of commands; one series is enough to compare with.
    lines = tuple(
        Line(name, "s", {"training-watch": each, PYTHON: took[PYTHON]}, "training-watch", (PYTHON,), TARGET if full else "")
        for name, each in took.items() if name != PYTHON
    )  # fmt: skip
    return Section("commands", "Commands", HOW.format(files=tree.files, pending=PENDING), lines)


def _timed(ground: Ground, home: Home, words: Mapping[str, Sequence[str]]) -> dict[str, list[float]]:
    """In turns; the first round warms the caches and isn't counted."""
    took = defaultdict[str, list[float]](list)
    ours = [*ground.program, "--config", str(home.config)]
    every = {name: [*ours, *each] for name, each in words.items()}
    every[PYTHON] = [ground.program[0], "-c", "pass"]
    for number in range(max(ground.scale.repeat, 5) + 1):
        say(f"commands are asked: {number or 'warming up'}")
        for name, argv in every.items():
            ended = finished(argv, environment(home.path))
            if number:
                took[name].append(ended.seconds)
    return dict(took)
