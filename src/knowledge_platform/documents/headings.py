"""The headings of a document, each with the anchor by which others link to it. PURE: tokens in, values out."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from markdown_it.token import Token

from knowledge_platform.documents.markdown import Blocks, parser, visible

# A heading's own id as Python-Markdown, kramdown, Pandoc and Docusaurus write it: `## Title {#id}`.
_OWN_ID = re.compile(r"\{:?\s*#(?P<id>[\w.:-]+)[^{}]*\}\s*")

_MARKUP = re.compile(r"[\\`*_\[\]<&!\n]")
_LONG = 1000  # characters of one heading, and
_BUDGET = 200_000  # of all in a file with markup in them: the worst take 15 µs each
_ATX = re.compile(r" {0,3}#{1,6}(?:[ \t]|$)")
_UNDERLINE = re.compile(r" {0,3}(?:=+|-+)[ \t]*$")


@dataclass(frozen=True, slots=True)
class Heading:
    """`line` is its first line and `body` the one after its last, from 0; one that is `nested` in a list or a quote starts no section."""

    line: int
    body: int
    level: int
    title: str
    anchor: str
    nested: bool


def headings_of(blocks: Blocks) -> list[Heading]:
    """In the order of the document, no two with one anchor: where an author gave two the same, or one that another heading makes, it is
    numbered. A title is read without its markup unless it is longer than any that is meant as one; then it is taken as it is written.
    """
    opened = [
        (token, content.content) for token, content in pairwise(blocks.tokens) if token.type == "heading_open"
    ]
    left = _BUDGET
    titles: list[tuple[str, str | None]] = []
    for _, source in opened:
        if len(source) <= _LONG and _MARKUP.search(source):
            left -= len(source)
        titles.append(_titled(source, blocks.references, literally=left < 0))
    given = {own for _, own in titles if own}
    taken = dict.fromkeys(given, 0)
    found = []
    for (opening, _), (title, own) in zip(opened, titles, strict=True):
        first, after = opening.map or (0, 0)
        if own in given:
            given.remove(own)
            anchor = own
        else:
            anchor = _unique(own or _slug(title), taken)
        level, nested = int(opening.tag[1:]), opening.level > 0
        found.append(Heading(first, after, level, " ".join(title.split()), anchor, nested))
    return found


def own_lines(lines: Sequence[str], title: str) -> int:
    """How many lines at the top of these are a heading of that title, as `Heading.title` has it; 0 if they begin with something else."""
    if not lines:
        return 0
    blank = next((number for number, line in enumerate(lines) if not line.strip()), len(lines))
    under = next((number for number in range(1, blank) if _UNDERLINE.match(lines[number])), None)
    last = 1 if _ATX.match(lines[0]) else 0 if under is None else under + 1
    if not last:
        return 0
    tokens = parser().parse("\n".join(lines[:last]), {})
    if tokens[0].type != "heading_open" or tokens[0].map != [0, last]:
        return 0
    source = tokens[1].content
    # Which brackets are links is decided by definitions elsewhere in the document, so brackets are not compared.
    readings = [
        _titled(source, {}),
        _titled(source, {"references": _Anything()}),
        _titled(source, {}, literally=True),
    ]
    return last if _bare(title) in (_bare(plain) for plain, _ in readings) else 0


def _bare(title: str) -> str:
    return " ".join(title.replace("[", "").replace("]", "").split())


class _Anything(dict[str, dict[str, str]]):
    """Link definitions among which every name is found."""

    def get(self, name: str, default: object = None) -> dict[str, str]:  # noqa: ARG002 - dict's signature
        return {"href": name, "title": ""}


def _titled(source: str, references: dict[str, object], *, literally: bool = False) -> tuple[str, str | None]:
    """What a reader sees of a heading, which is also what GitHub makes the anchor from, and the id that its author gave it."""
    brace = source.rfind("{")
    own = _OWN_ID.fullmatch(source, brace) if brace >= 0 else None
    if own:
        source = source[:brace].rstrip()
    if literally or len(source) > _LONG or not _MARKUP.search(source):
        title = re.sub(r"[ \t]*\n[ \t]*", " ", source)
    else:
        tokens: list[Token] = []
        markdown = parser()
        markdown.inline.parse(source, markdown, references, tokens)
        title = visible(tokens)
    return title, own["id"] if own else None


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
