"""The rule: when a job compares, when it starts its training, and what it waits for otherwise.

Pure: facts come in as events, time as an argument, and what is to be done goes out as an order.

    Changed  ──▶ burst ──quiet or patience──▶ Compare ──▶ pending?
    Observed ──▶ running? rested? retries left?             │
                                                            ▼
                      Wait(reason, until)  ◀── no ── all clear? ── yes ──▶ Start

The facts are independent and kept apart; the next deadline is derived from them, never stored.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from training_watch.cooldown import rest
from training_watch.events import (
    Balked,
    Changed,
    Compare,
    Compared,
    Doubted,
    Event,
    Marker,
    Moment,
    Observed,
    Order,
    Outcome,
    Pending,
    Reason,
    Run,
    Running,
    Start,
    Wait,
)

# A comparison older than this is made again right before a start, so that content which was
# reverted meanwhile starts nothing. Arbitrary: longer than the step from comparing to starting.
FRESH = 1.0
# How often a tree that git is in the middle of changing is looked at again. Arbitrary.
GIT_CHECK = 10.0
# A start that came to nothing is tried again after one minute, doubling to one hour.
BALK_FIRST = 60.0
BALK_LONGEST = 3600.0
# The exit codes by which a training says that the same content will fail again: 3, its quality gate
# refused; 78, its configuration is wrong (sysexits.h EX_CONFIG).
FINAL_STATUSES = frozenset({"3", "78"})


@dataclass(frozen=True, slots=True)
class Settings:
    """One job's times, in seconds, and its number of retries on the same content."""

    debounce: float = 300.0
    max_wait: float = 1800.0
    cooldown: float = 21600.0
    retries: int = 3


@dataclass(frozen=True, slots=True)
class Burst:
    """Changes taken as one, that have not settled yet. `held_at`: git was busy when it settled."""

    first_at: float
    last_at: float
    held_at: float | None = None


@dataclass(frozen=True, slots=True)
class State:
    """All that is known of one job. `compared_at` is None while a comparison is owed."""

    burst: Burst | None = None
    pending: Pending | None = None
    compared_at: float | None = None
    running: Running | None = None
    marker: Marker | None = None
    history: tuple[Run, ...] = ()
    obstacle: str | None = None
    balks: int = 0
    balked_at: float = 0.0
    balked_why: str = ""


def step(state: State, event: Event, settings: Settings) -> State:
    """The state after `event`."""
    match event:
        case Changed(at):
            if state.burst is None:
                return replace(state, burst=Burst(at, at))
            return replace(state, burst=replace(state.burst, last_at=max(at, state.burst.last_at)))
        case Doubted():
            return replace(state, compared_at=None)
        case Compared(at, pending, busy):
            burst = _burst_after(state.burst, at, busy, settings)
            return replace(state, burst=burst, pending=pending, compared_at=at)
        case Observed():
            return _observed(state, event)
        case Balked(at, why):
            return replace(state, balks=state.balks + 1, balked_at=at, balked_why=why)


def order(state: State, now: Moment, settings: Settings) -> Order:
    """What is to be done now. An order to wait says for what, and until when."""
    at = now.elapsed
    # In a burst nothing starts anyway: what else is in doubt is compared with it, once, when it has settled.
    if state.compared_at is None if state.burst is None else _due(state, state.burst, settings) <= at:
        return Compare()
    hindrance = _hindrance(state, now, settings)
    if hindrance is not None:
        return hindrance
    if state.compared_at is None or state.compared_at < at - FRESH:
        return Compare()
    return Start()


def failures(history: tuple[Run, ...], content: str) -> int:
    """How often this content has failed since the last success; runs that someone forced don't count."""
    return len(_failed_on(history, content))


def _hindrance(state: State, now: Moment, settings: Settings) -> Wait | None:
    """Why nothing may start now; the first of the reasons that a person would want to hear."""
    if state.running is not None:
        return Wait(Reason.RUNNING)
    if state.burst is not None:
        why = Reason.SETTLING if state.burst.held_at is None else Reason.GIT
        return Wait(why, _due(state, state.burst, settings))
    if state.pending is None:
        return Wait(Reason.NOTHING)
    if state.obstacle is not None:
        return Wait(Reason.OBSTACLE, detail=state.obstacle)
    failed = _failed_on(state.history, state.pending.content)
    refused = [run.status for run in failed if run.status in FINAL_STATUSES]
    if refused:
        return Wait(Reason.REFUSED, detail=f"exit status {refused[-1]}")
    if len(failed) > settings.retries:
        return Wait(Reason.RETRIES, detail=f"failed {len(failed)} times on the same content")
    if state.pending.own and _chases_its_tail(state.history):
        return Wait(Reason.OWN)
    left = rest(state.marker, now, settings.cooldown).left
    if left > 0:
        return Wait(Reason.COOLDOWN, now.elapsed + left)
    if state.balks and now.elapsed < (until := _balked_until(state)):
        return Wait(Reason.BALKED, until, state.balked_why)
    return None


def _due(state: State, burst: Burst, settings: Settings) -> float:
    """When the burst is to be looked at: after its quiet, or when patience is at its end."""
    if burst.held_at is None:
        return min(burst.last_at + settings.debounce, burst.first_at + settings.max_wait)
    looked_at = state.compared_at if state.compared_at is not None else burst.held_at
    quiet_at = max(looked_at + GIT_CHECK, burst.last_at + settings.debounce)
    return min(quiet_at, burst.held_at + settings.max_wait)


def _burst_after(burst: Burst | None, at: float, busy: str | None, settings: Settings) -> Burst | None:
    if burst is None:
        return None
    settled_at = min(burst.last_at + settings.debounce, burst.first_at + settings.max_wait)
    if burst.held_at is not None:
        over = at >= burst.held_at + settings.max_wait
        quiet = busy is None and (at >= burst.last_at + settings.debounce)
        return None if over or quiet else burst
    if at < settled_at:
        return burst
    return replace(burst, held_at=at) if busy else None


def _observed(state: State, seen: Observed) -> State:
    was, now = _newest(state.history), _newest(seen.history)
    news = now is not None and (was is None or (was.id, was.outcome) != (now.id, now.outcome))
    ended = state.running is not None and seen.running is None
    state = replace(
        state, running=seen.running, marker=seen.marker, history=seen.history, obstacle=seen.obstacle
    )
    if news or ended:  # what is pending depends on what was trained: ask again
        state = replace(state, compared_at=None)
    if not news or now is None or now.outcome is None:
        return state
    if now.outcome is Outcome.DEFERRED:
        return step(state, Balked(seen.at, "the training said: not now (exit 75)"), Settings())
    return replace(state, balks=0, balked_why="")


def _newest(history: tuple[Run, ...]) -> Run | None:
    return history[-1] if history else None


def _failed_on(history: tuple[Run, ...], content: str) -> list[Run]:
    failed: list[Run] = []
    for run in reversed(history):
        if run.outcome is Outcome.SUCCEEDED:
            break
        counts = run.outcome in (Outcome.FAILED, Outcome.INTERRUPTED) and not run.forced
        if counts and run.content == content:
            failed.append(run)
    return failed[::-1]


def _chases_its_tail(history: tuple[Run, ...]) -> bool:
    real = [run for run in history if run.outcome not in (None, Outcome.DEFERRED)]
    return len(real) >= 2 and real[-1].self_fed and real[-2].self_fed


def _balked_until(state: State) -> float:
    # The exponent is bounded too: a start that is refused each hour for six weeks would overflow a float.
    return state.balked_at + min(BALK_FIRST * 2.0 ** min(state.balks - 1, 6), BALK_LONGEST)
