"""The examples of the manual: fenced blocks of docs/, to be run, and what a `console` block shows, to be compared.

    sh        done once, as it stands
    console   `$ ` begins a command, what follows is what it prints; a question, which may be asked until it is answered so

In what is printed a number stands for any number, a length of time and a time of day for any; … is any text, and on a line of its
own any lines.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parents[1] / "docs"
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LENGTH = re.compile(r"\d+(?:\.\d)?(?:d|h|min|s)\b(?: \d+(?:h|min|s)\b)?")
_TIME = re.compile(r"\b\d\d:\d\d(?::\d\d)?\b")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block, and where it begins."""

    kind: str
    text: str
    place: str


@dataclass(frozen=True, slots=True)
class Question:
    """A command, and what it prints."""

    command: str
    answer: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [
        Block(found[1], found[2], f"{page.name}:{text.count(chr(10), 0, found.start()) + 1}")
        for found in _FENCE.finditer(text)
    ]


def questions(console: Block) -> list[Question]:
    parts = re.split(r"^\$ ", console.text, flags=re.MULTILINE)
    assert not parts[0], f"{console.place}: a console block begins with a command"
    return [Question(*part.partition("\n")[::2]) for part in parts[1:]]


def agrees(shown: str, printed: str) -> bool:
    """Whether what the manual shows is what was printed."""
    lines = _plain(shown.strip("\n")).split("\n")
    pattern = "".join(
        r"(?:.*\n)*" if line == "…" else ".*".join(map(re.escape, line.split("…"))) + r"\n" for line in lines
    )
    return re.fullmatch(pattern, _plain(printed.strip("\n")) + "\n") is not None


def _plain(text: str) -> str:
    return re.sub(r"\d+", "0", _TIME.sub("00:00", _LENGTH.sub("0s", text)))
