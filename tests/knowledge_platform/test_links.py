"""Links between sections: which are found, what a reader sees of them, and where they lead."""

import textwrap
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_platform.documents.links import Link, links_of, resolve


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("See [the guide](guide.md#start).", [("the guide", "guide.md#start")]),
        ("See [the guide](<my guide.md> 'Title').", [("the guide", "my guide.md")]),
        ("See [the guide][g].\n\n[g]: guide.md", [("the guide", "guide.md")]),
        ("See [guide][].\n\n[guide]: guide.md", [("guide", "guide.md")]),
        ("See [guide].\n\n[GUIDE]: guide.md", [("guide", "guide.md")]),
        ("See [guide] and [x][y].", []),
        ("[*how* to `run` it](#run)", [("how to run it", "#run")]),
        ("[two\nlines](a.md)", [("two lines", "a.md")]),
        ("[AT&amp;T \\*](a.md)", [("AT&T *", "a.md")]),
        ("[a](one.md) [b](two.md)", [("a", "one.md"), ("b", "two.md")]),
        ("[a](one.md){.internal target=_blank}", [("a", "one.md")]),
        ("[ü](%C3%BCber%20uns.md#f%C3%BCr)", [("ü", "über uns.md#für")]),
        ("[ü](über.md)", [("ü", "über.md")]),
        ("[a](a\\_b.md)", [("a", "a_b.md")]),
        ("[a](100%.md)", [("a", "100%.md")]),
        ("![picture](a.md)", []),
        ("[![picture](a.png)](a.md)", []),
        ("[![picture](a.png) more](a.md)", [("more", "a.md")]),
        ("[](a.md)", []),
        ("[web](https://x.y/a.md) [mail](mailto:a@b.c) [other](//x.y/a.md)", []),
        ("<https://x.y> <a.md>", []),
        ('<a href="a.md">html</a>', []),
        ("`[code](a.md)`", []),
        ("```\n[code](a.md)\n```", []),
        ("    [code](a.md)", []),
        ("<!-- [comment](a.md) -->", []),
        ("# [heading](a.md)", [("heading", "a.md")]),
        ("> - [deep](a.md)", [("deep", "a.md")]),
        ("| [cell](a.md) |\n|---|\n| [row](b.md) |", [("cell", "a.md"), ("row", "b.md")]),
        ("---\na: '[x](y.md)'\n---\n[a](a.md)", [("a", "a.md")]),
        ("[a](javascript:alert)", []),
    ],
)
def test_links_are_what_a_reader_would_click_on(text: str, links: list[tuple[str, str]]) -> None:
    assert [(link.text, link.target) for link in links_of(text)] == links


def test_each_link_has_the_line_that_it_begins_on() -> None:
    text = textwrap.dedent("""\
        ---
        title: x
        ---
        [one](a.md)

        some text `code
        over lines` [two](b.md) [three
        goes](c.md) on

        - item [four](d.md)
          more <b
          title="x"> [five][f]

        | a | b |
        |---|---|
        | c | [six](e.md) |

        [f]: f.md
        """)
    assert links_of(text) == [
        Link(4, "one", "a.md"),
        Link(7, "two", "b.md"),
        Link(7, "three goes", "c.md"),
        Link(10, "four", "d.md"),
        Link(12, "five", "f.md"),
        Link(16, "six", "e.md"),
    ]


KNOWN = {
    "index.md",
    "a.md",
    "sub/index.md",
    "sub/b.md",
    "sub/deep/README.md",
    "both/index.md",
    "both/README.md",
    "über uns.md",
}


@pytest.mark.parametrize(
    ("target", "path", "place"),
    [
        ("a.md", "index.md", ("a.md", "")),
        ("./a.md#x", "index.md", ("a.md", "x")),
        ("b.md", "sub/index.md", ("sub/b.md", "")),
        ("../a.md#y", "sub/b.md", ("a.md", "y")),
        ("../../a.md", "sub/deep/README.md", ("a.md", "")),
        ("#here", "sub/b.md", ("sub/b.md", "here")),
        ("", "sub/b.md", ("sub/b.md", "")),
        ("/a.md#z", "sub/deep/README.md", ("a.md", "z")),
        ("/", "sub/b.md", ("index.md", "")),
        ("sub/", "index.md", ("sub/index.md", "")),
        ("sub", "index.md", ("sub/index.md", "")),
        ("sub/#x", "index.md", ("sub/index.md", "x")),
        ("deep/", "sub/b.md", ("sub/deep/README.md", "")),
        ("both/", "a.md", ("both/index.md", "")),
        (".", "sub/b.md", ("sub/index.md", "")),
        ("..", "sub/b.md", ("index.md", "")),
        ("a.md?plain=1#x", "index.md", ("a.md", "x")),
        ("über uns.md", "a.md", ("über uns.md", "")),
        ("a.md/", "index.md", None),
        ("missing.md", "index.md", None),
        ("a.html", "index.md", None),
        ("a", "index.md", None),
        ("b", "sub/index.md", None),
        ("../a.md", "index.md", None),
        ("/../a.md", "index.md", None),
        ("../../../etc/passwd", "sub/b.md", None),
        ("https://x.y/a.md", "index.md", None),
        ("HTTP:a.md", "index.md", None),
        ("mailto:a.md", "index.md", None),
        ("//x.y/a.md", "index.md", None),
        ("\0", "index.md", None),
    ],
)
def test_a_target_leads_to_a_document_and_an_anchor_or_elsewhere(
    target: str, path: str, place: tuple[str, str] | None
) -> None:
    assert resolve(target, path, KNOWN) == place


@given(st.text("[]()!<>`*_#\\a\n:/. ", max_size=60))
def test_any_text_has_links_or_none(text: str) -> None:
    lines = text.split("\n")
    for link in links_of(text):
        assert "[" in lines[link.line - 1]
        place = resolve(link.target, "sub/b.md", KNOWN)
        assert place is None or place[0] in KNOWN


@pytest.mark.parametrize(
    "part",
    ["[", "![", "[a](", "[a](b.md)", "[[a]](b.md", "*[a](b.md)_", "<a [b](c.md)", "`[a](b.md)``", "[a]\n"],
)
def test_no_text_takes_minutes_to_read_for_links(part: str) -> None:
    began = monotonic()
    links_of("[a]: b.md\n\n" + part * (2**18 // len(part)))
    links_of("[a]: b.md\n\n" + (part * (20_000 // len(part)) + "\n\n") * 50)
    assert monotonic() - began < 60
