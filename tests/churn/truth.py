"""What a tree holds, by a walk that shares nothing with the program's: the eyes of the training and of the oracle.

Only whether a name is ignored is asked of the program; gitignore(5) has a test of its own.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from training_watch.watching.ignore import Ignore

Stamp = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Truth:
    """Paths are relative to the root. `rules` are the rule files; `obscure`: something couldn't be read."""

    present: bool
    files: Mapping[bytes, str] = field(default_factory=dict)
    stamps: Mapping[bytes, Stamp] = field(default_factory=dict)
    folders: frozenset[bytes] = frozenset()
    rules: Mapping[bytes, bytes] = field(default_factory=dict)
    obscure: bool = False

    def differs_from(self, other: Truth) -> bool:
        return self.present != other.present or self.files != other.files


def look(root: bytes) -> Truth:
    """What is at `root` now. Somebody may be changing it meanwhile."""
    if not os.path.isdir(root):
        return Truth(present=False)
    walk = _Walk(root)
    walk.folder(b"")
    return Truth(True, walk.files, walk.stamps, frozenset(walk.folders), walk.rules, walk.obscure)


def ignored(root: bytes, paths: Iterator[bytes]) -> set[bytes]:
    """Those of the files at `paths` that the rules of this moment ignore."""
    ignore = Ignore([root], [], gitignore=True)
    return {path for path in paths if ignore.ignored(os.path.join(root, path), is_folder=False)}


class _Walk:
    def __init__(self, root: bytes) -> None:
        self.root = root
        self.ignore = Ignore([root], [], gitignore=True)
        self.files: dict[bytes, str] = {}
        self.stamps: dict[bytes, Stamp] = {}
        self.folders: set[bytes] = set()
        self.rules: dict[bytes, bytes] = {}
        self.obscure = False

    def folder(self, below: bytes) -> None:
        try:
            names = sorted(os.listdir(os.path.join(self.root, below)))
        except FileNotFoundError:
            return
        except OSError:
            self.obscure = True
            return
        self.folders.add(below)
        for name in names:
            path = os.path.join(below, name)
            whole = os.path.join(self.root, path)
            try:
                found = os.lstat(whole)
                if name == b".gitignore" and stat.S_ISREG(found.st_mode):
                    self.rules[path] = _bytes(whole)
                if self.ignore.ignored(whole, is_folder=stat.S_ISDIR(found.st_mode)):
                    continue
                if stat.S_ISDIR(found.st_mode):
                    self.folder(path)
                elif stat.S_ISREG(found.st_mode) or stat.S_ISLNK(found.st_mode):
                    self.files[path] = _content(whole, found)
                    self.stamps[path] = _stamp(whole, found)
            except FileNotFoundError:
                continue
            except OSError:
                self.obscure = True


def _content(path: bytes, found: os.stat_result) -> str:
    """A file is its bytes; a link is the name in it, and what it leads to where that is a file."""
    if stat.S_ISREG(found.st_mode):
        return hashlib.md5(b"file " + _bytes(path), usedforsecurity=False).hexdigest()
    text = b"link " + os.readlink(path) + b"\n"
    try:
        if stat.S_ISREG(os.stat(path).st_mode):
            text += _bytes(path)
    except OSError:
        pass
    return hashlib.md5(text, usedforsecurity=False).hexdigest()


def _stamp(path: bytes, found: os.stat_result) -> Stamp:
    try:
        led = os.stat(path)
    except OSError:
        led = found
    return found.st_ino, max(found.st_ctime_ns, led.st_ctime_ns), led.st_ino, led.st_mtime_ns


def _bytes(path: bytes) -> bytes:
    with open(path, "rb") as file:
        return file.read()
