"""crystal from outside: a copy of the documents, a store of its own, a command line."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL
from typing import Any

from bench.crystal.corpus import Corpus
from bench.ground import Ground
from bench.ours import environment
from bench.processes import Ended, finished
from knowledge_platform.documents.chunks import body_of, chunks_of


@dataclass(frozen=True, slots=True)
class Store:
    """A store that `program` fills from `docs`, both below `folder`."""

    program: tuple[str, ...]
    folder: Path

    @property
    def docs(self) -> Path:
        return self.folder / "docs"

    @property
    def path(self) -> Path:
        return self.folder / "store"

    @property
    def status(self) -> Path:
        """Where a training says how far it is."""
        return self.folder / "status.json"

    def train(self, look: Callable[[], object] = lambda: None) -> tuple[Ended, dict[str, Any]]:
        """One training, and what it says of itself; `look` is called meanwhile. Raises RuntimeError where it fails."""
        with tempfile.TemporaryFile() as out:
            took = self._run(
                "train", "--docs", str(self.docs), "--json", stdout=out.fileno(), look=look,
                TRAINING_STATUS_FILE=str(self.status),
            )  # fmt: skip
            out.seek(0)
            return took, json.loads(out.read())

    def ask(self, question: str, *options: str) -> Ended:
        return self._run("ask", *options, "--", question)

    def edit(self, number: int) -> int:
        """Append a paragraph that was never there to one of the documents, another one for each number; how many passages are new."""
        files = sorted(self.docs.rglob("*.md"))
        edited = files[number % len(files)]
        before = _passages(edited)
        with edited.open("a", encoding="utf-8") as file:
            file.write(f"\nThis paragraph was appended to see what edit {number} costs.\n")
        return len(_passages(edited) - before)

    def releases(self) -> set[str]:
        return {path.name for path in (self.path / "releases").iterdir()}

    def _run(
        self, *words: str, stdout: int = DEVNULL, look: Callable[[], object] = lambda: None, **env: str
    ) -> Ended:
        env |= {**environment(self.folder), "CRYSTAL_STORE": str(self.path)}
        return finished([*self.program, *words], env, stdout=stdout, look=look)


def _passages(path: Path) -> set[tuple[str, str]]:
    return {(chunk.heading, body_of(chunk)) for chunk in chunks_of(path.read_text(encoding="utf-8"))}


@contextmanager
def fresh(ground: Ground, corpus: Corpus) -> Iterator[Store]:
    """An empty store beside a copy of the documents, as long as the block runs."""
    with tempfile.TemporaryDirectory(prefix="crystal-", dir=ground.place) as name:
        store = Store((*ground.program[:-1], "knowledge_platform"), Path(name))
        corpus.copy_to(store.docs)
        yield store
