"""`install` and `uninstall`: look at what is there, plan, then act.

Installing twice does nothing the second time but start the daemon anew. What a person wrote is never
overwritten: a unit or an edit that isn't ours stops the installation with a diff, unless --replace is
given, which keeps a copy. A training that runs is left alone by both.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from training_watch import units
from training_watch.config import Config, Job
from training_watch.describe import managed
from training_watch.installing.configuration import Wanted, configuration
from training_watch.installing.help import install_help, plan_help
from training_watch.installing.manager import (
    RUNNING,
    enable_linger,
    forget,
    reach_manager,
    shown,
    start_watcher,
    stop_watcher,
    unit_folder,
)
from training_watch.installing.plan import Action, InstallError, MakeFolder, Say, WriteFile, carry_out, would
from training_watch.installing.unitfiles import plan_units, text_of, training, writable
from training_watch.program import absolute, is_nothing
from training_watch.timespan import written

CONTAINERS = ("/run/.containerenv", "/run/.toolboxenv")


def install(
    wanted: Wanted,
    *,
    config_path: Path,
    dry_run: bool,
    replace: bool,
    watcher_unit: str,
    say: Say,
    containers: Sequence[str] = CONTAINERS,
) -> Config:
    """Configuration where there is none, or none but our own; folders, units, linger; then start the daemon; manual and completion.

    `containers` are the files that toolbox and distrobox leave: a manager that answers there is the host's.
    Raises InstallError, ConfigError, and LaunchError where systemd can't do its part.
    """
    config_path = absolute(config_path)
    configured = configuration(config_path, wanted)
    config = configured.config
    actions: list[Action] = [
        MakeFolder(folder) for folder in writable(config) if not folder.is_dir()
    ]  # fmt: skip
    if configured.text is not None:
        actions.append(WriteFile(config_path, configured.text, mode=0o600))
    remarks = [configured.remark] if configured.remark else []
    known = [*map(_told, config.jobs), *_of_the_folders(config)]
    managed = _wants_units(config, watcher_unit)
    former: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    if managed:
        _refuse_containers(containers)
        reach_manager()
        plan = plan_units(
            config, watcher_unit, replace=replace, own_command=wanted.exec_command is not None, say=say
        )
        actions += plan.actions
        remarks += plan.remarks
        former, gone = plan.stop, plan.gone
    for job in config.jobs:
        if job.launcher == "process":
            training(job)  # a command that isn't there is said now, not by the first training
    if dry_run:
        helping, helps = plan_help()
        _rehearse(
            [*actions, *helping], [*remarks, *known, *helps], watcher_unit if managed else None, former, say
        )
        return config
    for watcher in former:
        stop_watcher(watcher, say)
    carry_out(actions, say)
    for remark in remarks:
        say(remark)
    if managed:
        _say_running(config, say)
        start_watcher(watcher_unit, say)
        forget(gone)
        enable_linger(say)
    else:
        say("No unit is installed, as no job is for systemd: keep `training-watch run` going by other means")
    install_help(say)
    for line in known:
        say(line)
    return config


def _told(job: Job) -> str:
    """What is kept now, with its limits."""
    rest = f", {written(job.settings.cooldown)} at least after the last time" if job.settings.cooldown else ""
    folders = ", ".join(map(str, job.paths))
    return (
        f"{job.name}: watches {folders}, and starts {job.service} ({shlex.join(job.command)}) once nothing has changed "
        f"for {written(job.settings.debounce)}{rest}"
    )


def _of_the_folders(config: Config) -> Iterator[str]:
    for job in config.jobs:
        for folder in job.paths:
            if is_nothing(folder):
                yield f"{job.name}: {folder} is not there: it is waited for; correct `paths` in {config.path} if that is a mistake"


def _wants_units(config: Config, watcher_unit: str) -> bool:
    """Whether systemd has a part: a job for it, or a daemon from before that must learn there is none."""
    if managed(config.jobs):
        return True
    installed = text_of(unit_folder() / watcher_unit)
    return installed is not None and units.ours(installed)


def _rehearse(
    actions: Sequence[Action], remarks: Sequence[str], watcher: str | None, former: Sequence[str], say: Say
) -> None:
    for unit in former:
        say(f"Would run: systemctl --user disable --now {unit}")
    for action in actions:
        say(would(action))
    for remark in remarks:
        say(remark)
    if watcher is not None:
        say("Would run: systemctl --user daemon-reload")
        say(f"Would run: systemctl --user enable {watcher}")
        say(f"Would run: systemctl --user restart {watcher}")
        say("Would run, unless lingering is on: loginctl enable-linger")


def _refuse_containers(signs: Sequence[str]) -> None:
    for sign in signs:
        if Path(sign).exists():
            raise InstallError(
                f"this is a container ({sign} is there), whose units would belong to its host: "
                "run it there (in distrobox: `distrobox-host-exec training-watch install`), "
                "or do without systemd: `training-watch install --launcher process`"
            )


def _say_running(config: Config, say: Say) -> None:
    for job in config.jobs:
        if job.launcher == "systemd" and shown(job.service).get("ActiveState") in RUNNING:
            say(f"{job.service} is running; it is left alone, and ends as the new unit says")
