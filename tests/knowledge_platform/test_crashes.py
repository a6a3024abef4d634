"""Whatever ends a training, what was deployed goes on answering."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from knowledge_platform.conftest import Crystal

MURDER = Path(__file__).with_name("murder.py")


def murder(crystal: "Crystal", *words: str, number: str = "SIGKILL") -> int:
    done = subprocess.run(
        [sys.executable, MURDER, number, crystal.folder, "journal rotates", *words],
        env=crystal.environment(), text=True, capture_output=True, check=False, timeout=250,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return int(done.stdout)


def test_a_training_killed_at_any_point_leaves_the_model_answering(trained: "Crystal") -> None:
    assert murder(trained, "train", "--full") >= 250


def test_a_first_training_killed_at_any_point_leaves_no_model_or_a_whole_one(crystal: "Crystal") -> None:
    assert murder(crystal, "train", "--full") >= 250


def test_a_training_asked_to_stop_at_any_point_answers_and_leaves_nothing_behind(trained: "Crystal") -> None:
    assert murder(trained, "train", "--full", number="SIGTERM") >= 250
    assert trained.current().id == trained.store.all()[-1].id


def test_a_rollback_killed_at_any_point_leaves_the_model_answering(trained: "Crystal") -> None:
    first = trained.current().id
    trained.train("--full")
    assert murder(trained, "rollback", first) > 10
    assert (trained.current().id, trained.store.pinned()) == (first, first)
    assert murder(trained, "unpin") > 5
    assert trained.store.pinned() is None
    trained.train("--full")
    assert not list(trained.folder.glob(".*")), "the next training clears temporaries up"


def test_a_second_training_is_turned_away_and_told_who_trains(trained: "Crystal") -> None:
    from knowledge_platform.store.infra import training_lock

    with training_lock(trained.store):
        done = trained.run("train", "--full", code=75)
    assert f"pid {os.getpid()}" in done.stderr
    assert trained.train("--full")["result"] == "succeeded"


def deaf_to_nothing() -> None:
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def start(crystal: "Crystal") -> subprocess.Popen[str]:
    """A training in the middle of its ingest: one that takes seconds, on documents that take the parser so long."""
    for number in range(20):
        crystal.write(
            f"long/{number}.md", "".join(f"## Heading {n} of {number}\n\n- text\n" for n in range(3000))
        )
    child = subprocess.Popen(
        crystal.argv("train"),
        env=crystal.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        # A shell's background jobs ignore Ctrl-C, what nohup runs a hang-up, and so do their children: not this one,
        # whoever runs the tests.
        preexec_fn=deaf_to_nothing,  # noqa: PLW1509 - there are no threads
    )
    assert child.stderr is not None
    for line in child.stderr:
        if line.startswith("[2/6]"):
            return child
    raise AssertionError("the training ended before its second phase")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)]
)
def test_a_training_that_is_asked_to_stop_stops_cleanly(
    trained: "Crystal", tmp_path: Path, number: signal.Signals, code: int
) -> None:
    before = trained.current().id
    path = tmp_path / "status.json"
    trained.environ["TRAINING_STATUS_FILE"] = str(path)
    child = start(trained)
    child.send_signal(number)
    _, said = child.communicate(timeout=60)
    assert child.returncode == code
    assert said.splitlines()[-1] == f"crystal: stopped by {number.name}"
    status = json.loads(path.read_text())
    assert (status["result"], status["error"]) == ("failed", f"stopped by {number.name}")
    assert [release.name for release in trained.store.releases.iterdir()] == [before]
    assert trained.current().id == before
    assert "stopped by" in trained.run("status").stdout


def test_two_trainings_at_once_are_one_training(trained: "Crystal") -> None:
    child = start(trained)
    assert f"pid {child.pid}" in trained.run("train", code=75).stderr
    child.kill()
    child.communicate(timeout=60)
    assert trained.store.current() is not None


def test_a_file_that_may_not_grow_further_is_one_line_and_changes_nothing(trained: "Crystal") -> None:
    before = trained.current().id
    trained.write("big.md", "# Big\n\n" + "a line of text that takes some room\n" * 20_000)
    done = subprocess.run(
        ["sh", "-c", 'ulimit -f 400; exec "$@"', "sh", *trained.argv("train")],
        env=trained.environment(), text=True, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last.startswith("crystal: the training could not write")
    assert "goes on answering" in last
    assert [release.name for release in trained.store.releases.iterdir()] == [before]
    assert trained.ask("journal rotates")


def test_a_disk_that_fills_up_during_the_training_is_one_line_and_changes_nothing(crystal: "Crystal") -> None:
    big = crystal.docs.parent / "big.md"
    big.write_text(
        "# Big\n\n```\n"
        + "".join(f"{'some words ' * 10}in line {n} of a log file\n" for n in range(90_000))
        + "```\n"
    )
    done = crystal.on_tmpfs(
        "18m",
        'crystal train && mv big.md docs/ 2>/dev/null || mv "$CRYSTAL_DOCS/../big.md" "$CRYSTAL_DOCS/"; crystal train; echo "exit $?"; '
        'ls "$CRYSTAL_STORE/releases" -A | wc -l; crystal ask "journal rotates"',
    )
    lines = done.stdout.splitlines()
    assert lines[1:3] == ["exit 1", "1"], done.stdout + done.stderr
    assert "ops/logs.md:5-7" in done.stdout
    assert "crystal: the training could not write" in done.stderr
    assert "database or disk is full" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_disk_that_is_full_at_any_point_of_a_training_is_one_line_and_changes_nothing(
    crystal: "Crystal",
) -> None:
    """It grows by a little until all fits, so what doesn't fit is the passages at first, then the index, and what comes after at last."""
    for name in ("big1.md", "big2.md"):
        (crystal.docs.parent / name).write_text(f"# {name}\n\n" + "a line of one passage " * 450_000)
    done = crystal.on_tmpfs(
        "64m",
        """
        crystal train && mv "$CRYSTAL_DOCS"/../big?.md "$CRYSTAL_DOCS/"
        said=$CRYSTAL_DOCS/../said
        full=$(( $(du -sk "$CRYSTAL_STORE" | cut -f1) + 16400 ))
        while true; do
            mount -o remount,size=${full}k "$CRYSTAL_STORE"
            crystal train 2>$said >/dev/null; code=$?
            echo "$code $(crystal ask --lexical -k 1 "journal rotates" | head -1) $(ls -A "$CRYSTAL_STORE/releases" | wc -l) $(grep -c Traceback $said) $(tail -1 $said)"
            [ $code = 1 ] || break
            full=$((full + 350))
        done
        crystal ask -k 1 "journal rotates" | head -1
        """,
    )
    *attempts, last, answer = [line for line in done.stdout.splitlines() if not line.startswith("deployed")]
    assert len(attempts) >= 20, done.stdout + done.stderr
    for attempt in attempts:
        assert re.match(
            r"1 \S*ops/logs.md:5-7  Logs > Rotation 1 0 crystal: the training could not write", attempt
        ), attempt
    assert re.match(r"0 \S*ops/logs.md:5-7  Logs > Rotation 2 0 ", last)
    assert answer.endswith("ops/logs.md:5-7  Logs > Rotation")


def test_too_small_a_disk_is_seen_before_anything_is_done(crystal: "Crystal") -> None:
    done = crystal.on_tmpfs("1m", 'crystal train; echo "exit $?"')
    assert done.stdout == "exit 1\n"
    assert "not enough disk space" in done.stderr
