"""Asking the user manager: the program systemctl, its environment, and what is wrong when nobody answers."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from training_watch import places
from training_watch.launching import LaunchError, NoManager
from training_watch.timespan import seconds

# systemctl answers in 30 ms; a manager that doesn't answer in this time is in trouble. Arbitrary.
PATIENCE = 10.0
MENDS = (
    "log in as this user (not by su or sudo), or set XDG_RUNTIME_DIR=/run/user/$(id -u) and "
    "run `loginctl enable-linger`; in a container without systemd put `launcher = \"process\"` into the configuration"
)  # fmt: skip


def systemctl(*words: str, timeout: float = PATIENCE) -> subprocess.CompletedProcess[str]:
    """`systemctl --user WORDS…`, whatever its exit code. Raises NoManager where nobody answers."""
    try:
        answer = subprocess.run(
            ["systemctl", "--user", "--no-ask-password", *words],
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError:
        raise NoManager(f"there is no systemctl on this machine: {MENDS}") from None
    except subprocess.TimeoutExpired:
        raise NoManager(
            f"`systemctl --user {' '.join(words)}` did not answer within {timeout:g} s: "
            f"see `systemctl status user@{os.getuid()}.service`"
        ) from None
    except OSError as error:
        raise NoManager(f"systemctl can't be run ({error.strerror}): {MENDS}") from error
    require_manager(answer.stderr)
    return answer


def environment() -> dict[str, str]:
    """The environment for systemctl and journalctl: plain words, and the way to the user manager.

    cron, CI and some ssh set-ups lack XDG_RUNTIME_DIR; the manager's socket is there all the same.
    """
    runtime = places.runtime_folder()
    found = {} if runtime is None else {"XDG_RUNTIME_DIR": str(runtime)}
    return {**os.environ, **found, "LC_ALL": "C", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}


def version() -> int:
    """The major version of systemctl. Raises LaunchError."""
    said = systemctl("--version").stdout
    told = re.match(r"systemd (\d+)", said)
    if told is None:
        raise LaunchError(
            f"`systemctl --version` says no version, but {said[:80]!r}: see `type -a systemctl`"
        )
    return int(told[1])


def next_start(unit: str) -> float | None:
    """Seconds within which the manager starts the unit again by itself, 0 where it does so now; None where it won't.

    Raises NoManager.
    """
    # RestartUSecNext= came with the growing delays of 254.
    wanted = "ActiveState,SubState,RestartUSec,RestartUSecNext"
    answer = systemctl("show", f"--property={wanted}", "--", unit)
    shown = dict(line.split("=", 1) for line in answer.stdout.splitlines() if "=" in line)
    if shown.get("ActiveState") != "activating":
        return None
    if shown.get("SubState") != "auto-restart":
        return 0.0
    told = shown.get("RestartUSecNext") or shown.get("RestartUSec", "")
    try:
        return seconds(told)
    except ValueError:  # infinity
        return None


def user_unit_folder() -> Path:
    """Where the running manager looks for this user's own unit files. Raises LaunchError.

    It follows the *manager's* XDG_CONFIG_HOME, which a shell's may contradict.
    """
    return unit_folder(systemctl("show", "--property=UnitPath").stdout)


def unit_folder(shown: str) -> Path:
    """The user's own folder in the manager's UnitPath.

    UnitPath begins with the folder for `systemctl set-property`, which is that one's name with
    ".control" (systemd.unit(5), table "Load path when running in user mode"); found by that, since
    the entries are parted by blanks that a path may hold too: one with odd characters comes quoted, and
    with backslashes (measured on 252 and 257).
    """
    told = re.match(
        r'UnitPath=(?:"((?:[^"\\]|\\.)*/systemd/user)\.control"|(/.*?/systemd/user)\.control)(?:\s|$)', shown
    )
    if told is None:
        raise LaunchError(
            f"the user manager says no unit path, but {shown[:80]!r}: see `systemctl --user show --property=UnitPath`"
        )
    return Path(re.sub(r"\\(.)", r"\1", told[1]) if told[1] else told[2])


def require_manager(stderr: str) -> None:
    # 252: "Failed to connect to bus: …"; 257: "Failed to connect to user scope bus via …".
    # Without systemd as PID 1: "System has not been booted with systemd as init system (PID 1)."
    if re.search(r"Failed to connect to .*bus|not been booted with systemd|Transport endpoint", stderr):
        raise no_manager(first_line(stderr))


def no_manager(why: str) -> NoManager:
    return NoManager(f"no user manager answers ({why}): {MENDS}")


def first_line(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "no reason given")
