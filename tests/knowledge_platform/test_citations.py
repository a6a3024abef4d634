"""Citations: every passage is exactly the lines that it names, of real docs and of any text; every anchor is the one that GitHub makes."""

import re
from html.parser import HTMLParser
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from knowledge_platform.documents.chunks import Chunk, chunks_of
from knowledge_platform.documents.headings import headings_of
from knowledge_platform.documents.markdown import blocks_of

ROOT = Path(__file__).parents[2]
OWN = sorted((ROOT / "docs").rglob("*.md"))
OTHERS = sorted((ROOT.parent / "shared/corpora").glob("*/docs"))


def exact(text: str, skipped: int) -> list[Chunk]:
    """The law of citations, told of the text alone: each chunk is its lines, in order, without overlap, and no line with text is lost."""
    lines = re.split(r"\r\n|\n", text.removeprefix("\ufeff"))
    chunks = chunks_of(text)
    held = skipped
    for chunk in chunks:
        assert held < chunk.start <= chunk.end
        assert "\n".join(lines[chunk.start - 1 : chunk.end]) == chunk.text
        assert not any(line.strip() for line in lines[held : chunk.start - 1])
        held = chunk.end
    assert not any(line.strip() for line in lines[held:])
    return chunks


def sections(chunks: list[Chunk]) -> list[tuple[str, str, str]]:
    keys = [(chunk.anchor, chunk.heading, chunk.crumbs) for chunk in chunks]
    return [key for key, _ in groupby(keys)]


class Shown(HTMLParser):
    """What a browser shows of each heading of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.titles: list[str] = []
        self._within = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - HTMLParser's
        if re.fullmatch("h[1-6]", tag):
            self._within = True
            self.titles.append("")
        elif tag == "br" and self._within:
            self.titles[-1] += " "

    def handle_endtag(self, tag: str) -> None:
        if re.fullmatch("h[1-6]", tag):
            self._within = False

    def handle_data(self, data: str) -> None:
        if self._within:
            self.titles[-1] += data.replace("\n", " ")


def as_github_does(text: str, skipped: int) -> list[str]:
    """The anchors of all headings, from the page as it is shown (github-slugger's `slug`, toc_filter.rb of html-pipeline)."""
    lines = re.split(r"\r\n|\n", text.removeprefix("\ufeff"))
    page = Shown()
    page.feed(MarkdownIt("commonmark").enable("table").render("\n".join(lines[skipped:])))
    seen: dict[str, int] = {}
    anchors = []
    for title in page.titles:
        if own := re.search(r"\s*\{:?\s*#([\w.:-]+)[^{}]*\}\s*$", title):
            anchors.append(own[1])  # as MkDocs does
            continue
        slug = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        anchor = slug
        while anchor in seen:
            seen[slug] += 1
            anchor = f"{slug}-{seen[slug]}"
        seen[anchor] = 0
        anchors.append(anchor)
    return anchors


def check(text: str) -> None:
    skipped = blocks_of(text).skipped
    found = sections(exact(text, skipped))
    named = [anchor for anchor, _, _ in found if anchor]
    assert len(set(named)) == len(named), "one anchor, one section"
    if not re.search(
        "<h[1-6]|<!--|<[?!]", text
    ):  # those of HTML are none of Markdown's, and an HTML parser reads comments as it likes
        assert [heading.anchor for heading in headings_of(blocks_of(text))] == as_github_does(text, skipped)


@pytest.mark.parametrize("page", OWN, ids=lambda page: page.name)
def test_every_passage_of_our_own_manual_is_exactly_its_lines(page: Path) -> None:
    check(page.read_text())


def test_every_passage_of_other_docs_is_exactly_its_lines() -> None:
    pages = [page for docs in OTHERS for page in docs.rglob("*.md")]
    if not pages:
        pytest.skip("there is no shared/corpora/*/docs beside the repository")
    for page in pages:
        check(page.read_text())


WORDS = ["a", "Use", "use-1", "B c", "`x`", "*y*", "**z", "_", "[a]", "[a](b)", "![p](q)", "&amp;", "\\*", "é", "1.", "日本", "🚀", "#", "C++", "{", "}"]  # fmt: skip
TITLES = st.lists(st.sampled_from(WORDS), max_size=4).map(" ".join)
BLOCKS = st.one_of(
    st.tuples(st.integers(1, 6), TITLES).map(lambda h: f"{'#' * h[0]} {h[1]}"),
    TITLES.map(lambda title: f"{title}\n==="),
    TITLES.map(lambda title: f"> ## {title}"),
    TITLES.map(lambda title: f"- # {title}\n\n  more"),
    TITLES,
    st.sampled_from(
        ["", "```\n# no\n```", "~~~", "    # code", "[a]: /x", "| a |\n|---|\n| b |", "- one\n- two", "---", "a\n---", "x " * 900 + "\n\n", "\x0c", "\u2028"]
    ),
)  # fmt: skip


@given(st.lists(BLOCKS, max_size=25), st.sampled_from(["\n", "\n\n", "\r\n"]))
def test_every_passage_of_any_text_is_exactly_its_lines(blocks: list[str], between: str) -> None:
    check("intro\n" + between.join(blocks))


@given(st.text("#-=`~>[]()*_|:<!\\ \t\n\r\x0b\x0c\x1c\x85\u2028\0a1.", max_size=200))
def test_no_text_breaks_the_parser(text: str) -> None:
    skipped = blocks_of(text).skipped
    if "\r" not in text.replace("\r\n", ""):
        exact(text, skipped)
    else:
        chunks_of(text)
