"""The units: there, as `install` would write them today, loaded, enabled, running, and recording what they run."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path

from training_watch import __version__, places, units
from training_watch.config import Config, Job
from training_watch.describe import ending, read_anew
from training_watch.doctor.facts import Facts, Unit, file_text, watches
from training_watch.doctor.findings import Finding, fault, fine, note
from training_watch.doctor.machine import unwritable
from training_watch.doctor.program import correct_command, to_be_installed, uninstallable
from training_watch.doctor.records import unread
from training_watch.installing.plan import InstallError, RemoveFile, WriteFile
from training_watch.installing.unitfiles import installed, plan_units, text_of
from training_watch.launching.exits import exit_status
from training_watch.published import DaemonReport, fingerprint, outdated
from training_watch.timespan import took
from training_watch.units import DROP_IN, UnitError
from training_watch.wiring import obstacle_of

# In seconds. One that ended sooner after a restart is in a loop; later it is a second accident. Arbitrary.
SHORT_LIFE = 600.0

_ENABLED = frozenset({"enabled", "enabled-runtime", "linked", "linked-runtime", "static", "alias"})


# ---- the watcher --------------------------------------------------------------------------------


def watcher(facts: Facts) -> Iterator[Finding]:
    """The watcher's unit is there, can be loaded, and is of this configuration."""
    unit = _shown(facts, facts.watcher)
    if unit is None:
        return
    if (why := _unloadable(facts, unit, facts.install)) is not None:
        yield why
        return
    theirs = units.fact(file_text(unit.file), "Config") if unit.file is not None else []
    if theirs and theirs != [units.quoted(str(facts.config_path))]:
        # Where this shell's has none, it is the shell that was led astray.
        astray = [name for name in (places.CONFIG, "XDG_CONFIG_HOME") if os.environ.get(name)]
        mend = f"unset {astray[0]}" if astray and facts.config is None else facts.install
        yield fault(f"{unit.name} keeps another configuration, {theirs[0]}, not {facts.config_path}", mend)
    elif unit.trouble:
        yield _troubled(unit)
    else:
        yield fine(f"{unit.name} is installed")


def enabled(facts: Facts) -> Iterator[Finding]:
    unit = facts.unit(facts.watcher)
    if unit is None:
        return
    if unit.shown.get("UnitFileState") in _ENABLED:
        yield fine(f"{unit.name} starts at boot")
    else:
        yield fault(
            f"{unit.name} is not enabled: after the next boot nobody watches",
            f"systemctl --user enable {unit.name}",
        )


def active(facts: Facts) -> Iterator[Finding]:
    unit = facts.unit(facts.watcher)
    if unit is None:
        return
    match unit.shown.get("ActiveState"), unit.shown.get("SubState"):
        case "active", _:
            yield fine(f"{unit.name} is running")
        case "activating", "auto-restart":
            see, lived = f"journalctl --user -u {unit.name} -n 20   # says why", _lived(unit)
            if unit.shown.get("NRestarts", "0") != "0" and lived < SHORT_LIFE:
                yield fault(f"{unit.name} ends again and again ({_ending(unit)})", see)
            else:
                yield note(
                    f"{unit.name} has ended after {took(lived)} ({_ending(unit)}); systemd is about to start it again",
                    see,
                )
        case "activating" | "reloading", _:
            yield note(f"{unit.name} is just starting")
        case "failed", _ if unit.shown.get("ExecMainStatus") == "78":
            yield fault(
                f"{unit.name} has ended because of mistakes in the configuration, and waits for you",
                f"systemctl --user restart {unit.name}   # once it has none",
            )
        case "failed", _:
            yield fault(
                f"{unit.name} has failed ({_ending(unit)}); journalctl --user -u {unit.name} says why",
                f"systemctl --user restart {unit.name}",
            )
        case _:
            yield fault(f"{unit.name} is stopped: nobody watches", f"systemctl --user start {unit.name}")


def _lived(unit: Unit) -> float:
    """Seconds from the start of the unit's last process to its end; 0 where there was none."""
    began, ended = (
        int(unit.shown.get(f"ExecMain{which}TimestampMonotonic") or 0) for which in ("Start", "Exit")
    )
    return max(0, ended - began) / 1e6


def _ending(unit: Unit) -> str:
    """How it ended: systemd's word for it, and the program's status or signal."""
    status = exit_status(unit.shown.get("ExecMainCode", ""), unit.shown.get("ExecMainStatus", ""))
    return ", ".join(filter(None, (unit.shown.get("Result", ""), ending(status))))


def daemon(facts: Facts) -> Iterator[Finding]:
    """One daemon runs, of this version and this configuration."""
    unit, report = facts.unit(facts.watcher), facts.report
    if report is None:
        if not facts.managed:
            yield fault("no daemon runs: nobody watches", f"{facts.program} run   # and leave it running")
        elif unwritable(places.state_folder()) is not None:
            pass  # then its lock can't be tried; the check of state.db names the folder
        elif unit is not None and unit.shown.get("ActiveState") == "active":
            yield fault(
                f"{unit.name} is running, but holds no lock in {places.state_folder()}: it keeps its state elsewhere",
                f"systemctl --user restart {unit.name}",
            )
        return
    pid = unit.shown.get("MainPID", "0") if unit is not None else "0"
    restart = f"systemctl --user restart {facts.watcher}" if pid == str(report.pid) else f"kill {report.pid}"
    if facts.managed and report.pid and pid != str(report.pid):
        mend = f"kill {report.pid} && systemctl --user restart {facts.watcher}"
        yield note(
            f"the daemon (pid {report.pid}) is not that of {facts.watcher}: nobody starts it again when it ends",
            mend,
        )
    if report.version and report.version != __version__:
        text = f"the running daemon is version {report.version}, the installed one {__version__}"
        yield note(text, restart)
    elif report.since is None:
        yield note("the daemon has just started, and has said nothing yet")
    elif report.config != str(facts.config_path):
        yield fault(
            f"the running daemon keeps another configuration, {report.config}, not {facts.config_path}",
            facts.install if pid == str(report.pid) else restart,
        )
    elif facts.config is not None and outdated(report, facts.config):
        yield _outdated(facts, facts.config, report, own=pid == str(report.pid))
    else:
        yield fine(f"one daemon runs (pid {report.pid}), of this version and configuration")


def _outdated(facts: Facts, config: Config, report: DaemonReport, *, own: bool) -> Finding:
    """What the daemon doesn't know yet: a note, but where a job or a folder is not kept for it."""
    mend = read_anew(config.jobs, facts.install, report.pid)
    if not own and not any(to_be_installed(facts, job) for job in facts.jobs):
        # A daemon that isn't the unit's keeps the unit from starting, and `install` starts it.
        mend = read_anew((), facts.install, report.pid)
    if unknown := [job.name for job in facts.jobs if job.name not in report.jobs]:
        return fault(
            f"the running daemon doesn't know {', '.join(unknown)}: the configuration has changed since it read it",
            mend,
        )
    stale = [job for job in facts.jobs if report.jobs[job.name].fingerprint != fingerprint(job)]
    # It may watch them for the unit that the job had before.
    if unkept := [f"{', '.join(roots)} for {job.service}" for job in stale if (roots := unread(job))]:
        return fault(
            f"the running daemon doesn't keep {'; '.join(unkept)}: the configuration has changed since it read it",
            mend,
        )
    return note(
        f"the daemon goes by an older text of {facts.config_path}: what was changed since doesn't count yet",
        mend,
    )


def others(facts: Facts) -> Iterator[Finding]:
    """A second watcher's unit, whose daemon can't run beside this one: they share their state."""
    if facts.manager is None:
        return
    for path in sorted(facts.manager.folder.glob("*.service")):
        text = text_of(path) or ""
        if path.name != facts.watcher and units.ours(text) and watches(path, text):
            yield fault(
                f"{path.name} is a second watcher, and only one of the two can run",
                f"systemctl --user disable --now {path.name} && rm {shlex.quote(str(path))}",
            )


# ---- all units ----------------------------------------------------------------------------------


def reloaded(facts: Facts) -> Iterator[Finding]:
    """What systemd has loaded is what the files say."""
    if facts.manager is None:
        return
    stale = [
        name for name, unit in facts.manager.units.items() if unit.shown.get("NeedDaemonReload") == "yes"
    ]
    if stale:
        yield fault(
            f"the files of {', '.join(stale)} have changed since systemd read them: it goes by the old ones",
            "systemctl --user daemon-reload",
        )
    elif any(unit.loaded for unit in facts.manager.units.values()):
        yield fine("systemd has read the units as they are")


def current(facts: Facts) -> Iterator[Finding]:
    """The units are what `install` would write today, and nobody has edited them."""
    if facts.manager is None or facts.config is None:
        return
    try:
        plan = plan_units(facts.config, facts.watcher, replace=True, own_command=False, say=lambda _: None)
    except (InstallError, UnitError):
        return  # masked, or no such program: other checks say so
    well = True
    for action in plan.actions:
        match action:
            case WriteFile(path, text):
                present = text_of(path)
                if present is None:
                    continue  # whoever misses it says so
                well = False
                if units.ours(present) and units.edited(present):
                    yield note(
                        f"{path} was edited by hand, and an upgrade will stop at it; settings of your own belong in a "
                        f"drop-in: systemctl --user edit {path.name}",
                        f"{facts.install} --replace   # keeps a copy",
                    )
                elif units.ours(present):
                    yield note(
                        f"{path} is not what `install` would write today ({_differing(present, text)})",
                        facts.install,
                    )
            case RemoveFile(path):
                well = False
                yield note(f"{path} is of a job that the configuration no longer has", facts.install)
            case _:
                pass
    if well and installed(facts.config_path):
        yield fine("the units are as `install` writes them")


def _differing(present: str, wanted: str) -> str:
    """The names of the settings in which two texts differ."""
    lines = set(present.split("\n")) ^ set(wanted.split("\n"))
    names = {found[1] for line in lines if (found := re.match(r"([A-Z]\w*)=", line))} - {"Hash"}
    return f"it differs in {', '.join(sorted(names))}" if names else "it differs in its comments"


# ---- a training's unit --------------------------------------------------------------------------


def training(facts: Facts, job: Job) -> Iterator[Finding]:
    """The training's unit is there, can be started, and agrees with the configuration."""
    unit = _shown(facts, job.service)
    if unit is None or job.launcher == "process":
        return
    install = facts.install if uninstallable(facts, job) is None else correct_command(facts, job)
    if (why := _unloadable(facts, unit, install)) is not None:
        yield why
    elif unit.shown.get("Result") == "start-limit-hit":
        yield fault(
            f"{unit.name} was started too often, and systemd refuses it",
            f"systemctl --user reset-failed {unit.name}",
        )
    elif facts.config is not None and (obstacle := obstacle_of(facts.config, job)) is not None:
        yield fault(obstacle.partition(": run `")[0], install)
    elif unit.trouble:
        yield _troubled(unit)
    else:
        whose = "is installed" if unit.file and units.ours(file_text(unit.file)) else "is yours"
        yield fine(f"{unit.name} {whose}, and agrees with the configuration")


def recording(facts: Facts, job: Job) -> Iterator[Finding]:
    """The loaded unit records its beginning and its end: a drop-in may have dropped either."""
    unit = facts.unit(job.service)
    if unit is None or not unit.lines:
        return
    lost = False
    for setting, verb, what in (
        ("ExecStartPre", "begin", "no run of it is recorded, so its changes are never taken as trained"),
        ("ExecStopPost", "mark", "its end writes no marker, so nothing keeps the cooldown"),
    ):
        if not any({"training_watch", verb, job.service} <= set(words) for words in unit.lines[setting]):
            lost = True
            yield _lost(
                facts, unit, setting, f"{setting}= of {unit.name} has lost `training-watch {verb}`: {what}"
            )
    if not lost:
        yield fine(f"{unit.name} records its beginning and its end")


def _lost(facts: Facts, unit: Unit, setting: str, text: str) -> Finding:
    for path in _drop_ins(unit):
        if path.name != DROP_IN and re.search(rf"^\s*{setting}\s*=\s*$", file_text(path), re.MULTILINE):
            mend = (
                f"sed -i '/^ *{setting} *= *$/d' {shlex.quote(str(path))} && systemctl --user daemon-reload"
            )
            return fault(f"{text}; the empty {setting}= in {path} takes it away", mend)
    return fault(text, f"{facts.install} --replace   # keeps a copy of what you edited")


def _drop_ins(unit: Unit) -> Sequence[Path]:
    return [Path(each) for each in shlex.split(unit.shown.get("DropInPaths", ""))]


# ---- both ---------------------------------------------------------------------------------------


def _shown(facts: Facts, name: str) -> Unit | None:
    return facts.manager.units.get(name) if facts.manager is not None else None


def _troubled(unit: Unit) -> Finding:
    if missing := unit.setting.missing:
        mend = f"put it back, or let the unit start without it: EnvironmentFile=-{missing[0]}"
        return fault(f"{unit.name} has EnvironmentFile={missing[0]}, which is not there", mend)
    return fault(f"{unit.name}: {unit.trouble}", f"systemctl --user status {unit.name}")


def _unloadable(facts: Facts, unit: Unit, install: str) -> Finding | None:
    """Why systemd has no such unit to start, if so."""
    match unit.shown.get("LoadState"):
        case "loaded":
            return None
        case "masked":
            # The mask stands in the place of our own file, which is gone with it.
            own = facts.manager is not None and os.path.islink(facts.manager.folder / unit.name)
            mend = f"systemctl --user unmask {unit.name}"
            return fault(
                f"{unit.name} is masked: nobody can start it", f"{mend} && {install}" if own else mend
            )
        case "not-found":
            return fault(f"{unit.name} is not installed", install)
        case other:
            words = unit.shown.get("LoadError", "").partition(" ")[2].strip('"')
            return fault(
                f"{unit.name} can't be loaded ({other}): {words or 'systemd says no more'}",
                f"systemd-analyze --user verify {unit.name}   # says which line",
            )
