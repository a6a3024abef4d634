"""Which launcher serves a job, and whether what is installed agrees with what is configured."""

from __future__ import annotations

import sys
from pathlib import Path

from training_watch import places
from training_watch.config import Config, Job
from training_watch.launching import Launcher, Log, NoManager
from training_watch.typed import anywhere


def ourselves(config_path: Path) -> list[str]:
    """The command line of this program, isolated from the environment of whatever it serves.

    `-I`: a PYTHONPATH that is meant for the training must not break what records it.
    """
    return [sys.executable, "-I", "-m", "training_watch", "--config", str(config_path)]


def launcher_of(config_path: Path, job: Job) -> Launcher:
    """The launcher that the job asks for."""
    program = anywhere(config_path)
    if job.launcher == "process":
        from training_watch.launching.process import Process  # noqa: PLC0415 - each job loads one of the two

        return Process(
            job.service, job.command, [*ourselves(config_path), "supervise", job.name],
            hints=(f"{program} logs {job.name} --follow", f"{program} status"),
        )  # fmt: skip
    from training_watch.launching.systemd import Systemd  # noqa: PLC0415 - idem

    return Systemd(job.service, f"{program} install")


def log_of(job: Job, watcher: str) -> Log:
    """What has been said by this job's training, and by the watcher, whose unit has that name."""
    if job.launcher == "process":
        from training_watch.journal import KEPT  # noqa: PLC0415 - each job loads one of the two
        from training_watch.launching.filelog import FileLog  # noqa: PLC0415 - idem
        from training_watch.launching.process import log_file  # noqa: PLC0415 - idem

        daemon = places.log_file()
        older = [daemon.with_name(f"{daemon.name}.{number}") for number in range(KEPT, 0, -1)]
        return FileLog(job.service, watcher, log_file(job.service), [*older, daemon])
    from training_watch.launching.unitlog import JournalLog  # noqa: PLC0415 - idem

    return JournalLog(job.service, watcher)


def obstacle_of(config: Config, job: Job) -> str | None:
    """Why the installed unit must not be started for this job, if so."""
    if job.launcher == "process":
        return None
    from training_watch.launching.systemd import user_unit_folder  # noqa: PLC0415 - only where there is systemd
    from training_watch.units import DROP_IN, disagreement  # noqa: PLC0415 - idem

    try:
        folder = user_unit_folder()
    except NoManager:
        return None  # the start itself will tell
    for file in (folder / job.service, folder / f"{job.service}.d" / DROP_IN):
        try:
            text = file.read_text(encoding="utf-8")
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            return f"{file}: {error}"
        if why := disagreement(text, config.path, job):
            return why
    return None
