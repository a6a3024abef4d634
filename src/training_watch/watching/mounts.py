"""Which file system a path is on, and whether it tells inotify what happens to it.

inotify(7): "it does not catch remote events that occur on network filesystems", and applications
"must fall back to polling" there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Mount:
    point: bytes
    fstype: str


UNKNOWN = Mount(b"/", "unknown")


def gives_events(fstype: str) -> bool:
    """A file system of this type tells inotify of all changes."""
    return fstype not in REMOTE


def wants_rescans(fstype: str) -> bool:
    """Only some of the changes may be seen: FUSE passes on what went through its own mount."""
    return fstype.startswith("fuse")


def mounts() -> tuple[Mount, ...]:
    """All mounts that this process sees; none where there is no /proc."""
    try:
        return parsed(Path("/proc/self/mountinfo").read_bytes())
    except OSError:
        return ()


def parsed(mountinfo: bytes) -> tuple[Mount, ...]:
    """The mounts in a text as proc_pid_mountinfo(5) describes it; lines that it doesn't are left out."""
    found = []
    for line in mountinfo.split(b"\n"):
        # (1) mount ID … (5) mount point (6) options (7) any number of optional fields (8) "-" (9) type
        before, separator, after = line.partition(b" - ")
        fields = before.split(b" ")
        if separator and len(fields) >= 6 and after:
            fstype = after.split(b" ")[0].decode("ascii", "replace")
            found.append(Mount(_unescaped(fields[4]), fstype))
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


def _unescaped(field: bytes) -> bytes:
    # The kernel writes space, tab, newline and backslash as \040 \011 \012 \134 (fs/proc_namespace.c).
    return re.sub(rb"\\([0-7]{3})", lambda match: bytes([int(match[1], 8) & 0xFF]), field)
