"""Wakes the daemon when a marker is written or removed, or a run's record changes.

A folder is watched, not the file: a marker that is renamed into place is another inode each time.
Where there is no inotify the files' stamps are compared at each look.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from inotify_simple import INotify

# How often the stamps are looked at where inotify can't tell. Arbitrary.
LOOK = 10.0


def ring(bell: Path) -> None:
    """Wake the daemon, if there is one. It is a hint: that it can't be given is no failure."""
    with suppress(OSError):
        bell.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with bell.open("w", encoding="ascii"):
            pass


class Bell:
    """Listens to some files, each of which may be there or not."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._files = {os.fspath(file) for file in files}
        self._names = {os.path.basename(file) for file in self._files}
        self._stamps = self._look()
        self._inotify = self._watch()

    def fileno(self) -> int | None:
        """What to poll(2), where there is something."""
        return self._inotify.fileno() if self._inotify else None

    @property
    def due(self) -> float | None:
        """Seconds after which to look without an event; None where the kernel tells."""
        return LOOK if self._inotify is None else None

    def read(self) -> bool:
        """Whether one of the files changed since the last call. Never blocks."""
        rang = False
        if self._inotify is not None:
            events = self._inotify.read(timeout=0)
            rang = any(event.name in self._names for event in events)
            if any(not event.name for event in events):  # overflow, or a folder itself went away
                self.close()
                self._inotify = self._watch()
        stamps, self._stamps = self._stamps, self._look()
        return rang or stamps != self._stamps

    def close(self) -> None:
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None

    def _watch(self) -> INotify | None:
        try:
            from inotify_simple import INotify, flags  # noqa: PLC0415 - a machine may lack it
        except ImportError:
            return None
        mask = flags.CREATE | flags.CLOSE_WRITE | flags.MOVED_TO | flags.MOVED_FROM | flags.DELETE
        inotify = None
        try:
            inotify = INotify()
            for folder in {os.path.dirname(file) for file in self._files}:
                inotify.add_watch(folder, mask | flags.DELETE_SELF | flags.MOVE_SELF | flags.ONLYDIR)
        except OSError:
            if inotify is not None:
                inotify.close()
            return None
        return inotify

    def _look(self) -> dict[str, tuple[int, int, int]]:
        stamps = {}
        for file in self._files:
            with suppress(OSError):
                stat = os.stat(file)
                stamps[file] = (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino)
        return stamps
