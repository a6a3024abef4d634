"""Trees of small files, nested as real ones are: ten folders in a folder, twenty files in each."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from itertools import count
from pathlib import Path

FILES_IN_FOLDER = 20
FOLDERS_IN_FOLDER = 10
# How deep the folders that a burst makes are nested in each other.
DEPTH = 10

_numbers = count()


@dataclass(frozen=True, slots=True)
class Tree:
    """`files` files below `root`, all of them known by number, so that nothing has to be listed."""

    root: Path
    files: int

    @property
    def folders(self) -> int:
        return -(-self.files // FILES_IN_FOLDER)

    def folder(self, number: int) -> str:
        """The path of a folder: each lies in the one that has a tenth of its number, as in a heap."""
        names = []
        while number:
            names.append(f"d{number}")
            number = (number - 1) // FOLDERS_IN_FOLDER
        return os.path.join(self.root, *reversed(names))

    def file(self, number: int) -> str:
        """The path of a file."""
        folder, name = divmod(number, FILES_IN_FOLDER)
        return f"{self.folder(folder)}/f{name}.md"

    def spread(self, many: int) -> list[str]:
        """So many of its files, as far apart as they can be; fewer of them are among more of them."""
        step = self.files // many
        return [self.file(number * step) for number in range(many)]

    def burst(self, new_folders: int) -> tuple[list[str], list[str]]:
        """All files, and the files, in new folders each nested in the last, that a burst is to make."""
        chains, depth = max(1, new_folders // DEPTH), min(DEPTH, new_folders)
        made = []
        for chain in range(chains):
            folder = f"{self.root}/new{chain}"
            for level in range(depth):
                folder = folder if level == 0 else f"{folder}/n{level}"
                made.append(f"{folder}/f.md")
        return [self.file(number) for number in range(self.files)], made

    def clean(self) -> None:
        """Take away what bursts have made."""
        for folder in self.root.glob("new*"):
            shutil.rmtree(folder)


def plant(root: Path, files: int) -> Tree:
    """Make a tree. `root` is made; it must not be there."""
    tree = Tree(root, files)
    for number in range(tree.folders):
        folder = tree.folder(number)
        os.mkdir(folder)
        for name in range(min(FILES_IN_FOLDER, files - number * FILES_IN_FOLDER)):
            rewrite(f"{folder}/f{name}.md")
    return tree


def rewrite(path: str) -> None:
    """Give a file a content that it never had."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
    os.write(fd, b"# Document\n\nRevision %d\n" % next(_numbers))
    os.close(fd)


def make(path: str) -> None:
    """Make a folder and a file in it, as `path` says."""
    os.mkdir(os.path.dirname(path))
    rewrite(path)
