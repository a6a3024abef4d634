"""`training-watch watch`: changes as they are seen, for people and pipes. Nothing is debounced or kept."""

from __future__ import annotations

import json
import logging
import os
import select
import sqlite3
import sys
from collections.abc import Callable, Iterator

from training_watch import clock
from training_watch.config import Job
from training_watch.database import in_memory
from training_watch.journal import printable
from training_watch.records import Records, records_of
from training_watch.watching import Ignore, Touched, Watcher


def watch_tree(
    jobs: tuple[Job, ...], *, as_json: bool, nul: bool, everything: bool, say: Callable[[str], None]
) -> None:
    """Print changes until interrupted. Raises BrokenPipeError when the reader has gone."""
    trees = [_Tree(job, everything=everything, say=say) for job in jobs]
    while True:
        for tree in trees:
            for path in tree.changes():
                rule = tree.rule(path) if everything else None
                sys.stdout.buffer.write(_line(path, rule, as_json=as_json, nul=nul))
        sys.stdout.buffer.flush()
        poller = select.poll()
        for tree in trees:
            if (fd := tree.watcher.fileno()) is not None:
                poller.register(fd, select.POLLIN)
        deadlines = [due for tree in trees if (due := tree.watcher.due()) is not None]
        left = min(deadlines) - clock.elapsed() if deadlines else 3600.0
        poller.poll(max(0, min(3_600_000, int(left * 1000) + 1)))


class _Tree:
    """One job's folders, watched. Where events name no files, a comparison finds them."""

    def __init__(self, job: Job, *, everything: bool, say: Callable[[str], None]) -> None:
        self._ignore = Ignore(job.roots, job.ignore, gitignore=job.gitignore)
        shown = Ignore(job.roots, (), gitignore=False, editors=False) if everything else self._ignore
        self._connection: sqlite3.Connection = in_memory()
        self._records: Records = records_of(self._connection, job, ignore=shown)
        self.watcher = Watcher(
            job.roots, shown,
            mode=job.mode, poll_interval=job.poll_interval, rescan_interval=job.rescan_interval,
            say=lambda level, line: say(line) if level >= logging.WARNING else None,
        )  # fmt: skip
        self.watcher.arm(clock.elapsed())
        self._refresh(Touched(everything=True, cause="the beginning"))

    def changes(self) -> Iterator[bytes]:
        """The paths that changed since the last call, each once."""
        touched = self.watcher.read(clock.elapsed())
        if not touched:
            return
        named = {os.path.join(folder, name) for folder, names in touched.folders.items() for name in names}
        yield from sorted(named)
        found = self._refresh(touched)
        if touched.everything:
            yield from (path for path in found if path not in named)

    def rule(self, path: bytes) -> str | None:
        return self._ignore.why(path, is_folder=os.path.isdir(path))

    def _refresh(self, touched: Touched) -> list[bytes]:
        """Compare, and take what differs as known from now on."""
        for _ in self._records.snapshot.compare(touched, clock.now(), running=False):
            pass
        found = self._records.snapshot.changed()
        self._records.snapshot.begin()
        self._records.snapshot.succeed()
        return found


def _line(path: bytes, rule: str | None, *, as_json: bool, nul: bool) -> bytes:
    if as_json:
        told = {"path": printable(path), "ignored_by": rule} if rule else {"path": printable(path)}
        return json.dumps(told).encode() + b"\n"
    if nul:
        return path + b"\0"
    line = printable(path).encode("utf-8", "backslashreplace")
    return line + (f"\t{printable(rule)}".encode() if rule else b"") + b"\n"
