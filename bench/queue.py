"""The kernel's queue of events: one limit for the whole machine, read by inotify_init(2).

Others may set it too, so it is set, and also only relied on, under a lock on its file. Who is killed with
SIGKILL in between leaves it as it was set.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")


@contextmanager
def queue_of(events: int | None) -> Iterator[int]:
    """Its length for what begins to watch meanwhile: so many events, or as the machine has it.

    Waits for the lock. Raises PermissionError where a length is given and the caller isn't root.
    """
    with QUEUE.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        before = QUEUE.read_text(encoding="ascii")
        if events is None:
            yield int(before)
            return
        try:
            QUEUE.write_text(str(events), encoding="ascii")
            yield int(QUEUE.read_text(encoding="ascii"))
        finally:
            QUEUE.write_text(before, encoding="ascii")
