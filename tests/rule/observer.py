"""The laws, seen from outside: by real time, by what was in the tree when, by who started what.

It reads neither the rule's state nor the disk's. Where a law leaves a doubt, it says which and why.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from training_watch.decide import FINAL_STATUSES, Settings
from training_watch.events import Moment, Order, Outcome, Reason, Starter, Wait

# How old the last sign of life of a run that vanished may be, while a daemon was there to record it.
STALEST = 300.0 + 60.0
# A comparison may take 20 s and be a second old when it starts a run: who polls sees nothing newer.
UNSEEN = 25.0
# How often a tree is looked at that is polled, and one that the kernel tells of.
POLL, RESCAN = 300.0, 3600.0


@dataclass(slots=True)
class Watched:
    """A run, as one sees it who stands beside the machine."""

    starter: Starter
    forced: bool
    began: float
    before: dict[str, int] | None  # None: the root was absent
    reads: dict[str, set[int | None]]
    recorded: bool
    stirred: set[str] = field(default_factory=set)
    wrote: bool = False
    outcome: Outcome | None = None
    status: str = ""
    known: bool = False  # whether its end was recorded whole

    def may_have_read(self, path: str) -> set[int | None]:
        return self.reads.get(path, {None})


@dataclass(frozen=True, slots=True)
class Change:
    """What was in a path until then. `heard`: the kernel told of it."""

    at: float
    path: str
    before: int | None
    heard: bool
    by_training: bool


@dataclass(frozen=True, slots=True)
class Rest:
    """The cooldown runs from here. `sure`: when it ended is known to the second."""

    at: float
    moment: Moment
    sure: bool


class Observer:
    def __init__(self, settings: Settings, *, polling: bool) -> None:
        self._settings = settings
        self._polling = polling
        self.tree: dict[str, int] = {}
        self.here = True
        self.runs: list[Watched] = []
        self.refusals: list[Starter] = []
        self.changes: list[Change] = []
        self._rest: Rest | None = None
        self._planted_during: Watched | None = None
        self._stepped_at = float("-inf")
        self._daemon_since: float | None = None
        self._awake_since = float("-inf")
        self._booted_at = float("-inf")
        self._root_moved_at = float("-inf")
        self._touched: list[float] = []
        self._git: list[tuple[float, bool]] = [(float("-inf"), False)]

    # ---- what it sees ---------------------------------------------------------------------------

    def changed(
        self, at: float, path: str, content: int | None, *, heard: bool = True, by_training: bool = False
    ) -> None:
        self.changes.append(Change(at, path, self.tree.get(path), heard, by_training))
        if content is None:
            self.tree.pop(path, None)
        else:
            self.tree[path] = content
        if (run := self.active()) is not None:
            run.reads.setdefault(path, {None}).add(content)
            run.stirred.add(path)
            run.wrote = run.wrote or by_training

    def touched(self, at: float, path: str) -> None:
        self._touched.append(at)
        if (run := self.active()) is not None:
            run.stirred.add(path)

    def root_moved(self, at: float, contents: dict[str, int], *, here: bool) -> None:
        """The root went or came. What a run may have missed while it was gone, nobody can tell."""
        self.here, self._root_moved_at = here, at
        if (run := self.active()) is not None:
            for path, content in contents.items():
                run.reads.setdefault(path, {None}).add(content)

    def begins(
        self, at: float, now: Moment, starter: Starter, *,
        forced: bool, recorded: bool, running: bool,
    ) -> None:  # fmt: skip
        assert not running, "law 3: two at once"
        if starter is Starter.DAEMON or (starter is Starter.TRIGGER and not forced):
            self._law_2(at, now)
        if starter is Starter.DAEMON:
            if not self._is_blind(at):
                self._law_4()
                self._law_6()
            self._law_5(at)
            self._law_7()
            assert self.here, "law 8: a start while the root is absent"
        before = dict(self.tree) if self.here else None
        reads: dict[str, set[int | None]] = {path: {content} for path, content in (before or {}).items()}
        self.runs.append(Watched(starter, forced, at, before, reads, recorded))

    def ends(self, at: float, now: Moment, outcome: Outcome, status: str, *, recorded: bool) -> None:
        run = self._close(outcome, status, known=recorded)
        # Of an absent root nothing is pending, so nothing of the run's own either.
        run.wrote = run.wrote and self.here
        if outcome is not Outcome.DEFERRED:
            self._rest = Rest(at, now, sure=True)

    def vanishes(self, at: float, now: Moment, status: str) -> None:
        run = self._close(_outcome_of(status), status, known=False)
        if not run.recorded or run is self._planted_during:
            return  # nobody knows that there was one, or somebody has said when it ended
        ended = run.began
        if self._daemon_since is not None:
            ended = max(ended, at - STALEST if at - self._watching_since(run) > STALEST else ended)
        self._rest = Rest(ended, now, sure=False)

    def refused(self, starter: Starter) -> None:
        self.refusals.append(starter)
        assert starter is not Starter.DAEMON, "the rule orders what the trigger refuses"

    def marker_planted(self) -> None:
        """Somebody wrote or removed the marker by hand: what they say counts, also for a run whose end is lost."""
        self._rest, self._planted_during = None, self.active()

    def git_turned(self, at: float, *, busy: bool) -> None:
        self._git.append((at, busy))

    def clock_stepped(self, at: float) -> None:
        self._stepped_at = at

    def slept(self, at: float) -> None:
        self._awake_since = at

    def daemon_up(self, at: float) -> None:
        self._daemon_since = at

    def daemon_down(self) -> None:
        self._daemon_since = None

    def rebooted(self, at: float) -> None:
        self._awake_since = self._booted_at = at

    # ---- what it knows --------------------------------------------------------------------------

    def active(self) -> Watched | None:
        run = self.runs[-1] if self.runs else None
        return run if run is not None and run.outcome is None else None

    def trained(self) -> Watched | None:
        """The last run that succeeded."""
        return next((run for run in reversed(self.runs) if run.outcome is Outcome.SUCCEEDED), None)

    def untrained(self) -> set[str]:
        """What differs from what the last successful run may have read."""
        run = self.trained()
        if not self.here:
            return set()
        if run is None:
            return set(self.tree)
        return {
            path
            for path in self.tree.keys() | run.reads.keys()
            if run.may_have_read(path) != {self.tree.get(path)} and not self._fleeting(run, path)
        }

    def may_rest(self, order: Order) -> bool:
        """Whether what is said to hold the untrained back does so by right."""
        if not isinstance(order, Wait):
            return False
        failed = self._failed(surely=False)
        match order.reason:
            case Reason.RETRIES:
                return len(failed) > self._settings.retries
            case Reason.REFUSED:
                return any(run.status in FINAL_STATUSES for run in failed)
            case Reason.OWN:
                real = self._real()
                return bool(real) and self.untrained() <= real[-1].stirred
            case _:
                return False

    def _fleeting(self, run: Watched, path: str) -> bool:
        """It came and went during the run: only who listened to the kernel all the while knows."""
        return path not in self.tree and path not in (run.before or {})

    def _watching_since(self, run: Watched) -> float:
        return max(run.began, self._daemon_since or 0.0, self._awake_since)

    def _close(self, outcome: Outcome, status: str, *, known: bool) -> Watched:
        run = self.active()
        assert run is not None
        run.outcome, run.status, run.known = outcome, status, known
        return run

    def _is_blind(self, at: float) -> bool:
        """Whether something changed that no comparison can have seen: the daemon starts what it saw."""
        unheard = [change.at for change in self.changes if not change.heard and change.at > at - RESCAN]
        last = max([self._root_moved_at, *(change.at for change in self.changes[-1:])])
        return bool(unheard) or (self._polling and at - last < UNSEEN)

    def _git_was_busy(self, at: float) -> bool:
        return [busy for turned_at, busy in self._git if turned_at <= at][-1]

    def _real(self) -> list[Watched]:
        """Those that are runs: one that said "not now" is none, if that was recorded."""
        over = [run for run in self.runs if run.recorded and run.outcome is not None]
        return [run for run in over if run.outcome is not Outcome.DEFERRED or not run.known]

    def _failed(self, *, surely: bool) -> list[Watched]:
        """The runs since the last success that failed on what is owed now; `surely`, or perhaps.

        An unrecorded run makes what it may have read owed, so with it the same tree is other content.
        """
        failed: list[Watched] = []
        for run in reversed(self.runs):
            unsure = run.recorded and not run.known and (run.before != self.tree or run.stirred)
            if run.outcome is Outcome.SUCCEEDED and (run.known or surely):
                break
            if unsure and surely:
                break
            counts = run.outcome in (Outcome.FAILED, Outcome.INTERRUPTED) or (not run.known and not surely)
            same = run.before == self.tree or (run.before is None and not surely)
            if counts and run.recorded and not run.forced and same:
                failed.append(run)
        return failed

    # ---- the laws -------------------------------------------------------------------------------

    def _law_2(self, at: float, now: Moment) -> None:
        """Never too often."""
        rest, cooldown = self._rest, self._settings.cooldown
        if rest is None or at - rest.at >= cooldown:
            return
        stepped = self._stepped_at >= rest.at
        assert stepped, f"law 2: only {at - rest.at:.0f} s after the last run"
        assert rest.moment.boot_id != now.boot_id, (
            "law 2: a clock step let it start too early within one boot"
        )
        if rest.sure:
            by_calendar = (now.calendar - rest.moment.calendar).total_seconds()
            assert max(by_calendar, now.elapsed) >= cooldown, "law 2: too early even by the calendar"

    def _law_4(self) -> None:
        """Nothing for nothing; but a run that ended unrecorded, and what stirred during a run, is in doubt."""
        since = 0
        for number, run in enumerate(self.runs):
            if run.outcome is Outcome.SUCCEEDED and run.known:
                since = number
        if any(run.recorded and not run.known for run in self.runs[since:]):
            return
        last = self.runs[since] if self.runs else None
        stirred = last is not None and last.outcome is Outcome.SUCCEEDED and last.stirred
        assert self.untrained() or stirred, "law 4: a start for nothing"

    def _law_5(self, at: float) -> None:
        """Not mid-edit."""
        quiet, patience = self._settings.debounce, self._settings.max_wait
        heard = [change for change in self.changes if change.heard and change.at <= at]
        recent = [change for change in heard if change.at > at - quiet]
        if self._polling:
            recent = [change for change in recent if change.at < at - UNSEEN]
        # After a boot only the calendar tells how long ago it was; one that was set meanwhile tells it wrong.
        unknown = min(self._stepped_at, self._awake_since)
        recent = [change for change in recent if change.at > unknown]
        listening = self._daemon_since is not None and self._daemon_since <= at - quiet
        if self._polling or not listening:
            # What was undone between two looks was never there for one who looks, and the last look before may
            # be as long ago as one interval of polling.
            were: dict[str, set[int | None]] = {}
            for change in self.changes:
                if change.at >= at - quiet - POLL:
                    were.setdefault(change.path, set()).add(change.before)
            recent = [change for change in recent if self.tree.get(change.path) not in were[change.path]]
        # After a reboot the calendar says how long ago a change was, and somebody set it since.
        recent = [c for c in recent if not c.at <= self._stepped_at <= self._booted_at]
        if not recent:
            return
        hints = sorted([*(change.at for change in heard), *self._touched])
        opened = hints[-1]
        for hint in reversed(hints):
            # A quiet that came while git was busy settled nothing: the burst was held, and went on.
            if opened - hint >= quiet and not self._git_was_busy(hint + quiet):
                break
            opened = hint
        assert at >= opened + patience, f"law 5: {at - recent[-1].at:.0f} s after {recent[-1]}"

    def _law_6(self) -> None:
        """Failure is remembered."""
        failed = self._failed(surely=True)
        assert len(failed) <= self._settings.retries, "law 6: more retries than allowed"
        refused = [run for run in failed if run.known and run.status in FINAL_STATUSES]
        assert not refused, "law 6: a training that refused this content is asked again"

    def _law_7(self) -> None:
        """It doesn't chase its tail."""
        last = self._real()[-2:]
        users = [change.at for change in self.changes if not change.by_training]
        chased = len(last) == 2 and all(
            run.outcome is Outcome.SUCCEEDED
            and run.known
            and run.wrote
            and run.before is not None
            and run.began > max(users, default=0.0)
            for run in last
        )
        assert not chased, "law 7: a third run for what trainings write"


def _outcome_of(status: str) -> Outcome:
    """What it was that nobody recorded: it may well have succeeded."""
    if status == "0":
        return Outcome.SUCCEEDED
    return Outcome.INTERRUPTED if status in ("", "KILL") else Outcome.FAILED
