"""Answers are remembered so that a verdict can name one; that they can't be stops no answer."""

import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from knowledge_platform.asking.answers import _set_aside, given, keep
from knowledge_platform.asking.ask import Answer
from knowledge_platform.errors import ConfigError
from knowledge_platform.feedback.lines import records
from knowledge_platform.settings import ANSWERS_LIMIT, QUERY_LIMIT
from knowledge_platform.store.releases import Store
from knowledge_platform.words.search import Passage

if TYPE_CHECKING:
    from knowledge_platform.conftest import Crystal

NOW = datetime(2026, 11, 25, 20, 0, tzinfo=UTC)
QUESTION = "how does the journal rotate?"


def passage(path: str, anchor: str) -> Passage:
    return Passage("/docs", path, 1, 2, anchor, "Heading", "Above", "text", 1.0)


def answer(name: str, *passages: Passage, question: str = "q") -> Answer:
    return Answer(name, "20261125T200000Z-00000000", question, passages)


def test_an_answer_leads_to_its_question_and_each_section_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    keep(
        store,
        answer("0f0a", passage("a\udcff.md", "b"), passage("a\udcff.md", "b"), passage("c.md", "")),
        NOW,
    )
    found = given(store, "0f")
    assert (found.id, found.question, found.release) == ("0f0a", "q", "20261125T200000Z-00000000")
    assert [section.name for section in found.sections] == ["a\udcff.md#b", "c.md#"]
    assert [section.trail for section in found.sections] == ["Above > Heading"] * 2
    assert stat.S_IMODE((tmp_path / "answers.jsonl").stat().st_mode) == 0o600


def test_the_later_of_two_answers_with_one_id_is_meant(tmp_path: Path) -> None:
    store = Store(tmp_path)
    keep(store, answer("0f", passage("a.md", "")), NOW)
    keep(store, answer("0f", passage("b.md", "")), NOW)
    assert given(store, "0f").sections[0].path == "b.md"


@pytest.mark.parametrize(
    ("beginning", "problem"), [("0", "2 answers begin"), ("1", "no answer"), ("", "no answer")]
)
def test_an_id_that_names_none_or_several_is_refused(tmp_path: Path, beginning: str, problem: str) -> None:
    store = Store(tmp_path)
    keep(store, answer("0f"), NOW)
    keep(store, answer("0a"), NOW)
    with pytest.raises(ConfigError, match=problem):
        given(store, beginning)


def test_no_answer_was_given_yet(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no answer"):
        given(Store(tmp_path), "0f")


@pytest.mark.parametrize(
    "garbage",
    [b"{", b"\xff\x00\n", b'{"schema": 1}\n', b'{"schema": 1, "id": 7, "passages": []}\n', b'{"schema": 2, "id": "0f"}\n',
     b'{"schema": 1, "id": "0f", "release": "r", "question": "q", "passages": [7]}\n'],
)  # fmt: skip
def test_a_line_that_makes_no_sense_is_passed_over(tmp_path: Path, garbage: bytes) -> None:
    store = Store(tmp_path)
    keep(store, answer("0a"), NOW)
    with (tmp_path / "answers.jsonl").open("ab") as file:
        file.write(garbage)
    keep(store, answer("0b"), NOW)
    assert [given(store, name).id for name in ("0a", "0b")] == ["0a", "0b"]
    with pytest.raises(ConfigError):
        given(store, "0f")


def test_a_full_file_is_set_aside_in_place_of_the_one_before(tmp_path: Path) -> None:
    store = Store(tmp_path)
    long = "x" * 4000
    for number in range(3 * ANSWERS_LIMIT // 4100):
        keep(store, answer(f"{number:04}", question=f"{number} {long}"), NOW)
    files = sorted(file.name for file in tmp_path.iterdir())
    assert files == ["answers.jsonl", "answers.old.jsonl"]
    assert all(file.stat().st_size < ANSWERS_LIMIT + 5000 for file in tmp_path.iterdir())
    assert given(store, f"{number:04}").id, "the newest"
    assert given(store, f"{number - 200:04}").id, "one in the older file"
    with pytest.raises(ConfigError):
        given(store, "0000")


ASKER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from knowledge_platform.asking.answers import keep
from knowledge_platform.asking.ask import Answer
from knowledge_platform.store.releases import Store
for number in range(150):
    keep(Store(Path(sys.argv[1])), Answer(f"{sys.argv[2]}-{number}", "r", f"{number} " + "x" * 4000, ()), datetime.now(UTC))
"""


def test_of_many_askers_at_the_limit_one_sets_the_file_aside(tmp_path: Path) -> None:
    askers = [subprocess.Popen([sys.executable, "-c", ASKER, tmp_path, str(n)]) for n in range(3)]
    assert [asker.wait(timeout=60) for asker in askers] == [0, 0, 0]
    kept = [
        record["id"] for name in ("answers.old.jsonl", "answers.jsonl") for record in records(tmp_path / name)
    ]
    # 450 answers of 4.1 kB: set aside once, and nothing is lost by it.
    assert len(kept) == len(set(kept)) == 450


def test_who_comes_too_late_to_set_the_file_aside_leaves_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(b"x" * ANSWERS_LIMIT)
    _set_aside(path)
    path.write_bytes(b"new")
    _set_aside(path)
    assert path.read_bytes() == b"new"
    assert (tmp_path / "answers.old.jsonl").stat().st_size == ANSWERS_LIMIT


@pytest.mark.parametrize("question", ["!?", "x " * QUERY_LIMIT])
def test_a_question_that_nothing_can_be_learned_from_is_not_remembered(tmp_path: Path, question: str) -> None:
    with pytest.raises(ValueError, match="the question has"):
        keep(Store(tmp_path), answer("0f", question=question), NOW)
    assert not list(tmp_path.iterdir())


def test_asking_remembers_and_says_so(trained: "Crystal") -> None:
    said = trained.json("ask", QUESTION)
    assert said["recorded"] is True
    assert given(trained.store, said["answer_id"]).sections[0].name == "ops/logs.md#rotation"
    assert "crystal:" not in trained.run("ask", QUESTION).stderr


def test_an_answer_that_can_not_be_remembered_is_given_all_the_same(trained: "Crystal") -> None:
    (trained.folder / "answers.jsonl").mkdir()
    said = trained.run("ask", QUESTION)
    assert "ops/logs.md:5-7" in said.stdout
    assert said.stderr.startswith("crystal: feedback can't refer to this answer: Is a directory")
    assert len(said.stderr.splitlines()) == 1
    found = trained.json("ask", QUESTION)
    assert (found["recorded"], found["passages"][0]["anchor"]) == (False, "rotation")


def test_on_a_full_disk_an_answer_is_given_all_the_same(crystal: "Crystal") -> None:
    done = crystal.on_tmpfs(
        "24m",
        f'crystal train 2>&1 >/dev/null; cat /dev/zero > "$CRYSTAL_STORE/full" 2>/dev/null; crystal ask "{QUESTION}"; echo "exit $?"',
    )
    assert "ops/logs.md:5-7" in done.stdout
    assert done.stdout.endswith("exit 0\n")
    assert "crystal: feedback can't refer to this answer: No space left" in done.stderr


def test_who_finds_nothing_is_told_how_to_teach_it(trained: "Crystal") -> None:
    said = trained.run("ask", "sourdough bread")
    assert said.stdout == "no good match\n"
    name = trained.json("ask", "sourdough bread")["answer_id"]
    assert said.stderr == f"if you know where it is: crystal feedback {name} good --correct PATH#ANCHOR\n"
