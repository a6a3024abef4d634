"""`uninstall`: units and program go, configuration and state stay unless --purge is given.

A training that runs is left alone. What a person edited in our units is kept as a copy.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from training_watch import places, units
from training_watch.config import ConfigError, Job, read_config
from training_watch.database import DatabaseError, opened_to_read
from training_watch.installing.help import remove_help
from training_watch.installing.manager import RUNNING, forget, lingers, shown, stop_watcher, unit_folder, user
from training_watch.installing.plan import InstallError, RemoveFile, Say, carry_out
from training_watch.installing.unitfiles import data_home, installed, removal, store, text_of
from training_watch.launching import LaunchError
from training_watch.launching.systemctl import systemctl
from training_watch.mends import refused
from training_watch.program import absolute
from training_watch.runs import recorded_units
from training_watch.units import DROP_IN

# scripts/install.sh leaves this file in the virtual environment that it makes, so that `uninstall` may remove it.
MADE_BY_SCRIPT = "made-by-install.sh"


def uninstall(*, purge: bool, config_path: Path, watcher_unit: str, say: Say) -> None:
    """Take away all that `install` and scripts/install.sh made, but configuration and state.

    `purge` takes these too: the configuration, history, markers and logs, never the model. Raises
    InstallError.
    """
    config_path = absolute(config_path)
    present = installed(config_path)
    jobs = _jobs(config_path)
    text = text_of(unit_folder() / watcher_unit)
    if text is not None and units.ours(text):
        stop_watcher(watcher_unit, say)
    carry_out([removal(path, text) for path, text in present], say)
    _forget(present, watcher_unit, say)
    remove_help(say)
    if not present:
        say(f"No unit was installed from {config_path}")
    kept = _own_files(config_path, jobs)
    if purge:
        _purge(kept, config_path, say)
    elif kept:
        # With a program that is removed below nobody can purge.
        say(f"Configuration and state are kept; to remove them: rm -r {shlex.join(map(str, kept))}")
    with suppress(OSError, subprocess.TimeoutExpired):
        if lingers(user()):
            say("Lingering stays on, as other units may need it: loginctl disable-linger turns it off")
    if store().exists():
        say(f"The model is kept: {store()} (rm -r it if you don't want it)")
    _remove_program(say)


def _jobs(config_path: Path) -> tuple[Job, ...]:
    try:
        return read_config(config_path).jobs
    except ConfigError:
        return ()


def _forget(gone: Sequence[tuple[Path, str]], watcher: str, say: Say) -> None:
    """Let systemd forget the removed units, and say which training it is still running."""
    names = {path.parent.name.removesuffix(".d") if path.name == DROP_IN else path.name for path, _ in gone}
    for name in sorted(names - {watcher}):
        if shown(name).get("ActiveState") in RUNNING:
            say(
                f"{name} is still running and is left alone; its end won't be recorded (systemctl --user stop {name})"
            )
    if names:
        with suppress(LaunchError):
            systemctl("daemon-reload")
        forget(sorted(names))


def _own_files(config_path: Path, jobs: Sequence[Job]) -> list[Path]:
    """All files of ours that are there, and the folder that is ours alone; in the cache there are others'."""
    log = places.log_file()
    units_known = {places.TRAINING_UNIT, *(job.service for job in jobs), *_recorded()}
    ours = [
        config_path,
        places.environment_file(),
        *(places.marker(unit) for unit in sorted(units_known)),
        *(job.marker for job in jobs),
        *(places.status_file(unit) for unit in sorted(units_known)),
        *sorted(log.parent.glob(f"{log.name}*")),
        places.state_folder(),
    ]
    return [path for path in dict.fromkeys(ours) if os.path.lexists(path)]


def _recorded() -> list[str]:
    """The units that have a history, also those that are no job's any more."""
    try:
        with opened_to_read(places.database()) as connection:
            return recorded_units(connection)
    except DatabaseError:  # there is none, or none that could name any
        return []


def _purge(kept: Sequence[Path], config_path: Path, say: Say) -> None:
    for path in kept:
        if path == places.state_folder() and path.is_dir():
            _remove_tree(path, say)
        elif path != places.state_folder():
            carry_out([RemoveFile(path)], say)
    for folder in (config_path.parent, places.environment_file().parent, places.cache_folder()):
        with suppress(OSError):  # what else is in it is somebody else's
            folder.rmdir()


def _remove_program(say: Say) -> None:
    """The virtual environment that scripts/install.sh made, and the links to it; this very program, as a rule."""
    for prefix in dict.fromkeys((data_home() / "training-watch/venv", Path(sys.prefix))):
        if not (prefix / MADE_BY_SCRIPT).is_file():
            continue
        for name in ("training-watch", "crystal"):
            link = places.home() / ".local/bin" / name
            if link.is_symlink() and link.readlink() == prefix / "bin" / name:
                carry_out([RemoveFile(link)], say)
        _remove_tree(prefix, say)
        with suppress(OSError):
            prefix.parent.rmdir()


def _remove_tree(folder: Path, say: Say) -> None:
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise InstallError(refused(error.filename or folder, error)) from error
    say(f"Removed {folder}")
