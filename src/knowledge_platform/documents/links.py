"""The links of a document to sections of the same docs: what a reader would click on, and where it leads. PURE.

What a writer calls a section when linking to it is what a reader may ask for. Links to elsewhere, autolinks, pictures and HTML are none.
"""

import functools
import posixpath
import re
from collections.abc import Container
from dataclasses import dataclass
from urllib.parse import unquote

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.rules_inline.link import link as link_rule
from markdown_it.token import Token

from knowledge_platform.documents.markdown import blocks_of, visible

_ELSEWHERE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")  # a scheme (RFC 3986, section 3.1), or another host
_INDEXES = (
    "index.md",
    "README.md",
)  # what a link to a folder shows: MkDocs and Docusaurus the first, GitHub the second
# A block is worth reading only with this in it, or a reference: most links of most pages lead to the web.
_INSIDE = re.compile(r"\]\(\s*<?(?!https?:)")
_BUDGET = 300_000  # characters of blocks that are read in one document; the worst take 15 µs each, and no page of prose has as many
_PLACE = "place"


@dataclass(frozen=True, slots=True)
class Link:
    """`line` counts from 1; `text` is what a reader sees; `target` is what the author wrote, percent signs and escapes undone."""

    line: int
    text: str
    target: str


def links_of(text: str) -> list[Link]:
    """Inline and reference links in the order of the document. One without any text, around a picture for one, is left out."""
    blocks = blocks_of(text)
    markdown = _parser()
    found: list[Link] = []
    left = _BUDGET
    for block in blocks.tokens:
        if block.type != "inline" or block.map is None or "]" not in block.content:
            continue
        if not blocks.references and not _INSIDE.search(block.content):
            continue
        left -= len(block.content)
        if left < 0:
            break
        tokens: list[Token] = []
        markdown.inline.parse(block.content, markdown, blocks.references, tokens)
        starts = [
            number
            for number, token in enumerate(tokens)
            if token.type == "link_open" and _PLACE in token.meta
        ]
        for start in starts:
            end = next(number for number in range(start, len(tokens)) if tokens[number].type == "link_close")
            target = unquote(str(tokens[start].attrs["href"]))
            shown = " ".join(visible(tokens[start:end]).split())
            if shown and not _ELSEWHERE.match(target):
                line = block.map[0] + block.content.count("\n", 0, tokens[start].meta[_PLACE]) + 1
                found.append(Link(line, shown, target))
    return found


def resolve(target: str, path: str, known: Container[str]) -> tuple[str, str] | None:
    """(path, anchor) that a link in the document `path` leads to; None where that is no document of `known`.

    Paths are relative to the docs folder. A target that begins with a slash counts from there, one that is a folder means its index.
    """
    if _ELSEWHERE.match(target):
        return None
    place, _, anchor = target.partition("#")
    place = place.partition("?")[0]
    if not place:
        return path, anchor
    relative = place.lstrip("/") if place.startswith("/") else posixpath.join(posixpath.dirname(path), place)
    plain = posixpath.normpath(relative or ".")
    if plain == ".." or plain.startswith("../"):
        return None
    candidates = [] if place.endswith("/") else [plain]
    candidates += [posixpath.normpath(posixpath.join(plain, index)) for index in _INDEXES]
    return next(((candidate, anchor) for candidate in candidates if candidate in known), None)


@functools.cache
def _parser() -> MarkdownIt:
    markdown = MarkdownIt("commonmark")
    markdown.inline.ruler.at("link", _placed)
    return markdown


def _placed(state: StateInline, silent: bool) -> bool:
    """markdown-it's own rule; the token that opens the link learns where it stands."""
    before, place = len(state.tokens), state.pos
    found = link_rule(state, silent)
    if found and not silent:
        # Text that was pending comes first.
        opening = next(token for token in state.tokens[before:] if token.type == "link_open")
        opening.meta[_PLACE] = place
    return found
