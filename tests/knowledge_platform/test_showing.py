"""What a person sees of an answer: places, lines that say something, and what a terminal makes of it."""

import re
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from knowledge_platform.asking.ask import Answer
from knowledge_platform.asking.showing import shown
from knowledge_platform.commands.asking import cut
from knowledge_platform.words.search import Passage

if TYPE_CHECKING:
    from knowledge_platform.conftest import Crystal

# `crystal ask` that waits for no encoder before it shows what words find.
IMPATIENT = """
import sys
from knowledge_platform.commands import asking
asking.PATIENCE = 0
from knowledge_platform.cli import main
main()
"""


def snippet(text: str, question: str = "zyzzyva", heading: str = "") -> list[str]:
    """The lines that are shown of a passage."""
    passage = Passage("/docs", "a.md", 1, 9, "a", heading, "", text, 1.0)
    lines = shown(Answer("abc", "r", question, (passage,)), Path("/docs"))
    assert lines[0].startswith("a.md:1-9")
    assert lines[-2:] == ["", "answer abc"]
    return [line.removeprefix("    ") for line in lines[1:-2]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("```console\n$ run\n```\nThis is how.", ["This is how."]),
        ("~~~~\n~~~\ncode\n~~~~\nThis is how.", ["This is how."]),
        ("````md\n```sh\nx\n```\n````\nThis is how.", ["This is how."]),
        ("/// tip\nMind the gap.\n///", ["Mind the gap."]),
        (":::{note}\nMind the gap.\n:::", ["Mind the gap."]),
        ('<div class="x">\n<img src="a.png">\nText in it.\n</div>', ["Text in it."]),
        ("<!-- hidden -->\nText.", ["Text."]),
        ("| a | b |\n|---|:-:|\n| 1 | 2 |", ["| a | b |", "| 1 | 2 |"]),
        ("Title\n=====\n***\nText.", ["Title", "Text."]),
        ("![shot](a.png){width=3}\n[1]: https://x.example\n{* ../a.py hl[1] *}\nText.", ["Text."]),
        ("<b>Bold</b> words.", ["<b>Bold</b> words."]),
        ("- one\n* two\n3. three", ["- one", "* two", "3. three"]),
        ("```\nonly code\n```", ["only code"]),
        ("```\n```", ["```", "```"]),
        ("---", ["---"]),
    ],
)  # fmt: skip
def test_an_answer_by_meaning_shows_the_beginning_of_the_prose_and_no_line_of_markup(
    text: str, expected: list[str]
) -> None:
    assert snippet(text) == expected


def test_code_is_shown_where_the_questions_words_are_in_it() -> None:
    text = "Prose first.\n\n```sh\nstop\nfrobnicate --all\n```\nMore prose."
    assert snippet(text, "frobnicate") == ["frobnicate --all", "More prose."]
    assert snippet(text)[0] == "Prose first."


def test_the_heading_is_not_shown_twice() -> None:
    assert snippet("## Steps\n\nUnpack it.", heading="Steps") == ["Unpack it."]
    assert snippet("## The `run` { #x }\n\nUnpack it.", "run", heading="The run") == ["Unpack it."]
    assert snippet("Steps\n---\nUnpack it.", heading="Steps") == ["Unpack it."]
    assert snippet("## Steps", heading="Steps") == ["## Steps"]


def test_a_question_without_a_word_makes_nothing_bold() -> None:
    passage = Passage("/docs", "a.md", 1, 9, "a", "", "", "Text here.", 1.0)
    assert "    Text here." in shown(Answer("abc", "r", "?!", (passage,)), Path("/"), styled=True)


@pytest.mark.parametrize(
    "line", [" " * 200_000 + "x", "| " * 100_000 + "x", "<a" * 100_000, "[" * 200_000, "{*" * 100_000]
)
def test_no_line_takes_long_to_be_told_from_markup(line: str) -> None:
    began = time.monotonic()
    snippet(f"{line}\ntext")
    snippet(f"{line[:499]}\ntext")
    assert time.monotonic() - began < 2


def test_on_a_terminal_places_are_links_and_the_questions_words_are_bold(trained: "Crystal") -> None:
    text = trained.on_terminal(trained.argv("ask", "--lexical", "-k", "1", "frobnicator"))
    link = f"\x1b]8;;file://{socket.gethostname()}{trained.docs}/install.md\x1b\\"
    assert f"{link}\x1b[36mdocs/install.md:9-11\x1b[0m\x1b]8;;\x1b\\  Install > Steps\n" in text
    assert "run the \x1b[1mfrobnicator\x1b[0m once" in text


def test_no_color_leaves_out_the_colour_and_a_dumb_terminal_gets_none_of_it(trained: "Crystal") -> None:
    argv = trained.argv("ask", "--lexical", "frobnicator")
    text = trained.on_terminal(argv, NO_COLOR="1")
    assert "\x1b[36m" not in text
    assert "\x1b]8;;file://" in text
    assert "\x1b[36m" in trained.on_terminal(argv, NO_COLOR="")
    assert "\x1b" not in trained.on_terminal(argv, TERM="dumb")
    assert "\x1b" not in trained.run("ask", "--lexical", "frobnicator").stdout


def test_what_stands_higher_because_of_feedback_says_so(trained: "Crystal") -> None:
    import json

    trained.run("ask", "--lexical", "how does it rotate?")
    answer = json.loads((trained.folder / "answers.jsonl").read_text())["id"]
    trained.run("feedback", answer, "bad", "--correct", "install.md#steps")
    trained.environ["CRYSTAL_ENCODER_PATH"] = "/nowhere"
    trained.run("train")
    (first, *_) = trained.run("ask", "how does it rotate?").stdout.splitlines()
    assert first == "docs/install.md:9-11 (here because of feedback)  Install > Steps"


def test_while_the_encoder_loads_a_terminal_shows_what_words_find_and_then_the_answer_in_its_place(
    crystal: "Crystal",
) -> None:
    crystal.run("train")
    argv = [sys.executable, "-c", IMPATIENT, "ask", "frobnicator"]
    text = crystal.on_terminal(argv)
    before, escape, after = text.partition("\x1b[J")
    up = re.search(r"\x1b\[(\d+)A$", before)
    assert escape
    assert up is not None
    assert before.startswith("by words, while the encoder loads:\n\ndocs/install.md:9-11")
    assert before.count("\n") == int(up[1]), "it goes up exactly as far as it came down"
    assert "by words" not in after
    assert after.splitlines()[0].endswith("Install > Steps")
    low = crystal.on_terminal(argv, lines=5)
    assert "\x1b[J" not in low, "what has scrolled away can't be replaced"
    assert low.count("answer ") == 2
    assert "by words, while" not in crystal.on_terminal(argv, TERM="dumb")
    assert "by words, while" not in crystal.on_terminal([*argv, "--lexical"])
    assert "by words, while" not in crystal.on_terminal([*argv, "--json"])


def test_lines_that_are_wider_than_the_terminal_are_cut_by_columns() -> None:
    assert cut("abcdef", 4) == "abcd"
    assert cut("abcd", 4) == "abcd"
    assert cut("日本語", 5) == "日本"
    assert cut("e\u0301e\u0301e", 2) == "e\u0301e\u0301"
