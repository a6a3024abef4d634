"""The daemon runs for months: it holds what its loop needs, and no more. bench/ has the megabytes."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

from acts.conftest import Home
from machine.waiting import eventually
from training_watch.wiring import ourselves

# The commands' library; what only a rare marker or a mistake in the configuration needs; what a convenience
# of the standard library drags in.
UNNEEDED = {
    "argparse", "asyncio", "click", "concurrent", "dateutil", "difflib", "email", "http", "importlib.metadata",
    "logging.handlers", "pickle", "ssl", "unittest", "uuid",
}  # fmt: skip


def loaded(importtime: str) -> set[str]:
    """The modules and packages that `python -X importtime` has named."""
    names = {
        line.rpartition("|")[2].strip() for line in importtime.splitlines() if line.startswith("import time:")
    }
    return names | {name.partition(".")[0] for name in names}


def test_a_daemon_that_has_watched_and_trained_has_loaded_nothing_that_it_does_not_need(
    home: Home, tmp_path: Path
) -> None:
    python, *words = ourselves(home.config)
    told = tmp_path / "told"
    with (
        told.open("w") as stderr,
        subprocess.Popen(
            [python, "-X", "importtime", *words, "run"], env=home.environment(), stderr=stderr
        ) as daemon,
    ):
        try:
            eventually(lambda: "training succeeded" in told.read_text(), 20, "the first training is over")
            home.edit("new")
            eventually(lambda: "cooldown until" in told.read_text(), 20, "it waits with a change")
        finally:
            daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(20) == 0
    names = loaded(told.read_text())
    assert "training_watch.keeper" in names
    assert names & UNNEEDED == set()
