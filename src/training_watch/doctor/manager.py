"""The user manager: whether it answers, outlives the session, and means the same places as this shell."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from training_watch import places
from training_watch.doctor.facts import Facts, Unit
from training_watch.doctor.findings import Finding, fault, fine
from training_watch.installing.install import CONTAINERS
from training_watch.installing.manager import lingers, user
from training_watch.launching.systemctl import MENDS

_BASES = {
    "XDG_CONFIG_HOME": ".config",
    "XDG_STATE_HOME": ".local/state",
    "XDG_CACHE_HOME": ".cache",
    "XDG_DATA_HOME": ".local/share",
}


def container(facts: Facts) -> Iterator[Finding]:
    """A manager that answers in a toolbox is the host's: its units don't see what is in here."""
    if not facts.managed:
        return
    sign = next((sign for sign in CONTAINERS if Path(sign).exists()), None)
    if sign is None:
        yield fine("not in a container")
    else:
        yield fault(
            f"this is a container ({sign} is there), and systemd starts the training on its host, where this "
            "program may not be",
            "run it on the host (in distrobox: distrobox-host-exec training-watch doctor)",
        )


def reachable(facts: Facts) -> Iterator[Finding]:
    if not facts.managed:
        return
    if facts.manager is not None:
        yield fine(f"systemd {facts.manager.version} answers")
    elif "no systemctl" in facts.silence:
        why = facts.silence.removesuffix(f": {MENDS}")
        yield fault(why, f'write launcher = "process" into {facts.config_path}, then: {facts.program} run')
    else:
        yield fault(
            f"{facts.silence.removesuffix(f': {MENDS}')}; log in as {user()}, not by su or sudo, or let the manager "
            "run without a login",
            f"sudo loginctl enable-linger {user()}",
        )


def linger(facts: Facts) -> Iterator[Finding]:
    if not facts.managed or facts.manager is None:
        return
    if lingers(user()):
        yield fine("the daemon starts at boot and outlives your sessions")
    else:
        yield fault(
            "lingering is off: daemon and training end when you log out, and start when you log in",
            # Some systems let nobody but an administrator turn it on.
            f"loginctl enable-linger || sudo loginctl enable-linger {user()}",
        )


def variables(facts: Facts) -> Iterator[Finding]:
    """Daemon, training and this shell find their files by the same variables: do they agree?"""
    units = [
        unit
        for name in (facts.watcher, *(job.service for job in facts.jobs))
        if (unit := facts.unit(name)) is not None and unit.variables
    ]
    if not units:
        return
    differing = False
    for name in (*_BASES, "CRYSTAL_STORE"):
        here = _meant(name, os.environ)
        unit = next((unit for unit in units if _meant(name, unit.variables) != here), None)
        if unit is not None:
            differing = True
            yield _difference(facts, name, unit)
    if not differing:
        yield fine("shell and units mean the same folders")


def _difference(facts: Facts, name: str, unit: Unit) -> Finding:
    here, there = os.environ.get(name, ""), unit.variables.get(name, "")
    text = (
        f"{name} leads this shell to {_meant(name, os.environ)}, and {unit.name} to {_meant(name, unit.variables)}: "
        "what you see and start here is not what the daemon keeps"
    )
    if name == "CRYSTAL_STORE" or here:
        text += f" (or let the units follow this shell: {facts.install})"
    return fault(text, f"export {name}={there}" if there else f"unset {name}")


def _meant(name: str, variables: Mapping[str, str]) -> str:
    """Where the variable leads, by the rules of places.py."""
    given = variables.get(name, "")
    home = variables.get("HOME") or str(places.home())
    if name == "CRYSTAL_STORE":
        return given or f"{_meant('XDG_DATA_HOME', variables)}/crystal"
    return given if given.startswith("/") else f"{home}/{_BASES[name]}"


def sandbox(facts: Facts) -> Iterator[Finding]:
    """Whether the daemon's files are protected. Where systemd or the kernel skips that, nothing else tells.

    It is no fault, and nobody can mend it from here, so it isn't to be noted at each visit either.
    A process whose mount options took effect has a mount namespace of its own.
    """
    unit = facts.unit(facts.watcher)
    pid = unit.shown.get("MainPID", "0") if unit is not None else "0"
    if facts.manager is None or pid == "0" or any(job.launcher == "process" for job in facts.jobs):
        return
    if Path(f"/proc/{pid}/ns/mnt").stat().st_ino != Path("/proc/self/ns/mnt").stat().st_ino:
        yield fine("the daemon can write to its own folders only")
        return
    why = (
        "systemd before 254 skips this in user units"
        if facts.manager.version < 254
        else "this kernel lets no user make a namespace"
    )
    yield fine(
        f"the daemon's file sandbox isn't active: {why}; it trains all the same, and system calls are filtered"
    )
