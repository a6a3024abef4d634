"""The feedback log: append-only, durable, readable after a crash, and free of every dependency."""

import errno
import json
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

import knowledge_platform
from knowledge_platform import FeedbackLogger
from knowledge_platform.clock import Clock
from knowledge_platform.feedback.log import login_name
from knowledge_platform.settings import QUERY_LIMIT

if TYPE_CHECKING:
    from knowledge_platform.conftest import Crystal


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
        "user": login_name(),
        "heading": None,
        "digest": None,
        "correct_heading": None,
        "correct_digest": None,
    }
    assert feedback.path == feedback.path.parent.parent / "feedback" / "events.jsonl"


def test_events_come_back_in_order_and_unharmed(feedback: FeedbackLogger) -> None:
    queries = ["one", "two\nlines", "日本 🚀", "a\u2028b", '"quoted"', "\udcff"]
    logged = [feedback.log(query=query, section="a.md#b", verdict="good") for query in queries]
    assert list(feedback.iter()) == logged


def test_no_log_yet_is_no_feedback(feedback: FeedbackLogger) -> None:
    assert list(feedback.iter()) == []
    assert list(feedback.pairs()) == []


GARBAGE = [
    b'{"schema": 1, "id": "x', b'{"schema": 1}', b"\xff\x00", b"\x00" * 5000, b"[]", b"null", b"7", b"[" * 100_000,
    b'{"schema": 1, "id": "x", "at": "2026-11-23T20:00:00+00:00", "query": 7, "section": "a#b", "verdict": "good"}',
    b'{"schema": 1, "id": "x", "at": "yesterday", "query": "q", "section": "a#b", "verdict": "good"}',
    b'{"schema": 1, "id": "x", "at": "2026-11-23T20:00:00", "query": "q", "section": "a#b", "verdict": "good"}',
    b'{"schema": 1, "id": "x", "at": "2026-11-23T20:00:00+00:00", "query": "q", "section": "a#b", "verdict": "fine"}',
]  # fmt: skip


@pytest.mark.parametrize("torn", GARBAGE, ids=lambda torn: ascii(torn[:30]) + str(len(torn)))
def test_a_torn_line_is_passed_over_and_spoils_no_later_one(feedback: FeedbackLogger, torn: bytes) -> None:
    first = feedback.log(query="one", section="a.md#b", verdict="good")
    with feedback.path.open("ab") as file:
        file.write(torn)
    assert list(feedback.iter()) == [first]
    second = feedback.log(query="two", section="a.md#b", verdict="good")
    assert list(feedback.iter()) == [first, second]


def test_an_event_from_before_users_and_digests_is_still_read(feedback: FeedbackLogger) -> None:
    feedback.path.parent.mkdir()
    feedback.path.write_text(
        '{"schema": 1, "id": "0f", "at": "2026-11-01T20:00:00+00:00", "query": "q", "section": "a.md#b", "verdict": "bad", '
        '"answer_id": null, "correct": "a.md#c"}\n'
    )
    (event,) = feedback.iter()
    assert (event.query, event.correct, event.user, event.digest) == ("q", "a.md#c", None, None)


def test_a_field_that_was_added_later_is_passed_over_and_its_event_is_read(feedback: FeedbackLogger) -> None:
    event = feedback.log(query="q", section="a.md#b", verdict="good")
    line = json.loads(feedback.path.read_text())
    feedback.path.write_text(json.dumps({**line, "mood": "fine"}) + "\n")
    assert list(feedback.iter()) == [event]


def test_the_user_is_the_login_name_unless_named(feedback: FeedbackLogger) -> None:
    feedback.log(query="q", section="a.md#b", verdict="good")
    feedback.log(query="q", section="a.md#b", verdict="good", user="ada")
    assert [event.user for event in feedback.iter()] == [login_name(), "ada"]


@pytest.mark.parametrize("name", ["query", "section", "correct", "answer_id", "user", "heading", "digest"])
def test_a_text_over_the_limit_is_refused_and_not_logged(feedback: FeedbackLogger, name: str) -> None:
    words: dict[str, Any] = {"query": "q", "section": "a.md#b", "verdict": "good"}
    feedback.log(**{**words, name: "x" * QUERY_LIMIT})
    with pytest.raises(ValueError, match=f"{name} has 1048576 characters, 4096 are the most"):
        feedback.log(**{**words, name: "x" * 2**20})
    assert len(list(feedback.iter())) == 1


def test_the_log_is_for_its_owner(feedback: FeedbackLogger) -> None:
    feedback.log(query="q", section="a.md#b", verdict="good")
    assert stat.S_IMODE(feedback.path.stat().st_mode) == 0o600


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


def test_many_threads_lose_nothing(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        for number in range(200):
            pool.submit(FeedbackLogger(tmp_path).log, query=f"q{number}", section="a.md#b", verdict="good")
    assert {event.query for event in FeedbackLogger(tmp_path).iter()} == {
        f"q{number}" for number in range(200)
    }


WRITER = """
import os, sys
from itertools import count, islice
from knowledge_platform import FeedbackLogger
feedback = FeedbackLogger()
for number in islice(count(), 200 if sys.argv[1] > "3" else None):
    query = f"{sys.argv[1]} {number} " + "x" * 3000
    feedback.log(query=query, section="a.md#b", verdict="good")
    os.write(1, f"{sys.argv[1]} {number}\\n".encode())
"""


def test_eight_writers_of_which_four_are_killed_lose_nothing_that_they_were_told_is_logged(
    tmp_path: Path,
) -> None:
    random = Random(20261125)  # noqa: S311 - the same points each time
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(number)],
            env={**os.environ, "CRYSTAL_STORE": str(tmp_path)}, stdout=subprocess.PIPE, bufsize=0,
        )
        for number in range(8)
    ]  # fmt: skip
    told: list[str] = []
    for writer in writers[:4]:
        assert writer.stdout is not None
        # Each dies somewhere in what follows the event that it tells of here, while the others write.
        told += [writer.stdout.readline().decode().strip() for _ in range(random.randrange(1, 150))]
        writer.kill()
    for writer in writers:
        told += writer.communicate(timeout=250)[0].decode().splitlines()
    assert [writer.returncode for writer in writers] == [-9] * 4 + [0] * 4
    logged = [event.query for event in FeedbackLogger(tmp_path).iter()]
    assert {" ".join(query.split()[:2]) for query in logged} >= set(told)
    assert len(told) >= 4 * 200
    assert all(query.endswith("x" * 3000) for query in logged)
    assert len(set(logged)) == len(logged) <= len(told) + 4, "at most the one that each was at when it died"


FILLER = """
import sys
from knowledge_platform import FeedbackLogger
feedback, logged = FeedbackLogger(), 0
try:
    while True:
        feedback.log(query="x" * 1000, section="a.md#b", verdict="good")
        logged += 1
except OSError as error:
    print(type(error).__name__, error.errno, logged == len(list(feedback.iter())) > 50)
"""


def test_on_a_full_disk_an_event_is_refused_and_the_log_stays_whole(crystal: "Crystal") -> None:
    done = crystal.on_tmpfs(
        "192k",
        f"""head -c 60000 /dev/zero > "$CRYSTAL_STORE/ballast"
        {sys.executable} -c '{FILLER}'
        rm "$CRYSTAL_STORE/ballast"
        {sys.executable} -c 'if True:
            from knowledge_platform import FeedbackLogger
            before = len(list(FeedbackLogger().iter()))
            FeedbackLogger().log(query="q", section="a.md#b", verdict="good")
            events = list(FeedbackLogger().iter())
            print(len(events) - before, events[-1].query)'
        """,
    )
    assert done.stdout.splitlines() == [f"OSError {errno.ENOSPC} True", "1 q"], done.stderr


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
