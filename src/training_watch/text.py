"""Text for people: nothing in it that a terminal would obey."""

from __future__ import annotations

import os


def printable(path: bytes | str) -> str:
    """A path for a person: one line, nothing in it that could move the cursor or forge a line."""
    text = os.fsdecode(path)
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    # surrogateescape (PEP 383): the lone surrogate U+DC80+n stands for a byte that is not UTF-8.
    code = ord(character)
    return (
        f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else character.encode("unicode_escape").decode()
    )
