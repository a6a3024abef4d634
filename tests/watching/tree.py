"""A real tree that a real watcher and a real snapshot look at, in a time of the test's own."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from training_watch.database import open_database
from training_watch.events import Moment
from training_watch.watching.compare import Comparison
from training_watch.watching.ignore import Ignore
from training_watch.watching.snapshot import Snapshot
from training_watch.watching.touched import Touched
from training_watch.watching.watcher import Watcher

Backend = Literal["inotify", "poll"]
INTERVAL = 300.0


def exhausted(steps: Generator[None, None, Comparison]) -> Comparison:
    try:
        while True:
            next(steps)
    except StopIteration as end:
        result: Comparison = end.value
        return result


def everything() -> Touched:
    touched = Touched()
    touched.all("asked for")
    return touched


class Tree:
    """Events are queued by the very call that makes a change, so there is nothing to wait for."""

    def __init__(
        self,
        place: Path,
        backend: Backend = "inotify",
        *,
        roots: Sequence[Path] = (),
        patterns: Sequence[str] = (),
        gitignore: bool = True,
        make: bool = True,
        mode: Literal["auto", "inotify", "poll"] | None = None,
    ) -> None:
        self.root = place / "docs"
        if make:
            self.root.mkdir(parents=True)
        self.backend = backend
        self.at = 1000.0
        self.said: list[tuple[int, str]] = []
        self.roots = [os.fsencode(root) for root in roots or [self.root]]
        self.patterns, self.gitignore = patterns, gitignore
        self.ignore = Ignore(self.roots, patterns, gitignore=gitignore)
        self.connection = open_database(place / "state.db", say=print)
        self.snapshot = Snapshot(self.connection, "docs.service", self.roots, self.ignore)
        self.watcher = Watcher(
            self.roots,
            self.ignore,
            mode=mode or backend,
            poll_interval=INTERVAL,
            rescan_interval=10 * INTERVAL,
            say=lambda level, message: self.said.append((level, message)),
        )
        self.watcher.arm(self.at)
        self.touched = Touched()

    def close(self) -> None:
        self.watcher.close()
        self.connection.close()

    # ---- what a person does ------------------------------------------------------------------

    def write(self, name: str | bytes, text: str | bytes = "text") -> Path:
        path = Path(os.fsdecode(os.path.join(os.fsencode(self.root), os.fsencode(name))))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    # ---- what the daemon does ----------------------------------------------------------------

    def hear(self) -> Touched:
        """Drain what there is to be heard; a poll is waited for."""
        if self.backend == "poll":
            self.at += INTERVAL
        heard = self.watcher.read(self.at)
        while (due := self.watcher.due()) is not None and due <= self.at:
            heard.merge(self.watcher.read(self.at))
        self.touched.merge(heard)
        return heard

    def later(self, seconds: float) -> Touched:
        self.at += seconds
        return self.hear()

    def see(self, *, running: bool = False) -> Comparison:
        """Compare where there were hints."""
        heard = self.hear()
        if running:
            self.snapshot.stir(heard)
        touched, self.touched = self.touched, Touched()
        return exhausted(self.snapshot.compare(touched, self.moment(), running=running))

    def see_all(self, *, running: bool = False) -> Comparison:
        return exhausted(self.snapshot.compare(everything(), self.moment(), running=running))

    def begin(self) -> None:
        closed = self.see_all().closed
        self.hear()
        self.touched = Touched()
        self.snapshot.begin(closed)

    def train(self) -> None:
        """A run that succeeds and during which nothing happens."""
        self.begin()
        self.snapshot.succeed()
        assert self.snapshot.pending() is None

    def moment(self) -> Moment:
        # By the calendar of the files' own stamps, well after them: nothing is racy unless a test says so.
        return Moment("boot", self.at, datetime.now(UTC) + timedelta(seconds=60))

    # ---- what is known -----------------------------------------------------------------------

    def pending(self) -> set[str]:
        """The names of all pending files, relative to the root, and agreement with `pending`."""
        rows = self.connection.execute(
            "SELECT path FROM files WHERE digest IS NOT trained AND unit = 'docs.service' ORDER BY path"
        ).fetchall()
        pending = self.snapshot.pending()
        if pending is None:
            return set()
        assert len(rows) >= pending.count
        return {os.path.relpath(os.fsdecode(row[0]), self.root) for row in rows}

    def known(self) -> dict[bytes, bytes]:
        return dict(
            self.connection.execute("SELECT path, digest FROM files WHERE digest IS NOT NULL").fetchall()
        )
