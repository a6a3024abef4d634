"""The watcher as the daemon sees it: inotify where that works, polling where it doesn't, never neither.

    a folder that can't be watched  ──▶ polled, the rest stays watched ──tried again, after 1 min … 1 h──▶ watched
    no inotify at all               ──▶ all is polled                  ──idem──▶ watched

Either way everything is compared now and then. Nothing here raises because of the tree or the kernel:
the worst is a condition that says what is wrong and how to mend it.
"""

from __future__ import annotations

import logging
import os
import select
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from training_watch.watching.condition import Condition, Gap, gaps_of, refused_instance
from training_watch.watching.ignore import Ignore
from training_watch.watching.inotify import Inotify
from training_watch.watching.mounts import Notice, Terrain, terrain
from training_watch.watching.paths import shown
from training_watch.watching.polling import Polling
from training_watch.watching.touched import Touched
from training_watch.watching.watches import Cause

# Each try costs, so they become rare (syncthing does the same).
RETRY_FIRST = 60.0
RETRY_LONGEST = 3600.0

Mode = Literal["auto", "inotify", "poll"]
Say = Callable[[int, str], None]


class Watcher:
    """All times are seconds on CLOCK_BOOTTIME, given by the caller; no clock is asked here."""

    def __init__(
        self,
        roots: Sequence[bytes],
        ignore: Ignore,
        *,
        mode: Mode,
        poll_interval: float,
        rescan_interval: float,
        say: Say,
    ) -> None:
        self._roots = tuple(roots)
        self._ignore = ignore
        self._mode = mode
        self._poll_interval = rescan_interval if mode == "inotify" else poll_interval
        self._rescan_interval = rescan_interval
        self._say = say
        self._inotify: Inotify | None = None
        self._notice = Notice()
        self._terrain = self._survey()
        self._refused: Gap | None = None
        self._polling = Polling(self._poll_interval, 0.0)
        self._rescan = Polling(self._rescan_interval, 0.0)
        self._retry_at: float | None = None
        self._pause = RETRY_FIRST
        self._absent: tuple[bytes, ...] = ()
        self._told: dict[str, Gap] = {}
        self._before = (0, 0)

    def arm(self, at: float, remembered: Iterable[bytes] = ()) -> None:
        """Begin to watch. What is in the tree already gives no hint: compare everything after this.

        `remembered` are the folders of an earlier time: they are watched at once, the others at the first `read`.
        """
        self._polling = Polling(self._poll_interval, at)
        self._rescan = Polling(self._rescan_interval, at)
        self._see_roots()
        self._engage(at, remembered)
        self._tell(at)

    def descriptors(self) -> dict[int, int]:
        """What to poll(2), and for which events. It may change at each `read`."""
        found = dict[int, int]()
        if self._inotify is not None and (fd := self._inotify.fileno()) is not None:
            found[fd] = select.POLLIN
        if (fd := self._notice.fileno()) is not None and self._mode != "poll":
            found[fd] = select.POLLPRI
        return found

    def due(self) -> float | None:
        """When `read` is to be called even if there is nothing to read."""
        times = [
            self._polling.due() if self._inotify is None or self.blind() else None,
            self._rescan.due() if self._inotify is not None else None,
            self._inotify.due() if self._inotify is not None else None,
            self._retry_at,
        ]
        return min((time for time in times if time is not None), default=None)

    def read(self, at: float) -> Touched:
        """The hints since the last call; never blocks. Work that is due is done on the way."""
        touched = self.hear(at)
        if self._mode != "poll" and self._notice.came():
            self._look_at_mounts(at, touched)
        if self._retry_at is not None and at >= self._retry_at:
            self._retry(at, touched)
        if self._inotify is None:
            if self._polling.comes(at):
                touched.all("it is time to look")
        elif self.blind() and self._polling.comes(at):
            for folder in self.blind():
                touched.tree(folder)
        if self._inotify is not None and self._rescan.comes(at):
            touched.all("the regular comparison")
            self._look_at_mounts(at, touched)
            self._guarded(at, touched, Inotify.verify)
        if touched.everything:
            self._see_roots()
        self._tell(at)
        return touched

    def hear(self, at: float) -> Touched:
        """What the kernel has told since the last call, and nothing else: for who is in a hurry and calls `read` later."""
        touched = Touched()
        if self._inotify is not None:
            try:
                return self._inotify.read(at)
            except OSError as error:
                self._fall_back(at, error, touched)
        return touched

    def blind(self) -> tuple[bytes, ...]:
        """The folders that have to be looked into, with all below, to know what is there now; all if not watched."""
        if self._inotify is None:
            return self._roots
        gaps = self._inotify.watches.gaps
        if not gaps and not self._terrain.partial:
            return ()
        polled = [folder for folder, cause in gaps.items() if cause is not Cause.FORBIDDEN]
        return (*polled, *self._terrain.partial)

    @property
    def condition(self) -> Condition:
        gaps, counts = self._gaps(), self._counts()
        if len(self._absent) == len(self._roots):
            return Condition("waiting", 0, gaps, self._absent, *counts)
        if self._inotify is None or not len(self._inotify.watches):
            return Condition("polling", 0, gaps, self._absent, *counts)
        return Condition("inotify", len(self._inotify.watches), gaps, self._absent, *counts)

    def close(self) -> None:
        self._disengage()
        self._notice.close()

    def _engage(self, at: float, remembered: Iterable[bytes] = ()) -> bool:
        """Watch with inotify; where there is none, say so and try again later."""
        if self._mode == "poll":
            return False
        try:
            self._inotify = Inotify(self._roots, self._ignore, self._terrain, at, remembered)
        except ImportError:
            self._refused = Gap(
                "the package inotify-simple is missing", "pip install inotify-simple", self._roots
            )
        except OSError as error:
            self._refused = refused_instance(error, self._roots)
        else:
            self._refused = None
            self._rescan = Polling(self._rescan_interval, at)
        return self._inotify is not None

    def _counts(self) -> tuple[int, int]:
        """(events, overflows) of this instance and those before it."""
        events, overflows = self._before
        if self._inotify is None:
            return events, overflows
        return events + self._inotify.events, overflows + self._inotify.overflows

    def _disengage(self) -> None:
        if self._inotify is not None:
            self._before = self._counts()
            self._inotify.close()
            self._inotify = None

    def _guarded(self, at: float, touched: Touched, act: Callable[[Inotify, Touched], None]) -> None:
        if self._inotify is not None:
            try:
                act(self._inotify, touched)
            except OSError as error:
                self._fall_back(at, error, touched)

    def _fall_back(self, at: float, error: OSError, touched: Touched) -> None:
        """Inotify is of no use: all is polled from now on."""
        self._disengage()
        self._refused = refused_instance(error, self._roots)
        self._polling = Polling(self._poll_interval, at)
        touched.all("inotify failed")

    def _retry(self, at: float, touched: Touched) -> None:
        self._retry_at = None
        if self._inotify is not None:
            self._guarded(at, touched, Inotify.retry)
        elif self._engage(at):
            touched.all("inotify works again")

    def _look_at_mounts(self, at: float, touched: Touched) -> None:
        now = self._survey()
        if now != self._terrain:
            self._terrain = now
            touched.all("a file system was mounted or unmounted")
            self._guarded(at, touched, lambda inotify, touched: inotify.survey(now, touched))

    def _survey(self) -> Terrain:
        found = terrain(self._roots, lambda path: self._ignore.ignored(path, is_folder=True))
        return found if self._mode == "auto" else found.trusted()

    def _see_roots(self) -> None:
        absent = tuple(root for root in self._roots if not os.path.isdir(root))
        for root in self._roots:
            if root in absent and root not in self._absent:
                self._say(logging.WARNING, f"{shown(root)} is not there: waiting for it")
            elif root in self._absent and root not in absent:
                self._say(logging.INFO, f"{shown(root)} is there")
        self._absent = absent

    # ---- degraded is a state -----------------------------------------------------------------

    def _gaps(self) -> tuple[Gap, ...]:
        if self._refused is not None:
            return (self._refused,)
        if self._inotify is None:
            return ()
        return gaps_of(self._inotify.watches.gaps, self._terrain.remote)

    def _tell(self, at: float) -> None:
        """Say once that something can't be watched, and once that it is; try again while a limit forbids it."""
        limited = self._refused is not None or (
            self._inotify is not None and Cause.LIMIT in self._inotify.watches.gaps.values()
        )
        if not limited:
            self._retry_at, self._pause = None, RETRY_FIRST
        elif self._retry_at is None:
            self._retry_at = at + self._pause
            self._pause = min(2 * self._pause, RETRY_LONGEST)
        if not self._told and self._refused is None and not (self._inotify and self._inotify.watches.gaps):
            return
        now = {gap.cause: gap for gap in self._gaps()}
        for cause in now.keys() - self._told.keys():
            gap = now[cause]
            how = f"looking every {self._poll_interval:.0f} s" if gap.polled else "nothing can be seen"
            mend = f"; to mend it: {gap.mend}" if gap.mend else ""
            self._say(logging.WARNING, f"{cause}: {how} in {gap.extent}{mend}")
        for cause in self._told.keys() - now.keys():
            self._say(logging.INFO, f"no longer: {cause}; changes are seen at once again")
        self._told = now
