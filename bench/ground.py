"""What all rows stand on: how much is measured, the trees, the homes, the peers."""

from __future__ import annotations

import shutil
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from bench.ours import Home
from bench.peers import Peer, Peers, watch_command
from bench.trees import Tree, plant

BEGAN = time.perf_counter()


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured. Numbers are of files where nothing else is said; `idle` is in seconds."""

    sizes: tuple[int, ...]
    small: int
    burst: int
    new_folders: int
    changes: tuple[int, ...]
    samples: int
    idle: float
    huge: int
    repeat: int
    questions: int = 10

    @property
    def large(self) -> int:
        return self.sizes[-1]


FULL = Scale(
    sizes=(1_000, 20_000, 200_000), small=1_000, burst=20_000, new_folders=2_000, changes=(1, 100, 10_000),
    samples=500, idle=20.0, huge=2_000_000, repeat=5,
)  # fmt: skip
QUICK = Scale(
    sizes=(1_000, 20_000), small=1_000, burst=4_000, new_folders=400, changes=(1, 100, 1_000),
    samples=100, idle=5.0, huge=100_000, repeat=2, questions=3,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Ground:
    """`program` is ours; `place` holds the trees, `scratch` the homes. Trees are made when first asked for, and used again.

    `corpus` is the folder with the documents that crystal is measured on, and `name` what they are called; None is the project's own.
    """

    scale: Scale
    program: tuple[str, ...]
    place: Path
    scratch: Path
    peers: Peers
    corpus: Path | None = None
    name: str = ""
    _trees: dict[int, Tree] = field(default_factory=dict)
    _trained: dict[Path, Home] = field(default_factory=dict)
    _numbers: count[int] = field(default_factory=count)

    def watchers(self) -> tuple[Peer, ...]:
        """Our `watch` and all peers, in the order in which they take turns."""
        return (watch_command(self.program), *self.peers.loops)

    def tree(self, files: int) -> Tree:
        if files not in self._trees:
            say(f"making a tree of {files:,} files")
            self._trees[files] = plant(self.place / f"tree-{files}", files)
        return self._trees[files]

    def forget(self, tree: Tree) -> None:
        """Remove a tree that no other row needs."""
        del self._trees[tree.files]
        shutil.rmtree(tree.root)

    def fresh_home(self, tree: Tree) -> Home:
        """One without state; its marker keeps a training from starting at once."""
        home = Home(self.program, self.scratch / f"home-{next(self._numbers)}", tree)
        home.configure()
        home.rest()
        return home

    def trained_home(self, tree: Tree, *, debounce: str = "1s") -> Home:
        """One whose last training has just read the tree as it is now."""
        home = self._trained.setdefault(
            tree.root, Home(self.program, self.scratch / f"trained-{tree.files}", tree)
        )
        home.configure(debounce=debounce)
        say(f"training on {tree.files:,} files")
        home.train()
        return home

    def bare_home(self) -> Path:
        """An empty one, for peers."""
        home = self.scratch / "peer"
        with suppress(FileExistsError):
            home.mkdir()
        return home


def say(text: str) -> None:
    """Progress, for who waits."""
    print(f"bench: {time.perf_counter() - BEGAN:6.1f} s  {text}", file=sys.stderr, flush=True)
