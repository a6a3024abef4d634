"""Log lines: to the journal with their priority, to a terminal plainly, and to a rotating file."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import TextIO

from training_watch.text import printable

# sd-daemon(3): a line that begins with <N> has that priority.
_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6))
# About two years of ordinary days in each of three files. Arbitrary.
LARGEST, KEPT = 1 << 20, 2

log = logging.getLogger("training_watch")


def open_log(file: Path | None, *, verbose: bool = False) -> str | None:
    """Send `log` to standard error and, where given, to `file`; says why it can't write the file."""
    log.setLevel(logging.DEBUG if verbose else logging.INFO)
    log.propagate = False
    for old in log.handlers[:]:
        log.removeHandler(old)
        old.close()
    console = logging.StreamHandler(sys.stderr)
    console.setFormatter(_Prefixed() if in_journal(sys.stderr) else _Plain())
    log.addHandler(console)
    if file is None:
        return None
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        rotating = _Rotating(file, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        return f"no log file: {file}: {error.strerror}; the journal has the same lines"
    rotating.setFormatter(_Dated("%(asctime)s %(levelname)s %(message)s"))
    log.addHandler(rotating)
    return None


def in_journal(stream: TextIO) -> bool:
    """Whether the stream leads to the journal: $JOURNAL_STREAM names its device and inode (systemd.exec(5))."""
    try:
        stat = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{stat.st_dev}:{stat.st_ino}"


class _OneLine(logging.Formatter):
    """Keeps an entry on one line, so that no file name can forge another."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


class _Rotating(logging.FileHandler):
    """A log file that makes way, when it is full, for a new one: then it is FILE.1, and FILE.1 is FILE.2.

    logging.handlers has one too, and brings pickle and queues: half a megabyte for as long as the daemon runs.
    """

    def emit(self, record: logging.LogRecord) -> None:
        try:
            if self.stream is not None and self.stream.tell() >= LARGEST:
                self._rotate()
        except OSError:
            self.handleError(record)  # the full one goes on being written
        super().emit(record)

    def _rotate(self) -> None:
        names = [self.baseFilename, *(f"{self.baseFilename}.{number}" for number in range(1, KEPT + 1))]
        for newer, older in reversed([*pairwise(names)]):
            with suppress(FileNotFoundError):
                os.replace(newer, older)
        full = self.setStream(self._open())
        if full is not None:
            full.close()


class _Plain(_OneLine):
    pass


class _Dated(_OneLine):
    default_time_format = "%Y-%m-%dT%H:%M:%S%z"
    default_msec_format = ""


class _Prefixed(_OneLine):
    def format(self, record: logging.LogRecord) -> str:
        priority = next((number for level, number in _PRIORITIES if record.levelno >= level), 7)
        return f"<{priority}>{super().format(record)}"
