"""Text -> its lines, and the blocks that they form, each with the lines that it came from. PURE: text in, values out.

Block structure comes from markdown-it-py with its `inline` rule disabled: block tokens carry `.map`, their line range, and inline
parsing would double the time for nothing (5.4 against 2.4 MB/s). Where a line's own markup matters (headings, links), only that is read.
"""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.token import Token

_YAML_KEY = re.compile(r"""\s*(#|["'\w][^:]*:(\s|$)|$)""")


@dataclass(frozen=True, slots=True)
class Blocks:
    """A document: its lines, how many of them at the top are front matter, and its block tokens.

    `references` is what markdown-it keeps of the link definitions, for reading inline markup later.
    """

    lines: list[str]
    skipped: int
    tokens: list[Token]
    references: dict[str, object]


def lines_of(text: str) -> list[str]:
    """The file's lines as editors and grep count them: ended by LF or CR LF, and by CR only where there is no LF at all."""
    text = text.removeprefix("\ufeff")
    if "\r" in text:
        # markdown-it takes a lone CR for a line end; among LF lines it is none for grep, so it must not count.
        text = text.replace("\r\n", "\n").replace("\r", " ") if "\n" in text else text.replace("\r", "\n")
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return lines


def blocks_of(text: str) -> Blocks:
    """The document's blocks; their line numbers count from the file's top, from 0."""
    lines = lines_of(text)
    skipped = _front_matter(lines)
    references: dict[str, object] = {}
    tokens = parser().parse("\n".join([""] * skipped + lines[skipped:]), references)
    return Blocks(lines, skipped, tokens, references)


def visible(tokens: Sequence[Token]) -> str:
    """Inline tokens as a reader sees them, without the markup; a picture is nothing to read."""
    return "".join(
        token.content
        if token.type in ("text", "text_special", "code_inline")
        else " "
        if token.type in ("softbreak", "hardbreak")
        else ""
        for token in tokens
    )


@functools.cache
def parser() -> MarkdownIt:
    return MarkdownIt("commonmark").enable("table").disable("inline")


def _front_matter(lines: Sequence[str]) -> int:
    """How many lines at the top are YAML or TOML front matter. A thematic break followed by prose is none."""
    if not lines or lines[0].rstrip() not in ("---", "+++"):
        return 0
    fence = lines[0].rstrip()
    for number, line in enumerate(lines[1:], start=1):
        if line.rstrip() == fence or (fence == "---" and line.rstrip() == "..."):
            first = next((inner for inner in lines[1:number] if inner.strip()), "")
            return number + 1 if fence == "+++" or _YAML_KEY.match(first) else 0
    return 0
