"""A real `crystal` in a real subprocess, over a real docs folder and store."""

import json
import os
import pty
import shutil
import subprocess
import sys
import termios
from dataclasses import dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

from invented import docs
from knowledge_platform.clock import system_clock
from knowledge_platform.phases import train
from knowledge_platform.progress import Lines, Progress
from knowledge_platform.settings import Settings
from knowledge_platform.status import StatusFile
from knowledge_platform.store.releases import Release, Store
from needs import lacking

INSTALL = """# Install

How to get it on the machine.

## Requirements

A kernel, a shell and some patience.

## Steps

Unpack the tarball, then run the frobnicator once.
"""

LOGS = """# Logs

Where they are and how they rotate.

## Rotation

The journal rotates by itself; `journalctl --vacuum-size` trims it.
"""


@dataclass
class Crystal:
    """Runs commands on one store and one docs folder."""

    docs: Path
    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def store(self) -> Store:
        return Store(self.folder)

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "CRYSTAL_STORE": str(self.folder),
            "CRYSTAL_DOCS": str(self.docs),
            **self.environ,
        }

    def argv(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "knowledge_platform", *words]

    def run_at_all(self, *words: str) -> subprocess.CompletedProcess[str]:
        """However it ends."""
        return subprocess.run(
            self.argv(*words),
            env=self.environment(),
            cwd=self.docs.parent,
            text=True,
            capture_output=True,
            timeout=60,
            check=False,
        )

    def run(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = self.run_at_all(*words)
        assert done.returncode == code, done.stdout + done.stderr
        return done

    def json(self, *words: str, code: int = 0) -> Any:
        return json.loads(self.run(*words, "--json", code=code).stdout)

    def train(self, *words: str) -> Any:
        return self.json("train", *words)

    def ask(self, question: str) -> list[dict[str, Any]]:
        """By words: what is there and what isn't can be told by them, and no test of documents waits for the encoder."""
        passages: list[dict[str, Any]] = self.json("ask", "--lexical", question)["passages"]
        return passages

    def write_many(self) -> None:
        """A document with headings enough that some of them are held out, whichever these are."""
        names = [
            f"{first}{last}"
            for first in ("am", "ce", "fjo", "lla")
            for last in ("ber", "dar", "rd", "ma", "sil")
        ]
        parts = [
            f"## All about {name}\n\n{name.title()} is kept apart here, with words of its own to be found by: {name[::-1]}.\n"
            for name in names
        ]
        self.write("many.md", "# Many\n\n" + "\n".join(parts))

    def current(self) -> Release:
        return self.store.answering()

    def on_terminal(self, argv: list[str], *, lines: int = 50, columns: int = 100, **environ: str) -> str:
        """What a program writes to a terminal of that size."""
        ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (lines, columns))
        child = subprocess.Popen(
            argv,
            env={**self.environment(), "TERM": "xterm", **environ},
            cwd=self.docs.parent,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        shown = b""
        while True:
            try:
                shown += os.read(ours, 4096)
            except OSError:  # EIO: the last writer is gone (pty(7))
                break
        os.close(ours)
        assert child.wait() == 0, shown.decode()
        return shown.decode().replace("\r\n", "\n")

    def on_tmpfs(self, size: str, script: str) -> subprocess.CompletedProcess[str]:
        """Runs the script with the store on a disk of that size, in a mount namespace of its own; skips where that isn't allowed."""
        unshare = shutil.which("unshare")
        probe = ["unshare", "-rm", "sh", "-c", f"mount -t tmpfs none {self.folder.parent}"]
        if unshare is None or subprocess.run(probe, capture_output=True, check=False).returncode:
            lacking("needs unshare -rm and a tmpfs of its own")
        self.folder.mkdir(exist_ok=True)
        mount = f'mount -t tmpfs -o size={size} none "$CRYSTAL_STORE"; crystal() {{ "{sys.executable}" -m knowledge_platform "$@"; }}'
        return subprocess.run(
            ["unshare", "-rm", "bash", "-c", f"{mount}\n{script}"],
            env=self.environment(), text=True, capture_output=True, check=False, timeout=120,
        )  # fmt: skip

    def write(self, path: str, text: str | bytes) -> Path:
        file = self.docs / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file


@pytest.fixture
def crystal(tmp_path: Path) -> Crystal:
    """Two small documents, nothing trained yet."""
    made = Crystal(docs=tmp_path / "docs", folder=tmp_path / "store")
    made.write("install.md", INSTALL)
    made.write("ops/logs.md", LOGS)
    return made


@pytest.fixture(scope="session")
def complete(tmp_path_factory: pytest.TempPathFactory) -> Crystal:
    """One whose release has every file that a release can have. Not to be changed: `copy` is."""
    folder = tmp_path_factory.mktemp("complete")
    made = Crystal(docs=folder / "docs", folder=folder / "store")
    for path, text in docs(4, files=6, sections=6).items():
        made.write(path, text)
    made.write("ops/logs.md", LOGS)
    made.train()
    made.run("feedback", made.json("ask", "how does the journal rotate?")["answer_id"], "good")
    made.train()
    return made


@pytest.fixture
def copy(complete: Crystal, tmp_path: Path) -> Crystal:
    """The same, to be changed; the documents are the same ones."""
    shutil.copytree(complete.folder, tmp_path / "store", symlinks=True)
    return Crystal(docs=complete.docs, folder=tmp_path / "store")


@pytest.fixture
def progress() -> Progress:
    """A real one that nobody reads."""
    clock = system_clock()
    silent = StatusFile(None, invocation=None, clock=clock, warn=print)
    return Progress(Lines(StringIO(), clock), silent, clock)


@pytest.fixture
def trained(crystal: Crystal, progress: Progress) -> Crystal:
    """The same with one release deployed."""
    train(Settings(store=crystal.folder, roots=(crystal.docs,)), progress=progress, clock=system_clock())
    return crystal
