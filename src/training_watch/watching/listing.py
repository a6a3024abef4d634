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

from training_watch.watching.content import FITTING, GONE, Pace, Stamp, link_stamp, stamp_fitting

# A root may be a link to a folder; below it no link is followed.
FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NONBLOCK
# How many names are looked at between two yields. Arbitrary: about a millisecond.
PIECE = 500
KIND, REGULAR, FOLDER, LINK = 0o170000, stat.S_IFREG, stat.S_IFDIR, stat.S_IFLNK
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
        counts = b"%d %d %d " % (len(self.files), len(self.folders), len(self.others))
        names = b"\0".join(chain(self.files, self.folders, self.others))
        stamps = array("q", chain.from_iterable(self.files.values()))
        return blake2b(b"".join((rules, counts, names, stamps.tobytes())), digest_size=16).digest()


def listed(folder: bytes, pace: Pace, *, follow: bool) -> Generator[None, None, Listing]:
    """List a folder; a link in place of it is followed only if asked. Raises OSError where it can't be listed.

    Names are looked up from the open folder, so that a folder that is replaced meanwhile gives no mixture.
    """
    listing = Listing()
    fd = os.open(folder, FLAGS if follow else FLAGS | os.O_NOFOLLOW)
    try:
        # One call for all names: encoding them one by one takes longer than asking the kernel for them.
        text = "\0".join(os.listdir(fd))
        names = text.encode(ENCODING, ERRORS).split(b"\0") if text else []
        for start in range(0, len(names), PIECE):
            piece = names[start : start + PIECE]
            _look_at(piece, fd, listing)
            if pace.spend(len(piece)):
                yield
    finally:
        os.close(fd)
    return listing


def _look_at(names: list[bytes], fd: int, listing: Listing) -> None:
    # The innermost loop of all: a name and its stamp for each file of the tree.
    files, look, fitting = listing.files, os.stat, FITTING
    for name in names:
        try:
            found = look(name, dir_fd=fd, follow_symlinks=False)
        except OSError as error:
            if error.errno not in GONE:
                listing.unknown.append(name)
            continue
        kind = found.st_mode & KIND
        if kind == REGULAR:
            stamp = (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)
            files[name] = stamp if max(stamp) <= fitting else stamp_fitting(found)
        elif kind == FOLDER:
            listing.folders.append(name)
        elif kind == LINK:
            files[name] = link_stamp(name, found, dir_fd=fd)
        else:
            listing.others.append(name)
