"""Questions: any text is one, and the answer is a place in a file or nothing."""

import contextlib
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from knowledge_platform.words.search import opened, search, words_of

if TYPE_CHECKING:
    from knowledge_platform.conftest import Crystal

NASTY = [
    "", " ", '"', '""', "'", "rotate AND", "NOT rotate", "NEAR(rotate, logs)", "rotate*", "heading:rotate", "-rotate", "^rotate", "(rotate",
    "rotate)", "{rotate}", "a OR", "+", "_", "__init__", "🚀", "rotate 🚀", "'; DROP TABLE chunks; --", "ß", "İstanbul", "\x00", "rotate\n\n",
    "日本語", "word " * 10_000, "\ud800", "é" * 500, "%s %d {}", "\x1b[31m",
]  # fmt: skip


@pytest.mark.parametrize("question", NASTY, ids=ascii)
def test_any_text_is_a_safe_question(trained: "Crystal", question: str) -> None:
    with contextlib.closing(opened(trained.current())) as database:
        search(database, question, 5, floor=0.3)


def test_an_answer_names_file_lines_anchor_and_heading(trained: "Crystal") -> None:
    answer = trained.json("ask", "how does the journal rotate?")
    best = answer["passages"][0]
    assert (best["path"], best["start"], best["end"]) == ("ops/logs.md", 5, 7)
    assert (best["anchor"], best["heading"], best["crumbs"]) == ("rotation", "Rotation", "Logs")
    assert best["text"].startswith("## Rotation\n")
    assert best["root"] == str(trained.docs)
    assert best["score"] > 0
    assert answer["answer_id"]
    assert answer["release"] == trained.current().id


def test_the_same_question_to_the_same_release_has_the_same_answer_id(trained: "Crystal") -> None:
    first, again, other = (trained.json("ask", q)["answer_id"] for q in ("logs", "logs", "shell"))
    assert first == again != other


def test_people_get_a_place_that_a_terminal_can_open(trained: "Crystal") -> None:
    lines = trained.run("ask", "how does the journal rotate?").stdout.splitlines()
    assert lines[0] == "docs/ops/logs.md:5-7  Logs > Rotation"
    assert lines[1].strip().startswith("The journal rotates by itself")


def test_other_word_forms_match(trained: "Crystal") -> None:
    assert trained.ask("rotating journals")[0]["anchor"] == "rotation"


def test_k_limits_the_passages(trained: "Crystal") -> None:
    assert len(trained.json("ask", "-k", "1", "the logs and the machine and the shell")["passages"]) == 1
    trained.run("ask", "-k", "0", "logs", code=2)


def test_nothing_is_said_rather_than_nonsense(trained: "Crystal") -> None:
    assert trained.ask("sourdough bread baking temperature by itself") == []
    assert trained.run("ask", "sourdough bread").stdout == "no good match\n"


@pytest.mark.parametrize("question", ["", "🚀", "!?"])
def test_a_question_without_words_has_no_match(trained: "Crystal", question: str) -> None:
    assert trained.run("ask", question).stdout == "no good match\n"


def test_a_question_of_stop_words_is_still_asked() -> None:
    assert words_of("to be or not to be") == ["not"]
    assert words_of("what is it") == ["what", "is", "it"]


def test_a_question_that_begins_with_a_dash_is_asked_after_two_dashes(trained: "Crystal") -> None:
    assert "vacuum" in trained.run("ask", "--", "--vacuum-size").stdout


def test_asking_an_empty_store_says_what_to_do(crystal: "Crystal") -> None:
    done = crystal.run("ask", "anything", code=78)
    assert "no model yet" in done.stderr
    assert "crystal train" in done.stderr
    assert not crystal.folder.exists(), "asking writes nothing"


def test_a_damaged_release_is_one_line_and_a_way_out(trained: "Crystal") -> None:
    database = trained.current().folder / "chunks.sqlite"
    database.chmod(0o600)
    database.write_bytes(b"no database at all, but long enough to be looked at" * 100)
    done = trained.run("ask", "logs", code=1)
    assert len(done.stderr.splitlines()) == 1
    assert "crystal rollback" in done.stderr


def test_asking_works_on_a_store_that_cannot_be_written(trained: "Crystal") -> None:
    for folder, _, _ in os.walk(trained.folder):
        os.chmod(folder, 0o500)
    try:
        assert trained.ask("logs rotate")
    finally:
        for folder, _, _ in os.walk(trained.folder):
            os.chmod(folder, 0o700)


def test_terminal_escapes_in_a_document_do_not_reach_the_terminal(crystal: "Crystal") -> None:
    crystal.write("evil.md", "# Evil\n\nzyzzyva \x1b[2J\x1b]0;owned\x07 here\n")
    crystal.train()
    shown = crystal.run("ask", "zyzzyva").stdout
    assert "\x1b" not in shown
    assert "\\x1b[2J" in shown


def test_a_reader_that_leaves_early_is_no_traceback(trained: "Crystal") -> None:
    child = subprocess.Popen(
        trained.argv("ask", "logs rotate"),
        env=trained.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    child.stdout.close()
    assert child.stderr is not None
    assert "Traceback" not in child.stderr.read()
    child.stderr.close()
    child.wait()
