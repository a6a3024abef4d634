"""The status file and the progress that people see."""

import json
import os
import re
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowledge_platform.clock import Clock
from knowledge_platform.progress import Lines, Progress
from knowledge_platform.status import StatusFile, status_file

if TYPE_CHECKING:
    from knowledge_platform.conftest import Crystal


@dataclass
class Hours:
    """Time that passes when the test says so."""

    passed: float = 0.0
    warnings: list[str] = field(default_factory=list)

    def clock(self) -> Clock:
        start = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)
        return Clock(now=lambda: start + timedelta(seconds=self.passed), elapsed=lambda: self.passed)

    def status(self, path: Path | None) -> StatusFile:
        return StatusFile(path, invocation="abc", clock=self.clock(), warn=self.warnings.append)


def read(path: Path) -> Any:
    return json.loads(path.read_text())


def test_the_status_file_has_the_fields_of_the_contract(tmp_path: Path) -> None:
    hours, path = Hours(), tmp_path / "status.json"
    status = hours.status(path)
    assert not path.exists(), "a run that has not begun leaves no trace"
    status.phase("ingest", 3, 6)
    status.expect(150, "files")
    hours.passed = 2
    status.advance(12, 61.4)
    assert read(path) == {
        "schema": 1,
        "invocation": "abc",
        "pid": os.getpid(),
        "started_at": "2026-11-23T20:00:00+00:00",
        "updated_at": "2026-11-23T20:00:02+00:00",
        "phase": "ingest",
        "phase_number": 3,
        "phases": 6,
        "done": 12,
        "total": 150,
        "unit": "files",
        "remaining_seconds": 61,
        "message": None,
        "result": None,
        "error": None,
        "quality": None,
    }


def test_progress_is_written_at_most_once_a_second_and_phases_at_once(tmp_path: Path) -> None:
    hours, path = Hours(), tmp_path / "status.json"
    status = hours.status(path)
    status.phase("ingest", 3, 6)
    status.expect(1000, "files")
    inodes = set()
    for done in range(1000):
        hours.passed = done / 100
        status.advance(done, None)
        inodes.add((path.stat().st_ino, read(path)["done"]))
    assert len({done for _, done in inodes}) == 10
    status.phase("training", 4, 6)
    assert (read(path)["phase"], read(path)["done"]) == ("training", None)


def test_a_status_that_cannot_be_written_warns_once_and_stops_nothing(tmp_path: Path) -> None:
    hours = Hours()
    status = hours.status(tmp_path / "missing" / "status.json")
    status.phase("infra", 1, 6)
    status.phase("validation", 2, 6)
    status.finish("succeeded", message=None, error=None)
    assert len(hours.warnings) == 1
    assert "the training goes on" in hours.warnings[0]


def test_no_reader_ever_meets_a_part_of_it(tmp_path: Path) -> None:
    path, over, torn = tmp_path / "status.json", threading.Event(), []
    status = Hours().status(path)
    status.phase("infra", 1, 6)

    def look() -> None:
        while not over.is_set():
            try:
                read(path)
            except ValueError as problem:
                torn.append(problem)

    reader = threading.Thread(target=look)
    reader.start()
    for number in range(1000):
        status.phase("x" * (number % 7) * 1000, 1, 6)
    over.set()
    reader.join()
    assert torn == []
    assert os.listdir(tmp_path) == ["status.json"]


def test_without_a_path_nothing_is_written() -> None:
    hours = Hours()
    status = status_file({}, clock=hours.clock(), warn=hours.warnings.append)
    status.phase("infra", 1, 6)
    status.finish("failed", message=None, error="no")
    assert hours.warnings == []


def test_a_training_says_how_it_ended(crystal: "Crystal", tmp_path: Path) -> None:
    path = tmp_path / "status.json"
    crystal.environ |= {"TRAINING_STATUS_FILE": str(path), "INVOCATION_ID": "b8f0"}
    crystal.train()
    status = read(path)
    assert (status["result"], status["phase"], status["phase_number"], status["invocation"]) == (
        "succeeded",
        "deployment",
        6,
        "b8f0",
    )
    assert status["message"].startswith("deployed ")
    crystal.train()
    assert (read(path)["result"], read(path)["phase"]) == ("up-to-date", "validation")
    (crystal.docs / "install.md").unlink()
    crystal.run("train", code=3)
    assert read(path)["result"] == "refused"
    assert "gone" in read(path)["error"]
    (crystal.docs / "ops/logs.md").unlink()
    crystal.run("train", code=78)
    assert read(path)["result"] == "failed"


def test_a_training_that_is_turned_away_leaves_the_others_status_alone(
    crystal: "Crystal", tmp_path: Path
) -> None:
    from knowledge_platform.store.infra import training_lock

    path = tmp_path / "status.json"
    crystal.environ["TRAINING_STATUS_FILE"] = str(path)
    crystal.store.create()
    with training_lock(crystal.store):
        crystal.run("train", code=75)
    assert not path.exists()


def test_a_missing_status_folder_costs_a_warning_only(crystal: "Crystal", tmp_path: Path) -> None:
    crystal.environ["TRAINING_STATUS_FILE"] = str(tmp_path / "gone" / "status.json")
    done = crystal.run("train")
    assert done.stderr.count("can't be written") == 1


def test_a_journal_gets_one_line_a_phase_and_the_result(crystal: "Crystal") -> None:
    crystal.write_many()
    done = crystal.run("train")
    lines = done.stderr.splitlines()
    names = dict.fromkeys(
        line.partition(":")[0] for line in lines
    )  # on a slow machine a phase has more lines
    assert list(names) == [
        "[1/6] infra",
        "[2/6] validation",
        "[3/6] ingest",
        "[4/6] training",
        "[5/6] evaluation",
        "[6/6] deployment",
    ]
    assert "\r" not in done.stderr
    assert "\x1b" not in done.stderr
    how_good, last = done.stdout.splitlines()
    assert re.fullmatch(
        r"how good: nDCG@10 [01]\.\d{3} on \d held-out headings? \(untrained: [01]\.\d{3}\); more: crystal report",
        how_good,
    )
    assert last.startswith(f"deployed {crystal.current().id}: 3 files, 26 chunks, ")
    question = last.partition('crystal ask "')[2].rstrip('"')
    assert crystal.ask(question), "what the last line proposes works"


def test_a_long_phase_says_where_it_is_every_ten_seconds_or_tenth() -> None:
    hours, said = Hours(), StringIO()
    progress = Progress(Lines(said, hours.clock()), hours.status(None), hours.clock())
    progress.begin("ingest")
    progress.expect(1000, "files")
    for _ in range(150):
        hours.passed += 0.1
        progress.advance()
    assert said.getvalue().splitlines() == ["[3/6] ingest: 100 of 1000 files"]
    for _ in range(3):
        hours.passed += 10
        progress.advance()
    progress.end("all of it")
    assert said.getvalue().splitlines()[1:] == [
        "[3/6] ingest: 151 of 1000 files",
        "[3/6] ingest: 152 of 1000 files",
        "[3/6] ingest: 153 of 1000 files",
        "[3/6] ingest: all of it",
    ]


def test_a_terminal_gets_bars(crystal: "Crystal") -> None:
    text = crystal.on_terminal(crystal.argv("train"))
    assert "[3/6] ingest (files)  [" in text
    assert "100%" in text
    assert f"[6/6] deployment: {crystal.current().id} answers" in text


def test_every_phase_is_timed_in_the_record_of_the_run(trained: "Crystal") -> None:
    (record,) = (json.loads(file.read_text()) for file in (trained.folder / "runs").iterdir())
    assert list(record["phases"]) == ["infra", "validation", "ingest", "training", "evaluation", "deployment"]
    assert (record["result"], record["exit"], record["release"]) == ("succeeded", 0, trained.current().id)
    status = trained.run("status").stdout
    assert "succeeded (exit 0" in status
    assert trained.current().id in status


def test_status_names_the_running_training_and_no_other(trained: "Crystal") -> None:
    from knowledge_platform.store.infra import training_lock

    with training_lock(trained.store):
        assert trained.json("status")["training_pid"] == os.getpid()
    (trained.folder / "lock").write_text(f"{os.getpid()} 1\n")
    assert trained.json("status")["training_pid"] is None, "a pid that was given out again is another process"


def test_asking_imports_no_markdown_parser(trained: "Crystal") -> None:
    code = (
        "import sys\n"
        "from knowledge_platform.cli import main\n"
        "sys.argv = ['crystal', 'ask', 'logs']\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n"
        "    heavy = {'markdown_it', 'knowledge_platform.phases', 'importlib.metadata'} & set(sys.modules)\n"
        "    sys.exit(f'imported {heavy}' if heavy else end.code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=trained.environment(),
        text=True,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
