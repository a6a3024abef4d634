"""sd_notify(3) in pure Python: one datagram, no library."""

from __future__ import annotations

import os
import re
import socket

# Seconds that a manager which doesn't read is waited for: its queue is short, and a full one blocks (unix(7)). Arbitrary.
PATIENCE = 1.0


class Notify:
    """Tells the service manager how we are. Where there is none to tell, it does nothing."""

    def __init__(self, address: str | None, watchdog_usec: str | None = None) -> None:
        self._address = _address(address)
        self._told = ""
        self.ping_interval = _half(watchdog_usec)

    @classmethod
    def from_environment(cls) -> Notify:
        """From $NOTIFY_SOCKET, $WATCHDOG_USEC and $WATCHDOG_PID, which children must not inherit."""
        address = os.environ.pop("NOTIFY_SOCKET", None)
        usec = os.environ.pop("WATCHDOG_USEC", None)
        pid = os.environ.pop("WATCHDOG_PID", str(os.getpid()))
        return cls(address, usec if pid == str(os.getpid()) else None)

    def ready(self) -> None:
        self._send("READY=1")

    def reloading(self, monotonic_usec: int) -> None:
        """The reload that `Type=notify-reload` waits for ends with the next `ready`."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={monotonic_usec}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def ping(self) -> None:
        self._send("WATCHDOG=1")

    def status(self, text: str) -> None:
        """One line for `systemctl status`; sent when it differs from the last."""
        line = " ".join(text.split())
        if line != self._told:
            self._told = line
            self._send(f"STATUS={line}")

    def _send(self, text: str) -> None:
        if self._address is None:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.settimeout(PATIENCE)
            try:
                channel.sendto(text.encode("utf-8", "backslashreplace"), self._address)
            except OSError:
                # The manager is restarting, stuck or gone. It asks again by way of the watchdog.
                return


def _address(given: str | None) -> str | None:
    if not given or given[0] not in "/@":
        return None
    return "\0" + given[1:] if given[0] == "@" else given


def _half(usec: str | None) -> float | None:
    """Seconds between two pings: half the watchdog's time, as sd_watchdog_enabled(3) advises."""
    # No more digits than a number of microseconds can have; int() would take those of any script.
    told = re.fullmatch(r"[0-9]{1,18}", usec or "")
    return int(told[0]) / 2e6 or None if told else None
