"""Commands called in this process, hundreds in a second, and what all of them promise."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from click.testing import CliRunner, Result

from acts.conftest import CONFIG
from fuzz.nasty import harmless
from training_watch.cli import main

# docs/reference.md; what `check --exit-code` and a training's own result may be is among them.
EXITS = frozenset({0, 1, 2, 69, 75, 78, 130})


def furnished(home: Path) -> Path:
    """A home with a docs folder, and a configuration whose training is no unit."""
    (home / "docs").mkdir(parents=True)
    (home / "docs/guide.md").write_text("# Guide\n")
    config = home / ".config/training-watch/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(CONFIG.format(home=home, cooldown="6h"))
    return home


def called(home: Path, *words: str, env: Mapping[str, str | None] | None = None) -> Result:
    """The command's result; an exception that it doesn't turn into a line and an exit code is raised here."""
    foreign = {name: None for name in os.environ if name.startswith(("XDG_", "TRAINING_WATCH_", "GITHUB_"))}
    done = CliRunner().invoke(
        main, list(words), env={**foreign, "HOME": str(home), **(env or {})}, catch_exceptions=False
    )
    keeps_its_promises(done.exit_code, done.stdout, done.stderr)
    return done


def keeps_its_promises(code: int, stdout: str, stderr: str) -> None:
    """A documented exit code, no traceback, and nothing that a terminal would obey."""
    assert code in EXITS, stderr
    assert "Traceback" not in stdout + stderr, stderr
    assert harmless(stdout), repr(stdout)
    assert harmless(stderr), repr(stderr)
    if code not in (0, 75):
        assert stderr, "an error is told"
