"""What became of one path: watched or not, by which rule not, seen when, read by which run, or pending."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from training_watch.config import Job
from training_watch.events import Run
from training_watch.records import Records
from training_watch.watching.content import stamp_of
from training_watch.watching.paths import ancestors, holds, join
from training_watch.watching.snapshot import Known


class Fate(StrEnum):
    """What the job makes of a path; the first that is true of it."""

    OUTSIDE = "outside"  # no job's paths hold it
    ABSENT = "absent"  # its root, or the mount that it was on, is not there
    IGNORED = "ignored"
    BEHIND_LINK = "behind_link"  # below a link to a folder, which is not followed
    FORBIDDEN = "forbidden"  # what it is may not be asked, or not be read
    FOLDER = "folder"
    NO_CONTENT = "no_content"  # a FIFO, a socket, a device
    MISSING = "missing"  # nothing is there, and nothing was
    UNSEEN = "unseen"  # another than the last comparison met: its turn comes with the next
    PENDING = "pending"
    TRAINED = "trained"


@dataclass(frozen=True, slots=True)
class Found:
    """One path and its fate in one job. What doesn't apply to the fate is None.

    `by` is the folder above, or the path itself, that the fate comes from, and `rule` what ignores it and where that
    stands. `seen_at` is when a comparison first met what it met last. `run` read what is trained of it, as the first;
    None beside a pending or trained file where no run did, or none that is remembered. `files` and `pending` are counts.
    """

    path: bytes
    fate: Fate
    job: str | None = None
    by: bytes | None = None
    rule: str | None = None
    known: Known | None = None
    seen_at: datetime | None = None
    run: Run | None = None
    files: int | None = None
    pending: int | None = None


def named(path: bytes, jobs: Sequence[Job]) -> tuple[bytes, Job | None]:
    """The path as the job that holds it would name it, and the deepest such job; the roots may be links."""
    path = os.path.abspath(path)
    roots = [(root, root, job) for job in jobs for root in job.roots]
    real = [(os.path.realpath(root), root, job) for _, root, job in roots]
    for asked, places in ((path, roots), (_real(path), real)):
        holding = [each for each in places if holds(each[0], asked)]
        if holding:
            place, root, job = max(holding, key=lambda each: len(each[0]))
            return (root if asked == place else join(root, asked[len(place.rstrip(b"/")) + 1 :])), job
    return path, None


def fate_of(path: bytes, job: Job, records: Records) -> Found:
    """What became of the path, which lies in one of the job's roots. Raises sqlite3.Error."""
    root = max((each for each in job.roots if holds(each, path)), key=len)
    for place in records.snapshot.absent():
        if holds(place, path):
            return Found(path, Fate.ABSENT, job.name, by=place)
    between = [each for each in reversed([path, *ancestors(path)]) if len(each) > len(root)]
    for each in between:
        is_folder = each != path or (os.path.isdir(each) and not os.path.islink(each))
        if rule := records.ignore.why(each, is_folder=is_folder):
            return Found(path, Fate.IGNORED, job.name, by=each, rule=rule)
        if each != path and os.path.islink(each):
            return Found(path, Fate.BEHIND_LINK, job.name, by=each)
    return _looked_at(path, root, job, records)


def _looked_at(path: bytes, root: bytes, job: Job, records: Records) -> Found:
    known = records.snapshot.known(path)
    try:
        found = os.stat(path) if path == root else os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        if known is None:
            return Found(path, Fate.MISSING, job.name)
        return _file(path, job, records, known, unseen=known.there)
    except OSError:
        return Found(path, Fate.FORBIDDEN, job.name, known=known)
    if stat.S_ISDIR(found.st_mode):
        files, pending = records.snapshot.known_below(path)
        readable = os.access(path, os.R_OK | os.X_OK)
        fate = Fate.FOLDER if readable else Fate.FORBIDDEN
        return Found(path, fate, job.name, files=files, pending=pending)
    stamp = stamp_of(path, found)
    if stamp is None:
        return Found(path, Fate.NO_CONTENT, job.name)
    if known is None:
        return Found(path, Fate.UNSEEN, job.name)
    if not os.access(path, os.R_OK) or not known.readable:
        return Found(path, Fate.FORBIDDEN, job.name, known=known)
    return _file(path, job, records, known, unseen=not known.there or known.stamp != stamp)


def _file(path: bytes, job: Job, records: Records, known: Known, *, unseen: bool) -> Found:
    fate = Fate.UNSEEN if unseen else Fate.PENDING if known.pending else Fate.TRAINED
    run = records.runs.numbered(known.run) if known.run is not None else None
    seen_at = datetime.fromtimestamp(known.seen_at, UTC) if known.seen_at is not None else None
    return Found(path, fate, job.name, known=known, seen_at=seen_at, run=run)


def _real(path: bytes) -> bytes:
    """Without links above it; a link itself is what it is."""
    folder, name = os.path.split(path)
    return join(os.path.realpath(folder), name) if name else os.path.realpath(path)
