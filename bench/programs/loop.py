"""The raw loop: what one writes in an afternoon with inotify_simple. It loses what an overflow drops."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from inotify_simple import INotify, flags

MASK = (
    flags.CREATE | flags.MODIFY | flags.CLOSE_WRITE | flags.MOVED_FROM | flags.MOVED_TO | flags.DELETE
    | flags.ONLYDIR
)  # fmt: skip


def watch(inotify: INotify, folders: dict[int, str], top: str) -> list[str]:
    """Watch `top` and all folders below; the files that are in them."""
    files = []
    stack = [top]
    while stack:
        folder = stack.pop()
        with suppress(OSError):
            folders[inotify.add_watch(folder, MASK)] = folder
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        stack.append(entry.path)
                    else:
                        files.append(entry.path)
    return files


def main(top: str) -> None:
    """Print `armed`, then the path of each change, until killed."""
    inotify = INotify()
    folders: dict[int, str] = {}
    watch(inotify, folders, top)
    print("armed", flush=True)
    while True:
        for event in inotify.read():
            if event.wd not in folders or not event.name:
                continue
            path = f"{folders[event.wd]}/{event.name}"
            print(path)
            if event.mask & flags.ISDIR and event.mask & (flags.CREATE | flags.MOVED_TO):
                for file in watch(inotify, folders, path):
                    print(file)
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
