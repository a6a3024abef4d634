"""What a person sees: folded to the terminal's width, coloured where colours are wanted, nothing lost in a pipe."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as some

from fuzz.nasty import harmless
from training_watch.screen import Screen, bad, columns, command, dim, good, strong, warned

NARROW = Screen(width=40, height=10)
COLOURED = Screen(width=40, height=10, colours=True)
PLAIN = Screen()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "colours"),
    [({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({}, False)],
)  # fmt: skip
def test_colours_are_for_terminals_that_have_them_and_whoever_wants_them(
    environment: dict[str, str], colours: bool
) -> None:
    assert Screen.of(Terminal(), environment).colours is colours


def test_a_pipe_gets_no_colours_and_whole_lines() -> None:
    assert Screen.of(io.StringIO(), {"TERM": "xterm"}) == PLAIN
    assert PLAIN.row("now", "a " * 200 + "b") == ["  now       " + "a " * 200 + "b"]


def test_a_line_is_folded_at_blanks_and_hangs_under_its_text() -> None:
    assert NARROW.row("now", "cooldown until ", good("15:02"), ", two files waiting for it") == [
        "  now       cooldown until 15:02, two",
        "            files waiting for it",
    ]


def test_a_path_without_blanks_is_never_broken() -> None:
    path = "/home/you/" + "x" * 60
    assert path in "\n".join(NARROW.row("pending", "a b ", path))


def test_a_command_is_never_folded() -> None:
    assert NARROW.row("to do", "forget it: ", command("rm ~/a/path/that/is not/short")) == [
        "  to do     forget it:",
        "            rm ~/a/path/that/is not/short",
    ]


def test_colour_is_taken_back_and_takes_no_room() -> None:
    assert COLOURED.line(bad("no"), " yes") == ["\x1b[31mno\x1b[0m yes"]
    for words in ([strong("a" * 30), " ", dim("b" * 30)], [warned("word " * 20)]):
        bare = [line.replace("\x1b[0m", "") for line in COLOURED.line(*words)]
        assert [len(line.split("m", 1)[-1]) <= 40 for line in bare]
        assert len(COLOURED.line(*words)) == len(NARROW.line(*words))


def test_a_table_has_columns_as_wide_as_their_words_wide_letters_counted_double() -> None:
    assert NARROW.table(["began", "how"], [["日本", good("well")], ["x", "badly, for a reason that takes a line more"]]) == [
        "began  how",
        "日本   well",
        "x      badly, for a reason that takes a",
        "       line more",
    ]  # fmt: skip


def test_columns_of_wide_and_combining_characters() -> None:
    assert [columns(text) for text in ("abc", "日本", "e\u0301", "")] == [3, 4, 1, 0]


@given(some.text(max_size=80), some.integers(30, 200))
def test_whatever_a_name_holds_a_terminal_obeys_nothing_of_it(text: str, width: int) -> None:
    for line in Screen(width=width).row("name", text) + Screen(width=width).line(good(text)):
        assert harmless(line + "\n")


@given(some.lists(some.text(alphabet="ab c日", max_size=30), max_size=6), some.integers(30, 60))
def test_folding_loses_no_word_and_exceeds_the_width_for_single_words_only(
    words: list[str], width: int
) -> None:
    lines = Screen(width=width).row("label", *words)
    assert " ".join(lines).split() == ["label", *"".join(words).split()]
    for line in lines[1:]:
        assert columns(line) <= width or len(line.split()) == 1, lines
