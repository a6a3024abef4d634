"""What one question costs, from the start of the process until its answer is printed."""

from __future__ import annotations

import importlib.util
from collections import defaultdict

from bench.crystal.corpus import corpus_at
from bench.crystal.store import fresh
from bench.ground import Ground, say
from bench.ours import environment
from bench.processes import finished
from bench.report import Line, Section

ASK = "crystal ask"
LEXICAL = "crystal ask --lexical"
PYTHON = "python -c pass"
IMPORTS = "python -c 'import numpy, onnxruntime'"

HOW = """\
`crystal ask` as a process of its own, from its start to its end: the median over {questions} questions. Beside it, what the
interpreter takes alone, and with the two libraries that an encoder needs. In turns; all files are in the kernel's caches."""


def ask(ground: Ground) -> Section:
    """In turns; the first round warms the caches and isn't counted."""
    corpus = corpus_at(ground.corpus, ground.name)
    needs = corpus.needs[:: max(1, len(corpus.needs) // ground.scale.questions)][: ground.scale.questions]
    python = [*ground.program[:-2], "-c"]
    floors = {PYTHON: [*python, "pass"]}
    missing = [name for name in ("numpy", "onnxruntime") if importlib.util.find_spec(name) is None]
    if not missing:
        floors[IMPORTS] = [*python, "import numpy, onnxruntime"]
    took = defaultdict[str, list[float]](list)
    with fresh(ground, corpus) as store:
        store.train()
        for number in range(ground.scale.repeat + 1):
            say(f"crystal is asked: {number or 'warming up'}")
            for need in needs:
                question = need.phrasings[0]
                ended = {ASK: store.ask(question), LEXICAL: store.ask(question, "--lexical")}
                ended |= {name: finished(argv, environment(store.folder)) for name, argv in floors.items()}
                if number:
                    for name, each in ended.items():
                        took[name].append(each.seconds)
    line = Line("asked, cold", "s", took, ASK, tuple(floors), "≤ 0.8 s, --lexical ≤ 0.12 s")
    notes = tuple(f"{name} is not installed." for name in missing)
    how = HOW.format(questions=len(needs))
    return Section("crystal-ask", corpus.titled("crystal: asking"), how, (line,), notes)
