"""What the running daemon says of itself and of its jobs: daemon.json, written by it and read by the commands.

A report is only as good as the daemon is alive, so it is read beside the lock that the daemon holds: of one that was
killed, or whose file hasn't come yet, nothing is shown.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from typing import Any

from training_watch import clock, places
from training_watch.config import Config, Job
from training_watch.decide import Settings
from training_watch.files import Busy, lock, read_small, write_whole

SCHEMA = 2
# Far more than a report has. Arbitrary.
LARGEST = 1 << 22


@dataclass(frozen=True, slots=True)
class GapReport:
    """A part of the tree that the kernel doesn't tell of; `folders` are the first of `count`."""

    cause: str
    mend: str
    polled: bool
    count: int
    folders: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Watching:
    """How one job's tree is watched, and what was seen of it since the daemon began.

    `mode` is inotify, polling or waiting; `folders` are those that the kernel tells of, `files` those that the last
    comparison of everything met, None before the first. `events` of the kernel, `overflows` of its queue and `rescans`,
    comparisons of everything, are counted; intervals are seconds.
    """

    mode: str
    cause: str
    mend: str
    folders: int
    files: int | None
    poll_seconds: float
    rescan_seconds: float
    events: int
    overflows: int
    rescans: int
    rescanned_at: str | None
    gaps: tuple[GapReport, ...] = ()


@dataclass(frozen=True, slots=True)
class PendingReport:
    """How much is pending, for those who don't want to count it again; the first paths they can read themselves."""

    count: int
    content: str
    own: bool


@dataclass(frozen=True, slots=True)
class JobReport:
    """What the daemon knows of one job, and a command couldn't find out, or not at once.

    `fingerprint` names the job as the daemon has read it, by whose `settings` it goes. `touched` names were seen
    changing and are not compared yet, `changed` the first of them. Times are elapsed seconds of this boot. `paths` are
    the roots that it watches; a daemon from before they were published has none.
    """

    fingerprint: str
    settings: Settings
    pending: PendingReport | None
    touched: int
    changed: tuple[str, ...]
    burst: tuple[float, float, float | None] | None
    balks: int
    balked_at: float
    balked_why: str
    comparing: bool
    obstacle: str | None
    absent: tuple[str, ...]
    unreadable: int
    noisiest: str | None
    watching: Watching
    paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DaemonReport:
    """The daemon that runs now. `pid` is 0 and `jobs` empty while it has said nothing that is understood here."""

    pid: int = 0
    version: str = ""
    since: datetime | None = None
    config: str = ""
    jobs: Mapping[str, JobReport] = field(default_factory=dict)

    def memory(self) -> int | None:
        """Its proportional set size in bytes (proc_pid_smaps(5)): what would be free without it; None if it can't be had."""
        try:
            told = Path(f"/proc/{self.pid}/smaps_rollup").read_text(encoding="ascii")
        except OSError:
            return None
        found = re.search(r"^Pss: +(\d+) kB", told, re.MULTILINE)
        return int(found[1]) * 1024 if found else None


def fingerprint(job: Job) -> str:
    """A name for all that the configuration says of a job."""
    return blake2b(repr(job).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()


def outdated(report: DaemonReport | None, config: Config) -> bool:
    """Whether the daemon runs by an older text of this configuration. One that has said nothing yet, nobody knows of."""
    if report is None or not report.jobs:
        return False
    read = {name: job.fingerprint for name, job in report.jobs.items()}
    return read != {job.name: fingerprint(job) for job in config.jobs}


def report_file() -> Path:
    return places.state_folder() / "daemon.json"


def publish(report: DaemonReport, *, before: str) -> str:
    """Write the report, unless it is `before`; the text that is there now. Raises OSError."""
    told = {
        "schema": SCHEMA,
        "pid": report.pid,
        "version": report.version,
        "since": report.since.isoformat(timespec="seconds") if report.since else None,
        "config": report.config,
        "jobs": {name: asdict(job) for name, job in report.jobs.items()},
    }
    text = json.dumps(told, indent=1)
    if text != before:
        write_whole(report_file(), text + "\n", durable=False)
    return text


def retract() -> None:
    """What an earlier daemon said is no longer true."""
    report_file().unlink(missing_ok=True)


def daemon_report() -> DaemonReport | None:
    """What the running daemon published; None where none runs, whatever an old one left behind."""
    if not (places.state_folder() / "daemon.lock").exists():
        return None
    try:
        with lock(places.state_folder() / "daemon.lock", within=0.0, pause=clock.pause):
            return None
    except Busy:
        pass
    except OSError:
        return None
    try:
        report = _read(json.loads(read_small(report_file(), LARGEST)))
        os.kill(report.pid, 0)  # of one that was killed, while the next one begins: not a word of it
    except PermissionError:
        return report  # another user's, as root may have it
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return DaemonReport()
    return report


def _read(told: dict[str, Any]) -> DaemonReport:
    """Raises ValueError, TypeError, KeyError or AttributeError where it is no report."""
    if told["schema"] != SCHEMA:  # of another version, before an upgrade's restart: it means something else
        return DaemonReport(int(told["pid"]), str(told["version"]))
    return DaemonReport(
        pid=int(told["pid"]),
        version=str(told["version"]),
        since=datetime.fromisoformat(told["since"]),
        config=str(told["config"]),
        jobs={name: _job(job) for name, job in told["jobs"].items()},
    )


def _job(told: dict[str, Any]) -> JobReport:
    watching = dict(told["watching"])
    watching["gaps"] = tuple(
        GapReport(**{**gap, "folders": tuple(gap["folders"])}) for gap in watching["gaps"]
    )
    burst, pending = told["burst"], told["pending"]
    return JobReport(
        **{
            **told,
            "settings": Settings(**told["settings"]),
            "changed": tuple(told["changed"]),
            "pending": PendingReport(**pending) if pending else None,
            "burst": (float(burst[0]), float(burst[1]), burst[2]) if burst else None,
            "absent": tuple(told["absent"]),
            "watching": Watching(**watching),
            "paths": tuple(told.get("paths", ())),
        }
    )
