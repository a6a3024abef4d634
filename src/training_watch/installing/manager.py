"""What install and uninstall ask of the system: the user manager, logind, the journal."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from training_watch import places
from training_watch.installing.plan import Say
from training_watch.launching import LaunchError, NoManager
from training_watch.launching.systemctl import no_manager, systemctl, user_unit_folder

# The daemon's TimeoutStartSec=, its predecessor's TimeoutStopSec=, and some more.
STARTING = 150.0
RUNNING = frozenset({"active", "activating", "deactivating", "reloading"})


def reach_manager() -> None:
    try:
        answer = systemctl("show", "--property=Version")
    except NoManager as error:
        raise NoManager(f"{error} (`training-watch install --launcher process` writes one)") from error
    if answer.returncode != 0:
        raise no_manager(last_line(answer.stderr))


def _config_home() -> Path:
    given = os.environ.get("XDG_CONFIG_HOME", "")
    return Path(given) if given.startswith("/") else places.home() / ".config"


def unit_folder() -> Path:
    """The folder of the user's own units; where no manager can be asked, the one that it would name."""
    try:
        return user_unit_folder()
    except LaunchError:
        return _config_home() / "systemd/user"


def start_watcher(watcher: str, say: Say) -> None:
    """Load, enable and start. A restart even where nothing changed: the program itself may have."""
    for words in (("daemon-reload",), ("enable", watcher), ("restart", watcher)):
        done = systemctl(*words, timeout=STARTING)
        if done.returncode != 0:
            told = "\n".join(f"  {line}" for line in (*done.stderr.splitlines()[-3:], *_journal(watcher)))
            raise LaunchError(
                f"`systemctl --user {' '.join(words)}` failed: mend it, then run `training-watch install` again:\n{told}"
            )
    say(f"{watcher} is enabled and running")


def stop_watcher(watcher: str, say: Say) -> None:
    """Stop and disable a daemon; one that is no unit any more is stopped all the same."""
    try:
        done = systemctl("disable", "--now", watcher, timeout=30)
        why = last_line(done.stderr) if done.returncode != 0 else None
    except LaunchError as error:
        why = str(error)
    say(
        f"Stopped and disabled {watcher}"
        if why is None
        else f"{watcher} could not be stopped ({why}): `systemctl --user stop {watcher}`"
    )
    # Without a manager nobody else takes away the link that enables it.
    (unit_folder() / "default.target.wants" / watcher).unlink(missing_ok=True)


def forget(units: Sequence[str]) -> None:
    """Let systemd forget how these ended, whose files are gone; else those that failed stay in its list."""
    if units:
        with suppress(LaunchError):
            systemctl("reset-failed", *units)


def _journal(unit: str) -> list[str]:
    words = ["journalctl", "--user", f"--unit={unit}", "--lines=10", "--output=cat", "--no-pager", "--quiet"]
    with suppress(OSError, subprocess.TimeoutExpired):
        return run_words(words).stdout.splitlines()
    return []


def enable_linger(say: Say) -> None:
    """Without lingering, a user's units end with the last session. Some systems don't let one turn it on."""
    name = user()
    try:
        if lingers(name):
            return
        done = run_words(["loginctl", "--no-ask-password", "enable-linger"])
        why = last_line(done.stderr) if done.returncode != 0 else None
    except (OSError, subprocess.TimeoutExpired) as error:
        why = str(error)
    if why is None:
        say("Lingering is on: the daemon starts at boot and outlives your sessions")
    else:
        say(
            f"Lingering is off, and can't be turned on from here ({why}): the daemon runs only while you are "
            f"logged in. An administrator can: sudo loginctl enable-linger {name}"
        )


def lingers(name: str) -> bool:
    return run_words(["loginctl", "show-user", name, "--property=Linger", "--value"]).stdout.strip() == "yes"


def user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def shown(unit: str) -> dict[str, str]:
    """What systemd says of the unit; nothing where it can't be asked."""
    try:
        answer = systemctl("show", "--property=LoadState,FragmentPath,ActiveState", unit)
    except LaunchError:
        return {}
    return dict(line.split("=", 1) for line in answer.stdout.splitlines() if "=" in line)


def last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it says nothing")


def run_words(words: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        check=False,
        capture_output=True,
        text=True,
        errors="replace",
        stdin=subprocess.DEVNULL,
        timeout=30,
        env={**os.environ, "LC_ALL": "C"},
    )
