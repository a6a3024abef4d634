"""Markdown text -> chunks: headings, anchors, exact lines, sizes."""

import textwrap
from time import monotonic

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_platform.documents.chunks import Chunk, body_of, chunks_of
from knowledge_platform.settings import CHUNK_SIZE, FENCE_LIMIT


def cut(text: str) -> list[Chunk]:
    return chunks_of(textwrap.dedent(text))


def anchors(text: str) -> list[str]:
    return [chunk.anchor for chunk in cut(text)]


def covers(text: str) -> None:
    """The law of chunks: each is exactly its lines, in order, without overlap, and together they hold every line with text."""
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").split("\n")
    held = 0
    for chunk in chunks_of(text):
        assert chunk.start > held, "in order and without overlap"
        assert "\n".join(lines[chunk.start - 1 : chunk.end]) == chunk.text
        assert not any(line.strip() for line in lines[held : chunk.start - 1]), "no text between two chunks"
        held = chunk.end
    assert not any(line.strip() for line in lines[held:]), "no text after the last chunk"


LINES = st.sampled_from(
    [
        "", "", "text", "# One", "## Two", "### Two", "Setext", "===", "---", "```", "~~~", "    code", "- item", "  - inner", "> quote",
        "> # quoted", "| a | b |", "|---|---|", "<div>", "</div>", "1. one", "word " * 60, "\t", "x" * 1500, "[a]: /b", "***", "\u2028",
    ]
)  # fmt: skip


@given(st.lists(LINES, max_size=60))
def test_every_chunk_is_exactly_its_lines_and_no_text_is_lost(lines: list[str]) -> None:
    # A first line that opens front matter is the one thing that may be skipped.
    covers("\n".join(["intro", *lines]))


@given(st.lists(LINES, max_size=40))
def test_the_line_law_holds_with_carriage_returns(lines: list[str]) -> None:
    covers("\r\n".join(["intro", *lines]))


def test_a_section_starts_at_each_heading_and_carries_its_crumbs() -> None:
    chunks = cut("""\
        before
        # A
        a
        ## B
        b
        ### C
        c
        ## D
        d
        """)
    assert [(c.heading, c.crumbs, c.start, c.end) for c in chunks] == [
        ("", "", 1, 1),
        ("A", "", 2, 3),
        ("B", "A", 4, 5),
        ("C", "A > B", 6, 7),
        ("D", "A", 8, 9),
    ]


def test_setext_headings_are_headings() -> None:
    assert [(c.heading, c.start, c.end) for c in cut("Title\n=====\ntext\n\nSub\n---\nmore\n")] == [
        ("Title", 1, 3),
        ("Sub", 5, 7),
    ]


def test_a_hash_in_a_fence_or_in_indented_code_is_no_heading() -> None:
    text = "# Real\n\n```sh\n# a comment\n```\n\n    # indented\n\n~~~~\n~~~\n# still inside\n~~~~\n"
    assert anchors(text) == ["real"]


def test_a_heading_in_a_list_or_quote_starts_no_section_but_takes_its_anchor() -> None:
    assert anchors("# Top\n\n- # Note\n\n> ## Note\n\n## Note\n") == ["top", "note-2"]


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("Hello World", "hello-world"),
        ("What's new?", "whats-new"),
        ("`crystal ask` & friends", "crystal-ask--friends"),
        ("snake_case and _emphasis_", "snake_case-and-emphasis"),
        ("**Bold** [link](http://x.y) text", "bold-link-text"),
        ("![logo](a.png) Logo", "-logo"),
        ("C++ / C#", "c--c"),
        ("Übersicht: 日本語", "übersicht-日本語"),
        ("🚀 Start", "-start"),
        ("a -- b", "a----b"),
        ("1.2.3 (2026-01-01)", "123-2026-01-01"),
        ("<a name='x'></a>Old", "old"),
        ("AT&amp;T \\_raw\\_", "att-_raw_"),
        ("Trailing hashes ##", "trailing-hashes"),
    ],
)
def test_anchors_are_made_as_github_makes_them(heading: str, anchor: str) -> None:
    assert anchors(f"## {heading}\n") == [anchor]


def test_duplicate_headings_are_numbered() -> None:
    assert anchors("# Use\n# Use\n# Use 1\n# Use\n") == ["use", "use-1", "use-1-1", "use-2"]


def test_a_reference_link_in_a_heading_is_its_text() -> None:
    assert cut("# See [the guide][g]\n\n[g]: http://x.y\n")[0].heading == "See the guide"


def test_an_id_that_the_author_gave_is_the_anchor_and_no_part_of_the_heading() -> None:
    chunk = cut("## First steps { #start-here }\n")[0]
    assert (chunk.heading, chunk.anchor) == ("First steps", "start-here")


@pytest.mark.parametrize(
    ("text", "bodies"),
    [
        ("# A\n\ntext\n", ["text"]),
        ("# A\ntext\n", ["text"]),
        ("  ## A ##  \ntext\n", ["text"]),
        ("# A\n## B\nb\n", ["", "b"]),
        ("A\n===\ntext\n", ["text"]),
        ("A\nb\n---\n\n    code\n", ["    code"]),
        ("before\n", ["before"]),
        ("#hash\n", ["#hash"]),
        ("---\n", ["---"]),
        ("- a\n---\n", ["- a\n---"]),
        ("# `code` & *more*\ntext\n", ["text"]),
        ("# See [the guide][g] and [x]\ntext\n\n[g]: http://x.y\n", ["text\n\n[g]: http://x.y"]),
        ("# See [g] and [h]\ntext\n\n[g]: /\n[h]: /\n", ["text\n\n[g]: /\n[h]: /"]),
        ("# See [this]\ntext\n", ["text"]),
        ("# A {#id}\ntext\n", ["text"]),
        ("#\ntext\n", ["text"]),
        ("# " + "long *word* " * 200 + "\ntext\n", ["", "text"]),
    ],
)
def test_the_body_is_the_text_without_the_sections_own_heading(text: str, bodies: list[str]) -> None:
    assert [body_of(chunk) for chunk in chunks_of(text)] == bodies


def test_only_the_first_chunk_of_a_section_has_its_heading_taken_off() -> None:
    comment = "# build\n" + "make all  # everything there is\n" * 60
    chunks = chunks_of("# Make\n\n```sh\n" + comment * 8 + "```\n")
    assert len(chunks) > 2
    assert body_of(chunks[0]) == ""
    assert [body_of(chunk) for chunk in chunks[1:]] == [chunk.text for chunk in chunks[1:]]


@given(st.lists(LINES, max_size=40))
def test_a_body_is_the_end_of_its_text(lines: list[str]) -> None:
    for chunk in chunks_of("\n".join(lines)):
        assert chunk.text.endswith(body_of(chunk))


@pytest.mark.parametrize(
    "matter", ["---\ntitle: x\ntags: [a]\n---\n", "+++\ntitle = 'x'\n+++\n", "---\na: b\n...\n", "---\n---\n"]
)
def test_front_matter_is_skipped_and_lines_still_count_from_the_files_top(matter: str) -> None:
    chunk = chunks_of(f"{matter}# A\n")[0]
    assert (chunk.text, chunk.start) == ("# A", matter.count("\n") + 1)


def test_a_thematic_break_at_the_top_is_no_front_matter() -> None:
    assert chunks_of("---\nSome prose here\n\n---\n")[0].start == 1


def test_an_unclosed_front_matter_hides_nothing() -> None:
    covers("---\ntitle: x\n\n# A\n")


@pytest.mark.parametrize("text", ["", "\n", "   \n\t\n", "\ufeff", "---\na: b\n---\n"])
def test_a_file_without_text_has_no_chunks(text: str) -> None:
    assert chunks_of(text) == []


def test_a_byte_order_mark_hides_no_heading() -> None:
    assert chunks_of("\ufeff# A\n")[0].heading == "A"


def test_lone_carriage_returns_count_as_lines_only_where_there_are_no_others() -> None:
    assert [c.start for c in chunks_of("# A\ra\r# B\rb")] == [1, 3]
    assert [(c.heading, c.start) for c in chunks_of("# A\na\rb\n# B\n")] == [("A", 1), ("B", 3)]


def test_other_unicode_line_ends_do_not_shift_the_lines() -> None:
    chunk = chunks_of("a\u2028b\x0cc\x85d\n# A\n")[1]
    assert (chunk.heading, chunk.start) == ("A", 2)


def test_a_long_section_is_cut_between_paragraphs() -> None:
    text = "# A\n\n" + "\n\n".join(f"paragraph {n} " + "word " * 60 for n in range(20))
    chunks = chunks_of(text)
    assert len(chunks) > 3
    assert all(len(chunk.text) <= CHUNK_SIZE and chunk.anchor == "a" for chunk in chunks)
    assert all(chunk.text.startswith("paragraph") for chunk in chunks[1:])
    covers(text)


def test_a_fence_longer_than_a_chunk_stays_whole() -> None:
    code = "```\n" + "x = 1  # some code\n" * 150 + "```"
    assert CHUNK_SIZE < len(code) < FENCE_LIMIT
    text = f"# A\n\n{'before ' * 30}\n\n{code}\n\nafter\n"
    assert code in [chunk.text for chunk in chunks_of(text)]
    covers(text)


def test_a_fence_without_end_is_cut_between_lines() -> None:
    text = "# A\n\n```\n" + "x = 1  # some code\n" * 2000
    assert max(len(chunk.text) for chunk in chunks_of(text)) <= FENCE_LIMIT
    covers(text)


def test_a_long_list_is_cut_between_items() -> None:
    text = "# A\n\n" + "".join(f"- item {n}\n  goes on here\n  - inner {n}\n" for n in range(100))
    assert all(chunk.text.lstrip("# A\n").lstrip().startswith("- ") for chunk in chunks_of(text))
    covers(text)


def test_a_long_table_is_cut_between_rows() -> None:
    text = "# A\n\n| a | b |\n|---|---|\n" + "| one | two |\n" * 300
    assert all(len(chunk.text) <= CHUNK_SIZE for chunk in chunks_of(text))
    covers(text)


def test_one_endless_line_is_one_chunk() -> None:
    assert len(chunks_of("x" * 100_000)) == 1


def test_a_hundred_thousand_lines_take_seconds_not_minutes() -> None:
    text = "".join(f"## Heading {n}\n" + "A line of text.\n" * 24 for n in range(4_000))
    began = monotonic()
    assert len(chunks_of(text)) == 4_000
    assert monotonic() - began < 30
