"""The machine below it all: room on the disks, and the clock."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from training_watch import places
from training_watch.doctor.facts import Facts
from training_watch.doctor.findings import Finding, fault, fine, note
from training_watch.installing.manager import run_words, user
from training_watch.installing.unitfiles import store

# Three log files of a megabyte, markers, and what SQLite needs for a small commit; far more than any of it. Arbitrary.
ROOM = 16 << 20
# A comparison of everything may write each row anew, and the log then holds state.db once more.
_COPIES = 2


def unwritable(folder: Path) -> tuple[str, str] | None:
    """Why nothing can be made in the folder, and what mends that; None where it can, after making the folder too."""
    place = _there(folder)
    name = shlex.quote(str(place))
    if not place.is_dir():
        return f"{place} is no folder", f"mv {name} {name}.moved"
    if os.access(place, os.W_OK | os.X_OK):
        return None
    if os.statvfs(place).f_flag & os.ST_RDONLY:
        return (
            f"{place} is on a read-only file system",
            f"findmnt -T {name}   # says which: mount it writable",
        )
    mine = place.stat().st_uid == os.getuid()
    mend = f"chmod u+rwx {name}" if mine else f"sudo chown {user()} {name}"
    return f"{place} can't be written by {user()}", mend


def disk(facts: Facts) -> Iterator[Finding]:
    """There is room where state, markers, log and the default training's model lie."""
    wanted = {places.state_folder(): ROOM + _COPIES * _size(places.database()), places.cache_folder(): ROOM}
    wanted |= {job.marker.parent: ROOM for job in facts.jobs if job.marker.parent not in wanted}
    if any(job.command == ("crystal", "train") for job in facts.jobs):
        wanted[store()] = (
            ROOM  # of what a training needs there it knows more, and `crystal train --check` asks it
        )
    seen, told = set[int](), []
    for folder, needed in wanted.items():
        place = _there(folder)
        device = place.stat().st_dev
        if device in seen:
            continue
        seen.add(device)
        found = os.statvfs(place)
        free = found.f_bavail * found.f_frsize
        name = shlex.quote(str(place))
        if free < needed:
            text = f"{place} has {free >> 20} MiB free, and {needed >> 20} MiB are needed"
            yield fault(text, f"df -h {name}   # make room there")
        elif found.f_files and not found.f_favail:
            yield fault(
                f"{place} has no inode left: no file can be made", f"df -i {name}   # make room there"
            )
        else:
            told.append(f"{free >> 20:,} MiB")
    if len(told) == len(seen):
        yield fine(f"{', '.join(told)} free")


def clock(facts: Facts) -> Iterator[Finding]:
    """The clock is plausible, and something keeps it right. The rule gets along with a wrong one, so these are notes."""
    installed = datetime.fromtimestamp(Path(__file__).stat().st_mtime, UTC)
    now = facts.now.calendar
    if now < installed - timedelta(days=1):
        yield note(
            f"the clock says {now:%Y-%m-%d %H:%M}, and this program was installed on {installed:%Y-%m-%d}",
            _keeping_it_right(),
        )
    elif _timedatectl("NTPSynchronized") is False:
        yield note("nothing keeps this machine's clock right", _keeping_it_right())
    else:
        yield fine(f"{now:%Y-%m-%d %H:%M}")


def _keeping_it_right() -> str:
    if _timedatectl("CanNTP") is not False:
        return "sudo timedatectl set-ntp true"
    # Debian's names; set-ntp has nothing to switch on before.
    if shutil.which("apt-get") is not None:
        return "sudo apt-get install systemd-timesyncd   # or chrony"
    return "install chrony, or systemd-timesyncd, with your package manager"


def _timedatectl(name: str) -> bool | None:
    """A property that timedatectl(1) shows; None where it can't be asked."""
    if shutil.which("timedatectl") is None:
        return None
    try:
        told = run_words(["timedatectl", "show", f"--property={name}", "--value"]).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return None
    return {"yes": True, "no": False}.get(told)


def _there(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
