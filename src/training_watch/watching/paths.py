"""Arithmetic on paths. Names on Linux are bytes: they need not be UTF-8, and they may hold a newline."""

from __future__ import annotations

from collections.abc import Iterable


def join(folder: bytes, name: bytes) -> bytes:
    return folder + name if folder.endswith(b"/") else folder + b"/" + name


def split(path: bytes) -> tuple[bytes, bytes]:
    """Folder and name."""
    folder, _, name = path.rpartition(b"/")
    return folder or b"/", name


def below(folder: bytes) -> tuple[bytes, bytes]:
    """The half-open range of all paths below `folder`, in the order of bytes.

    "0" is the byte after "/", so that /ab is not below /a.
    """
    stem = folder.rstrip(b"/")
    return stem + b"/", stem + b"0"


def outside(folders: Iterable[bytes]) -> list[tuple[bytes, bytes]]:
    """The half-open ranges of all absolute paths below none of `folders`, which lie in the second of them themselves."""
    after, end = below(b"/")
    found = list[tuple[bytes, bytes]]()
    for first, last in sorted(map(below, folders)):
        if first > after:
            found.append((after, first))
        after = max(after, last)
    return [*found, (after, end)] if after < end else found


def holds(folder: bytes, path: bytes) -> bool:
    """`path` is `folder` or lies below it."""
    return path == folder or path.startswith(below(folder)[0])


def holder(folders: Iterable[bytes], path: bytes) -> bytes | None:
    """The deepest of `folders` that holds `path`."""
    return max((folder for folder in folders if holds(folder, path)), key=len, default=None)


def ancestors(path: bytes) -> Iterable[bytes]:
    """The folders above `path`, the nearest first."""
    while path != b"/" and path:
        path = split(path)[0]
        yield path


def shown(path: bytes) -> str:
    """For people and logs: one line, whatever the name holds."""
    text = path.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
