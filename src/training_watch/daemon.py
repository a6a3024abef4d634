"""`training-watch run`: one loop, until told to stop.

    poll(2) on: the kernel's file events · the bell · signals        with the earliest deadline as time-out
    then:       serve each keeper, ping the watchdog, tell the status

The watchdog is pinged from this loop and nowhere else, so a ping proves that changes are still seen.
"""

from __future__ import annotations

import logging
import os
import select
import signal
import socket
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from training_watch import __version__, clock, places
from training_watch.bell import Bell
from training_watch.config import Config, ConfigError, Job, read_config
from training_watch.database import open_database, set_aside
from training_watch.describe import folders
from training_watch.files import lock
from training_watch.journal import log
from training_watch.keeper import Keeper
from training_watch.launching import Launcher
from training_watch.mends import refused
from training_watch.notify import Notify
from training_watch.published import DaemonReport, publish, retract
from training_watch.records import records_of
from training_watch.timespan import spoken
from training_watch.typed import anywhere, for_job
from training_watch.watching.watcher import Watcher

# Whether a daemon runs is asked by trying its lock: one that asks may have it for a moment. Arbitrary.
LOCKED = 1.0
# After an error of the disk or the database the loop goes on with what it has; it tries again after this.
MEND = 30.0
# The least time between two looks at what there is to publish. Arbitrary: no person sees a difference.
PUBLISH = 0.1
# How many of a configuration's mistakes are told as what stands in the way. Arbitrary.
NAMED = 2


class StopDaemon(Exception):
    """The daemon can't go on; the message says why. systemd starts it again."""


class Daemon:
    """Keeps all jobs of one configuration, of which it takes in a new text when it is told to, and before each start."""

    def __init__(
        self,
        config_path: Path,
        notify: Notify,
        launcher_of: Callable[[Job], Launcher],
        obstacle_of: Callable[[Config, Job], str | None],
    ) -> None:
        self._config_path = config_path
        self._notify = notify
        self._launcher_of = launcher_of
        self._obstacle_of = obstacle_of
        self._keepers: list[Keeper] = []
        self._bell: Bell | None = None
        self._mended: Bell | None = None  # the configuration, while there are mistakes in it
        self._stopping = False
        self._reloading = False
        self._broken_until: float | None = None
        self._ping_at = clock.elapsed() if notify.ping_interval is not None else None
        self._published = ""
        self._published_at = 0.0
        self._publish_at: float | None = None
        self._since = clock.calendar()

    def run(self) -> None:
        """Until SIGTERM. Raises ConfigError, DatabaseError, StopDaemon, and Busy where one runs already."""
        with ExitStack() as stack:
            state = places.state_folder()
            stack.enter_context(lock(state / "daemon.lock", within=LOCKED, pause=clock.pause))
            wakeup = stack.enter_context(_signals(self._stop, self._reload))
            retract()
            config = read_config(self._config_path)
            connection = open_database(places.database(), say=log.warning)
            stack.callback(connection.close)
            stack.callback(self._close)
            self._open(config, connection)
            self._notify.ready()
            self._loop(connection, wakeup)
            self._notify.stopping()
            log.info("Stopped")
        retract()

    # ---- the loop -------------------------------------------------------------------------------

    def _loop(self, connection: sqlite3.Connection, wakeup: socket.socket) -> None:
        while not self._stopping:
            rang = [bell.read() for bell in self._bells()]  # each of them is to be read
            self._serve(connection, any(rang))
            self._ping()
            if self._reloading:
                self._open_again(connection)
                continue
            self._wait(wakeup)

    def _serve(self, connection: sqlite3.Connection, rang: bool) -> None:
        if self._broken_until is not None and clock.elapsed() < self._broken_until:
            return
        self._broken_until = None
        try:
            for keeper in self._keepers:
                keeper.wake(rang=rang)
            self._publish()
        except sqlite3.OperationalError as error:
            self._broken(refused(places.database(), error), connection)
        except sqlite3.DatabaseError as error:
            aside = set_aside(places.database())
            raise StopDaemon(
                f"{places.database()} was damaged ({error}): set aside as {aside.name}; the next start begins a new one"
            ) from error
        except OSError as error:
            self._broken(refused(None, error), connection)

    def _ping(self) -> None:
        now = clock.elapsed()
        if self._ping_at is not None and self._notify.ping_interval is not None and now >= self._ping_at:
            self._notify.ping()
            self._ping_at = now + self._notify.ping_interval

    def _broken(self, what: str, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        if "readonly" in what or "Read-only" in what:
            # A folder that vanished under the sandbox comes back read-only: only a restart mounts it anew.
            raise StopDaemon(f"{what}; restarting, so that the folder is writable again")
        log.error("%s; trying again in %s", what, spoken(MEND))
        self._notify.status(f"not working: {what}")
        self._broken_until = clock.elapsed() + MEND

    def _wait(self, wakeup: socket.socket) -> None:
        """Until an event or the earliest deadline. An event that came meanwhile ends it at once."""
        poller = select.poll()
        poller.register(wakeup, select.POLLIN)
        if self._broken_until is None:
            for bell in self._bells():
                if (fd := bell.fileno()) is not None:
                    poller.register(fd, select.POLLIN)
            for keeper in self._keepers:
                for fd, events in keeper.watcher.descriptors().items():
                    poller.register(fd, events)
        poller.poll(self._timeout())
        while _drained(wakeup):
            pass

    def _timeout(self) -> int | None:
        """Milliseconds until something is due; rounded up, so that it is due when the wait ends."""
        deadlines = [self._broken_until, self._ping_at]
        if self._broken_until is None:
            deadlines += [self._publish_at, *(each.due() for each in self._keepers)]
        now = clock.elapsed()
        deadlines += [now + bell.due for bell in self._bells() if bell.due is not None]
        known = [each for each in deadlines if each is not None]
        # poll(2) takes a C int, and its clock stands still while the machine sleeps: look again each hour.
        return max(0, min(3_600_000, int((min(known) - now) * 1000) + 1)) if known else 3_600_000

    # ---- jobs -----------------------------------------------------------------------------------

    def _open(self, config: Config, connection: sqlite3.Connection) -> None:
        for job in config.jobs:
            self._keepers.append(self._keeper(config, job, connection))
        for keeper in self._keepers:
            keeper.arm()
            job, condition = keeper.job, keeper.watcher.condition
            log.info(
                "%s: watching %s (%s, %s); quiet %s, cooldown %s",
                job.name, ", ".join(map(str, job.paths)), condition.mode, folders(condition.folders),
                spoken(job.settings.debounce), spoken(job.settings.cooldown),
            )  # fmt: skip
        self._bell = Bell([places.bell(), *(job.marker for job in config.jobs)])

    def _keeper(self, config: Config, job: Job, connection: sqlite3.Connection) -> Keeper:
        records = records_of(connection, job)
        watcher = Watcher(
            job.roots, records.ignore,
            mode=job.mode, poll_interval=job.poll_interval, rescan_interval=job.rescan_interval, say=log.log,
        )  # fmt: skip
        return Keeper(
            job, records, watcher, self._launcher_of(job),
            obstacle=lambda: self._obstacle(config, job),
            typed=for_job(config, job, anywhere(config.path)),
        )  # fmt: skip

    def _obstacle(self, config: Config, job: Job) -> str | None:
        """What forbids starting the job. Its run is recorded by the text that is there then, so nothing starts by another."""
        try:
            present = read_config(self._config_path)
        except ConfigError as error:
            self._mended = self._mended or Bell([self._config_path])
            return "; ".join(error.mistakes[:NAMED])
        if self._mended is not None:
            self._mended.close()
            self._mended = None
        if present != config:
            self._reload()
            return f"{self._config_path} has changed: it is read anew"
        return self._obstacle_of(config, job)

    def _open_again(self, connection: sqlite3.Connection) -> None:
        """SIGHUP: the configuration anew. One with mistakes changes nothing."""
        self._reloading = False
        self._notify.reloading(clock.monotonic_usec())
        try:
            config = read_config(self._config_path)
        except ConfigError as error:
            for mistake in error.mistakes:
                log.error("%s", mistake)
            log.error(
                "%s has mistakes: going on with the one from before, but starting nothing until they are mended",
                self._config_path,
            )
        else:
            log.info("Reloading %s", self._config_path)
            self._close()
            self._open(config, connection)
        self._notify.ready()

    def _close(self) -> None:
        for keeper in self._keepers:
            keeper.close()
        self._keepers = []
        for bell in self._bells():
            bell.close()
        self._bell = self._mended = None

    def _bells(self) -> list[Bell]:
        return [bell for bell in (self._bell, self._mended) if bell is not None]

    def _stop(self) -> None:
        self._stopping = True

    def _reload(self) -> None:
        self._reloading = True

    # ---- what it tells --------------------------------------------------------------------------

    def _publish(self) -> None:
        """STATUS= for systemctl, and a whole file for `status`; in a burst not at each of its events."""
        now = clock.elapsed()
        if now < self._published_at + PUBLISH:
            self._publish_at = self._published_at + PUBLISH
            return
        self._published_at, self._publish_at = now, None
        lines = {keeper.job.name: keeper.line() for keeper in self._keepers}
        one = (
            next(iter(lines.values()), "")
            if len(lines) == 1
            else "; ".join(f"{name}: {line}" for name, line in lines.items())
        )
        self._notify.status(one)
        report = DaemonReport(
            os.getpid(), __version__, self._since, str(self._config_path),
            {keeper.job.name: keeper.report() for keeper in self._keepers},
        )  # fmt: skip
        self._published = publish(report, before=self._published)


@contextmanager
def _signals(stop: Callable[[], None], reload: Callable[[], None]) -> Iterator[socket.socket]:
    """Handle SIGTERM, SIGINT and SIGHUP; a signal makes the yielded socket readable, so no wait misses it."""
    reading, writing = socket.socketpair()
    reading.setblocking(False)
    writing.setblocking(False)
    before = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    actions = {signal.SIGTERM: stop, signal.SIGINT: stop, signal.SIGHUP: reload}
    handlers = {
        number: signal.signal(number, lambda got, _: actions[signal.Signals(got)]()) for number in actions
    }
    try:
        yield reading
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(before)
        reading.close()
        writing.close()


def _drained(wakeup: socket.socket) -> bytes:
    try:
        return wakeup.recv(4096)
    except BlockingIOError:
        return b""


def run_daemon(
    config_path: Path,
    *,
    launcher_of: Callable[[Job], Launcher],
    obstacle_of: Callable[[Config, Job], str | None],
) -> None:
    """Run until told to stop. Raises ConfigError, DatabaseError, StopDaemon and Busy."""
    logging.raiseExceptions = (
        False  # a full disk under the log file must not flood the journal with tracebacks
    )
    Daemon(config_path, Notify.from_environment(), launcher_of, obstacle_of).run()
