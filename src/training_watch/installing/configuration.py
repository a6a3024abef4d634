"""The configuration that `install` writes where there is none, and holds the rest against where there is one."""

from __future__ import annotations

import json
import os
import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path

from training_watch import places
from training_watch.config import Config, ConfigError, LauncherName, NoConfig, read_config
from training_watch.installing.plan import InstallError
from training_watch.program import absolute

# Whatever the shell would do with these, no shell sees them.
_SHELL_WORDS = frozenset({"&&", "||", "|", ";", "&", "<", ">", ">>", "2>", "2>&1"})


def configuration(
    path: Path, watch: Sequence[Path], exec_command: str | None, launcher: LauncherName
) -> tuple[Config, str | None]:
    """The configuration, and its text where it is to be written."""
    wanted = tuple(absolute(folder) for folder in watch)
    command = _split(exec_command) if exec_command is not None else None
    try:
        config = read_config(path)
    except NoConfig:
        text = config_text(_existing(wanted or _docs_here()), command, launcher)
        return _checked(path, text), text
    _agrees(config, wanted, command, launcher)
    return config, None


def _agrees(
    config: Config, wanted: tuple[Path, ...], command: tuple[str, ...] | None, launcher: LauncherName
) -> None:
    """An existing configuration is somebody's own: what is asked must be what it says."""
    if wanted and not any(set(wanted) <= set(job.paths) for job in config.jobs):
        listed = ", ".join(_toml(_short(folder)) for folder in wanted)
        raise InstallError(
            f"{config.path} is there already and doesn't watch that: write paths = [{listed}] in it, "
            "then run `training-watch install`"
        )
    if command is not None and not any(job.command == command for job in config.jobs):
        raise InstallError(
            f"{config.path} is there already and has another command: write command = "
            f"[{', '.join(map(_toml, command))}] in it, then run `training-watch install`"
        )
    if launcher == "process" and any(job.launcher != launcher for job in config.jobs):
        raise InstallError(
            f'{config.path} is there already and leaves the training to systemd: write launcher = "process" in it, '
            "then run `training-watch install`"
        )


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
    own = f"command = [{', '.join(map(_toml, command))}]" if command else '# command = ["crystal", "train"]'
    process = 'launcher = "process"  ' if launcher == "process" else '# launcher = "systemd"'
    return f"""\
# What training-watch watches, and what it starts. A line that begins with # shows a default.
# After an edit: training-watch install
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
# marker = "~/.cache/crystal/last-training-run"   # when the last training ended; rm forgets the cooldown
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
