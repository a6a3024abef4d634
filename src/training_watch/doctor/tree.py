"""The watched folders: there, readable, and how much of what happens in them is seen."""

from __future__ import annotations

import os
import shlex
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

from training_watch.config import Job
from training_watch.describe import folders as counted_folders
from training_watch.describe import unreadable
from training_watch.doctor.facts import Facts
from training_watch.doctor.findings import Finding, fault, fine, note
from training_watch.doctor.records import remembered
from training_watch.installing.manager import user
from training_watch.mends import refused
from training_watch.text import printable
from training_watch.timespan import spoken
from training_watch.watching.condition import ENOUGH_WATCHES, limit
from training_watch.watching.ignore import Ignore
from training_watch.watching.mounts import terrain
from training_watch.watching.roots import Roots
from training_watch.watching.rows import Rows

# How many folders of a gap are named. Arbitrary.
NAMED = 3
# Other programs of the same user watch, too: an editor takes some thousands. Arbitrary.
_SHARE = 0.8


def folders(facts: Facts, job: Job) -> Iterator[Finding]:
    """Each watched folder is there, and this user may read it."""
    well = True
    for root in job.paths:
        found = _folder(facts, root)
        well = well and found is None
        yield from [found] if found else []
    for place in _vanished(job):
        well = False
        yield fault(
            f"{place} lay on a mount of its own when it was last read, and that is gone: nothing is pending from it",
            f"sudo mount {shlex.quote(place)}   # or what else mounts it",
        )
    if well:
        yield fine(f"{', '.join(map(str, job.paths))} can be read")


def _folder(facts: Facts, root: Path) -> Finding | None:
    name = shlex.quote(str(root))
    try:
        found = root.stat()
    except FileNotFoundError:
        mend = f"put it back or mount it, else correct `paths` in {facts.config_path}"
        return fault(f"{root} is not there: nothing is pending from it", mend)
    except OSError as error:
        return fault(refused(root, error).partition("; ")[0], f"namei -l {name}   # says who may enter what")
    if not stat.S_ISDIR(found.st_mode):
        return fault(f"{root} is no folder", f"correct `paths` in {facts.config_path}")
    if not os.access(root, os.R_OK | os.X_OK):
        mine = found.st_uid == os.getuid()
        mend = f"chmod u+rx {name}" if mine else f"sudo setfacl -R -m u:{user()}:rX {name}"
        return fault(f"{root} can't be read by {user()}: no change in it is seen", mend)
    return None


def _vanished(job: Job) -> list[str]:
    """The roots, and the mounts inside them, that are there but empty: what they showed was mounted, and is no more."""

    def asked(connection: sqlite3.Connection) -> frozenset[bytes]:
        return Roots(connection, job.service, Rows(connection, job.service), job.roots).absent()

    absent: frozenset[bytes] = remembered(asked, frozenset())
    return sorted(os.fsdecode(place) for place in absent if os.path.isdir(place))


def watching(facts: Facts, job: Job) -> Iterator[Finding]:
    """What the kernel doesn't tell of, as the daemon published it; without one, as the list of mounts has it."""
    report = facts.report.jobs.get(job.name) if facts.report is not None else None
    if report is None:
        remote = terrain(job.roots, lambda _: False).remote
        for path, fstype in remote.items():
            how = f"{fstype} doesn't tell of all changes, so it is looked into every {spoken(job.poll_interval)}"
            yield note(f"{printable(path)}: {how}")
        return
    every = spoken(report.watching.poll_seconds)
    for gap in report.watching.gaps:
        more = gap.count - len(gap.folders[:NAMED])
        names = ", ".join(gap.folders[:NAMED]) + (f" and {more:,} more" if more > 0 else "")
        how = f"looked into every {every} instead" if gap.polled else "no change there is seen"
        yield note(f"{gap.cause}: {how}: {names}", gap.mend)
    if report.unreadable:
        roots = " ".join(shlex.quote(str(root)) for root in job.paths)
        yield note(
            f"{unreadable(report.unreadable)} can't be read, and changes in them are not seen",
            f"find {roots} ! -readable   # names them: let your user read them, or ignore them",
        )
    if not report.watching.gaps and not report.unreadable:
        yield fine(f"{report.watching.mode}, {counted_folders(report.watching.folders)}, no gap")


def inotify(facts: Facts) -> Iterator[Finding]:
    """The kernel allows as many watches as the trees have folders, and some for others."""
    jobs = [job for job in facts.jobs if job.mode != "poll"]
    allowed = limit("max_user_watches", "max_inotify_watches")
    if not jobs or not allowed:
        return
    needed = sum(_known(job) or _found(job, allowed) for job in jobs)
    if needed <= allowed * _SHARE:
        yield fine(f"{allowed:,} watches are allowed, {needed:,} needed")
        return
    more = max(ENOUGH_WATCHES, 2 * needed)
    yield note(
        f"{allowed:,} inotify watches are allowed, for all programs of yours, and {needed:,} needed or more: what has "
        "none is looked into now and then only",
        f"echo fs.inotify.max_user_watches={more} | sudo tee /etc/sysctl.d/60-inotify.conf && sudo sysctl --system",
    )


def _known(job: Job) -> int:
    return remembered(lambda connection: sum(1 for _ in Rows(connection, job.service).folders(job.roots)), 0)


def _found(job: Job, most: int) -> int:
    """The folders that nobody has counted yet; counting ends where they are too many."""
    ignore = Ignore(job.roots, job.ignore, gitignore=job.gitignore)
    count = 0
    for root in job.roots:
        for folder, inner, _ in os.walk(root):
            inner[:] = [
                name for name in inner if not ignore.ignored(os.path.join(folder, name), is_folder=True)
            ]
            count += 1
            if count > most:
                return count
    return count
