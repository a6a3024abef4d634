"""Markdown → the language of manual pages, man(7) in groff_man(7)'s words: what docs/ uses of it, and no more.

Own, because what there is for click makes a page for each command and leaves out examples and exit codes, and what
there is for Markdown is a program of 150 MB. A heading of the second level is a section (.SH), of the third a part of
it (.SS). A table is a list of tags: its first column the tag, its last the text, what is between stands behind the tag.
Raises ValueError for Markdown that has no form here: nothing is left out in silence.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

WIDTH = 100
# groff_char(7): these would be typographic signs on the screen, and no command that can be copied.
_CODE_SIGNS = {"-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti"}
_TEXT_SIGNS = {"~": r"\(ti", "^": r"\(ha"}
_BOLD, _ITALIC, _ROMAN = r"\fB", r"\fI", r"\fR"


def page(title: str, section: int, source: str, text: str) -> str:
    """A manual page. Without a date: the same program has the same page."""
    tree = SyntaxTreeNode(MarkdownIt("commonmark").enable("table").parse(text))
    heading = f'.TH "{_code(title.upper())}" {section} "" "{_code(source)}" ""'
    # No word is parted: a path that is copied with a hyphen in it is another one.
    return "\n".join([heading, ".nr HY 0", ".nh", ".ad l", *_blocks(tree.children)]) + "\n"


def _blocks(nodes: Sequence[SyntaxTreeNode], *, begun: bool = False) -> Iterator[str]:  # noqa: C901 - one branch for each kind
    """`begun`: a tag or a heading has begun the paragraph."""
    for node in nodes:
        match node.type:
            case "heading" if node.tag == "h2":
                yield f".SH {_inline(node).upper()}"
            case "heading" if node.tag == "h3":
                yield f".SS {_inline(node)}"
            case "paragraph":
                if not begun:
                    yield ".PP"
                yield from _filled(_inline(node))
            case "fence" | "code_block":
                yield from (
                    ".PP",
                    ".RS 4",
                    ".EX",
                    *map(_verbatim, node.content.rstrip("\n").split("\n")),
                    ".EE",
                    ".RE",
                )
            case "bullet_list":
                for item in node.children:
                    yield r".IP \(bu 2"
                    yield from _blocks(item.children, begun=True)
            case "ordered_list":
                for number, item in enumerate(node.children, 1):
                    yield f".IP {number}. 4"
                    yield from _blocks(item.children, begun=True)
            case "table":
                yield from _table(node)
            case other:
                raise ValueError(f"no form for {other} in a manual page: {node.content or node.tag}")
        begun = node.type == "heading"


def _table(node: SyntaxTreeNode) -> Iterator[str]:
    head, *bodies = node.children
    names = [_inline(cell) for cell in head.children[0].children]
    for row in (row for body in bodies for row in body.children):
        cells = [_inline(cell) for cell in row.children]
        between = [f"{name}: {cell}" for name, cell in zip(names[1:-1], cells[1:-1], strict=True) if cell]
        yield ".TP"
        yield _safe(cells[0] + (f" ({', '.join(between)})" if between else ""))
        yield from _filled(cells[-1] or r"\&")


def _inline(node: SyntaxTreeNode) -> str:
    if node.type in {"heading", "paragraph", "th", "td"}:
        return "".join(map(_inline, node.children))
    match node.type:
        case "inline" | "link":
            inside = "".join(map(_inline, node.children))
            target = str(node.attrs.get("href", ""))
            return f"{inside} ({_code(target)})" if target.startswith("http") and target != inside else inside
        case "text":
            return _text(node.content)
        case "code_inline":
            return f"{_BOLD}{_code(node.content)}{_ROMAN}"
        case "strong":
            return f"{_BOLD}{''.join(map(_inline, node.children))}{_ROMAN}"
        case "em":
            return f"{_ITALIC}{''.join(map(_inline, node.children))}{_ROMAN}"
        case "softbreak" | "hardbreak":
            return " "
    raise ValueError(f"no form for {node.type} in a manual page")


def _text(text: str) -> str:
    return _escaped(text, _TEXT_SIGNS)


def _code(text: str) -> str:
    return _escaped(text, _CODE_SIGNS)


def _escaped(text: str, signs: dict[str, str]) -> str:
    return "".join(
        r"\e" if sign == "\\" else signs.get(sign, sign) if sign.isascii() else rf"\[u{ord(sign):04X}]"
        for sign in text
    )


def _verbatim(line: str) -> str:
    return _safe(_code(line)) or r"\&"


def _filled(text: str) -> list[str]:
    lines = textwrap.wrap(text, WIDTH, break_long_words=False, break_on_hyphens=False)
    return [_safe(line) for line in lines]


def _safe(line: str) -> str:
    """A line that begins with a point or an apostrophe would be a request."""
    return rf"\&{line}" if line.startswith((".", "'")) else line
