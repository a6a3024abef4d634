"""How a tree is watched, and in words for people: what isn't, why, and what would mend that."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from training_watch.watching.paths import shown
from training_watch.watching.watches import Cause

# What a limit is at least raised to in the advice: the kernel's own default on a machine with much memory.
ENOUGH_WATCHES = 524_288
ENOUGH_INSTANCES = 1024
# How many folders are named. Arbitrary.
NAMED = 3


@dataclass(frozen=True, slots=True)
class Gap:
    """Folders that the kernel doesn't tell of, with all that is below, for one cause.

    `polled`: they are looked into now and then instead; otherwise nothing can be seen of them.
    """

    cause: str
    mend: str
    folders: tuple[bytes, ...]
    polled: bool = True

    def __str__(self) -> str:
        how = "polled" if self.polled else "unseen"
        return f"{self.cause}; {how}: {self.extent}"

    @property
    def extent(self) -> str:
        names = ", ".join(shown(folder) for folder in self.folders[:NAMED])
        more = len(self.folders) - NAMED
        return f"{names} and {more} more" if more > 0 else names


@dataclass(frozen=True, slots=True)
class Condition:
    """`folders` are watched; `gaps` are degraded, `absent` roots are waited for.

    `events` of the tree and `overflows` of the kernel's queue are counted since it was armed.
    """

    mode: Literal["inotify", "polling", "waiting"]
    folders: int = 0
    gaps: tuple[Gap, ...] = ()
    absent: tuple[bytes, ...] = ()
    events: int = 0
    overflows: int = 0

    @property
    def cause(self) -> str:
        """Why not all of it is watched; empty where all is well."""
        missing = f"{', '.join(map(shown, self.absent))}: not there" if self.absent else ""
        return "; ".join(filter(None, (missing, *map(str, self.gaps))))

    @property
    def mend(self) -> str:
        mends = [gap.mend for gap in self.gaps if gap.mend]
        if self.mode == "waiting" and not mends:
            mends = ["create it, or correct `paths`"]
        return "; ".join(dict.fromkeys(mends))


def refused_instance(error: OSError, roots: Iterable[bytes]) -> Gap:
    """Where no inotify instance is to be had at all."""
    if error.errno == errno.EMFILE:  # inotify_init(2)
        allowed = limit("max_user_instances", "max_inotify_instances")
        return Gap(
            f"inotify's limit of {allowed} instances, or that of open files, is reached",
            f"sudo sysctl fs.inotify.max_user_instances={max(ENOUGH_INSTANCES, 2 * allowed)}",
            tuple(roots),
        )
    return Gap(f"inotify failed ({error.strerror})", "", tuple(roots))


def gaps_of(folders: dict[bytes, Cause], remote: dict[bytes, str]) -> tuple[Gap, ...]:
    """One gap for each cause. `remote` says which type of file system begins at a folder."""
    found = []
    for cause in Cause:
        tops = tuple(sorted(folder for folder, why in folders.items() if why is cause))
        if not tops:
            continue
        match cause:
            case Cause.LIMIT:  # ENOSPC of inotify_add_watch(2): the limit on watches, not the disk
                allowed = limit("max_user_watches", "max_inotify_watches")
                mend = f"sudo sysctl fs.inotify.max_user_watches={max(ENOUGH_WATCHES, 2 * allowed)}"
                found.append(Gap(f"inotify's limit of {allowed} watches is reached", mend, tops))
            case Cause.REMOTE:
                types = ", ".join(sorted({remote.get(top, "a network") for top in tops}))
                found.append(Gap(f"{types} doesn't tell of all changes", "", tops))
            case Cause.FORBIDDEN:
                mend = f"let your user read it: chmod u+rx {shown(tops[0])}"
                found.append(Gap("not readable", mend, tops, polled=False))
    return tuple(found)


def limit(name: str, in_namespace: str) -> int:
    """A limit of this user, of which a user namespace may have a lower one (namespaces(7))."""
    found = []
    for path in (f"/proc/sys/fs/inotify/{name}", f"/proc/sys/user/{in_namespace}"):
        try:
            found.append(int(Path(path).read_text(encoding="ascii")))
        except (OSError, ValueError):
            continue
    return min(found, default=0)
