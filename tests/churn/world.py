"""Where the churn takes place: a folder with the watched tree, a place outside it, a home, and the dice.

What the dice choose from depends on the tree alone, and the tree only on the dice: a seed repeats itself,
however fast the machine and whatever the daemon does.
"""

from __future__ import annotations

import os
import random
import shutil
import stat
import subprocess
from pathlib import Path

from churn.daemon import Daemon

NAMES = [
    b"a", b"b.md", b"c.md", b"d", b"e", b"deep", b"a!", b"-rf", b"new\nline.md", b"\xff\xfe.md", b"it's \"quoted\"",
    b"$(touch x)", b" lead", b"trail ", b"*", "\u00fcml\u00e4ut".encode(), b"n" * 255, b"back\\slash", "\u202egnp.md".encode(),
    b"page.md.swp", b"old~", b".hidden", b"x.log", b"build",
]  # fmt: skip
RULES = [b"*.log\n", b"build/\n", b"/d\n", b"/a\n", b"deep/*\n", b"!page.md.swp\n", b"", b"e/*\n!b.md\n"]
# The same few again and again, so that things become what they were.
TEXTS = [b"", b"one\n", b"two\n", b"six\n", b"a longer text\n" * 40]
# Such files are no part of the sequence: the oracle makes one when it needs a change to any other path.
NUDGE = b"nudge-%d.md"
DEEPEST = 7
MOST = 250


class World:
    def __init__(self, place: Path, rng: random.Random, daemon: Daemon) -> None:
        self.place = place
        self.rng = rng
        self.daemon = daemon
        self.root = os.fsencode(place / "docs")
        self.outside = os.fsencode(place / "outside")
        self.away = os.fsencode(place / "away")
        for folder in (self.root, self.outside):
            os.mkdir(folder)
        (place / ".git").mkdir()
        self.mode("fine")

    # ---- choices --------------------------------------------------------------------------------

    def entries(self, base: bytes) -> tuple[list[bytes], list[bytes]]:
        """All folders, `base` first, and all else, by whole path, in an order of their own."""
        folders, others = [], []
        for folder, inner, names in os.walk(base):
            inner.sort()
            folders.append(folder)
            links = [name for name in inner if os.path.islink(os.path.join(folder, name))]
            others += [
                os.path.join(folder, name) for name in (*names, *links) if not name.startswith(b"nudge-")
            ]
        return sorted(folders), sorted(others)

    def a_folder(self, base: bytes | None = None) -> bytes:
        base = base or self.root
        if not os.path.isdir(base):
            raise FileNotFoundError(base)
        return self.rng.choice(
            [each for each in self.entries(base)[0] if each[len(base) :].count(b"/") <= DEEPEST]
        )

    def an_inner_folder(self, base: bytes | None = None) -> bytes:
        folders = self.entries(base or self.root)[0][1:]
        if not folders:
            raise FileNotFoundError("no folder to choose")
        return self.rng.choice(folders)

    def a_file(self, base: bytes | None = None) -> bytes:
        """A regular file, by any of its names."""
        files = [path for path in self.entries(base or self.root)[1] if _is_regular(path)]
        if not files:
            raise FileNotFoundError("no file to choose")
        return self.rng.choice(files)

    def an_entry(self, base: bytes | None = None) -> bytes:
        others = self.entries(base or self.root)[1]
        if not others:
            raise FileNotFoundError("nothing to choose")
        return self.rng.choice(others)

    def a_path(self, base: bytes | None = None) -> bytes:
        """A path that may be free or taken."""
        folder = self.a_folder(base)
        return os.path.join(folder, self.rng.choice(NAMES))

    def a_text(self) -> bytes:
        return (
            self.rng.choice(TEXTS)
            if self.rng.random() < 0.8
            else self.rng.randbytes(self.rng.randrange(200_000))
        )

    @property
    def crowded(self) -> bool:
        folders, others = self.entries(self.root)
        return len(folders) + len(others) > MOST

    # ---- acts -----------------------------------------------------------------------------------

    def mode(self, how: str) -> None:
        """How the trainings go that begin from now on."""
        (self.place / "mode").write_text(how, encoding="ascii")

    def remove(self, path: bytes) -> None:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)

    def mounts(self) -> list[bytes]:
        """The mounts within the place, the last first."""
        found = []
        for line in Path("/proc/self/mountinfo").read_bytes().splitlines():
            point = line.split(b" ")[4].decode("ascii", "backslashreplace").encode().decode("unicode_escape")
            path = point.encode("latin-1")
            if path.startswith(os.fsencode(self.place) + b"/"):
                found.append(path)
        return found[::-1]

    def mount(self, folder: bytes) -> None:
        subprocess.run([b"mount", b"-t", b"tmpfs", b"none", folder], check=True)

    def unmount(self, folder: bytes) -> bool:
        """False where somebody reads there at this moment."""
        return subprocess.run([b"umount", folder], capture_output=True, check=False).returncode == 0

    def open_everything(self) -> None:
        """Make all readable again, the folders first that hide others."""
        for base in (self.root, self.outside, self.away):
            to_do = [base] if os.path.isdir(base) else []
            while to_do:
                folder = to_do.pop()
                if os.stat(folder).st_mode & 0o700 != 0o700:
                    os.chmod(folder, 0o755)  # noqa: S103 - as it was
                for entry in os.scandir(folder):
                    if entry.is_dir(follow_symlinks=False):
                        to_do.append(entry.path)
                    elif entry.is_file(follow_symlinks=False) and entry.stat().st_mode & 0o600 != 0o600:
                        os.chmod(entry.path, 0o644)

    def root_back(self) -> None:
        if os.path.isdir(self.away):
            self.remove(self.root)
            os.rename(self.away, self.root)


def _is_regular(path: bytes) -> bool:
    return stat.S_ISREG(os.lstat(path).st_mode)
