"""Lengths of time, as systemd writes them (systemd.time(7), "Parsing time spans")."""

from __future__ import annotations

import math
import re

_UNITS = {
    ("usec", "us", "µs", "μs"): 1e-6,
    ("msec", "ms"): 1e-3,
    ("seconds", "second", "sec", "s", ""): 1.0,
    ("minutes", "minute", "min", "m"): 60.0,
    ("hours", "hour", "hr", "h"): 3600.0,
    ("days", "day", "d"): 86400.0,
    ("weeks", "week", "w"): 604800.0,
    ("months", "month", "M"): 2629800.0,  # 30.44 days, as systemd has it
    ("years", "year", "y"): 31557600.0,  # 365.25 days
}
SECONDS = {name: length for names, length in _UNITS.items() for name in names}
# re.ASCII: float() would take the digits of any script, systemd takes ours only. The ++ give nothing
# back, so that 1.5.5 is no time span rather than two.
_PART = re.compile(r"\s*(\d++(?:\.\d++)?|\.\d++)(?!\.)\s*([a-zA-Zµμ]*)\s*", re.ASCII)
# In seconds. Arbitrary: who reads of minutes needs no tenths.
TENTHS_BELOW = 10


def seconds(text: str) -> float:
    """The length in seconds: `5min`, `1h 30min`, `90`. Raises ValueError with what is wrong."""
    total, at = 0.0, 0
    while part := _PART.match(text, at):
        number, unit = part.groups()
        if unit not in SECONDS:
            raise ValueError(f"{unit!r} is no unit of time; write it like 5min, 1h 30min or 90")
        total += float(number) * SECONDS[unit]
        at = part.end()
    if at == 0 or at != len(text) or not math.isfinite(total):
        raise ValueError(f"{text!r} is no time span; write it like 5min, 1h 30min or 90")
    return total


def spoken(length: float) -> str:
    """A length for people, in its two largest units: `4min 10s`, `5h`, `0s`; rounded up, as of what is left."""
    left = max(0, math.ceil(length))
    parts: list[str] = []
    for name, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count}{name}" if count else "")
    return " ".join(part for part in parts[:2] if part) or "0s"


def took(length: float) -> str:
    """A length that is over, for people: `0.1s` below 10 s, above to the nearest second, as `spoken` writes it."""
    passed = max(0.0, length)
    return f"{passed:.1f}s" if round(passed, 1) < TENTHS_BELOW else spoken(round(passed))


def written(length: float) -> str:
    """The length as a configuration says it, to the millisecond: `1h 30min`, `1min 30s`, `500ms`, `0s`."""
    left = round(max(0.0, length) * 1000)
    parts: list[str] = []
    for name, size in (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1)):
        count, left = divmod(left, size)
        parts += [f"{count}{name}"] if count else []
    return " ".join(parts) or "0s"
