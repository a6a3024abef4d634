"""Markdown text -> chunks: passages under one heading, each with the exact lines that it came from.

PURE: text in, values out.

front matter      skipped
# Install         a section starts at each heading that is in no list or quote ...
text, lists       ... and ends before the next; longer than CHUNK_SIZE it is cut
```code```            between blocks, else between list items, else between lines, in a fence only if the fence itself is too long
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

from markdown_it.token import Token

from knowledge_platform.documents.headings import Heading, headings_of, own_lines
from knowledge_platform.documents.markdown import blocks_of
from knowledge_platform.settings import CHUNK_SIZE, FENCE_LIMIT

_IN_LINES = 50  # cost of a cut between two lines of one block; any nesting depth is cheaper
_IN_FENCE = 100  # cost of a cut inside code
_VERBATIM = frozenset({"fence", "code_block", "html_block"})


@dataclass(frozen=True, slots=True)
class Chunk:
    """`text` is lines `start` to `end` of the file, counted from 1, both included; `crumbs` are the headings above."""

    start: int
    end: int
    heading: str
    anchor: str
    crumbs: str
    text: str


def chunks_of(text: str) -> list[Chunk]:
    """The whole text as chunks, in order. Only blank lines and front matter are in none."""
    blocks = blocks_of(text)
    lines = blocks.lines
    costs, fences = _cuts(blocks.tokens, len(lines))
    tops = [heading for heading in headings_of(blocks) if not heading.nested]
    preamble = Heading(line=blocks.skipped, body=blocks.skipped, level=0, title="", anchor="", nested=False)
    end = Heading(line=len(lines), body=len(lines), level=0, title="", anchor="", nested=False)
    sizes = [0, *accumulate(len(line) + 1 for line in lines)]
    found: list[Chunk] = []
    above: list[Heading] = []
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


def body_of(chunk: Chunk) -> str:
    """The chunk's text without its section's own heading, which stands at the beginning of a section's first chunk."""
    lines = chunk.text.split("\n")
    body = lines[own_lines(lines, chunk.heading) :]
    while body and not body[0].strip():
        body.pop(0)
    return "\n".join(body)


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
