"""JSON lines that only grow: one object a line, each appended in one write.

A line that a crash or a full disk tore is closed off by the next writer and passed over by readers, so it hides no other.

Standard library only: programs that log feedback load this where nothing else is installed.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from knowledge_platform.durable import sync_folder


def append(path: Path, record: Mapping[str, object], *, durable: bool) -> int:
    """Adds one line, for the owner's eyes only, and says how long the file is now, in bytes.

    `durable`: when this returns, the line is on the disk, also on a network's, where O_APPEND alone may lose one of two lines written at
    once (open(2)). Without it nothing is waited for.

    Raises:
        OSError: the line isn't there whole.
    """
    line = json.dumps(record).encode() + b"\n"
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if durable:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            line = b"\n" + line
        written = os.write(descriptor, line)
        if written < len(line):
            # The rest has no room, or it would have been taken: the kernel says why (write(2)).
            os.write(descriptor, line[written:])
            raise OSError(f"{path}: the disk took the line in pieces")
        if durable:
            os.fsync(descriptor)
            if not size:
                sync_folder(path.parent)
        return size + written
    finally:
        os.close(descriptor)


def records(path: Path) -> Iterator[dict[str, Any]]:
    """Every line that is an object, oldest first; a file that isn't there has none."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        for line in file:
            try:
                record = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(record, dict):
                yield record
