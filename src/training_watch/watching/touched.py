"""What was hinted at since the last comparison.

A hint says where to look, never what happened there. Hints are kept as names while they are few; when
they are many they become coarser, never fewer: names give way to whole folders, folders to everything.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from training_watch.watching.paths import join

# All arbitrary. 10,000 names are a few megabytes, and as many folders take about as long to list one
# by one as a tree does to walk.
NAMES = 10_000
FOLDERS = 10_000
TREES = 1_000
# How many paths are followed to find the noisiest. Any path with more than 1/64 of all hints is found.
NOISY = 64


@dataclass(slots=True)
class Touched:
    """Folders to look into, and there the names to look at; an empty set of names means all of them.

    `trees` are to be walked to the bottom; `everything` says that the whole tree is, `cause` why. `moved` are folders
    that came, went or changed their names, and when: what was in them meanwhile, nobody knows.
    """

    everything: bool = False
    cause: str = ""
    folders: dict[bytes, set[bytes]] = field(default_factory=dict)
    trees: set[bytes] = field(default_factory=set)
    moved: dict[bytes, float] = field(default_factory=dict)
    _kept: int = 0
    _dropped: int = 0
    _noise: dict[bytes, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.everything or bool(self.folders or self.trees)

    @property
    def doubtful(self) -> bool:
        """Something may have changed that no hint names."""
        return self.everything or bool(self.trees)

    @property
    def count(self) -> int:
        """How many distinct names were hinted at; above NAMES an upper bound of that."""
        return self._kept + self._dropped

    def first(self, most: int) -> list[bytes]:
        """The first of the names that were hinted at, and of the folders without one."""
        found = list[bytes]()
        for folder, names in self.folders.items():
            found += [join(folder, name) for name in sorted(names)] if names else [folder]
            if len(found) >= most:
                break
        return found[:most]

    @property
    def noisiest(self) -> bytes | None:
        """The path with the most hints, where one stands out."""
        most = max(self._noise, key=self._noise.__getitem__, default=None)
        return most if most is not None and self._noise[most] > 1 else None

    def name(self, folder: bytes, name: bytes) -> None:
        """Hint at one name."""
        self._hear(join(folder, name))
        names = self.folders.get(folder)
        if self._dropped or (names is not None and not names):
            self._dropped += 1
            self._folder(folder)
        elif names is None:
            self.folders[folder] = {name}
            self._kept += 1
        elif name not in names:
            names.add(name)
            self._kept += 1
        self._bound()

    def folder(self, folder: bytes) -> None:
        """Hint at all that is directly in a folder."""
        self._folder(folder)
        self._bound()

    def tree(self, top: bytes) -> None:
        """Hint at all that is in a folder and below."""
        self.trees.add(top)
        self._bound()

    def move(self, top: bytes, at: float) -> None:
        """A folder came, went, or changed its name or its permissions."""
        self.moved[top] = at
        self._bound_moved()

    def all(self, cause: str) -> None:
        """Hint at everything; the first cause stays."""
        if not self.everything:
            self.everything, self.cause = True, cause

    def forget_names(self, before: float) -> None:
        """Keep the folders: what was hinted at has been looked at then, but something may have come since.

        What has been looked at is counted no more.
        """
        self.moved = {top: at for top, at in self.moved.items() if at >= before}
        self.folders = {folder: set() for folder in self.folders}
        self._kept = self._dropped = 0

    def merge(self, other: Touched) -> None:
        """Take over all hints of `other`."""
        if other.everything:
            self.all(other.cause)
        self.trees |= other.trees
        self.moved |= other.moved
        self._bound_moved()
        for folder, names in other.folders.items():
            mine = self.folders.get(folder)
            if not names or mine == set():
                self._folder(folder)
                self._dropped += len(names)
            elif mine is None:
                self.folders[folder] = set(names)
                self._kept += len(names)
            else:
                self._kept += len(names - mine)
                mine |= names
        self._dropped += other._dropped
        for path, times in other._noise.items():
            self._hear(path, times)
        self._bound()

    def _folder(self, folder: bytes) -> None:
        names = self.folders.get(folder)
        if names:
            self._kept -= len(names)
            self._dropped += len(names)
        self.folders[folder] = set()

    def _bound(self) -> None:
        if self._kept > NAMES:
            self._dropped += self._kept
            self._kept = 0
            for folder in self.folders:
                self.folders[folder] = set()
        if len(self.folders) > FOLDERS or len(self.trees) > TREES:
            self.folders.clear()
            self.trees.clear()
            self.all("changes in very many folders")

    def _bound_moved(self) -> None:
        if len(self.moved) > TREES:
            self.moved = {b"/": max(self.moved.values())}

    def _hear(self, path: bytes, times: int = 1) -> None:
        # Misra and Gries, "Finding repeated elements" (1982): few counters, and no frequent path is missed.
        if path in self._noise or len(self._noise) < NOISY:
            self._noise[path] = self._noise.get(path, 0) + times
            return
        self._noise = {known: heard - times for known, heard in self._noise.items() if heard > times}
