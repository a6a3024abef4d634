"""Short ways to say what the rule is told: everything happens within one boot, in seconds since then."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from training_watch.events import Marker, Moment, Observed, Outcome, Pending, Run, Running, Starter

BOOT = "boot-1"
EPOCH = datetime(2026, 2, 16, tzinfo=UTC)


def calendar(at: float) -> datetime:
    return EPOCH + timedelta(seconds=at)


def moment(at: float, boot: str = BOOT) -> Moment:
    return Moment(boot, at, calendar(at))


def marker(at: float) -> Marker:
    """The marker that a run leaves which ends at that moment."""
    return Marker(ended=calendar(at), written=calendar(at), boot_id=BOOT, elapsed=at)


def pending(content: str = "new", *, own: bool = False) -> Pending:
    return Pending(count=1, content=content, sample=(b"a.md",), own=own)


def run(
    number: int,
    outcome: Outcome | None = Outcome.FAILED,
    *,
    on: str = "new",
    status: str = "",
    forced: bool = False,
    starter: Starter = Starter.DAEMON,
    self_fed: bool = False,
) -> Run:
    """The run of that number in the history."""
    began = moment(number * 10.0)
    return Run(
        id=number,
        invocation=f"run-{number}",
        starter=starter,
        forced=forced,
        began=began,
        alive=began,
        ended=None if outcome is None else moment(number * 10.0 + 5),
        outcome=outcome,
        status=status,
        content=on,
        self_fed=self_fed,
    )


def seen(
    at: float,
    *history: Run,
    running: bool = False,
    rested: Marker | None = None,
    obstacle: str | None = None,
) -> Observed:
    """What unit, marker and history say at that moment."""
    active = Running(history[-1].invocation if history else "run-x") if running else None
    return Observed(at, active, rested, history, obstacle)
