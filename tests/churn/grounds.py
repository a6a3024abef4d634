"""Where an episode is played: a process of its own, with the rights, mounts and limits that it is about.

heard    each change gives an event, and no rescan helps: what is missed is never trained
mounts   root's: file systems come and go, links lead out of the tree, what gives no event is found by rescans
limits   16 watches, and for root 16 queued events: most events are lost
mortal   root stripped of what lets it pass: folders and files that can't be read for a while
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from churn.episode import Plan

GROUNDS = ("heard", "mounts", "limits", "mortal")
FEW = "16"
QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")
# The kernel's limit holds for everybody on the machine. Whatever becomes of the test, this child sees its
# end, and puts back what was there; the lock is for two tests at once.
GUARDIAN = """
trap '' INT TERM HUP
exec 9<"$1"; flock 9 || exit 1
before=$(cat "$1"); echo "$2" >"$1" || exit 1
echo set; read -r _
echo "$before" >"$1"
"""


# What a process ends with whose ground this machine lacks.
IMPOSSIBLE = 77


class Impossible(Exception):
    """This machine has no such ground."""


def standing(ground: str) -> list[str]:
    """The words in front of a command that put it on that ground. Raises Impossible."""
    root = os.geteuid() == 0
    match ground:
        case "mounts":
            words = ["unshare", "-m"] if root else []
            if not root:
                raise Impossible("mounts of one's own need root")
        case "limits":
            words = ["unshare", "-Urm"]
        case "mortal":
            words = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if root else []
        case _:
            return []
    tried = subprocess.run(
        [*words, sys.executable, "-c", "import training_watch"], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        raise Impossible(tried.stderr.strip().splitlines()[-1] if tried.stderr.strip() else " ".join(words))
    return words


def outside(plan: Plan) -> int:
    """Play an episode in a process of its own, on its ground."""
    words = [
        *standing(plan.ground), sys.executable, "-m", "churn", "--here", "--seed", str(plan.seed), "--ground", plan.ground,
        "--seconds", str(plan.seconds), *(["--operations", str(plan.operations)] if plan.operations is not None else []),
    ]  # fmt: skip
    if plan.ground == "limits" and os.geteuid() == 0:
        with short_queue():
            return subprocess.run(words, check=False).returncode
    return subprocess.run(words, check=False).returncode


def prepare(ground: str) -> None:
    """What has to be done within."""
    if ground == "limits":
        try:
            Path("/proc/sys/user/max_inotify_watches").write_text(FEW, encoding="ascii")
        except OSError as error:
            print(f"no limits of our own here: {error}", file=sys.stderr)
            sys.exit(IMPOSSIBLE)


@contextmanager
def short_queue() -> Iterator[None]:
    guardian = subprocess.Popen(
        ["sh", "-c", GUARDIAN, "guardian", QUEUE, FEW],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert guardian.stdin is not None
    assert guardian.stdout is not None
    try:
        if guardian.stdout.readline() != "set\n":
            raise Impossible(f"{QUEUE} can't be written")
        yield
    finally:
        guardian.stdin.close()
        guardian.wait()
        guardian.stdout.close()
