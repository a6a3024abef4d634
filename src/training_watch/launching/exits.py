"""How a program ended, in the service manager's words: $SERVICE_RESULT, $EXIT_CODE, $EXIT_STATUS (systemd.exec(5))."""

from __future__ import annotations

import signal


def exit_status(code: str, status: str) -> str:
    """ExecMainCode= and ExecMainStatus= as $EXIT_STATUS has them (systemd.exec(5)).

    The code is waitid(2)'s si_code: 1 exited, 2 killed, 3 dumped; 0 where the program never ran.
    """
    if code == "1":
        return status
    if code in {"2", "3"} and status.isdecimal():
        return signal_name(int(status))
    return ""


def signal_name(number: int) -> str:
    """TERM for 15; the number where it has no name."""
    try:
        return signal.Signals(number).name.removeprefix("SIG")
    except ValueError:
        return str(number)


def ending(returncode: int, *, late: bool = False) -> tuple[str, str, str]:
    """Result, code and status of a program whose subprocess returncode is this.

    `late`: it was told to stop, didn't in time, and was killed.
    """
    if returncode >= 0:
        return ("exit-code" if returncode else "success", "exited", str(returncode))
    return ("timeout" if late else "signal", "killed", signal_name(-returncode))
