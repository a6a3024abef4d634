"""One seed's sequence: operations, now and then a rest, and at each rest the laws."""

from __future__ import annotations

import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from churn.daemon import Daemon
from churn.facts import Deed, Run, Timeline, now, pending, runs
from churn.operations import OPERATIONS, Operation, Trait, fill, mkdir_deep
from churn.oracle import Laws
from churn.report import report
from churn.truth import look
from churn.world import NUDGE, World
from machine.waiting import eventually

# A missed event may cost one rescan; the rest is a loaded machine.
PATIENCE = 45.0
COOLDOWNS = {"0": 0.0, "500ms": 0.5, "2s": 2.0}
# How many operations lie between two rests: few, so that each is seen for itself, or many, so that they meet.
STRETCHES = ([(1, 3), (8, 40)], [85, 15])
# Between two steps, and how likely each is.
PAUSES = ([(0, 0), (0, 0.1), (0.1, 0.5), (0.5, 1.5)], [40, 25, 25, 10])
MODES = ["fine", "slow", "slow", "slow", "fails", "slow fails"]
# No rescan comes to the rescue where each change is heard.
NEVER = "1d"
RESCAN = {"heard": NEVER, "mounts": "15s", "limits": "15s", "mortal": NEVER}


class Broken(Exception):
    """A law was broken; the message says all that is known."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What repeats a sequence: the dice, the ground and the length."""

    seed: int
    ground: str
    operations: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Tally:
    operations: int
    deeds: int
    trainings: int
    rests: int
    longest_rest: float


class Episode:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.rng = random.Random(plan.seed)  # noqa: S311 - dice, no secrets
        self.place = Path(tempfile.mkdtemp(prefix=f"churn-{plan.seed}-"))
        cooldown = self.rng.choice(sorted(COOLDOWNS))
        self.daemon = Daemon(self.place, cooldown=cooldown, rescan=RESCAN[plan.ground])
        self.world = World(self.place, self.rng, self.daemon)
        self.laws = Laws(
            self.world.root,
            COOLDOWNS[cooldown],
            deaf=plan.ground in ("limits", "mounts"),
        )
        self.timeline = Timeline()
        self.forgotten: list[float] = []
        self.seen = look(self.world.root)
        self.done = 0
        self.longest_rest = 0.0

    def play(self) -> Tally:
        """All of it. Raises Broken; then the place is kept."""
        operations, until = self._operations(), now() + self.plan.seconds
        self._steps("grow", self._grow())
        self.daemon.start()
        while not self._is_over(until):
            self.world.mode(self.rng.choice(MODES))
            shortest, longest = self.rng.choices(*STRETCHES)[0]
            for _ in range(self.rng.randint(shortest, longest)):
                if self._is_over(until):
                    break
                self._perform(self.rng.choices(operations, [each.weight for each in operations])[0])
            self._rest()
        self.daemon.stop()
        return Tally(
            self.done,
            len(self.timeline.deeds),
            len(self._runs()),
            len(self.timeline.rests),
            self.longest_rest,
        )

    def close(self) -> None:
        self.daemon.close()
        self.world.open_everything()
        for mount in self.world.mounts():
            eventually(lambda mount=mount: self.world.unmount(mount), 20, "a mount is removed")  # type: ignore[misc]

    # ---- operations -----------------------------------------------------------------------------

    def _operations(self) -> list[Operation]:
        without = Trait.NONE
        if self.plan.ground in ("heard", "mortal"):
            without |= Trait.SILENT
        if self.plan.ground != "mounts":
            without |= Trait.MOUNTS
        if self.plan.ground != "mortal":
            without |= Trait.PERMISSIONS
        return [each for each in OPERATIONS if not each.traits & without]

    def _is_over(self, until: float) -> bool:
        if self.plan.operations is not None:
            return self.done >= self.plan.operations
        return now() >= until

    def _perform(self, operation: Operation) -> None:
        self.done += 1
        if self.world.crowded:
            self._steps("make_room", self._make_room())
        self._steps(operation.name, operation.act(self.world))

    def _steps(self, name: str, act: Iterator[None]) -> None:
        while True:
            hearing, began = self._hearing(), now()
            over = False
            try:
                next(act)
            except StopIteration:
                return
            except OSError:
                over = True
            self._note(name, began, hearing=hearing and self._hearing())
            if over:
                return
            self._pause()

    def _note(self, name: str, began: float, *, hearing: bool) -> None:
        ended, before = now(), self.seen
        self.seen = look(self.world.root)
        self.timeline.deeds.append(Deed(self.done, name, began, ended, before, self.seen, hearing))
        if name == "forget_the_cooldown":
            self.forgotten.append(began)

    def _hearing(self) -> bool:
        return self.daemon.ready and self.daemon.alive and not self.daemon.frozen

    def _pause(self) -> None:
        """Most often none; else shorter or longer than a burst takes to settle, and a training to run."""
        shortest, longest = self.rng.choices(*PAUSES)[0]
        pause = self.rng.uniform(shortest, longest)
        if not pause:
            return
        over = now() + pause
        eventually(lambda: now() >= over, pause + 60, "time passes", every=0.01)

    def _grow(self) -> Iterator[None]:
        for _ in range(30):
            with suppress(OSError):
                for _ in mkdir_deep(self.world):
                    pass
        yield

    def _make_room(self) -> Iterator[None]:
        for folder in self.world.entries(self.world.root)[0][1::2]:
            self.world.remove(folder)
        for path in self.world.entries(self.world.root)[1][::2]:
            self.world.remove(path)
        yield

    # ---- rests ----------------------------------------------------------------------------------

    def _rest(self) -> None:
        """Everything is put right, and then everything has to be trained."""
        self._steps("put_right", self._put_right())
        began = now()
        self._wait(lambda: self._is_trained() or self._rests_and_owes())
        if not self._is_trained():
            self._nudge()
            self._wait(self._is_trained)
        self.timeline.rests.append(now())
        self.longest_rest = max(self.longest_rest, now() - began)
        for what in self.laws.broken(self._runs(), self.timeline, self.forgotten):
            raise Broken(self._report(what))

    def _put_right(self) -> Iterator[None]:
        self.world.open_everything()
        self.world.root_back()
        self.world.mode("fine")
        self.daemon.thaw()
        self.daemon.start()
        self.daemon.ring()
        yield

    def _wait(self, claim: Callable[[], bool]) -> None:
        def asked() -> bool:
            if self.daemon.fate is not None:
                raise Broken(self._report(f"the daemon ended by itself with {self.daemon.fate}"))
            return claim()

        try:
            eventually(asked, PATIENCE, "everything is trained", every=0.05)
        except AssertionError as error:
            owed = sorted(self._owed())
            raise Broken(self._report(f"{error}; {len(owed)} owed: {owed[:5]}")) from error

    def _is_trained(self) -> bool:
        return self.daemon.status.startswith("nothing to train") and not self._owed()

    def _rests_and_owes(self) -> bool:
        """It may rest where trainings seem to feed themselves, as long as it owes what it must.

        The churn changes files while they are trained on; any change to another path has to end that rest.
        """
        resting = self.daemon.status.startswith("resting: only files that the training itself")
        return resting and self._owed() <= pending(self.daemon.database, self.world.root)

    def _owed(self) -> set[bytes]:
        return self.laws.owed(self.seen, self._runs(), self.timeline)

    def _runs(self) -> list[Run]:
        return runs(self.place, self.daemon.database)

    def _nudge(self) -> None:
        began = now()
        fill(os.path.join(self.world.root, NUDGE % len(self.timeline.deeds)), b"any other path")
        self._note("nudge", began, hearing=self._hearing())

    def _report(self, what: str) -> str:
        log = self.daemon.log.read_text(encoding="utf-8", errors="replace")
        return report(what, self.daemon.status, self.timeline, self._runs(), log)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
