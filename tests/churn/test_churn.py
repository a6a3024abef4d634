"""The laws on a real file system, whatever happens to it. More of it, for as long as one likes:

cd tests; ../.venv/bin/python -m churn --seconds 3600
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from churn.facts import Deed, Record, Run, Timeline, Training
from churn.grounds import IMPOSSIBLE, QUEUE
from churn.oracle import Laws
from churn.truth import Truth
from needs import lacking

TESTS = Path(__file__).parent.parent
SECONDS = float(os.environ.get("CHURN_SECONDS", "15"))


@pytest.mark.timeout(SECONDS + 300)
@pytest.mark.parametrize(
    ("ground", "seed"),
    [("heard", 1), ("mounts", 2), ("limits", 3), ("mortal", 4), ("heard", None)],
)
def test_nothing_is_lost_and_nothing_is_trained_for_nothing(ground: str, seed: int | None) -> None:
    seed = random.SystemRandom().randrange(10**9) if seed is None else seed
    words = ["--seed", str(seed), "--ground", ground, "--seconds", str(SECONDS)]
    done = subprocess.run(
        [sys.executable, "-m", "churn", *words], cwd=TESTS, capture_output=True, text=True, check=False
    )
    print(done.stderr)
    if done.returncode == IMPOSSIBLE:
        lacking(done.stderr.strip())
    assert done.returncode == 0, done.stderr


def test_the_length_of_the_kernel_s_queue_is_what_it_was() -> None:
    assert int(QUEUE.read_text(encoding="ascii")) > 16


# ---- the oracle itself --------------------------------------------------------------------------

A, B = Truth(True, {b"a": "1"}, {b"a": (1, 1, 1, 1)}), Truth(True, {b"a": "2"}, {b"a": (1, 2, 1, 2)})
LAWS = Laws(b"/nowhere", cooldown=10.0, deaf=False)


def run(name: str, began: float, truth: Truth, *, outcome: str = "succeeded") -> Run:
    """A run that began to look at `began` and read one second later, for a second."""
    training = Training(name, began + 1, began + 2, truth.present, truth.obscure, truth.files)
    return Run(training, Record(name, began, began + 2, outcome))


def deed(began: float, before: Truth, after: Truth) -> Deed:
    return Deed(0, "a deed", began, began, before, after, hearing=True)


def broken(*runs: Run, deeds: tuple[Deed, ...] = ()) -> list[str]:
    return list(LAWS.broken(list(runs), Timeline(list(deeds)), []))


def test_it_sees_what_the_last_good_run_has_not_read() -> None:
    runs = [run("good", 0, A), run("bad", 20, B, outcome="failed")]
    assert LAWS.owed(B, runs, Timeline()) == {b"a"}
    assert LAWS.owed(A, runs, Timeline()) == set()


def test_it_sees_what_changed_while_it_was_read_and_changed_back() -> None:
    back = Truth(True, A.files, {b"a": (1, 3, 1, 3)})
    timeline = Timeline([deed(-1, A, A), deed(1.2, A, B), deed(1.4, B, back)])
    assert LAWS.owed(back, [run("good", 0, A)], timeline) == {b"a"}


def test_it_sees_a_run_for_nothing() -> None:
    assert "trained what" in broken(run("one", 0, A), run("two", 100, A))[0]
    assert (
        "trained what"
        in broken(run("one", 0, A), run("failed", 50, B, outcome="failed"), run("two", 100, A))[0]
    )


def test_it_excuses_a_run_whose_content_was_in_doubt() -> None:
    assert not broken(run("one", 0, A), run("two", 100, A), deeds=(deed(1.5, A, A),))
    assert not broken(run("one", 0, A), run("lost", 50, B, outcome="interrupted"), run("two", 100, A))
    assert not broken(run("one", 0, A), run("two", 100, A), deeds=(deed(99, A, B), deed(100.5, B, A)))


def test_it_sees_a_run_inside_the_cooldown_and_one_beside_another() -> None:
    assert "cooldown" in broken(run("one", 0, A), run("two", 8, B))[0]
    beside = Training("two", 100, 101, present=True, obscure=False, files=B.files, beside=True)
    assert "beside" in broken(run("one", 0, A), Run(beside, None))[0]
