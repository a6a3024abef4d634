"""The configuration that `install` goes by: it writes one, adds a job, or writes anew what nobody has edited.

What a person wrote stays as it is: there it can only say which lines to write.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from training_watch import places
from training_watch.config import JOB_NAME, Config, ConfigError, Job, LauncherName, NoConfig, read_config
from training_watch.describe import listing
from training_watch.installing.plan import InstallError
from training_watch.installing.template import config_text, listed, paths_line, quoted, table
from training_watch.mends import refused
from training_watch.program import absolute
from training_watch.timespan import written
from training_watch.typed import here

# The name of a job that nobody has named. Its unit is the default one.
UNNAMED = "docs"
# A debounce longer than the default max_wait takes max_wait with it, as far as the defaults are apart.
PATIENCE = 6
# Whatever the shell would do with these, no shell sees them.
_SHELL_WORDS = frozenset({"&&", "||", "|", ";", "&", "<", ">", ">>", "2>", "2>&1"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What `install` was asked for; lengths in seconds. What is None or empty was not said."""

    watch: tuple[Path, ...] = ()
    exec_command: str | None = None
    job: str | None = None
    ignore: tuple[str, ...] = ()
    debounce: float | None = None
    cooldown: float | None = None
    launcher: LauncherName | None = None


@dataclass(frozen=True, slots=True)
class Configured:
    """The configuration, its text where it is to be written, and what is to be said of it."""

    config: Config
    text: str | None = None
    remark: str = ""


def configuration(path: Path, wanted: Wanted) -> Configured:
    """What the configuration will be. Raises ConfigError, and InstallError where somebody's own says otherwise."""
    if wanted.job is not None and not JOB_NAME.fullmatch(wanted.job):
        raise InstallError(
            f"--job {wanted.job!r} is no name for a job: use letters, digits, - and _, 64 at most"
        )
    asked = _Asked.of(wanted)
    try:
        config = read_config(path)
    except NoConfig:
        text = config_text([asked.job(wanted.job or UNNAMED)])
        return Configured(_checked(path, text), text)
    if wanted.job is not None and wanted.job not in (job.name for job in config.jobs):
        return _added(config, asked, wanted.job)
    jobs = [config.job(wanted.job)] if wanted.job is not None else list(config.jobs)
    if any(asked.holds(job) for job in jobs):
        return Configured(config, remark=f"{path} is used as it is")
    if len(jobs) > 1:
        names = ", ".join(job.name for job in jobs)
        raise InstallError(f"{path} has several jobs, and none is that: say which one with --job ({names})")
    (job,) = jobs
    if not _as_written(config):
        lines = " and ".join(asked.lines(job))
        raise InstallError(
            f"{path} is there already, and says otherwise: write {lines} in it, below [job.{job.name}], "
            f"then run `{here(path)} install`"
        )
    changed = asked.change(job)
    text = config_text(changed if each is job else each for each in config.jobs)
    return Configured(
        _checked(path, text), text, f"{path} was as `install` had written it: it is written anew"
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    """What was asked for, as a configuration says it."""

    wanted: Wanted
    paths: tuple[Path, ...]
    command: tuple[str, ...] | None

    @classmethod
    def of(cls, wanted: Wanted) -> _Asked:
        command = _split(wanted.exec_command) if wanted.exec_command is not None else None
        return cls(wanted, tuple(map(absolute, wanted.watch)), command)

    def job(self, name: str, launcher: LauncherName = "systemd") -> Job:
        """A new one of that name. Raises ConfigError where its folders are not there."""
        service = places.TRAINING_UNIT if name == UNNAMED else f"{name}-train.service"
        if not self.paths and name != UNNAMED:
            raise ConfigError([f"say which folder {name} watches: --watch DIR"])
        paths = _existing(self.paths or _docs_here())
        return self.change(Job(name, paths, places.marker(service), service=service, launcher=launcher))

    def change(self, job: Job) -> Job:
        """The job as it is asked for. Folders and patterns that it has already stay with all beside them."""
        wanted, settings = self.wanted, job.settings
        if wanted.debounce is not None:
            patience = (
                settings.max_wait if wanted.debounce <= settings.max_wait else PATIENCE * wanted.debounce
            )
            settings = replace(settings, debounce=wanted.debounce, max_wait=patience)
        if wanted.cooldown is not None:
            settings = replace(settings, cooldown=wanted.cooldown)
        return replace(
            job,
            paths=job.paths if set(self.paths) <= set(job.paths) else _existing(self.paths),
            ignore=job.ignore if set(wanted.ignore) <= set(job.ignore) else wanted.ignore,
            command=self.command or job.command,
            launcher=wanted.launcher or job.launcher,
            settings=settings,
        )

    def holds(self, job: Job) -> bool:
        """Whether the job is what is asked for."""
        return not any(self.lines(job))

    def lines(self, job: Job) -> Iterator[str]:
        """The lines that the job's table lacks."""
        wanted, settings = self.wanted, job.settings
        if not set(self.paths) <= set(job.paths):
            yield paths_line(self.paths)
        if self.command not in (None, job.command):
            yield f"command = {listed(self.command or ())}"
        if not set(wanted.ignore) <= set(job.ignore):
            yield f"ignore = {listed(wanted.ignore)}"
        for name, given, present in (
            ("debounce", wanted.debounce, settings.debounce),
            ("cooldown", wanted.cooldown, settings.cooldown),
        ):
            if given is not None and given != present:
                yield f"{name} = {quoted(written(given))}"
        if wanted.launcher not in (None, job.launcher):
            yield f"launcher = {quoted(wanted.launcher or '')}"


def _added(config: Config, asked: _Asked, name: str) -> Configured:
    """One more job, at the end of what is there."""
    job = asked.job(name, asked.wanted.launcher or config.jobs[0].launcher)
    before = _text(config.path)
    text = f"{before}{'' if before.endswith(chr(10)) else chr(10)}\n{table(job)}"
    beside = listing([each.name.encode() for each in config.jobs], len(config.jobs))
    return Configured(_checked(config.path, text), text, f"{name} is a job now, beside {beside}")


def _as_written(config: Config) -> bool:
    """Whether the file is, to the letter, what `install` writes for what it says: nobody has edited it."""
    return _text(config.path) == config_text(config.jobs)


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise InstallError(refused(path, error)) from error


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
        draft.write_text(text, encoding="utf-8", newline="")
        try:
            config = read_config(draft)
        except ConfigError as error:
            raise ConfigError(
                [line.replace(str(draft), str(path)) for line in error.mistakes]
            ) from None  # fmt: skip
    return Config(path, config.jobs)
