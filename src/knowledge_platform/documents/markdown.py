"""Text -> its lines, and the blocks that they form, each with the lines that it came from. PURE: text in, values out.

Block structure comes from markdown-it-py with its `inline` rule disabled: block tokens carry `.map`, their line range, and inline
parsing would double the time for nothing (5.4 against 2.4 MB/s). Where a line's own markup matters (headings, links), only that is read.
"""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.token import Token

_YAML_KEY = re.compile(r"""\s*(#|["'\w][^:]*:(\s|$)|$)""")

_WIDE = 10_000  # characters of a line; arbitrary, above any that was written by hand
_PIPES = 200_000
_DEEP = 12  # levels, of which a list takes two. Each costs time and memory for each line: at 20 the worst 100 000 lines take 1 GB


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
    source = [_narrow(line) for line in lines[skipped:]]
    # Each cell costs a dozen objects; a file with more cells than that is a database, and is cut between its lines.
    tables = sum(line.count("|") for line in source) <= _PIPES
    markdown = parser() if tables else parser(tables=False)
    tokens = markdown.parse("\n".join([""] * skipped + source), references)
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
def parser(*, tables: bool = True) -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"maxNesting": _DEEP + 2}).disable("inline")
    markdown.block.ruler.before("code", "deep", _deep)
    return markdown.enable("table") if tables else markdown


def _deep(state: StateBlock, line: int, end: int, silent: bool) -> bool:
    """A block rule: what is nested too deeply is passed over as one.

    At markdown-it's own limit, `maxNesting`, all that follows in the document would be taken for the inside of the deepest list.
    """
    if silent or state.level < _DEEP:
        return False
    line += 1
    while line < end and (state.isEmpty(line) or state.sCount[line] >= state.blkIndent):
        line += 1
    state.line = line
    return True


def _narrow(line: str) -> str:
    """Which block a line belongs to is told by its beginning and its end: what is between costs time and decides nothing."""
    return line if len(line) <= _WIDE else line[: _WIDE // 2] + line[-_WIDE // 2 :]


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
