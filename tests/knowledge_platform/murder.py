"""Runs a `crystal` command again and again, killed at its first, second, third ... look at the world, and asks after each.

The interpreter announces each file, link, folder and lock that it touches (PEP 578). A child forked for each attempt counts them and
kills itself at the given one, as kill -9 would: nothing is cleaned up. So every gap between two steps is tried, without a clock.
It prints how many points there were. It is a program of its own because it forks.
"""

import os
import signal
import sys
from pathlib import Path

from knowledge_platform import cli, phases  # noqa: F401 - loaded once, before the forks
from knowledge_platform.ask import ask
from knowledge_platform.errors import ConfigError
from knowledge_platform.releases import Store

WORLD = ("open", "os.", "fcntl.", "sqlite3.", "shutil.")


def killed(at: int, words: list[str]) -> bool:
    """Whether the command was still running at that point."""
    child = os.fork()
    if child:
        _, ended = os.waitpid(child, 0)
        if os.WIFSIGNALED(ended):
            assert os.WTERMSIG(ended) == signal.SIGKILL
            return True
        assert os.waitstatus_to_exitcode(ended) == 0, f"exit {os.waitstatus_to_exitcode(ended)} at point {at}"
        return False
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    sys.argv = ["crystal", *words]
    seen = 0

    def count(event: str, _: object) -> None:
        nonlocal seen
        if event.startswith(WORLD):
            seen += 1
            if seen == at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)
    try:
        cli.main()
    except SystemExit as end:
        os._exit(end.code if isinstance(end.code, int) else 1)
    os._exit(1)


def main() -> None:
    store, question, *words = sys.argv[1:]
    place = Store(Path(store))
    deployed = place.current() is not None
    point = 1
    while killed(point, words):
        point += 1
        try:
            assert ask(place, question, 3).passages, f"no answer after a kill at point {point}"
            assert place.answering().intact(), f"a torn release answers after a kill at point {point}"
            deployed = True
        except ConfigError:
            assert not deployed, f"the model is gone after a kill at point {point}"
    assert ask(place, question, 3).passages
    left = [name for name in os.listdir(place.releases) if name.startswith(".")]
    assert not left, f"left behind after a training that ended well: {left}"
    print(point)


main()
