"""A simulated machine: a tree, a disk, a training unit, a daemon, and time that jumps to what is next.

    deeds (save, start by hand, power cut …) ──▶ World ──▶ Daemon ──▶ decide.step and decide.order
                                                   │
                                                   └──▶ Observer: the laws, by real time and real reads

The disk's part (snapshot, runs, marker) says in a few lines what watching/, runs.py and mark.py do with
SQLite and files. The observer knows nothing of it: it sees who changed, read and started what, and when.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from rule.moments import EPOCH
from rule.observer import POLL, RESCAN, Observer
from training_watch.cooldown import rest, since
from training_watch.decide import Settings, State, order, step
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
    Run,
    Running,
    Start,
    Starter,
    Wait,
)

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
SIGN_OF_LIFE, LOOK, FIRST_LOOK = 300.0, 60.0, 5.0
BOOTING = 30.0
# What a run read of a path that changed meanwhile: it differs from every content and from absence.
UNKNOWN = -1
# So often the daemon may have something to do in one instant; more is a loop that burns a processor.
RESTLESS = 20


# ---- the disk -----------------------------------------------------------------------------------


@dataclass(slots=True)
class Tree:
    """The watched tree: path → stamp and content. `here` is false while its root is missing."""

    files: dict[str, tuple[int, int]] = field(default_factory=dict)
    here: bool = True
    stamps: int = 0

    def contents(self) -> dict[str, int]:
        return {path: content for path, (_, content) in self.files.items()} if self.here else {}


@dataclass(slots=True)
class Row:
    """One path of the snapshot; None stands for a file that is gone."""

    stamp: int
    digest: int | None
    attempted: int | None = None
    trained: int | None = None
    stirred: bool = True
    own: bool = False


class Snapshot:
    """What watching/snapshot.py keeps."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._rows: dict[str, Row] = {}
        self.noticed: Moment | None = None

    def compare(self, names: Iterable[str] | None, now: Moment, *, running: bool) -> None:
        """Look at `names`, or at everything."""
        if not self._tree.here:
            return
        news = 0
        for path in sorted(self._rows.keys() | self._tree.files if names is None else set(names)):
            stamp, digest = self._tree.files.get(path, (0, None))
            row = self._rows.get(path)
            if row is None:
                if digest is not None or (names is not None and running):
                    self._rows[path] = Row(stamp, digest)
                    news += digest is not None
            elif (row.stamp, row.digest) != (stamp, digest):
                news += row.digest != digest
                row.stamp, row.digest, row.stirred = stamp, digest, True
            elif digest is None and names is not None and running:
                row.stirred = True
        if news:
            self.noticed = now

    def begin(self) -> None:
        for row in self._rows.values():
            row.attempted = row.digest if self._tree.here else None
            row.stirred = False
        self._clean()

    def succeed(self) -> None:
        for row in self._rows.values():
            row.trained = UNKNOWN if row.stirred else row.attempted
            row.own = row.stirred
        self._clean()

    def fail(self) -> None:
        for row in self._rows.values():
            row.own = row.stirred

    def doubt(self) -> None:
        """A run ended unrecorded: it may have succeeded, and read whatever was there meanwhile."""
        for row in self._rows.values():
            if row.stirred or row.attempted != row.trained:
                row.trained = UNKNOWN
            row.own = row.stirred

    def pending(self) -> Pending | None:
        rows = {path: row for path, row in self._rows.items() if row.digest != row.trained}
        if not rows or not self._tree.here:
            return None
        content = repr(sorted((path, row.digest) for path, row in rows.items()))
        sample = tuple(path.encode() for path in sorted(rows)[:5])
        return Pending(len(rows), content, sample, all(row.own for row in rows.values()))

    def _clean(self) -> None:
        for path in [p for p, row in self._rows.items() if row.digest is None and row.trained is None]:
            del self._rows[path]


@dataclass(slots=True)
class Disk:
    """What a power cut leaves alone."""

    tree: Tree
    snapshot: Snapshot
    marker: Marker | None = None
    runs: list[Run] = field(default_factory=list)
    starts: dict[str, tuple[Starter, bool]] = field(default_factory=dict)

    def find(self, invocation: str) -> int | None:
        return next((n for n, run in enumerate(self.runs) if run.invocation == invocation), None)

    def open(self) -> int | None:
        return next((n for n, run in enumerate(self.runs) if run.outcome is None), None)

    def recent(self) -> tuple[Run, ...]:
        """As Runs.recent() has it: of those that said "not now" only a newest one."""
        named = [self._started(run) for run in self.runs]
        return tuple(run for run in named if run.outcome is not Outcome.DEFERRED or run.id == named[-1].id)

    def _started(self, run: Run) -> Run:
        starter, forced = self.starts.get(run.invocation, (Starter.HAND, False))
        return replace(run, starter=starter, forced=forced)


# ---- the training unit --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Training:
    """How the training behaves: how long it takes, how it exits, what it writes into the tree."""

    takes: float = HOUR
    status: str = "0"
    writes: str | None = None


@dataclass(slots=True)
class Active:
    """The activation that is going on."""

    invocation: str
    ends_at: float
    writes_at: float | None
    training: Training


@dataclass(frozen=True, slots=True)
class LastRun:
    """What the service manager remembers of the last activation, until the next boot."""

    invocation: str
    status: str


# ---- the daemon ---------------------------------------------------------------------------------


class Daemon:
    """What keeper.py does, with the world in place of its edges."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.state = State()
        self._names: set[str] = set()
        self._everything = True  # nobody told what changed while no daemon ran
        self._announced = True
        self._noticed: Moment | None = None
        self._comparing: float | None = None
        self._awaited: str | None = None
        self._look_at: float | None = None
        self._alive_at = 0.0
        self._scan_at = world.now().elapsed + self._between_scans()
        noticed = self._noticed = world.disk.snapshot.noticed
        if noticed is not None and (ago := since(noticed, world.now())) < world.settings.debounce:
            self._step(Changed(world.now().elapsed - ago))
        self._observe()

    def hint(self, path: str) -> None:
        """The kernel told of a change."""
        self._names.add(path)
        self._step(Changed(self._world.now().elapsed))

    def doubt(self) -> None:
        """The kernel told that it told not all."""
        self._everything = True
        self._step(Doubted(self._world.now().elapsed))

    def order(self) -> Order:
        return order(self.state, self._world.now(), self._world.settings)

    def due(self) -> float:
        if self._comparing is not None:
            return self._comparing
        current = self.order()
        if not isinstance(current, Wait):
            return self._world.now().elapsed
        deadlines = [self._scan_at, self._look_at, current.until]
        if self.state.running is not None:
            deadlines.append(self._alive_at)
        return min(each for each in deadlines if each is not None)

    def wake(self, *, rang: bool) -> None:
        now = self._world.now()
        if now.elapsed >= self._scan_at:
            self._scan_at = now.elapsed + self._between_scans()
            self.doubt()
        if rang or (self._look_at is not None and now.elapsed >= self._look_at):
            self._observe()
        if self.state.running is not None and now.elapsed >= self._alive_at:
            self._world.alive(self.state.running.invocation)
            self._alive_at = now.elapsed + SIGN_OF_LIFE
        if self._comparing is not None and now.elapsed >= self._comparing:
            self._compared()
        if self._comparing is None:
            self._act()

    def _act(self) -> None:
        match self.order():
            case Compare():
                self._compare()
            case Start():
                self._start()
            case Wait():
                pass

    def _between_scans(self) -> float:
        return POLL if self._world.polling else RESCAN

    def _step(self, event: Event) -> None:
        self.state = step(self.state, event, self._world.settings)

    def _observe(self) -> None:
        world = self._world
        world.amend()
        noticed = world.disk.snapshot.noticed
        if world.polling and noticed is not None and noticed != self._noticed:
            self._step(Changed(noticed.elapsed))
        self._noticed = noticed
        was, running = self.state.running, world.running()
        self._step(Observed(world.now().elapsed, running, world.disk.marker, world.disk.recent()))
        if running is not None and (was is None or was.invocation != running.invocation):
            self._names.clear()  # the beginning run has looked itself
            self._alive_at = world.now().elapsed + SIGN_OF_LIFE
        if self._awaited is not None and world.active is None:
            if world.disk.find(self._awaited) is None:
                self._step(Balked(world.now().elapsed, "it ended before it began"))
            self._awaited = None
        waits = running is not None or self._awaited is not None
        self._look_at = world.now().elapsed + LOOK if waits else None

    def _compare(self) -> None:
        """What is there now is seen now; the answer comes after the time that comparing takes."""
        names, everything = self._names, self._everything or self._world.polling
        self._names, self._everything = set(), False
        self._announced = not everything
        self._world.disk.snapshot.compare(
            None if everything else names, self._world.now(), running=self.state.running is not None
        )
        self._comparing = self._world.now().elapsed + self._world.comparing_takes
        if self._world.comparing_takes == 0:
            self._compared()

    def _compared(self) -> None:
        self._comparing = None
        now, noticed = self._world.now(), self._world.disk.snapshot.noticed
        # A difference that no event announced: its burst begins when it is found, by whomever, also
        # by the begin or the mark of a run, or by the daemon before this one.
        if noticed is not None and not self._announced and noticed != self._noticed:
            self._step(Changed(now.elapsed - since(noticed, now)))
        self._noticed = noticed
        busy = "a rebase in /repo" if self._world.git_is_busy and self.state.burst else None
        self._step(Compared(now.elapsed, self._world.disk.snapshot.pending(), busy))
        if self._everything:
            self._step(Doubted(now.elapsed))

    def _start(self) -> None:
        invocation = self._world.trigger(Starter.DAEMON, forced=False)
        if invocation is None:
            self._step(Balked(self._world.now().elapsed, "skipped"))
        else:
            self._awaited = invocation
        self._observe()
        if self._awaited is not None:
            self._look_at = self._world.now().elapsed + FIRST_LOOK


# ---- the machine --------------------------------------------------------------------------------


class World:
    """Everything outside the rule. Deeds happen at this instant; `wait` lets time pass."""

    def __init__(self, settings: Settings, *, polling: bool = False) -> None:
        self.settings = settings
        self.polling = polling
        self.real = 0.0
        self.training = Training()
        self.comparing_takes = 0.0
        self.skips = False
        self.git_is_busy = False
        self.active: Active | None = None
        self.disk = Disk(tree := Tree(), Snapshot(tree))
        self.observer = Observer(settings, polling=polling)
        self.daemon: Daemon | None = None
        self._clock_is_off = 0.0
        self._boot = 1
        self._booted_at = -40 * DAY
        self._bell = False
        self._last: LastRun | None = None
        self._invocations = 0
        self._next_mark_dies = ""

    def now(self) -> Moment:
        return Moment(
            f"boot-{self._boot}",
            self.real - self._booted_at,
            EPOCH + timedelta(seconds=self.real + self._clock_is_off),
        )

    def order(self) -> Order:
        """What the daemon waits for."""
        assert self.daemon is not None
        return self.daemon.order()

    # ---- time -----------------------------------------------------------------------------------

    def wait(self, seconds: float) -> None:
        """Let time pass; whatever is due on the way happens."""
        until = self.real + seconds
        self._serve()
        while (due := self._due()) <= until:
            self.real = max(self.real, due)
            self._serve()
        self.real = until

    def suspend(self, seconds: float) -> None:
        """Sleep: real time and CLOCK_BOOTTIME go on, and nothing else does."""
        if self.active is not None:
            self.active.ends_at += seconds
            if self.active.writes_at is not None:
                self.active.writes_at += seconds
        self.real += seconds
        self.observer.slept(self.real)
        self._serve()

    def step_clock(self, seconds: float) -> None:
        """Somebody sets the clock, by so much."""
        self._clock_is_off += seconds
        self.observer.clock_stepped(self.real)
        self._serve()

    def _due(self) -> float:
        times = [float("inf")]
        if self.active is not None:
            times.append(self.active.ends_at)
            if self.active.writes_at is not None:
                times.append(self.active.writes_at)
        if self.daemon is not None:
            times.append(self._booted_at + self.daemon.due())
        return min(times)

    def _serve(self) -> None:
        if (
            self.active is not None
            and self.active.writes_at is not None
            and self.active.writes_at <= self.real
        ):
            self.active.writes_at = None
            if self.active.training.writes is not None and self.disk.tree.here:
                self._put(self.active.training.writes, self.disk.tree.stamps + 1000, by_training=True)
        if self.active is not None and self.active.ends_at <= self.real:
            self._end(self.active.training.status)
        for _ in range(RESTLESS):
            if self.daemon is None:
                return
            rang, self._bell = self._bell, False
            self.daemon.wake(rang=rang)
            if not self._bell and self._booted_at + self.daemon.due() > self.real:
                return
        raise AssertionError(f"the daemon finds no rest: {self.order()}")

    # ---- deeds: the tree ------------------------------------------------------------------------

    def save(self, path: str, content: int, *, unheard: bool = False) -> None:
        """Write a file; `unheard`: the kernel doesn't tell."""
        if self.disk.tree.here:
            self._put(path, content, unheard=unheard)
        self._serve()

    def touch(self, path: str) -> None:
        if self.disk.tree.here and path in self.disk.tree.files:
            self._put(path, self.disk.tree.files[path][1])
        self._serve()

    def delete(self, path: str) -> None:
        if self.disk.tree.here and self.disk.tree.files.pop(path, None) is not None:
            self.observer.changed(self.real, path, None)
            self._hint(path)
        self._serve()

    def lose_root(self) -> None:
        self.disk.tree.here = False
        self._root_moved()

    def return_root(self) -> None:
        self.disk.tree.here = True
        self._root_moved()

    def overflow(self) -> None:
        """The kernel's queue overflowed."""
        if self.daemon is not None and not self.polling:
            self.daemon.doubt()
        self._serve()

    def turn_git(self, *, busy: bool) -> None:
        """Git begins something in the repository that holds the tree, or ends it."""
        self.git_is_busy = busy
        self.observer.git_turned(self.real, busy=busy)
        self._serve()

    def _put(self, path: str, content: int, *, unheard: bool = False, by_training: bool = False) -> None:
        tree = self.disk.tree
        before = tree.files.get(path, (0, None))[1]
        tree.stamps += 1
        tree.files[path] = (tree.stamps, content)
        if before == content:
            self.observer.touched(self.real, path)
        else:
            self.observer.changed(self.real, path, content, heard=not unheard, by_training=by_training)
        if not unheard:
            self._hint(path)

    def _hint(self, path: str) -> None:
        if self.daemon is not None and not self.polling:
            self.daemon.hint(path)

    def _root_moved(self) -> None:
        self.observer.root_moved(self.real, self.disk.tree.contents(), here=self.disk.tree.here)
        self.overflow()

    # ---- deeds: runs ----------------------------------------------------------------------------

    def start_by_hand(self) -> None:
        """`systemctl start`: neither the cooldown nor the daemon is asked."""
        if self.active is None and not self.skips:
            self._activate(Starter.HAND, forced=False)
        self._serve()

    def trigger(self, starter: Starter, *, forced: bool) -> str | None:
        """What trigger.py does, under its lock; the new activation's name."""
        self.amend()
        if self.active is not None:
            self.observer.refused(starter)
            return None
        if not forced and rest(self.disk.marker, self.now(), self.settings.cooldown).left > 0:
            self.observer.refused(starter)
            return None
        if self.skips:
            return None
        invocation = self._activate(starter, forced=forced)
        self.disk.starts[invocation] = (starter, forced)
        return invocation

    def trigger_by_hand(self, *, forced: bool) -> None:
        self.trigger(Starter.TRIGGER, forced=forced)
        self._serve()

    def stop(self) -> None:
        """`systemctl stop`."""
        if self.active is not None:
            self._end("TERM")
        self._serve()

    def kill_all_of_it(self) -> None:
        """`kill -9` of the whole unit, its ExecStopPost= included."""
        if self.active is not None:
            self._vanish("KILL")
        self._serve()

    def fail_to_begin(self) -> None:
        """By hand, with a `begin` that fails: ExecStopPost= runs, and no run was recorded."""
        if self.active is None and not self.skips:
            invocation = self._activate(Starter.HAND, forced=False, recorded=False)
            assert self.active is not None
            assert self.active.invocation == invocation
            self._end("1")
        self._serve()

    def next_mark_dies(self, when: str) -> None:
        """At the end of the next run `mark` is killed: "at once", or "after the marker"."""
        self._next_mark_dies = when

    def remove_marker(self) -> None:
        self.disk.marker = None
        self.observer.marker_planted()
        self._ring()

    def plant_marker(self, *, ahead: float, with_boot: bool) -> None:
        """Somebody writes a marker that names a time so far ahead, or restores one of another boot."""
        ended = self.now().calendar + timedelta(seconds=ahead)
        boot, elapsed = ("boot-0", 77.0) if with_boot else (None, None)
        self.disk.marker = Marker(ended=ended, written=self.now().calendar, boot_id=boot, elapsed=elapsed)
        self.observer.marker_planted()
        self._ring()

    def running(self) -> Running | None:
        if self.active is None:
            return None
        number = self.disk.find(self.active.invocation)
        return Running(self.active.invocation, self.disk.runs[number].began if number is not None else None)

    def alive(self, invocation: str) -> None:
        number = self.disk.find(invocation)
        if number is not None and self.disk.runs[number].outcome is None:
            self.disk.runs[number] = replace(self.disk.runs[number], alive=self.now())

    def amend(self) -> None:
        """What mark.amend does: close a run that ended without `mark`."""
        number = self.disk.open()
        if number is None:
            return
        run = self.disk.runs[number]
        if self.active is not None and self.active.invocation == run.invocation:
            return
        marker = self.disk.marker
        outcome, ended, status = Outcome.INTERRUPTED, run.alive, ""
        if marker is not None and self._covers(marker, run):
            ended = Moment(marker.boot_id or "", marker.elapsed or 0.0, marker.ended)
            if self._last is not None and self._last.invocation == run.invocation:
                outcome, status = _judged(self._last.status), self._last.status
        else:
            self.disk.marker = _marker(ended)
        self.disk.snapshot.doubt()
        self.disk.runs[number] = replace(run, ended=ended, outcome=outcome, status=status)

    def _covers(self, marker: Marker, run: Run) -> bool:
        """Whether the marker is from after the run's last sign of life, as the cooldown counts."""
        now = self.now()
        return rest(marker, now, self.settings.cooldown).elapsed < since(run.alive, now)

    def _activate(self, starter: Starter, *, forced: bool, recorded: bool = True) -> str:
        """The unit starts, and with it begin.py."""
        self._invocations += 1
        invocation = f"run-{self._invocations}"
        training = self.training
        writes_at = self.real + training.takes / 2 if training.writes else None
        self.observer.begins(
            self.real, self.now(), starter, forced=forced, recorded=recorded,
            running=self.active is not None,
        )  # fmt: skip
        self.active = Active(invocation, self.real + training.takes, writes_at, training)
        self.disk.snapshot.compare(None, self.now(), running=False)
        if self.disk.open() is not None:
            self.disk.snapshot.doubt()
        if recorded:
            pending = self.disk.snapshot.pending()
            self.disk.snapshot.begin()
            self.disk.runs.append(
                Run(
                    id=len(self.disk.runs) + 1, invocation=invocation, starter=starter, forced=forced,
                    began=self.now(), alive=self.now(), content=pending.content if pending else "",
                )
            )  # fmt: skip
        self._bell = True
        return invocation

    def _end(self, status: str) -> None:
        """The training ends, and mark.py does its work, unless it dies."""
        assert self.active is not None
        dies, self._next_mark_dies = self._next_mark_dies, ""
        if dies == "at once":
            self._vanish(status)
            return
        invocation, self.active = self.active.invocation, None
        self._last = LastRun(invocation, status)
        outcome = _judged(status)
        if outcome is not Outcome.DEFERRED:
            self.disk.marker = _marker(self.now())
        number = self.disk.find(invocation)
        whole = not dies and number is not None
        self.observer.ends(self.real, self.now(), outcome, status, recorded=whole)
        if number is not None and not dies:
            self.disk.snapshot.compare(None, self.now(), running=True)
            if outcome is Outcome.SUCCEEDED:
                self.disk.snapshot.succeed()
            elif outcome is not Outcome.DEFERRED:  # that was no run: what was its own stays so
                self.disk.snapshot.fail()
            left = self.disk.snapshot.pending()
            self.disk.runs[number] = replace(
                self.disk.runs[number], ended=self.now(), outcome=outcome, status=status,
                self_fed=left is not None and left.own,
            )  # fmt: skip
        self._bell = True

    def _vanish(self, status: str) -> None:
        """The unit is gone, and nobody said so."""
        assert self.active is not None
        self.observer.vanishes(self.real, self.now(), status)
        self._last = LastRun(self.active.invocation, status)
        self.active = None

    # ---- deeds: the daemon and the machine ------------------------------------------------------

    def start_daemon(self) -> None:
        if self.daemon is None:
            self.daemon = Daemon(self)
            self.observer.daemon_up(self.real)
        self._serve()

    def kill_daemon(self) -> None:
        self.daemon = None
        self._bell = False
        self.observer.daemon_down()

    def reboot(self) -> None:
        """A shutdown that stops the run, and a boot that starts the daemon."""
        if self.active is not None:
            self._end("TERM")
        self._boot_again(BOOTING)

    def cut_power(self, off_for: float) -> None:
        if self.active is not None:
            self._vanish("")
        self._boot_again(off_for)

    def _boot_again(self, off_for: float) -> None:
        self.kill_daemon()
        self._last = None
        self.real += off_for
        self._boot += 1
        self._booted_at = self.real
        self.observer.rebooted(self.real)
        self.start_daemon()

    def _ring(self) -> None:
        self._bell = True
        self._serve()


def _judged(status: str) -> Outcome:
    return {"0": Outcome.SUCCEEDED, "75": Outcome.DEFERRED, "TERM": Outcome.STOPPED}.get(
        status, Outcome.FAILED
    )


def _marker(moment: Moment) -> Marker:
    return Marker(moment.calendar, moment.calendar, moment.boot_id, moment.elapsed)
