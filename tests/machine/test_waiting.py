from __future__ import annotations

import pytest

from machine.waiting import eventually


def test_the_first_true_answer_is_returned() -> None:
    answers = iter([None, "", "there", "too late"])
    assert eventually(lambda: next(answers), within=5, saying="it is there", every=0) == "there"


def test_a_claim_is_asked_once_even_without_time() -> None:
    assert eventually(lambda: True, within=0, saying="it holds at once")


def test_a_failure_says_what_did_not_happen_and_adds_what_helps() -> None:
    with pytest.raises(AssertionError, match=r"not within 0 s: the marker is written .*0\)\nlast words"):
        eventually(lambda: 0, within=0, saying="the marker is written", also=lambda: "last words")


def test_a_broken_claim_is_not_waited_for() -> None:
    with pytest.raises(ZeroDivisionError):
        eventually(lambda: 1 // 0, within=60, saying="it never gets here")
