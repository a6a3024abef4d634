"""An answer -> lines for people: where it stands, under which headings, and the lines that match best."""

import os
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from knowledge_platform.asking.ask import Answer
from knowledge_platform.text import printable
from knowledge_platform.words.search import Passage, words_of

SNIPPET_LINES = 3
SNIPPET_WIDTH = 110
_BOLD, _PLACE, _PLAIN = "\x1b[1m", "\x1b[36m", "\x1b[0m"


def shown(answer: Answer, folder: Path, *, styled: bool = False, coloured: bool = False) -> list[str]:
    """For a terminal in this folder. `styled`: places are links (OSC 8), and the question's words are bold; `coloured`: places are so."""
    if not answer.passages:
        return ["no good match"]
    lines: list[str] = []
    pattern = _pattern(words_of(answer.question))
    for passage in answer.passages:
        trail = " > ".join(part for part in (passage.crumbs, passage.heading) if part)
        stale = f" (stale: {printable(passage.stale)})" if passage.stale is not None else ""
        lifted = " (here because of feedback)" if passage.lifted else ""
        place = _place(passage, folder)
        if styled:
            place = f"{_PLACE}{place}{_PLAIN}" if coloured else place
            place = f"{_link(passage)}{place}{_LINK_END}"
        lines += ["", f"{place}{stale}{lifted}  {printable(trail)}".rstrip()]
        lines += [
            f"    {_highlighted(line, pattern) if styled else line}" for line in _snippet(passage, pattern)
        ]
    return [*lines[1:], "", f"answer {answer.answer_id}"]


_LINK_END = "\x1b]8;;\x1b\\"


def _link(passage: Passage) -> str:
    """A terminal opens it with a click; one that doesn't know the sequence shows nothing of it."""
    path = quote(os.fsencode(os.path.join(passage.root, passage.path)))
    return f"\x1b]8;;file://{socket.gethostname()}{path}\x1b\\"


def _place(passage: Passage, folder: Path) -> str:
    """path:start-end that a terminal can open: relative where the file is below the folder."""
    path = os.path.join(passage.root, passage.path)
    inside = f"{folder}{os.sep}"
    return f"{printable(path.removeprefix(inside))}:{passage.start}-{passage.end}"


def _pattern(words: Sequence[str]) -> re.Pattern[str]:
    """Words that begin like one of these: a long word's first letters will do, as stems go."""
    if not words:
        return re.compile("(?!)")
    stems = [re.escape(word[: max(4, len(word) - 3)]) for word in words]
    return re.compile(rf"\b(?:{'|'.join(stems)})\w*", re.IGNORECASE)


# Lines that are nothing but markup: a directive (`:::`, `///`), a thematic break, an underline, the ruler of a table, a comment, tags
# without text, a link's definition, an image alone, an include of another file (MkDocs, Jinja).
_MARKUP = re.compile(
    r"""(?: (?::::|///).* | [-=*_+|:\ ]+ | <!--.*--> | (?:</?[A-Za-z][^<>]*>\ ?)+ | \[[^\]]+\]:\ .*
      | !\[[^\]]*\]\([^()]*\)(?:\{[^{}]*\})? | \{[*%#].*[*%#]\} )""",
    re.VERBOSE,
)
_MARKUP_LENGTH = 500  # characters; a longer line says something, or is no line; arbitrary
_HEADING = re.compile(
    r" {0,3}#{1,6}\s"
)  # with markup in it, it isn't the passage's heading letter for letter
_FENCE = re.compile(r"(`{3,}|~{3,})(.*)")


def _snippet(passage: Passage, pattern: re.Pattern[str]) -> list[str]:
    """The lines around the one with the most of the question's words; where none has any, the beginning of the prose."""
    every = _lines_of(passage)
    if not every:
        return []
    counts = [len(set(map(str.casefold, pattern.findall(line)))) for line, _ in every]
    best = counts.index(max(counts))
    if not counts[best]:
        best = next((number for number, (_, code) in enumerate(every) if not code), 0)
    return [_shortened(line) for line, _ in every[best : best + SNIPPET_LINES]]


def _lines_of(passage: Passage) -> list[tuple[str, bool]]:
    """The lines that say something, each with whether it is code. Of a passage of nothing else, its markup."""
    lines = [line for line in passage.text.split("\n") if line.strip()]
    if len(lines) > 1 and passage.heading and (passage.heading in lines[0] or _HEADING.match(lines[0])):
        lines = lines[1:]
    said: list[tuple[str, bool]] = []
    fence = ""
    for line in lines:
        mark = _FENCE.match(line.strip())
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence) and not mark[2]:
            fence = ""
        elif fence or len(line) > _MARKUP_LENGTH or not _MARKUP.fullmatch(line.strip()):
            said.append((line, bool(fence)))
    return said or [(line, False) for line in lines]


def _highlighted(line: str, pattern: re.Pattern[str]) -> str:
    return pattern.sub(lambda match: f"{_BOLD}{match[0]}{_PLAIN}", line)


def _shortened(line: str) -> str:
    line = printable(line.replace("\t", "    "))
    return line if len(line) <= SNIPPET_WIDTH else line[: SNIPPET_WIDTH - 1] + "…"
