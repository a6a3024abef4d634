"""config.toml as `install` writes it: what differs from a default as a value, each default as a comment."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from training_watch import places
from training_watch.config import Job
from training_watch.decide import Settings
from training_watch.installing.plan import InstallError
from training_watch.program import DEFAULT_COMMAND
from training_watch.timespan import written

# The column at which the remarks begin.
_REMARKS = 37
_HEADING = """\
# What training-watch watches, and what it starts. A line that begins with # shows a default.
# After an edit: training-watch install. Each line is explained in `man 5 training-watch`, the project's docs/reference.md.
# Lengths of time are written as in systemd.time(7): "90s", "5min", "1h 30min".
"""


def config_text(jobs: Iterable[Job]) -> str:
    """A whole configuration. Raises InstallError for a path that is not text."""
    return "\n".join([_HEADING, *map(table, jobs)])


def table(job: Job) -> str:
    """One job's table, with all that `install` can be asked for. Raises InstallError for a path that is not text."""
    usual, settings = Settings(), job.settings
    lines = [
        f"[job.{job.name}]",
        paths_line(job.paths),
        _line("command", listed(job.command), job.command == DEFAULT_COMMAND),
        "",
        _line("ignore", listed(job.ignore), not job.ignore, "gitignore patterns, on top of the built-in ones for editors and git"),
        _line("gitignore", "true", True, "also honour .gitignore files"),
        *(
            _line(name, quoted(written(getattr(settings, name))), getattr(settings, name) == getattr(usual, name), remark)
            for name, remark in _LENGTHS.items()
        ),
        _line("retries", str(usual.retries), True, "after a failure, on the same content, one each cooldown"),
        _line("mode", '"auto"', True, "auto, inotify or poll"),
        _line("poll_interval", '"5min"', True, "how often to look where inotify can't see (network file systems)"),
        _line("rescan_interval", '"1h"', True, "the safety comparison where it can"),
        _line("service", quoted(job.service), job.service == places.TRAINING_UNIT, "the unit to start, of this job alone; history and marker are its own"),
        _line("launcher", quoted(job.launcher), job.launcher == "systemd", '"process" runs the command itself, where there is no user manager'),
        f"# The file that says when the last training ended; rm forgets the cooldown. Another service has another one,\n# {_short(places.cache_folder())}/UNIT.last-run:",
        _line("marker", quoted(_short(places.marker(job.service))), True),
    ]  # fmt: skip
    return "\n".join([*lines, ""])


_LENGTHS = {
    "debounce": "start when nothing has changed for this long,",
    "max_wait": "or this long after the first change",
    "cooldown": "from the end of a training to the next start",
}


def paths_line(folders: Sequence[Path]) -> str:
    return f"paths = {listed(list(map(_short, folders)))}"


def listed(texts: Sequence[str]) -> str:
    """A TOML array. Raises InstallError for what is not text."""
    return f"[{', '.join(map(quoted, texts))}]"


def quoted(text: str) -> str:
    """A TOML basic string. JSON's differ from them in one thing: DEL must be escaped (TOML 1.0, String)."""
    try:
        os.fsencode(text).decode("utf-8")
    except UnicodeDecodeError:
        raise InstallError(f"{text!r} is not UTF-8, which a configuration must be: rename it") from None
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _line(key: str, value: str, is_default: bool, remark: str = "") -> str:
    text = f"{'# ' if is_default else ''}{key} = {value}"
    return (
        f"{text:{_REMARKS}}# {remark}"
        if remark and len(text) < _REMARKS
        else f"{text}  # {remark}"
        if remark
        else text
    )


def _short(path: Path) -> str:
    home = places.home()
    return f"~/{path.relative_to(home)}" if home in path.parents else str(path)
