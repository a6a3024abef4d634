"""Releases: immutable, swapped in one step, kept in number, rolled back and pinned."""

import contextlib
import json
import re
import sqlite3
import stat
import threading
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from knowledge_platform.asking.ask import ask
from knowledge_platform.deployment import publish
from knowledge_platform.errors import RefusedError, SmokeError
from knowledge_platform.gate.evaluation import evaluate
from knowledge_platform.meaning.encoder import ENCODER_ID
from knowledge_platform.progress import Progress
from knowledge_platform.store.releases import Release, Store, digest, next_id
from knowledge_platform.words.search import opened, search

if TYPE_CHECKING:
    from knowledge_platform.conftest import Crystal


def test_a_release_holds_what_it_was_made_from_and_the_digest_of_every_file(trained: "Crystal") -> None:
    release = trained.current()
    manifest = release.manifest()
    names = {"chunks.sqlite", "report.json", "sections.npy", "starts.npy", "vectors.npy"}
    assert {file.name for file in release.folder.iterdir()} == {"manifest.json", *names}
    assert manifest["files"] == {name: digest(release.folder / name) for name in names}
    assert manifest["documents"][0] == {
        "root": str(trained.docs),
        "path": "install.md",
        "sha256": digest(trained.docs / "install.md"),
        "size": (trained.docs / "install.md").stat().st_size,
        "stale": None,
    }
    assert (manifest["schema"], manifest["parent"], manifest["encoder_id"]) == (1, None, ENCODER_ID)
    trained.train("--full")
    assert trained.current().manifest()["parent"] == release.id


def test_no_file_of_a_release_can_be_written(trained: "Crystal") -> None:
    for file in trained.current().folder.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o444


def test_five_releases_are_kept(trained: "Crystal") -> None:
    made = [trained.train("--full")["release"] for _ in range(6)]
    assert [release.id for release in trained.store.all()] == made[-5:]


def test_the_pinned_release_outlives_the_five(trained: "Crystal") -> None:
    first = trained.current().id
    trained.train("--full")
    trained.run("rollback", first)
    for _ in range(6):
        trained.train("--full")
    assert first in [release.id for release in trained.store.all()]
    assert trained.current().id == first
    assert len(trained.store.all()) == 5


def test_rollback_goes_one_back_and_a_training_does_not_undo_it(trained: "Crystal") -> None:
    first = trained.current().id
    trained.write("more.md", "# More\n\nxylophone\n")
    second = trained.train()["release"]
    assert first in trained.run("rollback").stdout
    assert trained.ask("xylophone") == []
    assert trained.train()["result"] == "up-to-date", "the newest release has these documents already"
    trained.write("more.md", "# More\n\nglockenspiel\n")
    outcome = trained.train()
    assert (outcome["deployed"], outcome["pinned"]) == (False, first)
    assert trained.current().id == first
    status = trained.json("status")
    assert (status["pinned"], status["release"]["id"]) == (first, first)
    assert second != outcome["release"]
    assert outcome["release"] in trained.run("unpin").stdout
    assert trained.ask("glockenspiel")
    assert "nothing was pinned" in trained.run("unpin").stdout


def test_rolling_back_again_goes_further_back(trained: "Crystal") -> None:
    made = [trained.current().id, trained.train("--full")["release"], trained.train("--full")["release"]]
    trained.run("rollback")
    assert trained.current().id == made[1]
    trained.run("rollback")
    assert trained.current().id == made[0]
    assert "no release older" in trained.run("rollback", code=78).stderr


@pytest.mark.parametrize("name", ["nonsense", "../..", "", "2"])
def test_rolling_back_to_no_one_release_changes_nothing(trained: "Crystal", name: str) -> None:
    trained.train("--full")
    before = trained.current().id
    trained.run("rollback", name, code=78)
    assert trained.current().id == before
    assert trained.store.pinned() is None


def test_rollback_does_not_wait_for_a_training(trained: "Crystal") -> None:
    from knowledge_platform.store.infra import training_lock

    first = trained.current().id
    trained.train("--full")
    with training_lock(trained.store):
        trained.run("rollback")
    assert trained.current().id == first


def test_releases_are_listed_with_their_marks(trained: "Crystal") -> None:
    trained.train("--full")
    listed = trained.json("releases")
    assert [(r["current"], r["previous"], r["pinned"]) for r in listed] == [
        (True, False, False),
        (False, True, False),
    ]
    assert all(r["files"] == 2 and r["chunks"] == 5 and r["bytes"] > 0 for r in listed)
    assert trained.run("releases").stdout.splitlines()[0].endswith("2 files, 5 chunks  current")


def test_ids_sort_in_the_order_of_training_even_when_the_clock_goes_back(tmp_path: Path) -> None:
    now = datetime(2026, 11, 23, 20, 5, 12, tzinfo=timezone(timedelta(hours=-8)))
    first = next_id(now, None, b"\xff\xff\xff\xff")
    assert first == "20261124T040512Z-ffffffff"
    names = [first]
    for earlier in (0, 1, 3600, 10**8):
        newest = Release(tmp_path / names[-1])
        names.append(next_id(now.astimezone(UTC) - timedelta(seconds=earlier), newest, b"\x00\x00\x00\x00"))
    assert names == sorted(names)
    assert len(set(names)) == len(names)


def test_a_reader_during_swaps_always_gets_an_answer(trained: "Crystal") -> None:
    trained.train("--full")
    store = trained.store
    first, second = store.all()
    answers: list[str] = []
    problems: list[BaseException] = []
    over = threading.Event()

    def read() -> None:
        try:
            while not over.is_set():
                answer = ask(Store(store.folder), "where is the journal?", 3)
                assert answer.passages
                answers.append(answer.release)
        except BaseException as problem:  # noqa: BLE001 - handed to the test
            problems.append(problem)

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(500):
        with store.swapping():
            store.swap(second if number % 2 == 0 else first)
    over.set()
    reader.join()
    assert problems == []
    assert set(answers) == {first.id, second.id}


def test_a_release_that_is_pruned_while_it_is_opened_is_asked_no_more(trained: "Crystal") -> None:
    looks = [Release(trained.store.releases / "20000101T000000Z-00000000"), trained.current()]

    class Late(Store):
        """A store whose link is looked at just before five trainings end."""

        def answering(self) -> Release:
            return looks.pop(0)

    assert ask(Late(trained.folder), "where is the journal?", 3).passages
    assert looks == []


def test_a_lost_link_costs_no_release(trained: "Crystal") -> None:
    first = trained.current().id
    (trained.folder / "current").unlink()
    second = trained.train()["release"]
    assert [release.id for release in trained.store.all()] == [first, second]
    assert trained.current().id == second


def test_a_release_whose_deployment_was_interrupted_is_cleared_up(trained: "Crystal") -> None:
    first = trained.current()
    orphan = trained.store.releases / "29990101T000000Z-00000000"
    orphan.mkdir()
    for file in first.folder.iterdir():
        (orphan / file.name).write_bytes(file.read_bytes())
    assert "its deployment was interrupted" in trained.run("train").stderr
    assert [release.id for release in trained.store.all()] == [first.id]


def by_words(_: Release, database: sqlite3.Connection, question: str) -> bool:
    return bool(search(database, question, 1, floor=0.0))


def test_a_release_that_does_not_answer_is_taken_back(trained: "Crystal") -> None:
    before = trained.current().id
    staging = trained.store.releases / ".staging-broken"
    staging.mkdir()
    for file in trained.current().folder.iterdir():
        (staging / file.name).write_bytes(file.read_bytes())
    (staging / "chunks.sqlite").write_bytes(b"")
    with pytest.raises(SmokeError, match="answers again") as caught:
        publish(trained.store, staging, "29990101T000000Z-00000000", "Rotation", by_words)
    assert caught.value.exit_code == 4
    assert trained.current().id == before
    assert [release.id for release in trained.store.all()] == [before]
    assert trained.ask("journal rotates")


def test_a_first_release_that_does_not_answer_leaves_no_model(trained: "Crystal", tmp_path: Path) -> None:
    store = Store(tmp_path / "fresh")
    store.create()
    staging = store.releases / ".staging-1"
    staging.mkdir()
    for file in trained.current().folder.iterdir():
        (staging / file.name).write_bytes(file.read_bytes())
    with pytest.raises(SmokeError, match="nothing is deployed"):
        publish(store, staging, "29990101T000000Z-00000000", "sourdough", by_words)
    assert store.current() is None
    assert store.all() == []


@pytest.fixture
def candidate(trained: "Crystal", tmp_path: Path) -> Path:
    """A copy of the deployed database that a test may spoil."""
    copy = tmp_path / "candidate" / "chunks.sqlite"
    copy.parent.mkdir()
    copy.write_bytes((trained.current().folder / "chunks.sqlite").read_bytes())
    return copy


@pytest.mark.parametrize(
    ("harm", "complaint"),
    [
        (
            'UPDATE chunks SET start = start + 1, "end" = "end" + 1 WHERE heading = \'Rotation\'',
            "is not what lines 6-8 say",
        ),
        ("UPDATE chunks SET text = text || '.' WHERE heading = 'Steps'", "is not what lines"),
        ("INSERT INTO passages (passages) VALUES ('delete-all')", "not one of 5 headings"),
    ],
)
def test_the_gate_refuses_wrong_lines_and_an_index_that_finds_nothing(
    candidate: Path, progress: Progress, harm: str, complaint: str
) -> None:
    with contextlib.closing(sqlite3.connect(candidate)) as database:
        database.execute(harm)
        database.commit()
        with pytest.raises(RefusedError, match=complaint):
            evaluate(database, None, progress)


def test_the_gate_measures_candidate_and_deployed_on_the_same_headings(
    candidate: Path, progress: Progress
) -> None:
    with contextlib.closing(opened(Release(candidate.parent))) as database:
        report = evaluate(database, database, progress)
    assert (report.queries, report.found, report.found_deployed, report.chunks_checked) == (5, 5, 5, 5)


def test_a_file_edited_during_the_training_is_no_reason_to_refuse(
    trained: "Crystal", candidate: Path, progress: Progress
) -> None:
    trained.write("install.md", "# Rewritten\n")
    with contextlib.closing(opened(Release(candidate.parent))) as database:
        report = evaluate(database, None, progress)
    assert (report.chunks_checked, report.chunks_passed_over) == (2, 3)


def test_a_damaged_release_is_not_trained_on_further(trained: "Crystal") -> None:
    database = trained.current().folder / "chunks.sqlite"
    database.chmod(0o600)
    database.write_bytes(database.read_bytes()[:-1] + b"\x01")
    done = trained.run("train")
    assert "is damaged: everything is made anew" in done.stderr
    assert "deployed" in done.stdout
    assert trained.current().intact()


def test_status_and_releases_name_the_ranker_its_quality_and_what_there_is_to_learn_from(
    crystal: "Crystal",
) -> None:
    crystal.write_many()
    crystal.run("train")
    crystal.run("ask", "--lexical", "frobnicator")
    answer = json.loads((crystal.folder / "answers.jsonl").read_text())["id"]
    crystal.run("feedback", answer, "good")
    crystal.run("golden", "add", "how do logs rotate?", "logs.md#rotation")
    shown = crystal.run("status").stdout
    assert re.search(r"^ranker      \w.*: nDCG@10 [01]\.\d{3} on \d held-out heading", shown, re.MULTILINE)
    assert "encoder     minilm" in shown
    assert "feedback    1 verdict; the release learned 0 lessons" in shown
    assert "golden      1 query" in shown
    crystal.environ["CRYSTAL_ENCODER_PATH"] = "/nowhere/model.onnx"
    crystal.run("train")
    shown = crystal.run("status").stdout
    assert "ranker      by words\n" in shown
    assert "encoder     none, so answers go by words only: /nowhere/model.onnx: No such file" in shown
    assert "feedback    1 verdict; the release learned 1 lesson\n" in shown
    newest, oldest = crystal.json("releases")
    assert (newest["ranker"], newest["quality"], newest["lessons"]) == ("by words", None, 1)
    assert oldest["quality"].startswith("nDCG@10 ")
    facts = crystal.json("status")
    assert facts["encoder"]["id"] is None
    assert (facts["feedback"], facts["golden"]) == (1, {"queries": 1, "problem": None})
    assert "    by words\n" in crystal.run("releases").stdout


@pytest.mark.parametrize(
    "damage", [b"", b"[]", b'{"schema": 1}', b'{"schema": 1, "created_at": 3, "documents": 5}']
)
def test_what_answers_may_be_damaged_and_status_still_says_all_else(
    trained: "Crystal", damage: bytes
) -> None:
    manifest = trained.current().folder / "manifest.json"
    manifest.chmod(0o600)
    manifest.write_bytes(damage)
    (trained.folder / "golden.json").write_text("{")
    shown = trained.run("status").stdout
    assert "  damaged\n" in shown
    assert "golden.json is damaged" in shown
    assert "last run    " in shown
    assert "  damaged\n    " in trained.run("releases").stdout
    assert "error" in trained.json("releases")[0]
    assert trained.json("status")["golden"]["queries"] is None


@pytest.mark.parametrize(
    "record", [b"", b"[]", b"{}", b"null", b'{"seconds": "x", "error": "\\u001b[2J"}', b"[" * 100_000]
)
def test_a_record_of_a_run_that_makes_no_sense_stops_nothing(trained: "Crystal", record: bytes) -> None:
    (trained.folder / "runs" / "9.json").write_bytes(record)
    assert "\x1b" not in trained.run("status").stdout
