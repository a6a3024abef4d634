"""watchfiles by its documented Rust back end, whose constructor returns when the watches are set.

Words: the folder; `step`, in ms, between two looks at what came (watchfiles.watch has 50); `poll` and the
seconds between two scans. The generator watchfiles.watch does the same, but can't say when it is ready.
"""

from __future__ import annotations

import sys

from watchfiles import Change
from watchfiles._rust_notify import RustNotify

# As watchfiles.watch has them: how long changes are grouped, and how often Python may see a signal, in ms.
DEBOUNCE, TIMEOUT = 1600, 5000


def main(top: str, step: str = "50", how: str = "", pause: str = "1") -> None:
    """Print `armed`, then the path of each change, until killed."""
    watcher = RustNotify([top], False, how == "poll", int(float(pause) * 1000), True, False)
    print("armed", flush=True)
    while True:
        changes = watcher.watch(DEBOUNCE, int(step), TIMEOUT, None)
        if isinstance(changes, set):
            for change, path in changes:
                Change(change)
                print(path)
            sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
