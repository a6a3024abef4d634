"""`crystal feedback` and `crystal golden`: what a person types, what is kept of it, and what is refused."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from knowledge_platform.errors import ConfigError
from knowledge_platform.feedback.anchors import Section
from knowledge_platform.feedback.golden import Golden, add, load
from knowledge_platform.feedback.log import FeedbackLogger, login_name
from knowledge_platform.feedback.naming import named

if TYPE_CHECKING:
    from knowledge_platform.conftest import Crystal

QUESTION = "how does the journal rotate?"


@pytest.fixture
def answer(trained: "Crystal") -> str:
    """The id of an answer whose first passage is ops/logs.md#rotation."""
    name: str = trained.json("ask", QUESTION)["answer_id"]
    return name


def event(crystal: "Crystal") -> dict[str, Any]:
    """What the only event says, beside its id, time and schema."""
    (only,) = FeedbackLogger(crystal.folder).iter()
    return {
        name: value
        for name in (
            "query",
            "section",
            "verdict",
            "answer_id",
            "correct",
            "user",
            "heading",
            "correct_heading",
        )
        if (value := getattr(only, name)) is not None
    }


def test_good_is_about_the_first_passage(trained: "Crystal", answer: str) -> None:
    said = trained.run("feedback", answer, "good").stdout.splitlines()
    assert said[0] == f'noted: ops/logs.md#rotation answers "{QUESTION}"'
    assert "the next training learns it" in said[1]
    assert event(trained) == {
        "query": QUESTION,
        "section": "ops/logs.md#rotation",
        "verdict": "good",
        "answer_id": answer,
        "user": login_name(),
        "heading": "Logs > Rotation",
    }
    (logged,) = FeedbackLogger(trained.folder).iter()
    assert logged.digest is not None


def test_good_with_a_section_is_about_that_one(trained: "Crystal", answer: str) -> None:
    trained.run("feedback", answer, "good", "--correct", "install.md#steps")
    found = event(trained)
    assert (found["section"], found["verdict"], found["heading"]) == (
        "install.md#steps",
        "good",
        "Install > Steps",
    )
    assert "correct" not in found


def test_bad_with_a_section_is_about_both(trained: "Crystal", answer: str) -> None:
    said = trained.run("feedback", answer, "bad", "--correct", "install.md#steps").stdout
    assert said.startswith(
        f'noted: ops/logs.md#rotation does not answer "{QUESTION}", install.md#steps does\n'
    )
    found = event(trained)
    assert (found["section"], found["verdict"], found["correct"]) == (
        "ops/logs.md#rotation",
        "bad",
        "install.md#steps",
    )
    assert (found["heading"], found["correct_heading"]) == ("Logs > Rotation", "Install > Steps")


def test_the_beginning_of_an_id_will_do_and_json_is_the_event(trained: "Crystal", answer: str) -> None:
    said = trained.json("feedback", answer[:6], "bad")
    assert (said["answer_id"], said["verdict"], said["section"]) == (answer, "bad", "ops/logs.md#rotation")


@pytest.mark.parametrize("verdict", ["good", "bad"])
def test_of_an_answer_that_found_nothing_the_right_section_is_learned(
    trained: "Crystal", verdict: str
) -> None:
    name = trained.json("ask", "sourdough bread")["answer_id"]
    assert "found nothing" in trained.run("feedback", name, verdict, code=2).stderr
    trained.run("feedback", name, verdict, "--correct", "install.md")
    found = event(trained)
    assert (found["section"], found["verdict"]) == ("install.md#install", "good")


def test_a_place_as_answers_show_it_names_a_section(trained: "Crystal", answer: str) -> None:
    shown = trained.run("ask", "shell and patience").stdout.split()[0]
    assert shown == "docs/install.md:5-7"
    trained.run("feedback", answer, "good", "--correct", shown)
    assert event(trained)["section"] == "install.md#requirements"
    assert (
        "no section" in trained.run("feedback", answer, "good", "--correct", "install.md:99", code=78).stderr
    )


def test_a_section_is_not_both_wrong_and_right(trained: "Crystal", answer: str) -> None:
    said = trained.run("feedback", answer, "bad", "--correct", "logs.md#rotation", code=2)
    assert "both wrong and right" in said.stderr
    assert not list(FeedbackLogger(trained.folder).iter())


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["zzz", "good"], 78, "no answer 'zzz'"),
        (["", "good"], 78, "no answer ''"),
        (["ANSWER", "fine"], 2, "'fine' is not one of"),
        (["ANSWER", "bad", "--correct", "ops/logs.md#rotating"], 78, "the nearest: ops/logs.md#rotation"),
        (["ANSWER", "bad", "--correct", "instal.md#steps"], 78, "the nearest: install.md#steps"),
        (["ANSWER", "good", "bad"], 2, "unexpected extra argument"),
    ],
)
def test_what_can_not_be_meant_is_one_clear_error(
    trained: "Crystal", answer: str, words: list[str], code: int, said: str
) -> None:
    done = trained.run("feedback", *(answer if word == "ANSWER" else word for word in words), code=code)
    assert said in done.stderr.splitlines()[-1]
    assert not FeedbackLogger(trained.folder).path.exists()


def test_a_section_that_is_gone_by_now_is_named_as_it_was(trained: "Crystal", answer: str) -> None:
    (trained.docs / "ops" / "logs.md").rename(trained.docs / "journal.md")
    trained.run("train", "--allow-mass-delete")
    trained.run("feedback", answer, "good")
    assert event(trained)["section"] == "ops/logs.md#rotation"
    (logged,) = FeedbackLogger(trained.folder).iter()
    assert logged.digest is not None, "its release is kept yet"


SECTIONS = {
    section.key: section
    for section in (
        Section("index.md", ""),
        Section("index.md", "rotation"),
        Section("ops/logs.md", "logs"),
        Section("ops/logs.md", "rotation"),
        Section("api/logs.md", "logs"),
        Section("api/a#b.md", "c"),
        Section("api/c.md:5", "d"),
    )
}


NAMES = [
    ("ops/logs.md#rotation", "ops/logs.md#rotation"),
    ("./ops/logs.md#rotation", "ops/logs.md#rotation"),
    ("logs.md#rotation", "ops/logs.md#rotation"),
    ("docs/ops/logs.md#rotation", "ops/logs.md#rotation"),
    ("/home/ada/docs/ops/logs.md#rotation", "ops/logs.md#rotation"),
    ("ops/logs.md", "ops/logs.md#logs"),
    ("ops/logs.md#", "ops/logs.md#logs"),
    ("index.md", "index.md#"),
    ("api/a#b.md#c", "api/a#b.md#c"),
    ("a#b.md", "api/a#b.md#c"),
    ("docs/ops/logs.md:5-7", "ops/logs.md#rotation"),
    ("ops/logs.md:5", "ops/logs.md#rotation"),
    ("api/c.md:5", "api/c.md:5#d"),
]


def anchor_at(_: str, line: int) -> str | None:
    return "rotation" if line == 5 else None


@pytest.mark.parametrize(("wanted", "found"), NAMES)
def test_a_section_may_be_named_in_these_ways(wanted: str, found: str) -> None:
    assert named(wanted, SECTIONS, ["/home/ada/docs", "/srv/x/"], anchor_at).name == found


@pytest.mark.parametrize(
    ("wanted", "problem"),
    [
        ("logs.md", "'logs.md' may be ops/logs.md#logs, api/logs.md#logs: give more of its path"),
        ("logs.md#logs", "may be"),
        ("ops/logs.md#rotations", "the nearest: ops/logs.md#rotation$"),
        ("ops/logs.md#zzz", "the nearest: ops/logs.md#logs, ops/logs.md#rotation$"),
        ("opps/logs.md#logs", "the nearest: ops/logs.md#logs"),
        ("ogs.md#logs", "no section"),
        ("/other/docs/ops/logs.md#logs", "no section"),
        ("#rotation", "no section"),
        ("", "no section"),
        ("#", "no section"),
        ("/", "no section"),
        ("..", "no section"),
        ("ops/logs.md:9", "the nearest: ops/logs.md#logs"),
        ("ops/logs.md:99999999999999999999", "no section"),
    ],
)
def test_a_section_that_is_none_or_several_is_refused(wanted: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        named(wanted, SECTIONS, ["/home/ada/docs", "/srv/x/"], anchor_at)


def test_a_golden_query_is_added_listed_and_removed(trained: "Crystal") -> None:
    assert "no golden query yet" in trained.run("golden", "list").stdout
    said = trained.run("golden", "add", QUESTION, "logs.md#rotation")
    assert said.stdout == f'pinned: "{QUESTION}" must find ops/logs.md#rotation\n'
    assert said.stderr == ""
    trained.run("golden", "add", "how to get it on the machine", "install.md")
    assert trained.run("golden", "list").stdout.splitlines() == [
        f'1  "{QUESTION}"  ops/logs.md#rotation',
        '2  "how to get it on the machine"  install.md#install',
    ]
    first = trained.json("golden", "list")[0]
    assert (first["query"], first["path"], first["anchor"], first["trail"]) == (
        QUESTION, "ops/logs.md", "rotation", "Logs > Rotation"
    )  # fmt: skip
    assert len(first["digest"]) == 64
    assert first["added_at"]
    trained.run("golden", "remove", "1")
    trained.run("golden", "remove", "How to get it  on the MACHINE")
    assert trained.json("golden", "list") == []


def test_the_same_question_is_pinned_anew(trained: "Crystal") -> None:
    trained.write("fruit.md", "".join(f"# Journal {n}\n\nHow the journal {n} rotates.\n" for n in range(9)))
    trained.train()
    trained.run("golden", "add", QUESTION, "logs.md#rotation")
    said = trained.run("golden", "add", QUESTION.upper(), "install.md#steps")
    assert "no longer ops/logs.md#rotation" in said.stdout
    assert (
        said.stderr
        == "install.md#steps is not among the first 5 now: trainings are refused until it is, or crystal golden remove\n"
    )
    assert [one.path for one in load(trained.store)] == ["install.md"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["add", QUESTION, "nowhere.md"], 78, "no section 'nowhere.md'"),
        (["add", "?!", "install.md"], 2, "at least one word"),
        (["add", "x" * 5000, "install.md"], 2, "4096"),
        (["remove", "1"], 78, "no golden query '1'"),
        (["remove", "0"], 78, "no golden query '0'"),
        (["remove", "what?"], 78, "no golden query"),
    ],
)
def test_what_can_not_be_pinned_or_unpinned_changes_nothing(
    trained: "Crystal", words: list[str], code: int, said: str
) -> None:
    assert said in trained.run("golden", *words, code=code).stderr.splitlines()[-1]
    assert not (trained.folder / "golden.json").exists()


def test_without_a_model_there_is_nothing_to_pin(crystal: "Crystal") -> None:
    assert "no model yet" in crystal.run("golden", "add", "q", "a.md", code=78).stderr
    assert "no golden query" in crystal.run("golden", "remove", "1", code=78).stderr
    assert crystal.json("golden", "list") == []
    assert not crystal.folder.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"\xff", b"null", b"[" * 100_000, b'{"schema": 2, "golden": []}', b'{"schema": 1}',
     b'{"schema": 1, "golden": [7]}', b'{"schema": 1, "golden": [{"query": 7}]}'],
    ids=lambda content: ascii(content[:40]),
)  # fmt: skip
@pytest.mark.parametrize("words", [["list"], ["remove", "1"], ["add", QUESTION, "install.md"]], ids=" ".join)
def test_a_damaged_list_is_an_error_that_a_person_mends(
    trained: "Crystal", content: bytes, words: list[str]
) -> None:
    path = trained.folder / "golden.json"
    path.write_bytes(content)
    said = trained.run("golden", *words, code=78).stderr
    assert str(path) in said
    assert len(said.splitlines()) == 1
    assert path.read_bytes() == content, "it is left for a person to mend"


def test_a_field_that_was_added_later_is_passed_over(trained: "Crystal") -> None:
    golden = Golden("q", "a.md", "b", "A > B", "", "2026-11-25T20:00:00+00:00")
    add(trained.store, golden)
    path = trained.folder / "golden.json"
    content = json.loads(path.read_text())
    content["golden"][0]["mood"] = "fine"
    path.write_text(json.dumps(content))
    assert load(trained.store) == [golden]


def test_many_who_pin_at_once_lose_nothing(trained: "Crystal") -> None:
    def pin(number: int) -> None:
        add(trained.store, Golden(f"q{number}", "a.md", "b", "", "", "2026-11-25T20:00:00+00:00"))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(pin, range(80)))
    assert {one.query for one in load(trained.store)} == {f"q{number}" for number in range(80)}
