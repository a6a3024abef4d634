"""`install` and `uninstall`: look at what is there, plan, then act.

Installing twice does nothing the second time but start the daemon anew. What a person wrote is never
overwritten: a unit or an edit that isn't ours stops the installation with a diff, unless --replace is
given, which keeps a copy. A training that runs is left alone by both.
"""

from __future__ import annotations

import difflib
import json
import os
import pwd
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from training_watch import places, units
from training_watch.config import Config, ConfigError, Job, LauncherName, NoConfig, read_config
from training_watch.files import write_whole
from training_watch.launching import LaunchError, NoManager
from training_watch.launching.systemctl import systemctl, user_unit_folder, version
from training_watch.program import NoProgram, absolute, program_of
from training_watch.units import DROP_IN, Installation, Training, UnitError

Say = Callable[[str], None]

# scripts/install.sh leaves this file in the virtual environment that it makes, so that `uninstall` may remove it.
MADE_BY_SCRIPT = "made-by-install.sh"
# Whatever the shell would do with these, no shell sees them.
_SHELL_WORDS = frozenset({"&&", "||", "|", ";", "&", "<", ">", ">>", "2>", "2>&1"})
# The daemon's TimeoutStartSec=, its predecessor's TimeoutStopSec=, and some more.
STARTING = 150.0
_CONTAINERS = ("/run/.containerenv", "/run/.toolboxenv")
_RUNNING = frozenset({"active", "activating", "deactivating", "reloading"})


class InstallError(Exception):
    """It can't be installed as asked; the message says why and what to do."""


# ---- what can be done -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MakeFolder:
    """Make a folder that only its owner may enter."""

    path: Path


@dataclass(frozen=True, slots=True)
class WriteFile:
    """Write a whole file; what was there is copied to `backup` before, where that is given."""

    path: Path
    text: str
    backup: Path | None = None
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class RemoveFile:
    """Remove a file; it is copied to `backup` before, where that is given."""

    path: Path
    backup: Path | None = None


Action = MakeFolder | WriteFile | RemoveFile


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do, and what to say of things that need nothing done."""

    actions: tuple[Action, ...]
    remarks: tuple[str, ...] = ()


def carry_out(actions: Sequence[Action], say: Say) -> None:
    """Do it, and say what was done. Raises InstallError."""
    for action in actions:
        try:
            _act(action)
        except OSError as error:
            raise InstallError(f"{action.path}: {error.strerror or error}") from error
        say(_told(action))


def _act(action: Action) -> None:
    match action:
        case MakeFolder(path):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        case WriteFile(path, text, backup, mode):
            _keep(path, backup)
            # A unit that is a link, into somebody's dotfiles, stays one.
            write_whole(path.resolve(), text, mode=mode)
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
        case RemoveFile(path, backup):
            return f"Removed {path}{f'; as you had edited it, it is now {backup}' if backup else ''}"


def _would(action: Action) -> str:
    match action:
        case MakeFolder(path):
            return f"Would make the folder {path}"
        case WriteFile(path, text, backup):
            kept = f", and keep what is there as {backup}" if backup else ""
            return f"Would write {path}{kept}:\n\n{text}"
        case RemoveFile(path, backup):
            return f"Would remove {path}{f', and keep it as {backup}' if backup else ''}"


# ---- install ----------------------------------------------------------------------------------


def install(
    *,
    watch: Sequence[Path],
    exec_command: str | None,
    config_path: Path,
    dry_run: bool,
    replace: bool,
    watcher_unit: str,
    say: Say,
    launcher: LauncherName = "systemd",
) -> Config:
    """Configuration where there is none, folders, units, linger; then start the daemon.

    `launcher` goes into a new configuration; with "process" there is nothing for systemd to do.
    Raises InstallError, ConfigError, and LaunchError where systemd can't do its part.
    """
    config_path = absolute(config_path)
    config, new = _configuration(config_path, watch, exec_command, launcher)
    actions: list[Action] = [
        MakeFolder(folder) for folder in _writable(config) if not folder.is_dir()
    ]  # fmt: skip
    if new is not None:
        actions.append(WriteFile(config_path, new, mode=0o600))
    remarks = [] if new is not None else [f"{config_path} is used as it is"]
    managed = _wants_units(config, watcher_unit)
    if managed:
        _refuse_containers()
        _reach_manager()
        plan = plan_units(
            config, watcher_unit, replace=replace, own_command=exec_command is not None, say=say
        )
        actions += plan.actions
        remarks += plan.remarks
    for job in config.jobs:
        if job.launcher == "process":
            training(job)  # a command that isn't there is said now, not by the first training
    if dry_run:
        _rehearse(actions, remarks, watcher_unit if managed else None, say)
        return config
    carry_out(actions, say)
    for remark in remarks:
        say(remark)
    if managed:
        _say_running(config, say)
        _start(watcher_unit, say)
        _linger(say)
    else:
        say("No unit is installed, as no job is for systemd: keep `training-watch run` going by other means")
    return config


def _wants_units(config: Config, watcher_unit: str) -> bool:
    """Whether systemd has a part: a job for it, or a daemon from before that must learn there is none."""
    if any(job.launcher == "systemd" for job in config.jobs):
        return True
    installed = _text(_unit_folder() / watcher_unit)
    return installed is not None and units.ours(installed)


def _rehearse(actions: Sequence[Action], remarks: Sequence[str], watcher: str | None, say: Say) -> None:
    for action in actions:
        say(_would(action))
    for remark in remarks:
        say(remark)
    if watcher is not None:
        say("Would run: systemctl --user daemon-reload")
        say(f"Would run: systemctl --user enable {watcher}")
        say(f"Would run: systemctl --user restart {watcher}")
        say("Would run, unless lingering is on: loginctl enable-linger")


def _refuse_containers() -> None:
    for sign in _CONTAINERS:
        if Path(sign).exists():
            raise InstallError(
                f"this is a container ({sign} is there), whose units would belong to its host: "
                "run it there (in distrobox: `distrobox-host-exec training-watch install`), "
                "or do without systemd: `training-watch install --launcher process`"
            )


def _reach_manager() -> None:
    try:
        answer = systemctl("show", "--property=Version")
    except NoManager as error:
        raise NoManager(f"{error} (`training-watch install --launcher process` writes one)") from error
    if answer.returncode != 0:
        raise NoManager(f"no user manager answers: {_last_line(answer.stderr)}")


def _unit_folder() -> Path:
    """The folder of the user's own units; where no manager can be asked, the one that it would name."""
    try:
        return user_unit_folder()
    except LaunchError:
        return _config_home() / "systemd/user"


def _say_running(config: Config, say: Say) -> None:
    for job in config.jobs:
        if job.launcher == "systemd" and _shown(job.service).get("ActiveState") in _RUNNING:
            say(f"{job.service} is running; it is left alone, and ends as the new unit says")


def _start(watcher: str, say: Say) -> None:
    """Load, enable and start. A restart even where nothing changed: the program itself may have."""
    for words in (("daemon-reload",), ("enable", watcher), ("restart", watcher)):
        done = systemctl(*words, timeout=STARTING)
        if done.returncode != 0:
            told = "\n".join(f"  {line}" for line in (*done.stderr.splitlines()[-3:], *_journal(watcher)))
            raise LaunchError(f"`systemctl --user {' '.join(words)}` failed:\n{told}")
    say(f"{watcher} is enabled and running")


def _journal(unit: str) -> list[str]:
    words = ["journalctl", "--user", f"--unit={unit}", "--lines=10", "--output=cat", "--no-pager", "--quiet"]
    with suppress(OSError, subprocess.TimeoutExpired):
        return _run(words).stdout.splitlines()
    return []


def _linger(say: Say) -> None:
    """Without lingering, a user's units end with the last session. Some systems don't let one turn it on."""
    name = _user()
    try:
        if _lingers(name):
            return
        done = _run(["loginctl", "--no-ask-password", "enable-linger"])
        why = _last_line(done.stderr) if done.returncode != 0 else None
    except (OSError, subprocess.TimeoutExpired) as error:
        why = str(error)
    if why is None:
        say("Lingering is on: the daemon starts at boot and outlives your sessions")
    else:
        say(
            f"Lingering is off, and can't be turned on from here ({why}): the daemon runs only while you are "
            f"logged in. An administrator can: sudo loginctl enable-linger {name}"
        )


def _lingers(name: str) -> bool:
    return _run(["loginctl", "show-user", name, "--property=Linger", "--value"]).stdout.strip() == "yes"


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


# ---- the configuration ------------------------------------------------------------------------


def _configuration(
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
            f'{config.path} is there already and leaves the training to systemd: write launcher = "process" in it'
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
        f"--watch {folder}: {'not a folder' if folder.exists() else 'there is no such folder'}"
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
        raise InstallError(f"--exec {exec_command!r}: {error}") from None
    if not words:
        raise InstallError("--exec needs a program")
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


# ---- the units --------------------------------------------------------------------------------


def plan_units(config: Config, watcher_unit: str, *, replace: bool, own_command: bool, say: Say) -> Plan:
    """What to write and remove so that the units are what the configuration says.

    `own_command`: --exec was given, so a training unit that isn't ours is in the way instead of in use.
    Raises InstallError, after saying the diff, where something would be lost.
    """
    folder = user_unit_folder()
    here = installation(config, watcher_unit)
    files: dict[Path, str] = {}
    remarks: list[str] = []
    try:
        files[folder / watcher_unit] = units.watcher_unit(here)
        for job in config.jobs:
            if job.launcher != "systemd":
                continue
            unit = folder / job.service
            foreign = None if own_command else _foreign(unit)
            if foreign is not None:
                how = Training(job, (), places.status_file(job.service))
                files[folder / f"{job.service}.d" / DROP_IN] = units.drop_in(here, how)
                remarks.append(f"{foreign} isn't ours: it stays as it is, and a drop-in records its runs")
            else:
                how = training(job)
                files[unit] = units.training_unit(here, how)
                if how.note:
                    remarks.append(how.note)
    except UnitError as error:
        raise InstallError(str(error)) from error
    actions: list[Action] = []
    for path, text in files.items():
        action = _write(path, text, replace=replace, say=say)
        actions += [action] if action else []
        remarks += [] if action else [f"{path} is unchanged"]
    actions += [_removal(path, text) for path, text in _installed(config.path) if path not in files]
    return Plan(tuple(actions), tuple(remarks))


def installation(config: Config, watcher_unit: str) -> Installation:
    """What this program, this user and this environment put into every unit."""
    return Installation(
        python=Path(sys.executable),
        config=config.path,
        home=places.home(),
        environment_file=places.environment_file(),
        writable=_writable(config),
        systemd=version(),
        environment=tuple(_variables()),
        private_tmp=not any(map(_below_tmp, _needed(config))),
        trains_itself=any(job.launcher == "process" for job in config.jobs),
        watcher=watcher_unit,
    )


def training(job: Job) -> Training:
    """How the job's unit trains. Raises InstallError where there is no such program."""
    try:
        found = program_of(job)
    except NoProgram as error:
        raise InstallError(str(error)) from error
    return Training(job, found.command, places.status_file(job.service), found.note)


def _variables() -> Iterator[tuple[str, str]]:
    """What places.py and the default training read from the environment, where it isn't the default."""
    home = places.home()
    defaults = {
        "XDG_CONFIG_HOME": home / ".config",
        "XDG_STATE_HOME": home / ".local/state",
        "XDG_CACHE_HOME": home / ".cache",
        "XDG_DATA_HOME": home / ".local/share",
    }
    for name, default in defaults.items():
        given = os.environ.get(name, "")
        if given.startswith("/") and Path(given) != default:
            yield name, given
    if os.environ.get("CRYSTAL_STORE") and _store() != _data_home() / "crystal":
        yield "CRYSTAL_STORE", str(_store())


def _data_home() -> Path:
    given = os.environ.get("XDG_DATA_HOME", "")
    return Path(given) if given.startswith("/") else places.home() / ".local/share"


def _config_home() -> Path:
    given = os.environ.get("XDG_CONFIG_HOME", "")
    return Path(given) if given.startswith("/") else places.home() / ".config"


def _store() -> Path:
    given = os.environ.get("CRYSTAL_STORE")
    return absolute(Path(given)) if given else _data_home() / "crystal"


def _writable(config: Config) -> tuple[Path, ...]:
    folders = (places.state_folder(), places.cache_folder(), *(job.marker.parent for job in config.jobs))
    return tuple(dict.fromkeys(folders))


def _needed(config: Config) -> Iterator[Path]:
    """All that the daemon reads, by every name under which it is reached."""
    given = (
        Path(sys.executable),
        Path(sys.prefix),
        Path(__file__),
        config.path,
        places.home(),
        *_writable(config),
        *(path for job in config.jobs for path in job.paths),
    )
    for path in given:
        yield path
        yield path.resolve()


def _below_tmp(path: Path) -> bool:
    return any(tmp in (path, *path.parents) for tmp in (Path("/tmp"), Path("/var/tmp")))  # noqa: S108


def _foreign(unit: Path) -> Path | None:
    """The file of a unit of that name which somebody else wrote, wherever it is. Raises InstallError."""
    text = _text(unit)
    if text is not None:
        if unit.resolve() == Path("/dev/null"):
            raise InstallError(f"{unit.name} is masked; first: systemctl --user unmask {unit.name}")
        return None if units.ours(text) else unit
    shown = _shown(unit.name)
    if shown.get("LoadState") == "masked":
        raise InstallError(f"{unit.name} is masked; first: systemctl --user unmask {unit.name}")
    fragment = shown.get("FragmentPath", "")
    # A file that has been deleted since systemd read it is as good as none.
    return Path(fragment) if fragment and Path(fragment).exists() and Path(fragment) != unit else None


def _write(path: Path, text: str, *, replace: bool, say: Say) -> WriteFile | None:
    """How the file becomes `text`; None where it is that already. Raises InstallError."""
    present = _text(path)
    if present == text:
        return None
    if present is None or (units.ours(present) and not units.edited(present)):
        return WriteFile(path, text)
    if replace:
        return WriteFile(path, text, _free_backup(path))
    say(_difference(path, present, text))
    whose = "was edited by hand" if units.ours(present) else "isn't ours"
    raise InstallError(
        f"{path} {whose}, and `install` would change it as shown; move your settings to a drop-in "
        f"(systemctl --user edit {path.name}), then `training-watch install --replace`, which keeps a copy"
    )


def _difference(path: Path, present: str, text: str) -> str:
    lines = difflib.unified_diff(
        present.splitlines(), text.splitlines(), str(path), "what install would write", lineterm=""
    )
    return "\n".join(lines)


def _free_backup(path: Path) -> Path:
    """A name for a copy that nothing has yet. Systemd reads only *.service and *.conf."""
    plain = path.with_name(f"{path.name}.bak")
    names = (plain, *(plain.with_name(f"{plain.name}.{number}") for number in range(1, 1000)))
    for name in names:
        if not os.path.lexists(name):
            return name
    raise InstallError(f"{plain} and 999 more copies are there: remove some")


def _installed(config: Path) -> list[tuple[Path, str]]:
    """Each unit and drop-in of ours that was made from this configuration."""
    folder = _unit_folder()
    found = []
    for path in sorted((*folder.glob("*.service"), *folder.glob(f"*.service.d/{DROP_IN}"))):
        text = _text(path)
        if text is not None and units.fact(text, "Config") == [units.quoted(str(config))]:
            found.append((path, text))
    return found


def _removal(path: Path, text: str) -> RemoveFile:
    return RemoveFile(path, _free_backup(path) if units.edited(text) else None)


def _text(path: Path) -> str | None:
    """The file's text, or None where there is none. Raises InstallError."""
    try:
        return path.read_bytes().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InstallError(f"{path}: {error.strerror}") from error


def _shown(unit: str) -> dict[str, str]:
    """What systemd says of the unit; nothing where it can't be asked."""
    try:
        answer = systemctl("show", "--property=LoadState,FragmentPath,ActiveState", unit)
    except LaunchError:
        return {}
    return dict(line.split("=", 1) for line in answer.stdout.splitlines() if "=" in line)


# ---- uninstall --------------------------------------------------------------------------------


def uninstall(*, purge: bool, config_path: Path, watcher_unit: str, say: Say) -> None:
    """Take away all that `install` and scripts/install.sh made, but configuration and state.

    `purge` takes these too: the configuration, history, markers and logs, never the model. Raises
    InstallError.
    """
    config_path = absolute(config_path)
    installed = _installed(config_path)
    jobs = _jobs(config_path)
    _stop(watcher_unit, say)
    carry_out([_removal(path, text) for path, text in installed], say)
    _forget(installed, watcher_unit, say)
    if not installed:
        say(f"No unit was installed from {config_path}")
    if purge:
        _purge(config_path, jobs, say)
    else:
        say(
            f"Left in place: {config_path}, {places.state_folder()}, {places.cache_folder()} (--purge takes them)"
        )
    with suppress(OSError, subprocess.TimeoutExpired):
        if _lingers(_user()):
            say("Lingering stays on, as other units may need it: loginctl disable-linger turns it off")
    if _store().exists():
        say(f"The model is kept: {_store()} (rm -r it if you don't want it)")
    _remove_program(say)


def _jobs(config_path: Path) -> tuple[Job, ...]:
    try:
        return read_config(config_path).jobs
    except ConfigError:
        return ()


def _stop(watcher: str, say: Say) -> None:
    """Stop and disable the daemon, if it is ours and there is a manager; else there is nothing to stop."""
    text = _text(_unit_folder() / watcher)
    if text is None or not units.ours(text):
        return
    try:
        done = systemctl("disable", "--now", watcher)
        why = _last_line(done.stderr) if done.returncode != 0 else None
    except LaunchError as error:
        why = str(error)
    say(f"Stopped and disabled {watcher}" if why is None else f"{watcher} could not be stopped: {why}")
    # Without a manager nobody else takes away the link that enables it.
    (_unit_folder() / "default.target.wants" / watcher).unlink(missing_ok=True)


def _forget(installed: Sequence[tuple[Path, str]], watcher: str, say: Say) -> None:
    """Let systemd forget the removed units, and say which training it is still running."""
    names = {
        path.parent.name.removesuffix(".d") if path.name == DROP_IN else path.name for path, _ in installed
    }
    for name in sorted(names - {watcher}):
        if _shown(name).get("ActiveState") in _RUNNING:
            say(
                f"{name} is still running and is left alone; its end won't be recorded (systemctl --user stop {name})"
            )
    if names:
        with suppress(LaunchError):
            systemctl("daemon-reload")
            systemctl("reset-failed", *sorted(names))


def _purge(config_path: Path, jobs: Sequence[Job], say: Say) -> None:
    log = places.log_file()
    units_known = {places.TRAINING_UNIT, *(job.service for job in jobs)}
    ours = [
        config_path,
        places.environment_file(),
        *(places.marker(unit) for unit in sorted(units_known)),
        *(job.marker for job in jobs),
        *(places.status_file(unit) for unit in sorted(units_known)),
        *sorted(log.parent.glob(f"{log.name}*")),
    ]
    for path in dict.fromkeys(ours):
        if os.path.lexists(path):
            carry_out([RemoveFile(path)], say)
    if places.state_folder().is_dir():
        _remove_tree(places.state_folder(), say)
    for folder in (config_path.parent, places.environment_file().parent, places.cache_folder()):
        with suppress(OSError):  # what else is in it is somebody else's
            folder.rmdir()


def _remove_program(say: Say) -> None:
    """The virtual environment that scripts/install.sh made, and the links to it; this very program, as a rule."""
    for prefix in dict.fromkeys((_data_home() / "training-watch/venv", Path(sys.prefix))):
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
        raise InstallError(f"{error.filename}: {error.strerror}") from error
    say(f"Removed {folder}")


def _last_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "it says nothing")


def _run(words: list[str]) -> subprocess.CompletedProcess[str]:
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
