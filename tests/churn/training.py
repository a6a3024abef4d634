"""The training that the daemon starts: it writes down what it read, when it began, and when it was done.

python -m churn.training PLACE

PLACE/mode says how it goes: `fine`, `slow`, `fails`, or `slow fails`.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import time
from pathlib import Path

from churn.truth import look

# Long enough that operations fall into a training, and short enough for many trainings. Arbitrary.
SLOW = 1.2


def main(place: Path) -> int:
    mode = (place / "mode").read_text(encoding="ascii")
    with (place / "alone").open("w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell(place, {"what": "beside"})
        began = time.clock_gettime(time.CLOCK_BOOTTIME)
        read = look(os.fsencode(place / "docs"))
        files = {path.decode("latin-1"): digest for path, digest in read.files.items()}
        tell(
            place,
            {"what": "began", "at": began, "present": read.present, "obscure": read.obscure, "files": files},
        )
        if "slow" in mode:
            time.sleep(SLOW)
        tell(place, {"what": "ended", "at": time.clock_gettime(time.CLOCK_BOOTTIME)})
    return 1 if "fails" in mode else 0


def tell(place: Path, fact: dict[str, object]) -> None:
    line = json.dumps({"run": os.environ["INVOCATION_ID"], "pid": os.getpid(), **fact})
    fd = os.open(place / "trainings", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)
    os.write(fd, line.encode() + b"\n")
    os.close(fd)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
