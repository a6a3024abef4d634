"""What install and uninstall can do, as values: planned first, shown or carried out then."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from training_watch.files import write_whole
from training_watch.mends import refused
from training_watch.units import DROP_IN

Say = Callable[[str], None]


class InstallError(Exception):
    """It can't be installed as asked; the message says why and what to do."""


# ---- what can be done -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MakeFolder:
    """Make a folder that only its owner may enter."""

    path: Path


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Write a whole file; what was there is copied to `backup` before, where that is given.

    `about` says what it is, where its text would tell a person nothing.
    """

    path: Path
    text: str
    backup: Path | None = None
    mode: int = 0o644
    about: str = ""


@dataclass(frozen=True, slots=True)
class MakeLink:
    """Make `path` a link to `target`, in the place of an earlier one."""

    path: Path
    target: Path


@dataclass(frozen=True, slots=True)
class RemoveFile:
    """Remove a file; it is copied to `backup` before, where that is given."""

    path: Path
    backup: Path | None = None


Action = MakeFolder | WriteFile | MakeLink | RemoveFile


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, and what to say of things that need nothing done.

    `stop`: daemons whose units go, to be stopped first. `gone`: all units that go.
    """

    actions: tuple[Action, ...]
    remarks: tuple[str, ...] = ()
    stop: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


def carry_out(actions: Sequence[Action], say: Say) -> None:
    """Do it, and say what was done. Raises InstallError."""
    for action in actions:
        try:
            _act(action)
        except OSError as error:
            raise InstallError(refused(action.path, error)) from error
        say(_told(action))


def _act(action: Action) -> None:
    match action:
        case MakeFolder(path):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        case WriteFile(path, text, backup, mode):
            _keep(path, backup)
            # A unit that is a link, into somebody's dotfiles, stays one.
            write_whole(path.resolve(), text, mode=mode)
        case MakeLink(path, target):
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_name(f".{path.name}.new")
            new.unlink(missing_ok=True)
            new.symlink_to(target)
            os.replace(new, path)
        case RemoveFile(path, backup):
            _keep(path, backup)
            path.unlink()
            if path.name == DROP_IN:
                with suppress(OSError):  # other drop-ins in it keep the folder
                    path.parent.rmdir()


def _keep(path: Path, backup: Path | None) -> None:
    if backup is not None:
        with backup.open("xb") as copy:
            copy.write(path.read_bytes())


def _told(action: Action) -> str:
    match action:
        case MakeFolder(path):
            return f"Made the folder {path}"
        case WriteFile(path, _, backup):
            return f"Wrote {path}{f'; what was there is now {backup}' if backup else ''}"
        case MakeLink(path, target):
            return f"Linked {path} to {target}"
        case RemoveFile(path, backup):
            return f"Removed {path}{f'; as you had edited it, it is now {backup}' if backup else ''}"


def would(action: Action) -> str:
    match action:
        case MakeFolder(path):
            return f"Would make the folder {path}"
        case WriteFile(path, about=about) if about:
            return f"Would write {path} ({about})"
        case WriteFile(path, text, backup):
            kept = f", and keep what is there as {backup}" if backup else ""
            return f"Would write {path}{kept}:\n\n{text}"
        case MakeLink(path, target):
            return f"Would link {path} to {target}"
        case RemoveFile(path, backup):
            return f"Would remove {path}{f', and keep it as {backup}' if backup else ''}"
