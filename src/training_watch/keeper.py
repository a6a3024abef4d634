"""One job, kept: its tree watched, its changes compared, its training started when the rule says so.

    watcher ──hints──▶ Changed ─┐                       ┌─ Compare ──▶ snapshot ──▶ Compared ─┐
    bell ──▶ unit, marker, runs ─┴▶ step(state, event) ──┼─ Start ────▶ trigger                 │
                                        ▲                └─ Wait until …                        │
                                        └───────────────────────────────────────────────────────┘

It owns the facts and asks the edges; what to do is decided in decide.py. It never waits: comparing is
done a bit at a time, and everything else is a deadline.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator
from contextlib import suppress

from training_watch import clock
from training_watch.config import Job
from training_watch.cooldown import since
from training_watch.decide import State, order, step
from training_watch.describe import ending, files, listing, logs_of, repeated, sentence, unreadable
from training_watch.events import (
    Balked,
    Changed,
    Compare,
    Compared,
    Doubted,
    Event,
    Moment,
    Observed,
    Order,
    Outcome,
    Reason,
    Run,
    Running,
    Start,
    Starter,
    Wait,
)
from training_watch.journal import log
from training_watch.launching import Launcher, LaunchError, NotStarted, Started, UnitState
from training_watch.mark import amend
from training_watch.marker import MarkerError, read_marker
from training_watch.published import GapReport, JobReport, PendingReport, Watching, fingerprint
from training_watch.records import Records
from training_watch.text import printable
from training_watch.timespan import took
from training_watch.trigger import Held, trigger
from training_watch.typed import Typed
from training_watch.watching.compare import Comparison
from training_watch.watching.git import busy
from training_watch.watching.ignore import escaped
from training_watch.watching.touched import Touched
from training_watch.watching.watcher import Watcher

# A sign of life of the run is recorded this often: what a power cut can hide of a training's length.
SIGN_OF_LIFE = 300.0
# How often an active unit is looked at: its end rings the bell, but not when its ExecStopPost= was killed.
LOOK = 60.0
# How soon a unit is looked at again whose ExecStopPost= has done its work but not ended.
SOON = 0.5
# How soon after a start the unit is looked at, to see whether a run came of it.
FIRST_LOOK = 5.0
# How often STATUS= is told while it counts down.
COUNT_DOWN = 10.0
# How many of the names that were seen changing are published. Arbitrary.
SAMPLE = 5
# How many folders of a gap are published. Arbitrary.
NAMED = 20
# How long one slice of comparing may take before the loop serves its other duties.
SLICE = 0.05


class Keeper:
    """Keeps one job.

    `obstacle` says what forbids starting the unit as it is installed, if anything; `typed`, how people call this program.
    """

    def __init__(
        self,
        job: Job,
        records: Records,
        watcher: Watcher,
        launcher: Launcher,
        *,
        obstacle: Callable[[], str | None],
        typed: Typed,
        now: Callable[[], Moment] = clock.now,
    ) -> None:
        self.job = job
        self.watcher = watcher
        self.state = State()
        self._records = records
        self._launcher = launcher
        self._obstacle = obstacle
        self._typed = typed
        self._now = now
        self._touched = Touched()
        self._fingerprint = fingerprint(job)
        self._comparing: Generator[None, None, Comparison] | None = None
        self._announced = True
        self._awaited: str | None = None
        self._look_at: float | None = None
        self._alive_at = 0.0
        self._noticed: Moment | None = None
        self._absent: tuple[bytes, ...] = ()
        self._unreadable = 0
        self._files: int | None = None
        self._rescans = 0
        self._rescanned: Moment | None = None
        self._said: tuple[object, ...] = ()

    # ---- what the loop calls --------------------------------------------------------------------

    def arm(self) -> None:
        """Set the watches, and learn how things stand. A burst that a restart cut short goes on."""
        now = self._now()
        self.watcher.arm(now.elapsed, self._records.snapshot.folders())
        # The watches tell of what comes; what came while nobody watched is found by looking.
        self._touched.all("the daemon has just started")
        noticed = self._noticed = self._records.snapshot.noticed()
        ago = since(noticed, now) if noticed is not None else self.job.settings.debounce
        if ago < self.job.settings.debounce and self._records.snapshot.is_pending():
            self._step(Changed(now.elapsed - ago))
        self._observe(now)

    def wake(self, *, rang: bool) -> None:
        """Serve whatever is due. `rang`: the marker or a run's record changed."""
        now = self._now()
        self._listen(now)
        if rang or (self._look_at is not None and now.elapsed >= self._look_at):
            self._observe(now)
        self._sign_of_life(now)
        self._work()
        self._act()

    def due(self) -> float | None:
        """Elapsed time of the next deadline; None where only an event can change anything."""
        if self._comparing is not None:
            return self._now().elapsed
        deadlines = [self.watcher.due(), self._look_at]
        if self.state.running is not None:
            deadlines.append(self._alive_at)
        now = self._now()
        current = order(self.state, now, self.job.settings)
        if not isinstance(current, Wait):
            return now.elapsed
        if current.reason is Reason.SETTLING:
            deadlines.append(now.elapsed + COUNT_DOWN)
        deadlines.append(current.until)
        return min((each for each in deadlines if each is not None), default=None)

    def line(self) -> str:
        """What it waits for, in plain words."""
        now = self._now()
        text = sentence(self._order(now), self.state, self.job.settings, now, touched=self._touched.count)
        condition = self.watcher.condition
        return f"{text} ({condition.mode}: {condition.cause})" if condition.cause else text

    def report(self) -> JobReport:
        """What `status` shows beside what it can read itself."""
        state, burst, condition = self.state, self.state.burst, self.watcher.condition
        noisiest, rescanned, pending = self._touched.noisiest, self._rescanned, self.state.pending
        return JobReport(
            fingerprint=self._fingerprint,
            settings=self.job.settings,
            pending=PendingReport(pending.count, pending.content, pending.own) if pending else None,
            touched=self._touched.count,
            changed=tuple(map(printable, self._touched.first(SAMPLE))) if self._touched.count else (),
            burst=(burst.first_at, burst.last_at, burst.held_at) if burst else None,
            balks=state.balks,
            balked_at=state.balked_at,
            balked_why=state.balked_why,
            comparing=self._comparing is not None,
            obstacle=state.obstacle,
            absent=tuple(map(printable, self._absent)),
            unreadable=self._unreadable,
            noisiest=printable(noisiest) if noisiest else None,
            watching=Watching(
                mode=condition.mode,
                cause=condition.cause,
                mend=condition.mend,
                folders=condition.folders,
                files=self._files,
                poll_seconds=self.job.poll_interval,
                rescan_seconds=self.job.rescan_interval,
                events=condition.events,
                overflows=condition.overflows,
                rescans=self._rescans,
                rescanned_at=rescanned.calendar.isoformat(timespec="seconds") if rescanned else None,
                gaps=tuple(
                    GapReport(
                        gap.cause, gap.mend, gap.polled, len(gap.folders),
                        tuple(map(printable, gap.folders[:NAMED])),
                    )
                    for gap in condition.gaps
                ),
            ),
            paths=tuple(map(printable, self.job.roots)),
        )  # fmt: skip

    def close(self) -> None:
        self.watcher.close()

    # ---- facts in -------------------------------------------------------------------------------

    def _listen(self, now: Moment) -> None:
        touched = self.watcher.read(now.elapsed)
        if not touched:
            return
        self._touched.merge(touched)
        if self.state.running is not None:
            self._records.snapshot.stir(touched)
        if touched.folders:
            self._step(Changed(now.elapsed))
        if touched.doubtful:
            self._step(Doubted(now.elapsed))

    def _observe(self, now: Moment) -> None:
        """Ask unit, marker and history how things stand."""
        obstacle: str | None = None
        unit = UnitState(active=False)
        try:
            amend(self.job, self._records, self._launcher, now, log.warning)
            unit = self._launcher.state()
            obstacle = self._obstacle()
        except (LaunchError, MarkerError) as error:
            obstacle = str(error)
        marker = None
        try:
            marker = read_marker(self.job.marker)
        except MarkerError as error:
            obstacle = str(error)
        was = self.state
        self._hear_of_others(now)
        history = self._records.runs.recent()
        self._step(Observed(now.elapsed, self._running(unit), marker, history, obstacle))
        self._follow(was, unit, now)
        waits = self.state.running is not None or self._awaited is not None or obstacle is not None
        self._look_at = now.elapsed + (SOON if self._is_ending(unit) else LOOK) if waits else None

    def _hear_of_others(self, now: Moment) -> None:
        """Where no event tells of changes, a run that begins or ends may be the first to find some."""
        noticed = self._records.snapshot.noticed()
        if noticed is None or noticed == self._noticed:
            return
        self._noticed = noticed
        if self.watcher.blind() and noticed.boot_id == now.boot_id:
            self._step(Changed(noticed.elapsed))

    def _is_ending(self, unit: UnitState) -> bool:
        """Its end is recorded, and the bell has rung for it, but the unit is not inactive yet."""
        if unit.queued and not unit.invocation:  # a supervisor that begins or ends says no more of itself
            return True
        return unit.active and any(
            run.invocation == unit.invocation and run.outcome for run in self.state.history
        )

    def _running(self, unit: UnitState) -> Running | None:
        if not unit.active:
            return None
        run = self._records.runs.find(unit.invocation)
        return Running(unit.invocation, run.began if run else None)

    def _follow(self, was: State, unit: UnitState, now: Moment) -> None:
        """Say what became of runs, and notice a start of which no run came."""
        running = self.state.running
        new = running is not None and (was.running is None or was.running.invocation != running.invocation)
        if running is not None and running.since is not None and (new or was.running != running):
            # The beginning run has compared the tree itself; what was hinted before is in its snapshot.
            self._touched.forget_names(now.elapsed - since(running.since, now))
            self._records.snapshot.stir(Touched(moved=self._touched.moved))
        if new:
            self._alive_at = now.elapsed + SIGN_OF_LIFE
            log.info("%s: training began", self.job.name)
        known = {run.id for run in was.history if run.outcome is not None}
        for run in self.state.history:
            if run.outcome is not None and run.id not in known and was.compared_at is not None:
                self._tell_end(run)
        if self._awaited is None or unit.active:
            return
        if self._records.runs.find(self._awaited) is None:
            why = (
                "skipped by a condition of its unit"
                if unit.result == "exec-condition"
                else "nothing recorded that it began"
            )
            self._balk(f"{why}: see `{self._launcher.hints()[-1]}`", now)
        self._awaited = None

    def _sign_of_life(self, now: Moment) -> None:
        if self.state.running is not None and now.elapsed >= self._alive_at:
            self._records.runs.alive(self.state.running.invocation, now)
            self._alive_at = now.elapsed + SIGN_OF_LIFE

    def _step(self, event: Event) -> None:
        self.state = step(self.state, event, self.job.settings)

    # ---- orders out -----------------------------------------------------------------------------

    def _order(self, now: Moment) -> Order:
        return order(self.state, now, self.job.settings)

    def _act(self) -> None:
        now = self._now()
        current = self._order(now)
        if self._comparing is None:
            match current:
                case Compare():
                    self._begin_comparing(now)
                case Start():
                    self._observe(now)
                    if isinstance(self._order(now), Start):
                        self._start(now)
                case Wait():
                    pass
        self._tell(self._order(now), now)

    def _begin_comparing(self, now: Moment) -> None:
        touched, self._touched = self._touched, Touched()
        blind = self.watcher.blind()
        if set(self.job.roots) <= set(blind):
            touched.all("polling")
        for folder in blind:
            touched.tree(folder)
        # A difference that no event announced is news: its burst begins when it is found.
        self._announced = not touched.doubtful
        running = self.state.running is not None
        self._comparing = self._records.snapshot.compare(touched, now, running=running)

    def _work(self) -> None:
        """One slice of the comparison that is under way."""
        if self._comparing is None:
            return
        until = self._now().elapsed + SLICE
        try:
            while self._now().elapsed < until:
                next(self._comparing)
        except StopIteration as done:
            self._comparing = None
            self._compared(done.value)
        except BaseException:
            # What was hinted is not lost with the comparison: the next one looks at everything.
            self._comparing = None
            self._touched.merge(Touched(everything=True, cause="a comparison was broken off"))
            raise

    def _compared(self, comparison: Comparison) -> None:
        now = self._now()
        for root in set(comparison.absent) - set(self._absent):
            log.warning(
                "%s: %s is absent: its files are kept as they were until it is back",
                self.job.name,
                printable(root),
            )
        self._absent = comparison.absent
        if comparison.files is not None:
            self._files, self._rescans, self._rescanned = comparison.files, self._rescans + 1, now
        self._count_unreadable(comparison)
        if comparison.news and not self._announced:
            self._step(Changed(now.elapsed))
        git = next(filter(None, (busy(root) for root in self.job.roots)), None) if self.state.burst else None
        self._step(Compared(now.elapsed, self._records.snapshot.pending(), git))
        if self._touched.doubtful:  # while this comparison ran
            self._step(Doubted(now.elapsed))

    def _count_unreadable(self, comparison: Comparison) -> None:
        was = self._unreadable
        # A comparison of a part knows of that part only.
        self._unreadable = (
            comparison.unreadable if comparison.files is not None else max(was, comparison.unreadable)
        )
        if self._unreadable and not was:
            log.warning(
                "%s: %s can't be read: changes in them are not seen; let your user read them, or ignore them",
                self.job.name, unreadable(self._unreadable),
            )  # fmt: skip

    def _start(self, now: Moment) -> None:
        pending = self.state.pending
        if pending is not None:
            log.info(
                "%s: starting %s: %s changed (%s)",
                self.job.name, self.job.service, files(pending.count), listing(pending.sample, pending.count),
            )  # fmt: skip
        try:
            outcome = trigger(
                self.job, self._launcher, self._records,
                starter=Starter.DAEMON, forced=False, now=self._now, say=log.warning,
            )  # fmt: skip
        except (LaunchError, MarkerError) as error:
            self._balk(str(error), now)
            return
        match outcome:
            case Started(invocation):
                self._awaited = invocation
            case NotStarted(why):
                self._balk(why, now)
            case Held(verdict):
                log.info("%s: not started after all: %s", self.job.name, verdict.reason)
        now = self._now()
        self._observe(now)
        if self._awaited is not None:
            self._look_at = now.elapsed + FIRST_LOOK

    def _balk(self, why: str, now: Moment) -> None:
        log.warning("%s: %s was not started: %s", self.job.name, self.job.service, why)
        self._step(Balked(now.elapsed, why))

    # ---- words ----------------------------------------------------------------------------------

    def _tell(self, current: Order, now: Moment) -> None:
        """A line for the journal when what is waited for changes; never one for a countdown."""
        if not isinstance(current, Wait):
            return
        pending = self.state.pending
        settling = current.reason is Reason.SETTLING
        owed = pending is not None or self._touched.count > 0
        # A run may take in what is settling: what is left of the quiet is then waited out for nothing.
        about = (current.reason, owed) if settling else (current.reason, pending.content if pending else None)
        if about == self._said:
            return
        first, self._said = not self._said, about
        if current.reason is Reason.RUNNING or (current.reason is Reason.NOTHING and first):
            return  # that it began is said already
        level = logging.WARNING if current.reason in _TROUBLES else logging.INFO
        names = f" ({listing(pending.sample, pending.count)})" if pending and current.reason in _NAMED else ""
        text = sentence(current, self.state, self.job.settings, now, touched=self._touched.count)
        log.log(level, "%s: %s%s", self.job.name, text, names)
        if current.reason is Reason.OWN and pending is not None:
            for path in pending.sample:
                log.warning("%s: to go on, add to ignore: %s", self.job.name, printable(self._pattern(path)))

    def _pattern(self, path: bytes) -> bytes:
        for root in self.job.roots:
            if path.startswith(root + b"/"):
                return escaped(path[len(root) :])
        return path

    def _tell_end(self, run: Run) -> None:
        ended = run.ended or run.alive
        length = took(since(run.began, ended))
        match run.outcome:
            case Outcome.SUCCEEDED:
                log.info("%s: training succeeded after %s", self.job.name, length)
            case Outcome.STOPPED | Outcome.DEFERRED:
                log.info("%s: training %s after %s", self.job.name, run.outcome, length)
            case _:
                how = f" ({ending(run.status)})" if ending(run.status) else ""
                log.error(
                    "%s: training %s after %s%s: `%s` shows what it said",
                    self.job.name, run.outcome, length, how, logs_of(run.invocation, self._typed),
                )  # fmt: skip
                with suppress(LaunchError):
                    for line in self._launcher.lines(run.invocation, last=5):
                        log.error("%s%s", repeated(self.job.name), line)


_TROUBLES = frozenset({Reason.RETRIES, Reason.REFUSED, Reason.OWN, Reason.OBSTACLE})
_NAMED = frozenset({Reason.COOLDOWN, Reason.RETRIES, Reason.REFUSED, Reason.OBSTACLE})
