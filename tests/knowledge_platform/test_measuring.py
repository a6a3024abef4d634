"""How good a release is: `crystal report` tells what its training measured, `crystal eval` asks it again."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from knowledge_platform.gate.exam import held
from knowledge_platform.gate.measures import ndcg, ranks_of, recall, reciprocal_rank
from knowledge_platform.gate.questions import Need, QuestionsError, needs_of
from knowledge_platform.gate.reports import lines, measured, quality, sentence
from knowledge_platform.words.search import Passage

if TYPE_CHECKING:
    from knowledge_platform.conftest import Crystal

SECTIONS = [("ops/logs.md", "logs"), ("ops/logs.md", "rotation"), ("install.md", "steps")]
NO_ENCODER = {"CRYSTAL_ENCODER_PATH": "/nowhere/model.onnx"}


def comparison(kind: str, questions: int, before: float, now: float) -> dict[str, Any]:
    return {
        "name": kind, "questions": questions, "deployed": before, "candidate": now,
        "difference": now - before, "low": now - before - 0.01, "high": now - before + 0.01, "problem": None,
    }  # fmt: skip


def a_report(**other: Any) -> dict[str, Any]:
    asked = [
        comparison("headings", 178, 0.511, 0.524),
        comparison("links", 1, 1.0, 1.0),
        comparison("verdicts", 0, 0, 0),
    ]
    refused = {
        "name": "trained",
        "comparisons": asked,
        "lost": [],
        "problems": ["headings: nDCG@10 -0.050 [-0.060, -0.040]"],
    }
    taken = {"name": "memory off", "comparisons": asked, "lost": [], "problems": []}
    return {
        "schema": 1, "chunks_checked": 12, "chunks_passed_over": 1, "queries": 5, "found": 4, "found_deployed": 3, "top": 10,
        "smoke": "Rotation",
        "golden": [
            {"query": "logs?", "section": "ops/logs.md#logs", "place": 2},
            {"query": "gone?", "section": None, "place": None},
        ],
        "ranking": {"ranker": "memory off", "against": "20261123T200512Z-1a2b3c4d", "rungs": [refused, taken]},
        **other,
    }  # fmt: skip


# The report in words


def test_the_report_says_what_was_taken_what_was_refused_and_by_what() -> None:
    text = "\n".join(lines(measured(a_report()), encoder="an encoder", lessons=3))
    assert "ranker      memory off: words and meaning" in text
    assert "refused     trained: headings: nDCG@10 -0.050 [-0.060, -0.040]" in text
    assert "lessons     3 from feedback" in text
    assert "asked of it and of 20261123T200512Z-1a2b3c4d, the release before" in text
    (headings,) = [line for line in text.splitlines() if "178 held-out headings" in line]
    assert headings.split()[-6:] == ["0.511", "0.524", "+0.013", "+0.003", "to", "+0.023"]
    (link,) = [line for line in text.splitlines() if "1 held-out link text" in line]
    assert "too few to decide" in link
    assert "verdict" not in text, "what nobody asked is not shown"
    assert 'golden      "logs?"  place 2: ops/logs.md#logs' in text
    assert 'golden      "gone?"  its section is gone' in text
    assert "12 passages are what their lines say, 1 passed over" in text
    assert (
        "4 of 5 headings are found by their own words among the first 10; the release before finds 3" in text
    )
    assert "1 when the right section comes first" in text


def test_the_report_in_a_line() -> None:
    report = measured(a_report())
    assert quality(report) == "nDCG@10 0.524 on 178 held-out headings (release before: 0.511)"
    assert sentence(report) == (
        "ranker memory off: nDCG@10 0.524 on 178 held-out headings (release before: 0.511), "
        "1.000 on 1 held-out link text (release before: 1.000); trained refused: headings: nDCG@10 -0.050 [-0.060, -0.040]"
    )


def test_a_ranker_that_is_worse_but_keeps_the_golden_queries_is_shown_as_that() -> None:
    content = a_report()
    content["ranking"]["rungs"][-1]["problems"] = ["links: nDCG@10 -0.040, more than 0.03 is too much here"]
    text = "\n".join(lines(measured(content), encoder="an encoder", lessons=3))
    assert (
        "although    links: nDCG@10 -0.040, more than 0.03 is too much here; no better ranker keeps" in text
    )
    assert "taken all the same, no better ranker keeps the golden queries: links" in sentence(
        measured(content)
    )


@pytest.mark.parametrize("encoder", [None, "an encoder"])
def test_a_release_by_words_has_no_ranker_to_tell_of(encoder: str | None) -> None:
    report = measured(a_report(ranking=None, golden=[]))
    assert quality(report) is None
    assert sentence(report) == "answers go by words"
    text = "\n".join(lines(report, encoder=encoder, lessons=0))
    assert "ranker      by words: " in text
    assert ("trained without an encoder" in text) is (encoder is None)
    assert "golden      no query is pinned" in text


def test_a_report_of_an_older_version_is_one_by_words() -> None:
    report = a_report()
    del report["ranking"], report["golden"]
    assert measured(report).ranker == "by words"


def test_a_terminal_escape_in_a_query_does_not_reach_the_terminal() -> None:
    report = measured(a_report(golden=[{"query": "\x1b[2J", "section": "\x1b]0;x", "place": 1}]))
    assert "\x1b" not in "\n".join(lines(report, encoder=None, lessons=0))


@pytest.mark.parametrize("schema", [0, 2, None, "1"])
def test_a_report_of_another_schema_is_not_guessed_at(schema: object) -> None:
    with pytest.raises(ValueError, match="schema"):
        measured(a_report(schema=schema))


@pytest.mark.parametrize(
    "damage",
    [
        b"", b"{", b"[]", b"null", b"\xff", b'{"schema": 1}', b"[" * 100_000,
        *(json.dumps(a_report(**{key: value})).encode() for key in ("queries", "golden", "ranking", "found_deployed")
          for value in (-1, True, "x", [1], {"rungs": 3}, {"against": 1, "rungs": []})),
        json.dumps(a_report()).replace("0.524", "1" + "0" * 400).encode(),
        json.dumps(a_report()).replace("178", '"many"').encode(),
    ],
)  # fmt: skip
def test_a_damaged_report_is_one_line(trained: "Crystal", damage: bytes) -> None:
    path = trained.current().folder / "report.json"
    path.chmod(0o600)
    path.write_bytes(damage)
    for words in (["report"], ["report", "--json"]):
        done = trained.run(*words, code=1)
        assert done.stdout == ""
        (line,) = done.stderr.splitlines()
        assert f"the report of release {trained.current().id} is damaged" in line


def test_a_release_that_is_damaged_somewhere_within_is_one_line_with_its_name(trained: "Crystal") -> None:
    file = trained.docs.parent / "questions.txt"
    file.write_text("install.md ;; frobnicator\n")
    database = trained.current().folder / "chunks.sqlite"
    content = database.read_bytes()
    database.chmod(0o600)
    for place in range(4096, len(content), 4096):
        database.write_bytes(content[:place] + b"\xee" * 2048 + content[place + 2048 :])
        for words in (["report"], ["eval", "--queries", str(file)], ["releases"]):
            done = trained.run_at_all(*words)
            assert "Traceback" not in done.stderr
            if done.returncode:
                assert done.returncode in (1, 2)
                assert f"release {trained.current().id}" in done.stderr or "has no section" in done.stderr


def test_a_report_that_is_missing_says_so_and_nothing_else_breaks(trained: "Crystal") -> None:
    (trained.current().folder / "report.json").unlink()
    assert "No such file" in trained.run("report", code=1).stderr
    assert trained.current().id in trained.run("releases").stdout
    assert trained.current().id in trained.run("status").stdout


def test_the_report_of_a_real_release_by_meaning_and_by_words(crystal: "Crystal") -> None:
    crystal.run("train")
    by_meaning = crystal.current().id
    said = crystal.run("report").stdout
    assert f"release     {by_meaning}" in said
    assert "ranker      by words" not in said
    crystal.environ |= NO_ENCODER
    crystal.run("train")
    assert crystal.current().id != by_meaning
    assert "ranker      by words: trained without an encoder" in crystal.run("report").stdout
    assert crystal.run("report", by_meaning[:20]).stdout == said
    facts = crystal.json("report")
    assert (facts["release"], facts["encoder_id"], facts["lessons"]) == (crystal.current().id, None, 0)
    assert facts["report"]["ranking"] is None
    assert "no release 'zzz'" in crystal.run("report", "zzz", code=78).stderr


def test_before_the_first_training_there_is_nothing_to_report_or_ask(crystal: "Crystal") -> None:
    for words in (["report"], ["eval"]):
        assert "no model yet" in crystal.run(*words, code=78).stderr
    assert not crystal.folder.exists()


# Figures


def test_a_section_counts_once_and_for_the_narrowest_gold() -> None:
    found = [("a.md", "x"), ("b.md", "y"), ("a.md", "x"), ("a.md", "yy")]
    assert ranks_of(["a.md#y", "b.md"], found) == [2, 3]
    assert ranks_of(["a.md", "a.md#x"], found) == [1, 3]
    assert ranks_of(["c.md"], found) == []


def test_the_figures_of_ranks() -> None:
    assert (recall([3], 2), recall([3], 3), recall([], 3)) == (0, 1, 0)
    assert (reciprocal_rank([4, 5]), reciprocal_rank([11]), reciprocal_rank([4], 3)) == (0.25, 0, 0)
    assert ndcg([1, 2], 2) == 1
    assert ndcg([2], 1) == pytest.approx(0.6309, abs=1e-4)
    assert ndcg([2], 1, depth=1) == 0


# Questions from a file


def test_a_line_is_golds_and_phrasings_and_the_rest_is_passed_over() -> None:
    text = "# a comment\n\nops/logs.md#rot|install.md ;; how do they rotate? ;; too many logs\n  # another\ninstall.md#steps;;how?\n"
    assert needs_of(text, SECTIONS) == [
        Need(("ops/logs.md#rot", "install.md"), ("how do they rotate?", "too many logs")),
        Need(("install.md#steps",), ("how?",)),
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("\nops/logs.md#rotatoin ;; x", "2: the release has no section 'ops/logs.md#rotatoin'; the nearest: ops/logs.md#rotation"),
        ("op/logs.md#rotation ;; x", "1: the release has no section 'op/logs.md#rotation'; the nearest: ops/logs.md#rotation"),
        ("install.md|nowhere.md ;; x", "1: the release has no section 'nowhere.md'; the nearest: "),
        ("|install.md ;; x", "1: the release has no section ''"),
        ("install.md", "1: write PATH#ANCHOR|… ;; question"),
        ("install.md ;; ", "1: write PATH"),
        ("install.md ;; how? ;; ", "1: write PATH"),
        ("install.md ;; ?!", "1: write PATH"),
        ("", "1: there is no question in it"),
        ("# only a comment", "1: there is no question in it"),
        ("\x1b[2J ;; x", "1: the release has no section '\\x1b[2J'"),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_used_is_named_with_the_nearest_section(text: str, problem: str) -> None:
    with pytest.raises(QuestionsError) as caught:
        needs_of(text, SECTIONS)
    assert str(caught.value).startswith(problem)


def test_a_prefix_in_a_file_means_all_sections_that_begin_so_and_a_pinned_one_only_itself() -> None:
    sections = [("a.md", "logs-1"), ("a.md", "logs")]
    assert Need(("a.md#logs",), ("q",)).ranks(sections) == [1]
    assert Need(("a.md#logs",), ("q",), exact=True).ranks(sections) == [2]
    assert Need(("a.md#",), ("q",), exact=True).ranks([*sections, ("a.md", "")]) == [3]


# Asking


class Finds:
    """A ranker that finds these sections, whatever is asked; `sure` of them or not."""

    def __init__(self, *anchors: str, sure: bool = True) -> None:
        self._anchors, self._sure = anchors, sure

    def __call__(self, question: str, *, floor: bool) -> list[Passage]:
        if floor and not self._sure:
            return []
        return [Passage("/docs", "a.md", 1, 2, anchor, "", "", question, 1.0) for anchor in self._anchors]


def test_what_is_no_good_match_is_ranked_all_the_same_and_counted() -> None:
    needs = [Need(("a.md#y",), ("one", "two")), Need(("a.md#x",), ("three",))]
    result = held("kind", needs, 10, Finds("x", "y", sure=False), Finds("y", "x"))
    assert (result.needs, result.questions) == (2, 3)
    assert (result.words.r1, result.words.refused) == (0.3333, 3)
    assert result.ranker is not None
    assert (result.ranker.r1, result.ranker.refused) == (0.6667, 0)
    assert result.gain is not None
    assert result.gain.low <= result.gain.mean <= result.gain.high
    assert result.gain.mean == pytest.approx(result.ranker.ndcg - result.words.ndcg, abs=1e-3)


def test_of_fewer_places_than_five_there_is_no_recall_at_five() -> None:
    result = held("kind", [Need(("a.md#y",), ("one",))], 3, Finds("x", "y"), None)
    assert (result.words.r5, result.ranker, result.gain) == (None, None, None)


def test_questions_of_a_file_are_asked_by_words_and_by_the_ranker(trained: "Crystal") -> None:
    file = trained.docs.parent / "questions.txt"
    file.write_text("ops/logs.md#rotation ;; journal rotates ;; trimming what was written down\n")
    facts = trained.json("eval", "--queries", str(file))
    (kind,) = facts["kinds"]
    assert (kind["kind"], kind["needs"], kind["questions"]) == (str(file), 1, 2)
    assert kind["words"]["r1"] >= 0.5
    shown = trained.run("eval", "--queries", str(file), "-k", "3").stdout
    assert f"{file}: 2 questions about 1 needs" in shown
    assert "nDCG@3" in shown
    assert "R@5" not in shown


def test_without_an_encoder_it_is_asked_by_words_and_says_so(crystal: "Crystal") -> None:
    crystal.run("train")
    crystal.run("golden", "add", "how do logs rotate?", "logs.md#rotation")
    asked = crystal.json("eval")
    assert asked["lexical"] is None
    assert asked["kinds"][0]["kind"] == "golden"
    assert asked["kinds"][0]["gain"] is not None
    crystal.environ |= NO_ENCODER
    done = crystal.run("eval")
    assert "by words only: /nowhere/model.onnx: No such file" in done.stderr
    assert "95 %" not in done.stdout
    assert crystal.json("eval")["kinds"][0]["ranker"] is None


def test_what_was_called_good_is_asked_apart_from_what_was_not_learned_yet(trained: "Crystal") -> None:
    assert "there is no question to ask" in trained.run("eval", code=78).stderr
    trained.run("ask", "--lexical", "frobnicator")
    answer = json.loads((trained.folder / "answers.jsonl").read_text())["id"]
    trained.run("feedback", answer, "good")
    assert [kind["kind"] for kind in trained.json("eval")["kinds"]] == ["unheard"]
    before = trained.current().id
    trained.run("train")
    assert [kind["kind"] for kind in trained.json("eval")["kinds"]] == ["learned"]
    older = trained.json("eval", "--release", before)
    assert (older["release"], older["kinds"][0]["kind"]) == (before, "unheard")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"ops/logs.md#rotaton ;; x\n", ":1: the release has no section 'ops/logs.md#rotaton'; the nearest: ops/logs.md#rotation"),
        (b"\xff\xfe\n", " is not UTF-8: save it as UTF-8"),
        (b"", ":1: there is no question in it: write PATH#ANCHOR ;; question"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used_is_one_line_and_exit_2(
    trained: "Crystal", content: bytes, problem: str
) -> None:
    file = trained.docs.parent / "questions.txt"
    file.write_bytes(content)
    done = trained.run("eval", "--queries", str(file), code=2)
    assert done.stderr.splitlines() == [f"Error: {file}{problem}"]
    assert done.stdout == ""
    trained.run("eval", "--queries", str(file.parent / "nowhere.txt"), code=2)
