"""`training-watch watch`: changes as they are seen, for people and pipes. Nothing is debounced or kept.

    a hint that names a file    is printed at once
    one that names none         (a new folder, a lost event, a poll): a comparison finds the files

What is compared is stamps, not content: a file that was written is a change here, whatever was written.
"""

from __future__ import annotations

import json
import logging
import os
import select
import sqlite3
import struct
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress

from training_watch import clock
from training_watch.config import Job
from training_watch.database import temporary
from training_watch.records import Records, records_of
from training_watch.text import printable
from training_watch.watching.compare import Comparison
from training_watch.watching.content import Content, Pace, stamp_of
from training_watch.watching.ignore import Ignore
from training_watch.watching.paths import join
from training_watch.watching.touched import Touched
from training_watch.watching.watcher import Watcher

# How long after the last hint its folders are compared, so that they are known when events are lost. Arbitrary.
REST = 0.1
# How long one slice of comparing may take before hints are read again. Arbitrary.
SLICE = 0.005
# How many names are remembered as told before that rest is cut short. Arbitrary.
TOLD = 50_000


def watch_tree(
    jobs: tuple[Job, ...], *, as_json: bool, nul: bool, everything: bool, say: Callable[[str], None]
) -> None:
    """Print changes until interrupted. Raises BrokenPipeError when the reader has gone."""
    trees = [_Tree(job, everything=everything, say=say) for job in jobs]
    output = sys.stdout.buffer
    while True:
        for look in (_Tree.heard, _Tree.found):
            for tree in trees:
                for path in look(tree):
                    rule = tree.rule(path) if everything else None
                    output.write(_line(path, rule, as_json=as_json, nul=nul))
            output.flush()
        poller = select.poll()
        for tree in trees:
            for fd, events in tree.watcher.descriptors().items():
                poller.register(fd, events)
        left = min(tree.due() for tree in trees) - clock.elapsed()
        poller.poll(max(0, min(3_600_000, int(left * 1000) + 1)) if left > 0 else 0)


class _Tree:
    """One job's folders, watched."""

    def __init__(self, job: Job, *, everything: bool, say: Callable[[str], None]) -> None:
        self._say = say
        self._names = ", ".join(map(str, job.paths))
        self._ignore = Ignore(job.roots, job.ignore, gitignore=job.gitignore)
        shown = Ignore(job.roots, (), gitignore=False, editors=False) if everything else self._ignore
        self._connection: sqlite3.Connection = temporary()
        self._records: Records = records_of(self._connection, job, ignore=shown, read=_stamped)
        self.watcher = Watcher(
            job.roots, shown,
            mode=job.mode, poll_interval=job.poll_interval, rescan_interval=job.rescan_interval,
            say=lambda level, line: say(line) if level >= logging.WARNING else None,
        )  # fmt: skip
        self.watcher.arm(clock.elapsed())
        self._owed = Touched(everything=True, cause="the beginning")
        self._fresh = list[Touched]()
        self._told = set[bytes]()
        self._telling = set[bytes]()
        self._rest_until = 0.0
        self._comparing: Generator[None, None, Comparison] | None = None
        self._known = False

    def heard(self) -> Iterable[bytes]:
        """The files that events name, each once: as quickly as can be; what else is to be done is done later."""
        return self._take(self.watcher.hear(clock.elapsed()))

    def found(self) -> Iterable[bytes]:
        """The files that other hints name; at the end of a comparison those that differ and no hint has named."""
        now = clock.elapsed()
        files = self._take(self.watcher.read(now))
        if self._fresh:
            self._owe(now)
        return [*files, *self._differing(now)]

    def _take(self, touched: Touched) -> list[bytes]:
        if not touched:
            return []
        self._fresh.append(touched)
        # A folder is no file: what is in it is found by looking, and told then.
        return [
            path
            for folder, names in touched.folders.items()
            for path in (join(folder, name) for name in names)
            if path not in touched.moved
        ]

    def _differing(self, now: float) -> Iterable[bytes]:
        """One slice of comparing, and at its end what it found."""
        if self._comparing is None:
            if not self._owed or now < self._rest_until:
                return ()
            owed, self._owed = self._owed, Touched()
            self._telling, self._told = self._told, set()
            self._comparing = self._records.snapshot.compare(owed, clock.now(), running=False)
        try:
            while clock.elapsed() < now + SLICE:
                next(self._comparing)
        except StopIteration:
            self._comparing = None
        else:
            return ()
        differing = self._records.snapshot.changed() if self._known else []
        self._records.snapshot.take()
        self._known = True
        return [path for path in differing if path not in self._telling]

    def _owe(self, now: float) -> None:
        for touched in self._fresh:
            if touched.everything and not self._known:
                self._say(
                    f"{self._names}: changes may have been lost while it was first looked at; those from now on are told"
                )
            self._owed.merge(touched)
            self._told.update(
                join(folder, name) for folder, names in touched.folders.items() for name in names
            )
        doubtful = any(touched.doubtful for touched in self._fresh)
        self._fresh.clear()
        self._rest_until = now if doubtful or len(self._told) > TOLD else now + REST

    def due(self) -> float:
        """When to look again even if no event comes."""
        deadlines = [self.watcher.due()]
        if self._comparing is not None:
            deadlines.append(clock.elapsed())
        elif self._owed:
            deadlines.append(self._rest_until)
        return min((each for each in deadlines if each is not None), default=clock.elapsed() + 3600.0)

    def rule(self, path: bytes) -> str | None:
        return self._ignore.why(path, is_folder=os.path.isdir(path))


def _stamped(path: bytes, pace: Pace) -> Generator[None, None, Content | None]:
    """In place of a file's content: when it was last written, and what is there."""
    if pace.spend(1):
        yield
    with suppress(FileNotFoundError, NotADirectoryError):
        stamp = stamp_of(path, os.lstat(path))
        return Content(stamp, struct.pack("4q", *stamp), 0) if stamp is not None else None
    return None


def _line(path: bytes, rule: str | None, *, as_json: bool, nul: bool) -> bytes:
    if as_json:
        told = {"path": printable(path), "ignored_by": rule} if rule else {"path": printable(path)}
        return json.dumps(told).encode() + b"\n"
    if nul:
        return path + b"\0"
    line = printable(path).encode("utf-8", "backslashreplace")
    return line + (f"\t{printable(rule)}".encode() if rule else b"") + b"\n"
