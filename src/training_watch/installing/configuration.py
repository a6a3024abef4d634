"""The configuration that `install` writes where there is none, or its own; somebody else's it holds what is asked against."""

from __future__ import annotations

import json
import os
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path

from training_watch import places
from training_watch.config import Config, ConfigError, Job, LauncherName, NoConfig, read_config
from training_watch.installing.plan import InstallError
from training_watch.mends import refused
from training_watch.program import DEFAULT_COMMAND, absolute

# Whatever the shell would do with these, no shell sees them.
_SHELL_WORDS = frozenset({"&&", "||", "|", ";", "&", "<", ">", ">>", "2>", "2>&1"})


def configuration(
    path: Path, watch: Sequence[Path], exec_command: str | None, launcher: LauncherName | None
) -> tuple[Config, str | None]:
    """The configuration, and its text where it is to be written: there is none, or one that nobody edited says otherwise."""
    wanted = tuple(absolute(folder) for folder in watch)
    command = _split(exec_command) if exec_command is not None else None
    try:
        config = read_config(path)
    except NoConfig:
        text = config_text(_existing(wanted or _docs_here()), command, launcher or "systemd")
        return _checked(path, text), text
    refusal = _refusal(config, wanted, command, launcher)
    if refusal is None:
        return config, None
    if not _as_written(config):
        raise InstallError(refusal)
    (job,) = config.jobs
    paths = job.paths if set(wanted) <= set(job.paths) else _existing(wanted)
    text = config_text(paths, command or _own_command(job), launcher or job.launcher)
    return _checked(path, text), text


def _refusal(
    config: Config, wanted: tuple[Path, ...], command: tuple[str, ...] | None, launcher: LauncherName | None
) -> str | None:
    """How the configuration is at odds with what is asked. It is somebody's own: what is asked must be what it says."""
    if wanted and not any(set(wanted) <= set(job.paths) for job in config.jobs):
        listed = ", ".join(_toml(_short(folder)) for folder in wanted)
        return (
            f"{config.path} is there already and doesn't watch that: write paths = [{listed}] in it, "
            "then run `training-watch install`"
        )
    if command is not None and not any(job.command == command for job in config.jobs):
        return (
            f"{config.path} is there already and has another command: write command = "
            f"[{', '.join(map(_toml, command))}] in it, then run `training-watch install`"
        )
    if launcher is not None and any(job.launcher != launcher for job in config.jobs):
        return (
            f"{config.path} is there already and has another launcher: write launcher = {_toml(launcher)} in it, "
            "then run `training-watch install`"
        )
    return None


def _as_written(config: Config) -> bool:
    """Whether the file is, to the letter, what `install` writes for what it says: nobody has edited it."""
    job = config.jobs[0]
    try:
        return config.path.read_bytes() == config_text(job.paths, _own_command(job), job.launcher).encode()
    except OSError as error:
        raise InstallError(refused(config.path, error)) from error


def _own_command(job: Job) -> tuple[str, ...] | None:
    """None for the default command, which a new configuration shows as a comment."""
    return None if job.command == DEFAULT_COMMAND else job.command


def _docs_here() -> tuple[Path, ...]:
    docs = Path.cwd() / "docs"
    if not docs.is_dir():
        raise ConfigError(
            [f"nothing to watch: there is no docs/ in {Path.cwd()}; say which folder: --watch DIR"]
        )
    return (docs,)


def _existing(folders: tuple[Path, ...]) -> tuple[Path, ...]:
    mistakes = [
        f"--watch {folder}: {'not a folder' if folder.exists() else 'there is no such folder'}; make it, or name another"
        for folder in folders
        if not folder.is_dir()
    ]
    if mistakes:
        raise ConfigError(mistakes)
    return folders


def _split(exec_command: str) -> tuple[str, ...]:
    """`exec_command` as a shell would split it, and with ~/ expanded as in a shell; nothing more."""
    try:
        words = shlex.split(exec_command)
    except ValueError as error:
        raise InstallError(f"--exec {exec_command!r}: {error}; quote it as for a shell") from None
    if not words:
        raise InstallError('--exec names no program: give it one, as in --exec "make train"')
    if shell := next((word for word in words if word in _SHELL_WORDS), None):
        raise InstallError(
            f"--exec takes a program and its arguments, and no shell reads {shell!r}: "
            "give it one, as in --exec \"sh -c 'make docs && make train'\""
        )
    return tuple(f"{places.home()}{word[1:]}" if word.startswith("~/") else word for word in words)


def _checked(path: Path, text: str) -> Config:
    """What the configuration will be, read back before it is written."""
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / path.name
        draft.write_text(text, encoding="utf-8")
        try:
            config = read_config(draft)
        except ConfigError as error:
            raise ConfigError(
                [line.replace(str(draft), str(path)) for line in error.mistakes]
            ) from None  # fmt: skip
    return Config(path, config.jobs)


def config_text(folders: Sequence[Path], command: Sequence[str] | None, launcher: LauncherName) -> str:
    """A new configuration, with each default as a comment. Raises InstallError for a path that is not text."""
    paths = ", ".join(_toml(_short(folder)) for folder in folders)
    own = f"{'# ' if command in (None, DEFAULT_COMMAND) else ''}command = [{', '.join(map(_toml, command or DEFAULT_COMMAND))}]"
    process = 'launcher = "process"  ' if launcher == "process" else '# launcher = "systemd"'
    marker, cache = _toml(_short(places.marker(places.TRAINING_UNIT))), _short(places.cache_folder())
    return f"""\
# What training-watch watches, and what it starts. A line that begins with # shows a default.
# After an edit: training-watch install. Each line is explained in: man 5 training-watch (docs/reference.md)
# Lengths of time are written as in systemd.time(7): "90s", "5min", "1h 30min".

[job.docs]
paths = [{paths}]
{own}

# ignore = []                        # gitignore patterns, on top of the built-in ones for editors and git
# gitignore = true                   # also honour .gitignore files
# debounce = "5min"                  # start when nothing has changed for this long,
# max_wait = "30min"                 # or this long after the first change
# cooldown = "6h"                    # from the end of a training to the next start
# retries = 3                        # after a failure, on the same content, one each cooldown
# mode = "auto"                      # auto, inotify or poll
# poll_interval = "5min"             # how often to look where inotify can't see (network file systems)
# rescan_interval = "1h"             # the safety comparison where it can
# service = "{places.TRAINING_UNIT}"  # the unit to start; it belongs to this job alone
{process}             # "process" runs the command itself, where there is no user manager
# When the last training ended; rm forgets the cooldown. Of another service it is {cache}/UNIT.last-run:
# marker = {marker}
"""


def _toml(text: str) -> str:
    """A TOML basic string. JSON's differ from them in one thing: DEL must be escaped (TOML 1.0, String)."""
    try:
        os.fsencode(text).decode("utf-8")
    except UnicodeDecodeError:
        raise InstallError(f"{text!r} is not UTF-8, which a configuration must be: rename it") from None
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _short(path: Path) -> str:
    home = places.home()
    return f"~/{path.relative_to(home)}" if home in path.parents else str(path)
