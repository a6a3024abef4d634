"""What a training costs: the first, one with nothing to do, one after an edit."""

from __future__ import annotations

from bench.crystal.corpus import corpus_at
from bench.crystal.store import fresh
from bench.ground import Ground, say
from bench.report import Line, Section, Unit

CRYSTAL = "crystal"

HOW = """\
`crystal train` as a process of its own, from its start to its end, on {files} files: first into an empty store, then again
with nothing changed, which must make no release, then after a paragraph was appended to one file, another one each time.
Memory is VmHWM. The documents are in the kernel's caches."""

LINES: tuple[tuple[str, Unit, str], ...] = (
    ("first training", "s", "≤ 45 s"),
    ("… peak memory", "MiB", "≤ 700 MiB"),
    ("… chunks", "count", ""),
    ("… of them embedded", "count", ""),
    ("nothing changed", "s", "≤ 0.3 s"),
    ("one file edited", "s", "≤ 5 s"),
    ("… peak memory then", "MiB", ""),
    ("… chunks embedded then", "count", ""),
)


def train(ground: Ground) -> Section:
    """Each repetition has a store of its own."""
    corpus = corpus_at(ground.corpus)
    figures: dict[str, list[float]] = {what: [] for what, _, _ in LINES}
    for number in range(1, ground.scale.repeat + 1):
        say(f"crystal trains: {number}")
        with fresh(ground, corpus.docs) as store:
            first, facts = store.train()
            made = store.releases()
            idle, _ = store.train()
            if store.releases() != made:
                raise RuntimeError("crystal train made a release although nothing had changed")
            store.edit(number)
            edited, later = store.train()
        for what, value in zip(
            figures,
            (
                first.seconds, first.peak, facts["chunks"], facts.get("embedded"), idle.seconds,
                edited.seconds, edited.peak, later.get("embedded"),
            ),
            strict=True,
        ):  # fmt: skip
            if value is not None:  # a model without an encoder embeds nothing
                figures[what].append(value)
    lines = tuple(
        Line(what, unit, {CRYSTAL: figures[what]}, CRYSTAL, (), target)
        for what, unit, target in LINES
        if figures[what]
    )
    how = HOW.format(files=sum(1 for _ in corpus.docs.rglob("*.md")))
    return Section("crystal-train", corpus.titled("crystal: training"), how, lines)
