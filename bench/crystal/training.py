"""What a training costs: the first, one with nothing to do, one after an edit."""

from __future__ import annotations

import time
from collections import defaultdict

from bench.crystal.corpus import corpus_at
from bench.crystal.remaining import Remaining
from bench.crystal.store import Store, fresh
from bench.ground import Ground, say
from bench.report import Line, Section, Unit

CRYSTAL = "crystal"

HOW = """\
`crystal train` as a process of its own, from its start to its end, on {files} files: first into an empty store, then again
with nothing changed, which must make no release, then after a paragraph was appended to one file, another one each time.
Memory is VmHWM. The documents are in the kernel's caches. How true the time is that the first training says is left: its
status file is read each 200 ms, and of all samples with at least 5 s left it is the median of |said − true| / true."""

LINES: tuple[tuple[str, Unit, str], ...] = (
    ("first training", "s", "≤ 60 s"),
    ("… peak memory", "MiB", "≤ 667 MiB"),  # 700 MB
    ("… chunks", "count", ""),
    ("… of them embedded", "count", ""),
    ("… time left, said wrongly by", "share", ""),
    ("nothing changed", "s", "≤ 0.4 s"),
    ("… releases made then", "count", "0"),
    ("one file edited", "s", "≤ 5 s"),
    ("… peak memory then", "MiB", ""),
    ("… chunks embedded then", "count", ""),
    ("… unchanged ones among them", "count", "0"),
)


def train(ground: Ground) -> Section:
    """Each repetition has a store of its own."""
    corpus = corpus_at(ground.corpus, ground.name)
    figures = defaultdict[str, list[float]](list)
    for number in range(1, ground.scale.repeat + 1):
        say(f"crystal trains: {number}")
        with fresh(ground, corpus) as store:
            for (what, _, _), value in zip(LINES, _trained(store, number), strict=True):
                if value is not None:
                    figures[what].append(value)
    lines = tuple(
        Line(what, unit, {CRYSTAL: figures[what]}, CRYSTAL, (), target)
        for what, unit, target in LINES
        if figures[what]
    )
    how = HOW.format(files=corpus.files)
    return Section("crystal-train", corpus.titled("crystal: training"), how, lines)


def _trained(store: Store, number: int) -> tuple[float | None, ...]:
    """One repetition's figures, in the order of LINES; None for one that there isn't: without an encoder nothing is embedded."""
    remaining = Remaining(store.status)
    first, facts = store.train(remaining.look)
    wrong = remaining.error(time.perf_counter())
    made = store.releases()
    idle, _ = store.train()
    more = len(store.releases() - made)
    new = store.edit(number)
    edited, later = store.train()
    embedded = later["embedded"]
    return (
        first.seconds, first.peak, facts["chunks"], facts["embedded"], wrong, idle.seconds, more,
        edited.seconds, edited.peak, embedded, None if embedded is None else max(0, embedded - new),
    )  # fmt: skip
