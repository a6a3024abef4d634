"""The folders above the roots: a root is a name, and any part of a name may come to mean something else.

/srv/current/docs       current is a link that is switched: a name in /srv
/home/me/project/docs   project is renamed: the folder itself moves
                        docs isn't there yet: a name in the nearest folder that is
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable

from training_watch.watching.kernel import NAMES, SELF, Kernel
from training_watch.watching.paths import ancestors
from training_watch.watching.watches import GONE


class Above:
    """The watches above the roots: `folders` by their numbers.

    `complete`: none was refused, so no change of a name goes unheard.
    """

    def __init__(self, kernel: Kernel) -> None:
        self.complete = True
        self.folders: dict[int, bytes] = {}
        self._kernel = kernel
        self._masks: dict[bytes, int] = {}

    def forget(self, wd: int) -> None:
        """The kernel has removed a watch."""
        self.folders.pop(wd, None)

    def watch(
        self, roots: Iterable[bytes], waited: Collection[bytes], is_content: Callable[[int], bool]
    ) -> None:
        """Watch what decides where these paths lead, and nothing else.

        `waited`: those that have no watch of their own. `is_content` tells what is to stay watched anyway.
        """
        wanted = _wanted(roots, waited)
        for wd, folder in self.folders.items():
            # A mask can be widened, but not narrowed.
            if self._masks[folder] & ~wanted.get(folder, 0) and not is_content(wd):
                self._kernel.remove(wd)
        self.complete = True
        self._masks, self.folders = wanted, {}
        for folder, mask in wanted.items():
            try:
                self.folders[self._kernel.add(folder, mask)] = folder
            except OSError as error:
                self.complete = self.complete and error.errno in GONE


def _wanted(roots: Iterable[bytes], waited: Collection[bytes]) -> dict[bytes, int]:
    """The folders above the roots, and what is to be heard of each."""
    wanted = dict[bytes, int]()
    for root in roots:
        below = root
        for folder in ancestors(root):
            names = below in waited or os.path.islink(below) or not os.path.isdir(below)
            wanted[folder] = wanted.get(folder, SELF) | (NAMES if names else SELF)
            below = folder
    return wanted
