"""crystal from outside: a copy of the documents, a store of its own, a command line."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.ground import Ground
from bench.ours import environment
from bench.processes import Ended, finished


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

    def train(self) -> tuple[Ended, dict[str, Any]]:
        """One training, and what it says of itself. Raises RuntimeError where it fails."""
        with tempfile.TemporaryFile() as out:
            took = self._run("train", "--docs", str(self.docs), "--json", stdout=out.fileno())
            out.seek(0)
            return took, json.loads(out.read())

    def ask(self, question: str, *options: str) -> Ended:
        return self._run("ask", *options, "--", question)

    def edit(self, number: int) -> None:
        """Append a paragraph that was never there to one of the documents, another one for each number."""
        files = sorted(self.docs.rglob("*.md"))
        with files[number % len(files)].open("a", encoding="utf-8") as file:
            file.write(f"\nThis paragraph was appended to see what edit {number} costs.\n")

    def releases(self) -> set[str]:
        return {path.name for path in (self.path / "releases").iterdir()}

    def _run(self, *words: str, **more: int) -> Ended:
        env = {**environment(self.folder), "CRYSTAL_STORE": str(self.path)}
        return finished([*self.program, *words], env, **more)


@contextmanager
def fresh(ground: Ground, docs: Path) -> Iterator[Store]:
    """An empty store beside a copy of the documents, as long as the block runs."""
    with tempfile.TemporaryDirectory(prefix="crystal-", dir=ground.place) as name:
        store = Store((*ground.program[:-1], "knowledge_platform"), Path(name))
        shutil.copytree(docs, store.docs)
        yield store
