"""The feedback log: append-only, durable, readable after a crash, and free of every dependency."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

import knowledge_platform
from knowledge_platform import FeedbackLogger
from knowledge_platform.clock import Clock


@pytest.fixture
def feedback(tmp_path: Path) -> FeedbackLogger:
    return FeedbackLogger(
        tmp_path, clock=Clock(now=lambda: datetime(2026, 11, 23, 20, 0, tzinfo=UTC), elapsed=lambda: 0.0)
    )


def test_a_verdict_is_one_json_line_with_schema_id_and_time(feedback: FeedbackLogger) -> None:
    feedback.log(query="how?", section="a.md#b", verdict="bad", answer_id="0f0a", correct="c.md#d")
    (line,) = feedback.path.read_text().splitlines()
    event = json.loads(line)
    assert len(event.pop("id")) == 32
    assert event == {
        "schema": 1,
        "at": "2026-11-23T20:00:00+00:00",
        "query": "how?",
        "section": "a.md#b",
        "verdict": "bad",
        "answer_id": "0f0a",
        "correct": "c.md#d",
    }
    assert feedback.path == feedback.path.parent.parent / "feedback" / "events.jsonl"


def test_events_come_back_in_order_and_unharmed(feedback: FeedbackLogger) -> None:
    queries = ["one", "two\nlines", "日本 🚀", "a\u2028b", '"quoted"', "\udcff"]
    logged = [feedback.log(query=query, section="a.md#b", verdict="good") for query in queries]
    assert list(feedback.iter()) == logged


def test_no_log_yet_is_no_feedback(feedback: FeedbackLogger) -> None:
    assert list(feedback.iter()) == []
    assert list(feedback.pairs()) == []


@pytest.mark.parametrize(
    "torn", [b'{"schema": 1, "id": "x', b'{"schema": 1}', b"\xff\x00", b"[]", b"null", b"7"]
)
def test_a_torn_line_is_passed_over_and_spoils_no_later_one(feedback: FeedbackLogger, torn: bytes) -> None:
    first = feedback.log(query="one", section="a.md#b", verdict="good")
    with feedback.path.open("ab") as file:
        file.write(torn)
    assert list(feedback.iter()) == [first]
    second = feedback.log(query="two", section="a.md#b", verdict="good")
    assert list(feedback.iter()) == [first, second]


def test_events_of_a_later_schema_are_passed_over(feedback: FeedbackLogger) -> None:
    event = feedback.log(query="one", section="a.md#b", verdict="good")
    with feedback.path.open("a") as file:
        file.write(json.dumps({"schema": 2, "anything": True}) + "\n")
    assert list(feedback.iter()) == [event]


def test_pairs_are_what_was_accepted_and_the_last_word_counts(feedback: FeedbackLogger) -> None:
    feedback.log(query="q", section="a.md#1", verdict="good")
    feedback.log(query="q", section="a.md#2", verdict="bad", correct="a.md#3")
    feedback.log(query="r", section="a.md#1", verdict="good")
    feedback.log(query="r", section="a.md#1", verdict="bad")
    assert list(feedback.pairs()) == [("q", "a.md#1"), ("q", "a.md#3")]


@pytest.mark.parametrize(
    ("query", "section", "verdict"), [("q", "s", "fine"), ("", "s", "good"), ("q", " ", "bad")]
)
def test_a_verdict_that_says_nothing_is_not_logged(
    feedback: FeedbackLogger, query: str, section: str, verdict: str
) -> None:
    with pytest.raises(ValueError, match=r"verdict|query"):
        feedback.log(query=query, section=section, verdict=verdict)  # type: ignore[arg-type]
    assert not feedback.path.exists()


def test_many_writers_lose_nothing(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        for number in range(200):
            pool.submit(FeedbackLogger(tmp_path).log, query=f"q{number}", section="a.md#b", verdict="good")
    assert {event.query for event in FeedbackLogger(tmp_path).iter()} == {
        f"q{number}" for number in range(200)
    }


BARE = """
import sys
sys.path.insert(0, sys.argv[1])
from knowledge_platform import FeedbackLogger
foreign = {name.partition(".")[0] for name in sys.modules} - sys.stdlib_module_names - {"knowledge_platform", "__main__"}
assert not foreign, foreign
heavy = {"sqlite3", "asyncio", "multiprocessing", "http", "email", "ssl", "importlib.metadata"} & set(sys.modules)
assert not heavy, heavy
FeedbackLogger().log(query="q", section="a.md#b", verdict="good")
assert [event.query for event in FeedbackLogger().iter()] == ["q"]
"""


def test_logging_needs_no_package_but_this_one(tmp_path: Path) -> None:
    source = Path(knowledge_platform.__file__).parent.parent
    # -S: no site-packages; -I: no environment, no current folder.
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", BARE, source],
        env={"CRYSTAL_STORE": str(tmp_path)}, text=True, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "feedback" / "events.jsonl").exists()


def test_the_bare_check_itself_would_notice_a_third_party_import() -> None:
    source = Path(knowledge_platform.__file__).parent.parent
    spoiled = BARE.replace(
        "from knowledge_platform import FeedbackLogger", "import knowledge_platform.cli", 1
    )
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", spoiled, source],
        env={},
        text=True,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert "ModuleNotFoundError: No module named 'click'" in done.stderr
