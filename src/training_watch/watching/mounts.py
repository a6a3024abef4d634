"""Which file system a path is on, whether it tells inotify what happens to it, and when that changes.

inotify(7): "it does not catch remote events that occur on network filesystems", and applications
"must fall back to polling" there. No inotify event tells of a mount either, but proc_pid_mountinfo(5)'s file
becomes readable to poll(2) as POLLPRI when one comes or goes.
"""

from __future__ import annotations

import os
import re
import select
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from training_watch.watching.paths import below, holds

# Somebody else can change files there without this kernel knowing.
REMOTE = frozenset({
    "nfs", "nfs3", "nfs4", "cifs", "smb2", "smb3", "smbfs", "ncpfs", "9p", "virtiofs", "vboxsf", "vmhgfs",
    "prl_fs", "afs", "ceph", "glusterfs", "lustre", "beegfs", "orangefs", "pvfs2", "gpfs", "coda", "drvfs",
    "fuse.sshfs", "fuse.rclone", "fuse.glusterfs", "fuse.ceph", "fuse.s3fs", "fuse.gcsfuse", "fuse.goofys",
    "fuse.davfs2", "fuse.davfs", "fuse.curlftpfs", "fuse.vmhgfs-fuse", "fuse.gvfsd-fuse", "fuse.juicefs",
    "fuse.google-drive-ocamlfuse", "fuse.onedriver", "fuse.blobfuse2", "fuse.grpcfuse",
    "fuse.osxfs",
})  # fmt: skip

# A folder's link count there is two and one for each folder in it (find(1) relies on the same); elsewhere, as
# on btrfs and overlayfs, it says nothing.
COUNTS_FOLDERS = frozenset({"ext2", "ext3", "ext4", "xfs", "tmpfs"})
MOUNTINFO = "/proc/self/mountinfo"


@dataclass(frozen=True, slots=True)
class Mount:
    """`device`: what stat(2) says of files on it, where the file system has no numbers of its own."""

    point: bytes
    fstype: str
    device: int = 0


UNKNOWN = Mount(b"/", "unknown")


class Notice:
    """Becomes readable, as POLLPRI, when something is mounted or unmounted. Deaf where there is no /proc."""

    def __init__(self) -> None:
        try:
            self._fd: int | None = os.open(MOUNTINFO, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._fd = None
        self._poll = select.poll()
        if self._fd is not None:
            self._poll.register(self._fd, select.POLLPRI)
            self.came()

    def fileno(self) -> int | None:
        return self._fd

    def came(self) -> bool:
        """Whether a mount came or went since the last call."""
        return self._fd is not None and bool(self._poll.poll(0))

    def close(self) -> None:
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


@dataclass(frozen=True, slots=True)
class Terrain:
    """What the roots lie on. `remote` and `partial`: folders, and the type of the file system that begins there.

    `partial`: only some of the changes may be seen. `counting`: devices whose folders count their folders.
    `inside` is all that is mounted below the roots.
    """

    remote: dict[bytes, str]
    partial: dict[bytes, str]
    counting: frozenset[int]
    inside: tuple[Mount, ...]

    def trusted(self) -> Terrain:
        """The same for somebody who wants to be told by the kernel whatever it may miss."""
        return replace(self, remote={}, partial={})


def terrain(roots: Sequence[bytes], is_ignored: Callable[[bytes], bool]) -> Terrain:
    """The terrain of some roots, as it is now; what is ignored is left out."""
    present = mounts()
    lies_on = dict[bytes, Mount]()
    for root in roots:
        place = real(root)
        lies_on[root] = mount_of(present, place)
        for mount in mounts_in(present, place):
            path = root.rstrip(b"/") + mount.point[len(place.rstrip(b"/")) :]
            if not is_ignored(path):
                lies_on[path] = mount
    return Terrain(
        remote={path: mount.fstype for path, mount in lies_on.items() if not gives_events(mount.fstype)},
        partial={path: mount.fstype for path, mount in lies_on.items() if wants_rescans(mount.fstype)},
        counting=frozenset(mount.device for mount in present if mount.fstype in COUNTS_FOLDERS),
        inside=tuple(lies_on.values()),
    )


def gives_events(fstype: str) -> bool:
    """A file system of this type tells inotify of all changes."""
    return fstype not in REMOTE


def wants_rescans(fstype: str) -> bool:
    """Only some of the changes may be seen: FUSE passes on what went through its own mount."""
    return fstype.startswith("fuse") and gives_events(fstype)


def mounts() -> tuple[Mount, ...]:
    """All mounts that this process sees; none where there is no /proc."""
    try:
        return parsed(Path(MOUNTINFO).read_bytes())
    except OSError:
        return ()


def parsed(mountinfo: bytes) -> tuple[Mount, ...]:
    """The mounts in a text as proc_pid_mountinfo(5) describes it; lines that it doesn't are left out."""
    found = []
    for line in mountinfo.split(b"\n"):
        # (1) mount ID … (3) major:minor … (5) mount point (6) options (7) any number of optional fields (8) "-" (9) type
        before, separator, after = line.partition(b" - ")
        fields = before.split(b" ")
        if separator and len(fields) >= 6 and after:
            fstype = after.split(b" ")[0].decode("ascii", "replace")
            found.append(Mount(_unescaped(fields[4]), fstype, _device(fields[2])))
    return tuple(found)


def mount_of(mounts: Sequence[Mount], path: bytes) -> Mount:
    """The mount that a path without links in it is on: the longest mount point, of equals the last."""
    best = UNKNOWN
    for mount in mounts:
        if len(mount.point) >= len(best.point) and holds(mount.point, path):
            best = mount
    return best


def mounts_in(mounts: Sequence[Mount], folder: bytes) -> list[Mount]:
    """The mounts below a folder."""
    start = below(folder)[0]
    return [mount for mount in mounts if mount.point.startswith(start) and mount.point != folder]


def real(path: bytes) -> bytes:
    """The path with its links resolved, as far as it exists."""
    return os.path.realpath(path)


def _device(field: bytes) -> int:
    major, _, minor = field.partition(b":")
    return os.makedev(int(major), int(minor)) if major.isdigit() and minor.isdigit() else 0


def _unescaped(field: bytes) -> bytes:
    # The kernel writes space, tab, newline and backslash as \040 \011 \012 \134 (fs/proc_namespace.c).
    return re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8) & 0xFF]), field)
