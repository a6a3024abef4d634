"""Lines for a person's eyes: coloured and folded on a terminal, plain and whole in a pipe.

A line is made of words, plain or with a style; nothing of a word but itself reaches the terminal, whatever a file's
name has in it. Colour only repeats what the words say: NO_COLOR (no-color.org), TERM=dumb and a pipe lose nothing.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TextIO
from unicodedata import combining, east_asian_width

from training_watch.text import printable

# The width of a label's column, with what parts it from the text.
LABEL = 10
# A terminal narrower than this is not folded to: no word would fit. Arbitrary.
NARROWEST = 30


class Style(Enum):
    """ECMA-48's Select Graphic Rendition. Of the colours only those that can be read on dark and on light."""

    GOOD = "32"
    WARN = "33"
    BAD = "31"
    DIM = "2"
    STRONG = "1"


@dataclass(frozen=True, slots=True)
class Styled:
    """Words in one style, or in none; `whole` ones are never folded."""

    text: str
    style: Style | None = None
    whole: bool = False


Words = str | Styled


def good(text: str) -> Styled:
    return Styled(text, Style.GOOD)


def warned(text: str) -> Styled:
    return Styled(text, Style.WARN)


def bad(text: str) -> Styled:
    return Styled(text, Style.BAD)


def dim(text: str) -> Styled:
    return Styled(text, Style.DIM)


def strong(text: str) -> Styled:
    return Styled(text, Style.STRONG)


def command(text: str) -> Styled:
    """What is to be typed, or copied: never in two lines."""
    return Styled(text, Style.STRONG, whole=True)


@dataclass(frozen=True, slots=True)
class Screen:
    """Where lines go. `width` and `height` are None where there is no terminal to fold or to crop to."""

    width: int | None = None
    height: int | None = None
    colours: bool = False

    @classmethod
    def of(cls, stream: TextIO | None = None, environment: Mapping[str, str] | None = None) -> Screen:
        """The terminal behind `stream`, which is standard output if none is given; what is no terminal is a pipe."""
        stream = sys.stdout if stream is None else stream
        environment = os.environ if environment is None else environment
        if not stream.isatty():
            return cls()
        size = shutil.get_terminal_size()
        colours = not environment.get("NO_COLOR") and environment.get("TERM", "dumb") != "dumb"
        return cls(size.columns if size.columns >= NARROWEST else None, size.lines, colours)

    def line(self, *words: Words, indent: int = 0, hang: int = 0) -> list[str]:
        """A line, folded at blanks; what is folded hangs `hang` columns further in than `indent`."""
        return self._folded(" " * indent, words, " " * (indent + hang))

    def row(self, label: Words, *words: Words, indent: int = 2) -> list[str]:
        """A label and what belongs to it, in a column of its own."""
        name = self._painted(label)
        blanks = " " * max(1, LABEL - columns(_text(label)))
        return self._folded(" " * indent + name + blanks, words, " " * (indent + LABEL))

    def verbatim(self, *words: Words) -> str:
        """A line that is never folded, with all its blanks and tabs: what another program wrote."""
        return "".join(self._painted(word, keep="\t") for word in words)

    def table(self, heading: Sequence[str], rows: Sequence[Sequence[Words]], *, indent: int = 0) -> list[str]:
        """Columns as wide as their widest word; the last one has what is left, and is folded there."""
        every: list[Sequence[Words]] = [[dim(name) for name in heading], *rows]
        last = len(heading) - 1
        widths = [max(columns(_text(row[at])) for row in every) for at in range(last)]
        hang = " " * (indent + sum(widths) + 2 * last)
        found: list[str] = []
        for row in every:
            cells = (
                self._painted(cell) + " " * (width - columns(_text(cell)) + 2)
                for cell, width in zip(row, widths, strict=False)
            )
            found += self._folded(" " * indent + "".join(cells), [row[last]], hang)
        return found

    def _folded(self, start: str, words: Iterable[Words], hang: str) -> list[str]:
        """The words behind `start`, folded where that is too long; what is folded stands behind `hang`."""
        lines, line, at, fresh = [], start, columns(_bare(start)), True
        run: list[Styled] = []
        for blank, parts in _units(words):
            needed = sum(columns(part.text) for part in parts)
            if self.width is not None and blank and not fresh and at + len(blank) + needed > self.width:
                lines.append(line + self._joined(run))
                line, run, at, fresh = hang, [], len(hang), True
            gap = "" if fresh else blank
            run += [Styled(gap), *parts]
            at, fresh = at + len(gap) + needed, False
        return [each.rstrip() for each in (*lines, line + self._joined(run))]

    def _joined(self, parts: Sequence[Styled]) -> str:
        """Neighbours of one style are painted as one; blanks between them have that style too."""
        found: list[Styled] = []
        for part in parts:
            blank = found[-1].text if len(found) > 1 and not found[-1].text.strip(" ") else ""
            before = found[-2] if blank else found[-1] if found else None
            if before is not None and part.text.strip(" ") and before.style is part.style:
                found[-2 if blank else -1 :] = [Styled(before.text + blank + part.text, part.style)]
            elif part.text:
                found.append(part)
        return "".join(map(self._painted, found))

    def _painted(self, word: Words, keep: str = "") -> str:
        parts = _text(word).split(keep) if keep else [_text(word)]
        text = keep.join(map(printable, parts))
        if not self.colours or isinstance(word, str) or word.style is None or not text:
            return text
        return f"\x1b[{word.style.value}m{text}\x1b[0m"


def columns(text: str) -> int:
    """How many columns a terminal gives the text: two for wide characters (Unicode TR 11), none for combining ones."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(each) else 2 if east_asian_width(each) in "WF" else 1 for each in text)


def _units(words: Iterable[Words]) -> list[tuple[str, list[Styled]]]:
    """(the blanks before it, what stays together): a line may be folded at blanks, and not where a style ends."""
    units: list[tuple[str, list[Styled]]] = []
    for each in words:
        style = each.style if isinstance(each, Styled) else None
        text = printable(_text(each))
        whole = isinstance(each, Styled) and each.whole
        for blank, word in [("", text)] if whole else re.findall("( *)([^ ]*)", text):
            if blank or not units:
                units.append((blank, []))
            units[-1][1].append(Styled(word, style))
    return units


def _text(word: Words) -> str:
    return word if isinstance(word, str) else word.text


def _bare(text: str) -> str:
    """Without the colours that `_painted` has put in."""
    parts = text.split("\x1b[")
    return parts[0] + "".join(part.partition("m")[2] for part in parts[1:])
