"""The watcher as the daemon sees it: inotify where that works, polling where it doesn't, never neither.

    inotify ──refused, no events here──▶ polling ──retried, after 1 min … 1 h──▶ inotify

Either way everything is compared now and then. Nothing here raises because of the tree or the kernel:
the worst is a condition that says what is wrong and how to mend it.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from training_watch.watching.ignore import Ignore
from training_watch.watching.inotify import Inotify
from training_watch.watching.mounts import (
    gives_events,
    mount_of,
    mounts,
    mounts_in,
    real,
    wants_rescans,
)
from training_watch.watching.paths import shown
from training_watch.watching.polling import Polling
from training_watch.watching.touched import Touched

# Each try walks the whole tree, so they become rare (syncthing does the same).
RETRY_FIRST = 60.0
RETRY_LONGEST = 3600.0
# What a limit is at least raised to in the advice: the kernel's own default on a machine with much memory.
ENOUGH_WATCHES = 524_288
ENOUGH_INSTANCES = 1024

Mode = Literal["auto", "inotify", "poll"]
Say = Callable[[int, str], None]


@dataclass(frozen=True, slots=True)
class Condition:
    """How the tree is watched, why not better, and what would mend that; `folders` are watched."""

    mode: Literal["inotify", "polling", "waiting"]
    cause: str = ""
    mend: str = ""
    folders: int = 0


@dataclass(frozen=True, slots=True)
class Fault:
    cause: str
    mend: str = ""


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
        self._poll_interval = poll_interval
        self._rescan_interval = rescan_interval
        self._say = say
        self._inotify: Inotify | None = None
        self._fault: Fault | None = None
        self._retry_at: float | None = None
        self._pause = RETRY_FIRST
        self._scan: Polling | None = None
        self._absent: tuple[bytes, ...] = ()

    def arm(self, at: float) -> None:
        """Begin to watch. What is in the tree already gives no hint: compare everything after this."""
        self._see_roots()
        self._engage(at)

    def fileno(self) -> int | None:
        """What to poll(2) for reading. It may change at each `read`."""
        return self._inotify.fileno() if self._inotify else None

    def due(self) -> float | None:
        """When `read` is to be called even if there is nothing to read."""
        times = [
            self._scan.due() if self._scan else None,
            self._inotify.due() if self._inotify else None,
            self._retry_at,
        ]
        return min((time for time in times if time is not None), default=None)

    def read(self, at: float) -> Touched:
        """The hints since the last call; never blocks. Work that is due is done on the way."""
        touched = self._events(at)
        if self._retry_at is not None and at >= self._retry_at and self._engage(at):
            touched.all("inotify works again")
        if self._scan is not None:
            scan = self._scan.read(at)
            if scan and self._inotify is not None:
                self._renew(at)
            touched.merge(scan)
        if touched.everything:
            self._see_roots()
        return touched

    @property
    def condition(self) -> Condition:
        cause, mend = (self._fault.cause, self._fault.mend) if self._fault else ("", "")
        if self._absent:
            missing = ", ".join(shown(root) for root in self._absent)
            cause = "; ".join(filter(None, (f"{missing}: not there", cause)))
        if len(self._absent) == len(self._roots):
            return Condition("waiting", cause, mend or "create it, or correct `paths`")
        if self._inotify is None:
            return Condition("polling", cause, mend)
        return Condition("inotify", cause, mend, self._inotify.folders)

    def close(self) -> None:
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None

    def _events(self, at: float) -> Touched:
        if self._inotify is None:
            return Touched()
        try:
            return self._inotify.read(at)
        except OSError as error:
            self._fall_back(at, self._refusal(error))
        touched = Touched()
        touched.all("inotify failed")
        return touched

    def _engage(self, at: float) -> bool:
        """Watch with inotify, or fall back and say why."""
        if self._mode == "poll":
            self._scan = Polling(self._poll_interval, at, "it is time to look")
            return False
        fault = self._blind_spot() if self._mode == "auto" else None
        if fault is None:
            try:
                self._inotify = Inotify(self._roots, self._ignore, at)
            except ImportError:
                fault = Fault("the package inotify-simple is missing", "pip install inotify-simple")
            except OSError as error:
                fault = self._refusal(error)
        if fault is not None:
            self._fall_back(at, fault)
            return False
        if self._fault is not None:
            self._say(logging.INFO, "inotify works again: changes are seen at once")
        self._fault, self._retry_at, self._pause = None, None, RETRY_FIRST
        self._scan = Polling(self._between_rescans(), at, "the regular comparison")
        return True

    def _fall_back(self, at: float, fault: Fault) -> None:
        self.close()
        interval = self._poll_interval if self._mode == "auto" else self._rescan_interval
        if fault != self._fault:
            mend = f"; to mend it: {fault.mend}" if fault.mend else ""
            self._say(logging.WARNING, f"{fault.cause}: looking every {interval:.0f} s instead{mend}")
        if self._fault is None or self._scan is None:
            self._scan = Polling(interval, at, "it is time to look")
        self._fault = fault
        self._retry_at = at + self._pause
        self._pause = min(2 * self._pause, RETRY_LONGEST)

    def _renew(self, at: float) -> None:
        """What no event tells: a mount that came, a folder that can be read now."""
        fault = self._blind_spot() if self._mode == "auto" else None
        if fault is not None:
            self._fall_back(at, fault)
        elif self._inotify is not None:
            try:
                self._inotify.renew()
            except OSError as error:
                self._fall_back(at, self._refusal(error))

    def _blind_spot(self) -> Fault | None:
        """A part of the tree on a file system that doesn't tell of all changes."""
        present = mounts()
        for root in self._roots:
            place = real(root)
            inside = (m for m in mounts_in(present, place) if not self._is_ignored(root, place, m.point))
            for mount in (mount_of(present, place), *inside):
                if not gives_events(mount.fstype):
                    where = shown(max(place, mount.point, key=len))
                    return Fault(f"{where} is on {mount.fstype}, which doesn't tell of all changes")
        return None

    def _is_ignored(self, root: bytes, place: bytes, point: bytes) -> bool:
        return self._ignore.ignored(root.rstrip(b"/") + point[len(place.rstrip(b"/")) :], is_folder=True)

    def _between_rescans(self) -> float:
        present = mounts()
        partial = any(wants_rescans(mount_of(present, real(root)).fstype) for root in self._roots)
        return min(self._poll_interval, self._rescan_interval) if partial else self._rescan_interval

    def _see_roots(self) -> None:
        absent = tuple(root for root in self._roots if not os.path.isdir(root))
        for root in self._roots:
            if root in absent and root not in self._absent:
                self._say(logging.WARNING, f"{shown(root)} is not there: waiting for it")
            elif root in self._absent and root not in absent:
                self._say(logging.INFO, f"{shown(root)} is there")
        self._absent = absent

    def _refusal(self, error: OSError) -> Fault:
        if error.errno == errno.ENOSPC:  # inotify_add_watch(2): the limit on watches, not the disk
            limit = _limit("max_user_watches", "max_inotify_watches")
            cause = f"inotify's limit of {limit} watches is reached"
            return Fault(cause, f"sudo sysctl fs.inotify.max_user_watches={max(ENOUGH_WATCHES, 2 * limit)}")
        if error.errno == errno.EMFILE:  # inotify_init(2)
            limit = _limit("max_user_instances", "max_inotify_instances")
            cause = f"inotify's limit of {limit} instances, or that of open files, is reached"
            return Fault(
                cause, f"sudo sysctl fs.inotify.max_user_instances={max(ENOUGH_INSTANCES, 2 * limit)}"
            )
        return Fault(f"inotify failed ({error.strerror})")


def _limit(name: str, in_namespace: str) -> int:
    """A limit of this user, of which a user namespace may have a lower one (namespaces(7))."""
    found = []
    for path in (f"/proc/sys/fs/inotify/{name}", f"/proc/sys/user/{in_namespace}"):
        try:
            found.append(int(Path(path).read_text(encoding="ascii")))
        except (OSError, ValueError):
            continue
    return min(found, default=0)
