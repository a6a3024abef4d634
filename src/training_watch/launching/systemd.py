"""Starting the training as a user unit, by asking `systemctl --user` and the journal.

A start is told from no start by a new InvocationID, never by an exit code: `systemctl start` of a
running unit joins the running job, a skipped start exits 0, and a training that failed at once exits 1.

Facts that shape this, measured on systemd 252 and 257:
  - a unit that ended well, or was skipped, is unloaded at once unless a loaded unit names it in a
    dependency; `show` then answers with an empty InvocationID, and only the journal still knows
  - a failed unit stays loaded; refused by its start limit it keeps the old InvocationID and Result
  - ending the `systemctl start` that waits for a job leaves the job alone
  - this module never stops, enables or reloads anything
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO

from training_watch import clock
from training_watch.launching import LaunchError, NotStarted, NoUnit, Started, UnitState, journalctl, unitlog
from training_watch.launching.exits import exit_status
from training_watch.launching.systemctl import (
    environment,
    first_line,
    require_manager,
    systemctl,
    user_unit_folder,
    version,
)

__all__ = ["Systemd", "systemctl", "user_unit_folder", "version"]

PROPERTIES = (
    "ActiveState", "SubState", "InvocationID", "Job", "Result", "ExecMainStatus", "ExecMainCode", "LoadState",
    "LoadError", "UnitFileState", "NeedDaemonReload",
)  # fmt: skip

# How many entries a run's end makes of itself: its marker's, the history's and the manager's. Ample.
_AFTERWARDS = 20
# How long journald may lag behind the manager that has just logged a job's end. Arbitrary.
_JOURNAL_LAG = 2.0

# ---- understanding ------------------------------------------------------------------------------


def properties(shown: str) -> dict[str, str]:
    """`systemctl show` as a table; it prints in its own order, whatever order was asked for."""
    pairs = (line.partition("=") for line in shown.splitlines())
    return {**dict.fromkeys(PROPERTIES, ""), **{name: value for name, _, value in pairs if name}}


def unit_state(shown: Mapping[str, str], *, job: str = "") -> UnitState:
    """What the properties mean; `job` is the type of the unit's job, as `list-jobs` has it."""
    return UnitState(
        # A oneshot is "activating" all the time it runs, never "active" (systemd.service(5)).
        active=shown["ActiveState"] in {"activating", "active", "reloading", "refreshing", "deactivating"},
        queued=bool(shown["Job"]),
        stopping=job in {"stop", "restart", "try-restart"},
        invocation=shown["InvocationID"],
        result=shown["Result"] if shown["InvocationID"] else "",
        status=exit_status(shown["ExecMainCode"], shown["ExecMainStatus"]),
    )


def job_type(listed: str, job: str) -> str:
    """The type of job number `job` in `list-jobs --no-legend`: start, stop, restart…; else empty."""
    rows = (line.split() for line in listed.splitlines())
    return next((row[2] for row in rows if len(row) > 2 and row[0] == job), "")


def verdict(entries: Iterable[journalctl.Entry]) -> Started | NotStarted | None:
    """What the journal says of a start since it was ordered; None while it has not said how it went."""
    started = ""
    for each in entries:
        if each.unit_result == "exec-condition":
            return NotStarted("skipped: one of its ExecCondition= lines said no")
        if each.starts:
            started = each.invocation
        if "repeated too quickly" in each.message:
            return NotStarted("refused by its start limit (StartLimitBurst=)")
        if each.job_type != "start":
            continue
        # Where a Condition*= of [Unit] fails, the job is "done" and there never was an invocation.
        if each.job_result == "done" and not each.invocation:
            return NotStarted(f"skipped: {each.message}")
        if each.job_result and started:
            return Started(started)
        if each.job_result:
            return NotStarted(each.message)
    return None


# ---- the launcher -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Systemd:
    """Starts one unit of the user manager, which the command `install` makes known to it."""

    unit: str
    install: str = "training-watch install"

    def state(self) -> UnitState:
        shown = self._shown()
        self._require_unit(shown)
        job = ""
        if shown["Job"]:
            listed = systemctl("list-jobs", "--no-legend", "--full", "--plain").stdout
            job = job_type(listed, shown["Job"])
        return unit_state(shown, job=job)

    def start(self, *, within: float) -> Started | NotStarted:
        """Order a start and return once a new invocation is seen, at most `within` seconds later.

        The order is a `systemctl start` that waits for the job: with --no-block it could say neither
        that a dependency failed nor that the start came to nothing. It is ended, not awaited, as
        soon as the run is there.
        """
        shown = self._shown()
        self._require_unit(shown)
        if why := self._obstacle(shown):
            return NotStarted(why)
        before = seen = shown["InvocationID"]
        ordered_at = clock.monotonic_usec()
        deadline = clock.elapsed() + within
        with _ordered(self.unit) as order:
            while True:
                # Asked first: what is shown after the job's end is final.
                over = order.over()
                shown = self._shown()
                seen = shown["InvocationID"] or seen
                # A run exists when its ExecCondition= lines have let it pass, not before.
                if seen != before and shown["SubState"] != "condition":
                    if shown["Result"] == "exec-condition":
                        return NotStarted(
                            self._refusal("skipped: one of its ExecCondition= lines said no", "")
                        )
                    if shown["InvocationID"]:
                        return Started(seen)
                if over:
                    return self._after(order, before=before, seen=seen, since=ordered_at, deadline=deadline)
                if clock.elapsed() >= deadline:
                    break
                clock.pause(0.03)
        if seen != before:
            return Started(seen)
        return NotStarted(
            f"{self.unit} is still queued after {within:g} s: it waits for other units "
            "(`systemctl --user list-jobs`) and starts when they are ready"
        )

    def lines(self, invocation: str, *, last: int) -> list[str]:
        """The last lines that the training itself has logged, without time stamps."""
        if last <= 0:
            return []
        entries = unitlog.own_words(unitlog.run_entries(self.unit, invocation, last=last + _AFTERWARDS))
        return [line for each in entries for line in each.message.splitlines()][-last:]

    def follow(self, invocation: str) -> Iterator[str]:
        """Its lines from the first, as they come, until it has ended and all are out."""
        for each in unitlog.follow_run(self.unit, invocation, ended=lambda: self._ended(invocation)):
            yield from each.message.splitlines()

    def hints(self) -> list[str]:
        return [f"journalctl --user -u {self.unit} -f", f"systemctl --user status {self.unit}"]

    def _shown(self) -> dict[str, str]:
        answer = systemctl("show", f"--property={','.join(PROPERTIES)}", "--", self.unit)
        if answer.returncode != 0:
            raise LaunchError(
                f"{self.unit}: {first_line(answer.stderr)}: see `systemctl --user status {self.unit}`"
            )
        return properties(answer.stdout)

    def _require_unit(self, shown: Mapping[str, str]) -> None:
        # A unit whose file was removed while it runs is "not-found" and running.
        if shown["LoadState"] == "not-found" and shown["ActiveState"] in {"", "inactive"}:
            raise NoUnit(f"the user manager knows no {self.unit}: run `{self.install}`")

    def _obstacle(self, shown: Mapping[str, str]) -> str | None:
        match shown["LoadState"]:
            case "masked":
                return f"{self.unit} is masked: `systemctl --user unmask {self.unit}`"
            case "bad-setting" | "error":
                # LoadError is a bus error's name and its quoted words.
                words = shown["LoadError"].partition(" ")[2].strip('"') or f"{self.unit} can't be loaded."
                return f"{words} See `systemctl --user status {self.unit}`"
        # Ordered now, a start would join that run, or be one more training right behind it.
        if unit_state(shown).active:
            return f"{self.unit} is running already: wait for its end"
        if shown["Job"]:
            return f"a job is queued for {self.unit} already: `systemctl --user list-jobs`"
        return None

    def _after(
        self, order: _Order, *, before: str, seen: str, since: int, deadline: float
    ) -> Started | NotStarted:
        """The start job is over and the manager shows no run of ours: the journal is asked."""
        words = order.words()
        require_manager(words)
        # These never became a job; there is nothing to wait for in the journal.
        enqueued = not words.startswith("Failed to start")
        patience = min(deadline, clock.elapsed() + _JOURNAL_LAG)
        while enqueued:
            entries = journalctl.read("--lines=50", f"USER_UNIT={self.unit}")
            boot = clock.boot_id().replace("-", "")
            fresh = [each for each in entries if each.boot_id == boot and each.monotonic >= since]
            match verdict(fresh):
                case Started() as started:
                    return started
                case NotStarted(why):
                    return NotStarted(self._refusal(why, words))
            if clock.elapsed() >= patience:
                break
            clock.pause(0.05)
        if seen != before:
            return Started(seen)
        if order.failed():
            return NotStarted(first_line(words))
        return NotStarted(
            f"{self.unit} was skipped, or ended at once: systemctl reports success, but neither the manager "
            f"nor the journal shows a run: `systemctl --user status {self.unit}`"
        )

    def _refusal(self, why: str, words: str) -> str:
        if "start limit" in why:
            return f"{self.unit}: {why}: `systemctl --user reset-failed {self.unit}`"
        if why.startswith("skipped"):
            return f"{self.unit}: {why}: `systemctl --user status {self.unit}`"
        return first_line(words) if words.strip() else why

    def _ended(self, invocation: str) -> bool:
        try:
            state = self.state()
        except LaunchError:
            # The unit's file, or the manager with all its units, is gone.
            return True
        return not (state.active and state.invocation == invocation)


class _Order:
    """A `systemctl start` that waits for its job's end."""

    def __init__(self, child: subprocess.Popen[bytes], stderr: IO[bytes]) -> None:
        self._child = child
        self._stderr = stderr

    def over(self) -> bool:
        return self._child.poll() is not None

    def failed(self) -> bool:
        return self._child.poll() != 0

    def words(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read().decode("utf-8", "replace")


@contextmanager
def _ordered(unit: str) -> Iterator[_Order]:
    with open(os.memfd_create("stderr"), "w+b") as stderr:
        child = subprocess.Popen(
            ["systemctl", "--user", "--no-ask-password", "start", "--", unit],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
        )
        try:
            yield _Order(child, stderr)
        finally:
            # The job belongs to the manager; this ends only the waiting for it.
            child.kill()
            child.wait()
