"""What an encoder reads of Markdown: the words, without what only a renderer needs."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knowledge_platform.documents.plain import LIMIT, passage_text, plain, sentences

PLAIN = {
    "prose stays as it is": ("Rotate it once.", "Rotate it once."),
    "lines become one": ("one\n  two\n\nthree", "one two three"),
    "a link is its text": ("see [the logs](ops/logs.md) first", "see the logs first"),
    "a link may have a title": ('[the logs](logs.md "Where they are")', "the logs"),
    "a link may have attributes": ("[the logs](https://x.y/z){.external-link target=_blank}", "the logs"),
    "a picture is its description": ("![a green lamp](lamp.png)", "a green lamp"),
    "a picture in a link is what is seen": ("[![a lamp](lamp.png)](more.md)", "a lamp"),
    "a bracket that nothing closes stays": ("[the logs (ops", "[the logs (ops"),
    "brackets without a target stay": ("a[0] = [1]", "a[0] = [1]"),
    "an include of MkDocs goes": ("before {* ../../src/main.py hl[4:9] *} after", "before after"),
    "a Jinja tag goes": ("before {% include 'x.md' %} after", "before after"),
    "HTML goes and what it holds stays": ('<div class="x">a <b>lamp</b></div>', "a lamp"),
    "less and greater are no tag": ("if a < b and c > d", "if a < b and c > d"),
    "emphasis and code lose their marks": ("**run** the `frobnicator` *once*", "run the frobnicator once"),
    "a mark was a boundary, and a stop is a token of its own anyway": ("*now*.", "now ."),
    "an underscore is part of a name": ("set max_size", "set max_size"),
    "code in a fence is words": ("```python\nx = rotate()\n```", "python x = rotate()"),
    "a heading's marks go": ("## Rotation ##", "Rotation"),
    "a table is its cells": ("| a | b |\n|---|---|\n| c | d |", "a b c d"),
    "an admonition's line goes": ("/// note\nkeep it\n///", "keep it"),
    "a rule goes": ("above\n\n----\n\nbelow", "above below"),
    "nothing is nothing": ("", ""),
}


@pytest.mark.parametrize(("markdown", "seen"), PLAIN.values(), ids=PLAIN.keys())
def test_markup_is_taken_away(markdown: str, seen: str) -> None:
    assert plain(markdown) == seen


@pytest.mark.parametrize(
    ("heading", "body", "text"),
    [
        ("Rotation", "It *rotates* now.", "Rotation. It rotates now."),
        ("", "It *rotates* now.", "It rotates now."),
        ("Rotation", "![](x.png)", "Rotation"),
        ("", "", "."),
        ("", "****", "."),
    ],
)
def test_a_passage_is_its_heading_and_its_text(heading: str, body: str, text: str) -> None:
    assert passage_text(heading, plain(body)) == text


@given(st.text("[](){}<>!*`#|/:-=~ \nab.", max_size=300))
def test_any_text_is_one_line_no_longer_than_it_was(markdown: str) -> None:
    seen = plain(markdown)
    assert seen == " ".join(seen.split())
    assert len(seen) <= len(markdown)
    assert all(one in plain(markdown) or "~" in markdown or "`" in markdown for one in sentences(markdown))


@pytest.mark.parametrize(
    "part",
    ["[", "![", "[a](", "[a](b ", "<", "<a ", "{*", "{%", "```\n", "~~~", "[[a](b)", "(", "{", "-", "/// x\n", "a. ", " ", "`*"],
    ids=ascii,
)  # fmt: skip
def test_no_text_takes_long(part: str) -> None:
    text = part * (2_000_000 // len(part))
    began = time.process_time()
    passage_text("x", text)
    sentences(text)
    assert time.process_time() - began < 0.5  # a bounded search takes 10 ms, an endless one minutes


def test_what_is_beyond_the_limit_is_not_looked_at() -> None:
    assert plain("a " * LIMIT) == plain("a " * LIMIT + "b")


def test_sentences_are_those_of_the_prose() -> None:
    text = (
        "First the pump is primed.\n\n```sh\npump --prime. And this is code.\n```\n\n"
        "Too short. Then [the valve](v.md) is opened by hand! Is the lamp green now? "
        + "word " * 60
        + ". It is done now."
    )
    assert sentences(text) == [
        "First the pump is primed.",
        "Then the valve is opened by hand!",
        "Is the lamp green now?",
        "It is done now.",
    ]
