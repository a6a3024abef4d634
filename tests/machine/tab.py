"""Typed at a shell's prompt: a line and TAB. Run in a guest as `python3 - SHELL LINE EXPECTED`; ends with 0 once it shows.

The shell is a real one on a terminal of its own, and finds the completion by itself, as in a new window.
"""

from __future__ import annotations

import os
import pty
import select
import sys
import time

# Each as somebody's own start would leave it: bash with its package, zsh with the line that `install` tells.
# Before 2.12 bash-completion splits the home's name at its blanks; there ? may be any character.
BASH = """\
source /usr/share/bash-completion/bash_completion
((BASH_COMPLETION_VERSINFO[1] > 11)) || BASH_COMPLETION_USER_DIR=${HOME// /?}/.local/share/bash-completion
true"""
SHELLS = {
    "bash": (["bash", "--norc", "-i"], BASH),
    "fish": (["fish", "-i"], "set -g fish_greeting"),
    "zsh": (
        ["zsh", "-f", "-i"],
        "fpath=(~/.local/share/zsh/site-functions $fpath); autoload -Uz compinit; compinit -u -D",
    ),
}
WITHIN = 30.0


def main(shell: str, line: str, expected: str) -> bool:
    argv, setup = SHELLS[shell]
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ |= {"TERM": "xterm", "PS1": "$ "}
        os.execvp(argv[0], argv)  # noqa: S606 - a shell is what is started
    seen, until = b"", time.monotonic() + WITHIN
    # What the shell says when it is ready to be typed at, and isn't the line itself, which is echoed.
    os.write(terminal, f"{setup}; printf 'rea%s\\n' dy\n".encode())
    typed = False
    while time.monotonic() < until:
        if not typed and b"ready" in seen:
            os.write(terminal, line.encode() + b"\t\t")
            typed, seen = True, b""
        if typed and expected.encode() in seen:
            return True
        if select.select([terminal], [], [], 0.2)[0]:
            seen += os.read(terminal, 65536)
    sys.stderr.write(f"{shell} {'was asked' if typed else 'is not ready'}, and shows: {seen!r}\n")
    return False


sys.exit(not main(*sys.argv[1:]))
