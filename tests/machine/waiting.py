"""The one place where the tests wait for the real world.

A claim is asked again and again until it holds or its time is over; then the test fails with the sentence that says
what didn't happen. No test sleeps for a fixed time: too short is a flaky test, too long a slow one.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def eventually(
    claim: Callable[[], T | None],
    within: float,
    saying: str,
    *,
    every: float = 0.1,
    also: Callable[[], str] | None = None,
) -> T:
    """Return the claim's first truthy answer.

    `saying` completes "within N s:". `also` is asked on failure only, for what helps to understand it (a journal's
    tail). An exception in the claim is not waited away: a broken question never gets a right answer.
    """
    deadline = time.monotonic() + within
    while True:
        answer = claim()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            more = f"\n{also()}" if also else ""
            raise AssertionError(f"not within {within:g} s: {saying} (the last answer was {answer!r}){more}")
        time.sleep(every)
