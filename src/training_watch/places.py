"""Where things are: the XDG base directories, and our names in them.

`install` writes those variables that are set into the units, so that the daemon, a shell and cron agree.
"""

from __future__ import annotations

import os
import pwd
import shlex
from pathlib import Path

CONFIG = "TRAINING_WATCH_CONFIG"
WATCHER_UNIT = "training-watch.service"
TRAINING_UNIT = "crystal-train.service"


class NoHome(Exception):
    """Neither HOME nor the user database says where this user's home is."""


def home() -> Path:
    """HOME, or what the user database says. Raises NoHome."""
    given = os.environ.get("HOME", "")
    if given.startswith("/"):
        return Path(given)
    try:
        return Path(pwd.getpwuid(os.getuid()).pw_dir)
    except KeyError:
        raise NoHome(f"HOME is not set, and user {os.getuid()} is in no user database: set HOME") from None


def config_file() -> Path:
    """The configuration, where neither --config nor TRAINING_WATCH_CONFIG names one."""
    return Path(os.environ.get(CONFIG) or _base("XDG_CONFIG_HOME", ".config") / "training-watch/config.toml")


def chosen(config: Path) -> str:
    """The option that chooses this configuration, after a blank, as a shell reads it; empty for the usual one."""
    return "" if config == config_file().absolute() else f" --config {shlex.quote(str(config))}"


def state_folder() -> Path:
    """Runs, snapshots and locks."""
    return _base("XDG_STATE_HOME", ".local/state") / "training-watch"


def database() -> Path:
    return state_folder() / "state.db"


def cache_folder() -> Path:
    """Markers, status files and the log."""
    return _base("XDG_CACHE_HOME", ".cache") / "crystal"


def log_file() -> Path:
    return cache_folder() / "training-watch.log"


def marker(unit: str) -> Path:
    """The default marker of a training unit."""
    name = "last-training-run" if unit == TRAINING_UNIT else f"{unit}.last-run"
    return cache_folder() / name


def status_file(unit: str) -> Path:
    """Where the training may say how far it is (docs/status-file.md)."""
    return cache_folder() / f"{unit}.status.json"


def lock_file(unit: str) -> Path:
    """Held while a start is ordered, by whoever orders it."""
    return state_folder() / f"{unit}.lock"


def bell() -> Path:
    """Touched when a run's record changes; the daemon listens."""
    return state_folder() / "bell"


def environment_file() -> Path:
    """The optional EnvironmentFile= of the training."""
    return _base("XDG_CONFIG_HOME", ".config") / "training-watch/train.env"


def runtime_folder() -> Path | None:
    """XDG_RUNTIME_DIR, or where logind puts it; None where there is neither (cron, a container)."""
    given = os.environ.get("XDG_RUNTIME_DIR", "")
    folder = Path(given) if given.startswith("/") else Path(f"/run/user/{os.getuid()}")
    return folder if folder.is_dir() else None


def _base(variable: str, default: str) -> Path:
    # A relative value is to be ignored (XDG Base Directory Specification).
    given = os.environ.get(variable, "")
    return Path(given) if given.startswith("/") else home() / default
