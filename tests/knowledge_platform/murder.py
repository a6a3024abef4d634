"""Runs a `crystal` command again and again, signalled at its first, second, third ... look at the world, and asks after each.

The interpreter announces each file, link, folder and lock that it touches (PEP 578). A child forked for each attempt counts them and
signals itself at the given one. With SIGKILL nothing is cleaned up; with SIGTERM nothing may be left. So every gap between two steps is
tried, without a clock. It prints how many points there were. It is a program of its own because it forks.
"""

import os
import signal
import sys
from pathlib import Path

from knowledge_platform import cli, phases  # noqa: F401 - loaded once, before the forks
from knowledge_platform.ask import ask
from knowledge_platform.commands import releasing, training  # noqa: F401
from knowledge_platform.errors import ConfigError
from knowledge_platform.releases import Store

WORLD = ("open", "os.", "fcntl.", "sqlite3.", "shutil.")


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

    def count(event: str, _: object) -> None:
        nonlocal seen
        if event.startswith(WORLD):
            seen += 1
            if seen == point:
                os.kill(os.getpid(), number)

    sys.addaudithook(count)
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
    deployed = store.current() is not None
    point = 1
    while reached(point, number, words):
        try:
            assert ask(store, question, 3).passages, f"no answer after point {point}"
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
    assert ask(store, question, 3).passages
    print(point)


main()
