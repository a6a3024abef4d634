"""A bare Debian tree to boot from: built once per suite, then only read.

The tree in the cache is a help, never a precondition: without one it is built (a minute or two). It is built beside
its final name and renamed, so a build that broke off is never taken for a base.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

CACHE = "/var/cache/training-watch-tests"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
PACKAGES = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "dbus-user-session",  # the user's bus, which systemctl --user talks to
    "libpam-systemd",  # starts the user manager
    "python3",
    "python3-venv",
    "git",
    "ca-certificates",
    "procps",
)


def base(suite: str) -> Path:
    """Return the suite's tree; build it where there is none."""
    cache = Path(os.environ.get("TRAINING_WATCH_MACHINE_CACHE") or CACHE)
    cache.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(" ".join(PACKAGES).encode()).hexdigest()[:10]
    tree = cache / f"{suite}-{digest}"
    with (cache / f"{suite}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two test runs at once: the second waits for the first one's tree
        if not tree.exists():
            _build(suite, tree)
    return tree


def _build(suite: str, tree: Path) -> None:
    place = Path(tempfile.mkdtemp(prefix=f"{suite}-building-", dir=tree.parent))
    try:
        place.chmod(0o755)  # it becomes the guest's /, which its users must be able to enter
        done = subprocess.run(
            [
                "debootstrap",
                "--variant=minbase",
                f"--include={','.join(PACKAGES)}",
                # Without the keyring (Ubuntu has it in a package of its own) debootstrap would only warn, and trust.
                f"--keyring={KEYRING}",
                "--force-check-gpg",
                suite,
                str(place),
                *mirror(),
            ],
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if done.returncode != 0:
            log = place / "debootstrap/debootstrap.log"
            more = log.read_text(errors="replace")[-2000:] if log.exists() else ""
            raise RuntimeError(
                f"debootstrap {suite} failed ({done.returncode}):\n{done.stdout[-2000:]}\n{more}"
            )
        for package in (place / "var/cache/apt/archives").glob("*.deb"):
            package.unlink()
        place.rename(tree)
    finally:
        shutil.rmtree(place, ignore_errors=True)


def mirror() -> list[str]:
    """Return the mirror this machine itself installs from, where it is a Debian; else none: debootstrap knows one."""
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', _read("/etc/os-release"), re.MULTILINE))
    if release.get("ID") != "debian":
        return []
    for file in sorted(Path("/etc/apt/sources.list.d").glob("*.sources")):
        for stanza in re.split(r"\n\s*\n", file.read_text()):
            fields = dict(re.findall(r"^(\w[\w-]*):[ \t]*(.*)$", stanza, re.MULTILINE))
            if release.get("VERSION_CODENAME") in fields.get("Suites", "").split():
                return _fetchable(fields["URIs"].split()[0])
    lists = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*.list"))]
    for file in lists:
        for uri, name in re.findall(r"^deb\s+(?:\[[^]]*\]\s*)?(\S+)\s+(\S+)", _read(str(file)), re.MULTILINE):
            if name == release.get("VERSION_CODENAME"):
                return _fetchable(uri)
    return []


def _fetchable(uri: str) -> list[str]:
    # apt knows mirror+file: (Debian's cloud images use it), debootstrap doesn't.
    return [uri] if uri.startswith(("http://", "https://", "file:")) else []


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except FileNotFoundError:
        return ""
