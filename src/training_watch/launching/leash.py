"""The process between the supervisor and the training: when the supervisor dies, however it dies, the training does.

Its stdin is a pipe that only the supervisor holds open. The kernel closes that end with the process,
after SIGKILL too; then this process kills its own process group, in which the training runs.

Why not prctl(PR_SET_PDEATHSIG), alone or by `setpriv --pdeathsig`: it reaches only the direct child (a
training started by a shell script would live on), it is tied to the parent's thread, and cleared by
the exec of a program with capabilities (PR_SET_PDEATHSIG(2const)). What leaves the group escapes.

Run by its path under `python -I -S`: it imports nothing but the standard library, and starts in 15 ms.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import sys
from contextlib import suppress

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
# Python ignores these in itself, and an ignored signal stays ignored over exec (signal(7)).
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
# What systemd says where the program can't be executed (systemd.exec(5), "Process Exit Codes").
EXEC = 203


def main(command: list[str]) -> int:
    """Run the command and return its exit status, or die of the signal that it died of."""
    # Blocked until there is a child to pass them to, so that none is lost or ends this process.
    signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)
    try:
        child = os.posix_spawnp(
            command[0],
            command,
            os.environ,
            file_actions=[(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)],
            setsigmask=(),
            setsigdef=(*FORWARDED, *_IGNORED_BY_PYTHON),
        )
    except OSError as error:
        print(f"Unable to execute {command[0]}: {error.strerror}", file=sys.stderr, flush=True)
        return EXEC
    end = os.pidfd_open(child)

    def pass_on(number: int, _: object) -> None:
        # To the training alone, as KillMode=mixed does: its workers live until it has saved its work.
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(end, number)

    for each in FORWARDED:
        signal.signal(each, pass_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, FORWARDED)
    poll = select.poll()
    poll.register(end, select.POLLIN)
    poll.register(sys.stdin.fileno(), select.POLLIN)
    while True:
        ready = {fd for fd, _ in poll.poll()}
        if end in ready:
            return _pass_back(os.waitpid(child, 0)[1])
        if sys.stdin.fileno() in ready:
            os.killpg(0, signal.SIGKILL)


def _pass_back(status: int) -> int:
    if os.WIFEXITED(status):
        return os.WEXITSTATUS(status)
    number = os.WTERMSIG(status)
    # The training has dumped its core, if any; this process's would only be beside it.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError):  # KILL and STOP have no handler to take away
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
    os.kill(os.getpid(), number)
    return 128 + number


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
