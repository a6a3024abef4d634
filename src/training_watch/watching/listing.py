"""One folder as it is now: its names, their kinds and stamps, for little more than the system calls.

Nothing is remembered and nothing decided here. A listing is a fact about one instant, and its fingerprint
is equal to an older one's only if every name and every stamp in it is.
"""

from __future__ import annotations

import os
import stat
import sys
from array import array
from collections.abc import Generator
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain

from training_watch.watching.content import FITTING, GONE, Pace, Stamp, link_stamp

# A root may be a link to a folder; below it no link is followed.
FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NONBLOCK
ENCODING, ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()


@dataclass(slots=True)
class Listing:
    """Names in a folder. `unknown` are there, but what they are may not be asked; `others` have no content."""

    files: dict[bytes, Stamp] = field(default_factory=dict)
    folders: list[bytes] = field(default_factory=list)
    others: list[bytes] = field(default_factory=list)
    unknown: list[bytes] = field(default_factory=list)

    def fingerprint(self, rules: bytes) -> bytes:
        """A name for all that is listed, and for the rules by which it is looked at; 16 bytes."""
        hasher = blake2b(rules, digest_size=16)
        for names in (self.files, self.folders, self.others):
            hasher.update(b"%d\0" % len(names))
            hasher.update(b"\0".join(names))
        hasher.update(array("q", chain.from_iterable(self.files.values())).tobytes())
        return hasher.digest()


def listed(folder: bytes, pace: Pace, *, follow: bool) -> Generator[None, None, Listing]:
    """List a folder; a link in place of it is followed only if asked. Raises OSError where it can't be listed.

    Names are looked up from the open folder, so that a folder that is replaced meanwhile gives no mixture.
    """
    listing = Listing()
    fd = os.open(folder, FLAGS if follow else FLAGS | os.O_NOFOLLOW)
    try:
        # One call each for all names: encoding them one by one takes longer than asking the kernel for them.
        text = "\0".join(os.listdir(fd))
        names = text.encode(ENCODING, ERRORS).split(b"\0") if text else []
        files, look = listing.files, os.stat
        for start in range(0, len(names), 500):
            for name in names[start : start + 500]:
                try:
                    found = look(name, dir_fd=fd, follow_symlinks=False)
                except OSError as error:
                    if error.errno not in GONE:
                        listing.unknown.append(name)
                    continue
                kind = found.st_mode & 0o170000
                if kind == stat.S_IFREG:
                    files[name] = (
                        found.st_size & FITTING,
                        found.st_mtime_ns & FITTING,
                        found.st_ctime_ns & FITTING,
                        found.st_ino & FITTING,
                    )
                elif kind == stat.S_IFDIR:
                    listing.folders.append(name)
                elif kind == stat.S_IFLNK:
                    files[name] = link_stamp(name, found, dir_fd=fd)
                else:
                    listing.others.append(name)
            if pace.spend(min(500, len(names) - start)):
                yield
    finally:
        os.close(fd)
    return listing
