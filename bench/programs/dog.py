"""watchdog, as its documentation shows it. `poll` as second word: its PollingObserver, third: seconds between."""

from __future__ import annotations

import os
import sys
import threading

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.polling import PollingObserver

READS = {"opened", "closed_no_write"}


class Printer(FileSystemEventHandler):
    """Prints where something changed; reading a file is no change."""

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Print the path, and the new one of a move."""
        if event.event_type in READS:
            return
        print(os.fsdecode(event.src_path))
        if event.dest_path:
            print(os.fsdecode(event.dest_path))
        sys.stdout.flush()


def main(top: str, how: str = "", pause: str = "1") -> None:
    """Print `armed`, then the path of each change, until killed."""
    observer = PollingObserver(timeout=float(pause)) if how == "poll" else Observer()
    observer.schedule(Printer(), top, recursive=True)
    observer.start()
    print("armed", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
