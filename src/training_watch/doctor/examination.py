"""All checks in one table, in the order in which they are told, and the loop over it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from training_watch import places
from training_watch.config import Job
from training_watch.doctor import machine, manager, program, records, tree, units
from training_watch.doctor.facts import Facts, facts
from training_watch.doctor.findings import Finding, fault, fine
from training_watch.mends import refused


def configuration(facts: Facts) -> Iterator[Finding]:
    if facts.config is not None:
        yield fine(f"{facts.config_path}")
    for mistake in facts.mistakes:
        what, _, mend = mistake.partition("; `training-watch ")
        yield fault(what, f"{facts.program} install --watch DIR" if mend else f"correct {facts.config_path}")


ONCE: dict[str, Callable[[Facts], Iterable[Finding]]] = {
    "configuration": configuration,
    "container": manager.container,
    "manager": manager.reachable,
    "linger": manager.linger,
    "variables": manager.variables,
    "watcher": units.watcher,
    "enabled": units.enabled,
    "running": units.active,
    "program": program.watching,
    "daemon": units.daemon,
    "other watchers": units.others,
    "loaded": units.reloaded,
    "unit files": units.current,
    "sandbox": manager.sandbox,
    "state.db": records.state,
    "disk": machine.disk,
    "inotify": tree.inotify,
    "clock": machine.clock,
}
EACH: dict[str, Callable[[Facts, Job], Iterable[Finding]]] = {
    "unit": units.training,
    "recording": units.recording,
    "recorder": program.recording,
    "command": program.command,
    "start": program.starts,
    "folders": tree.folders,
    "watching": tree.watching,
    "marker": records.marker,
    "waiting": records.waiting,
}


def examine(config_path: Path, job: str | None, trying: Callable[[str], None]) -> list[Finding]:
    """Everything that was found. `trying` is told before something that may take seconds.

    Raises ConfigError where the configuration has no such job.
    """
    asked = facts(config_path, job, trying)
    found = [each for name, check in ONCE.items() for each in _told(name, None, partial(check, asked))]
    for one in asked.jobs:
        for name, look in EACH.items():
            found += _told(name, one.name, partial(look, asked, one))
    return found


def _told(check: str, job: str | None, look: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """What a check found. One that breaks off is told as a fault: what can't be checked isn't known to be well."""
    found: list[Finding] = []
    try:
        found.extend(look())
    except (OSError, sqlite3.Error) as error:
        where = places.database() if isinstance(error, sqlite3.Error) else None
        what, _, mend = refused(where, error).partition("; ")
        found.append(
            fault(f"could not be checked: {what}", mend or "journalctl -k   # what the kernel says of it")
        )
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not hide what the other checks find
        what = str(error) or type(error).__name__
        found.append(fault(f"could not be checked: {what}", "see what it names; the other checks hold"))
    return [replace(each, check=check, job=job) for each in found]
