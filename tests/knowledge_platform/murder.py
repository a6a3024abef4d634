"""Runs a `crystal` command again and again, signalled at its first, second, third ... look at the world, and asks after each.

The interpreter announces each file, link, folder and lock that it touches (PEP 578), and each call of a function in C, of which those count
that write, sync or run a statement. A child forked for each attempt counts them and signals itself at the given one. With SIGKILL nothing
is cleaned up; with SIGTERM nothing may be left. So every gap between two steps is tried, without a clock. It prints how many points there
were. It is a program of its own because it forks.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import numpy.ma  # noqa: F401 - numpy's own, loaded when it is first wanted
import onnxruntime

# Loaded once, before the forks: else each attempt would read a thousand files of libraries, and be killed at each.
from knowledge_platform import (
    cli,
    meaning,  # noqa: F401
    phases,  # noqa: F401
)
from knowledge_platform.asking.ask import ask
from knowledge_platform.commands import releasing, training  # noqa: F401
from knowledge_platform.errors import ConfigError
from knowledge_platform.meaning.embeddings import Vectors
from knowledge_platform.meaning.encoder import Encoder, EncoderUnavailable, locate
from knowledge_platform.store.releases import Store

WORLD = ("open", "os.", "fcntl.", "sqlite3.", "shutil.")
STEPS = frozenset({"execute", "executemany", "executescript", "commit", "fsync", "write"})


def with_one_session(question: str) -> Callable[[], Vectors] | None:
    """ONNX Runtime's session, a function of the model's bytes that touches no file, is made here once, not for 0.2 s in each attempt.

    Gives the question's vector, too, if there is an encoder.
    """
    make: Any = onnxruntime.InferenceSession
    made: list[Any] = []
    onnxruntime.InferenceSession = lambda *given, **named: made[0] if made else make(*given, **named)
    try:
        encoder = Encoder.load(locate(None), threads=1)
    except EncoderUnavailable:
        return None  # then crystal does without it, too
    made.append(encoder._session)
    (vector,) = encoder.encode([question])
    return lambda: vector


def reached(point: int, number: signal.Signals, words: list[str]) -> bool:
    """Whether the command came to that point, and was signalled there."""
    child = os.fork()
    if child:
        _, ended = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(ended)
        assert code in (0, -number, 128 + number), f"exit {code} at point {point}"
        return code != 0
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.argv = ["crystal", *words]
    seen = 0

    def count() -> None:
        nonlocal seen
        seen += 1
        if seen == point:
            os.kill(os.getpid(), number)

    def touched(event: str, _: object) -> None:
        if event.startswith(WORLD):
            count()

    def called(_: FrameType, event: str, function: Any) -> None:
        if event == "c_call" and function.__name__ in STEPS:
            count()

    sys.addaudithook(touched)
    sys.setprofile(called)
    code = 1
    try:
        cli.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        os._exit(code)


def left_behind(store: Store) -> list[str]:
    return [
        name
        for folder in (store.folder, store.releases)
        for name in os.listdir(folder)
        if name.startswith(".")
    ]


def main() -> None:
    number = signal.Signals[sys.argv[1]]
    store, question, words = Store(Path(sys.argv[2])), sys.argv[3], sys.argv[4:]
    vector = with_one_session(question) if words[0] == "train" else None
    deployed = store.current() is not None
    point = 1
    while reached(point, number, words):
        try:
            assert ask(store, question, 3, vector).passages, f"no answer after point {point}"
            assert store.answering().intact(), f"a torn release answers after point {point}"
            deployed = True
        except ConfigError:
            assert not deployed, f"the model is gone after point {point}"
        if number != signal.SIGKILL and store.releases.is_dir():
            assert not left_behind(store), f"left behind at point {point}: {left_behind(store)}"
        if words[0] in ("rollback", "unpin"):
            # Else the next training would take the newer releases for ones that were never deployed.
            kept = store.pinned() is not None or store.answering().id == store.all()[-1].id
            assert kept, f"rolled back without a pin after point {point}"
        point += 1
    assert ask(store, question, 3, vector).passages
    print(point)


main()
