"""Markdown text -> chunks: passages under one heading, each with the exact lines that it came from.

Block structure comes from markdown-it-py with its `inline` rule disabled: block tokens carry `.map`, their line range, and inline
parsing would double the time for nothing (5.4 against 2.4 MB/s). PURE: text in, values out.

    front matter      skipped
    # Install         a section starts at each heading that is in no list or quote ...
    text, lists       ... and ends before the next; longer than CHUNK_SIZE it is cut
    ```code```            between blocks, else between list items, else between lines, in a fence only if the fence itself is too long
"""

import functools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

from knowledge_platform.settings import CHUNK_SIZE, FENCE_LIMIT

_IN_LINES = 50  # cost of a cut between two lines of one block; any nesting depth is cheaper
_IN_FENCE = 100  # cost of a cut inside code
_VERBATIM = frozenset({"fence", "code_block", "html_block"})
_YAML_KEY = re.compile(r"""\s*(#|["'\w][^:]*:(\s|$)|$)""")
# A heading's own id as Python-Markdown, kramdown, Pandoc and Docusaurus write it: `## Title {#id}`.
_OWN_ID = re.compile(r"\s*\{:?\s*#(?P<id>[\w.:-]+)[^{}]*\}\s*$")


@dataclass(frozen=True, slots=True)
class Chunk:
    """`text` is lines `start` to `end` of the file, counted from 1, both included; `crumbs` are the headings above."""

    start: int
    end: int
    heading: str
    anchor: str
    crumbs: str
    text: str


@dataclass(frozen=True, slots=True)
class _Heading:
    line: int
    body: int
    level: int
    title: str
    anchor: str
    nested: bool


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


def chunks_of(text: str) -> list[Chunk]:
    """The whole text as chunks, in order. Only blank lines and front matter are in none."""
    lines = lines_of(text)
    skipped = _front_matter(lines)
    markdown = _parser()
    environment: dict[str, object] = {}
    tokens = markdown.parse("\n".join([""] * skipped + lines[skipped:]), environment)
    costs, fences = _cuts(tokens, len(lines))
    headings = list(_headings(markdown, tokens, environment))
    tops = [heading for heading in headings if not heading.nested]
    preamble = _Heading(line=skipped, body=skipped, level=0, title="", anchor="", nested=False)
    end = _Heading(line=len(lines), body=len(lines), level=0, title="", anchor="", nested=False)
    sizes = [0, *accumulate(len(line) + 1 for line in lines)]
    found: list[Chunk] = []
    above: list[_Heading] = []
    for section, following in pairwise([preamble, *tops, end]):
        above = [heading for heading in above if heading.level < section.level]
        crumbs = " > ".join(heading.title for heading in above if heading.title)
        for first, last in _pieces(section.line, following.line, sizes, costs, fences):
            start, stop = _trimmed(lines, first, last)
            if start < stop:
                passage = "\n".join(lines[start:stop])
                found.append(Chunk(start + 1, stop, section.title, section.anchor, crumbs, passage))
        if section.level:
            above.append(section)
    return found


@functools.cache
def _parser() -> MarkdownIt:
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


def _headings(
    markdown: MarkdownIt, tokens: Sequence[Token], environment: dict[str, object]
) -> Iterator[_Heading]:
    taken: dict[str, int] = {}
    for opening, content in pairwise(tokens):
        if opening.type != "heading_open" or opening.map is None:
            continue
        source = content.content
        own = _OWN_ID.search(source)
        plain = _plain(markdown, source[: own.start()] if own else source, environment)
        anchor = own["id"] if own else _unique(_slug(plain), taken)
        yield _Heading(
            line=opening.map[0],
            body=opening.map[1],
            level=int(opening.tag[1:]),
            title=" ".join(plain.split()),
            anchor=anchor,
            nested=opening.level > 0,
        )


def _plain(markdown: MarkdownIt, source: str, environment: dict[str, object]) -> str:
    """A heading's text without its markup: what a reader sees, and what GitHub makes the anchor from."""
    tokens: list[Token] = []
    markdown.inline.parse(source, markdown, environment, tokens)
    visible = {"text", "text_special", "code_inline"}
    return "".join(
        token.content if token.type in visible else " " if token.type in ("softbreak", "hardbreak") else ""
        for token in tokens
    )


def _slug(plain: str) -> str:
    """GitHub's anchor: lower case, punctuation and symbols removed, each space a hyphen (html-pipeline, toc_filter.rb)."""
    return re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")


def _unique(slug: str, taken: dict[str, int]) -> str:
    """The second `usage` is `usage-1`; one that is taken is counted past (github-slugger does the same)."""
    anchor = slug
    while anchor in taken:
        taken[slug] += 1
        anchor = f"{slug}-{taken[slug]}"
    taken[anchor] = 0
    return anchor


def _cuts(tokens: Sequence[Token], length: int) -> tuple[list[int], dict[int, int]]:
    """What it costs to cut before each line, and for each line that opens code, the line after its end."""
    costs = [_IN_LINES] * (length + 1)
    fences: dict[int, int] = {}
    for token in tokens:
        if token.map is None or token.nesting < 0 or token.type == "inline":
            continue
        first, last = token.map
        if token.type in _VERBATIM:
            costs[first + 1 : last] = [_IN_FENCE] * (last - first - 1)
            fences[first] = last
        costs[first] = min(costs[first], token.level)
    return costs, fences


def _pieces(
    first: int, last: int, sizes: Sequence[int], costs: Sequence[int], fences: dict[int, int]
) -> Iterator[tuple[int, int]]:
    """Cuts lines first..last (exclusive) into pieces of at most CHUNK_SIZE characters where the text allows it."""
    while sizes[last] - sizes[first] > CHUNK_SIZE:
        fits = first + 1
        while fits < last and sizes[fits + 1] - sizes[first] <= CHUNK_SIZE:
            fits += 1
        cut = _best_cut(first, fits, sizes, costs)
        if costs[cut] >= _IN_FENCE:
            close = fences.get(first, cut)
            if sizes[close] - sizes[first] <= FENCE_LIMIT:
                cut = min(close, last)
        yield first, cut
        first = cut
    yield first, last


def _best_cut(first: int, fits: int, sizes: Sequence[int], costs: Sequence[int]) -> int:
    """The cheapest cut, the latest of equals; a piece below a quarter of the size only if all else cuts into code."""
    candidates = range(first + 1, fits + 1)
    roomy = [line for line in candidates if sizes[line] - sizes[first] >= CHUNK_SIZE // 4]
    best = min(roomy or [fits], key=lambda line: (costs[line], -line))
    if costs[best] >= _IN_FENCE:
        best = min(candidates, key=lambda line: (costs[line], -line))
    return best


def _trimmed(lines: Sequence[str], first: int, last: int) -> tuple[int, int]:
    while first < last and not lines[first].strip():
        first += 1
    while last > first and not lines[last - 1].strip():
        last -= 1
    return first, last
