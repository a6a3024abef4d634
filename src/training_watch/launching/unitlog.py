"""What the journal has of a unit: its own lines and the manager's on it, each with the run that it belongs to.

When journald reads a line whose process is gone already, it can look up neither invocation nor, sometimes,
cgroup: 252 and 257 lost one in five lines of shells that say a word and end, and sometimes all that
short-lived children wrote. Then the unit's name must do, or else its SyslogIdentifier=, which `install` sets,
and the line is of the run that had begun last.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from training_watch import clock
from training_watch.launching import MANAGER, RECORDED, Begin, LaunchError, Line, journalctl
from training_watch.launching.journalctl import Entry

# The manager shows a new run before journald has its first line. Arbitrary, and ample.
_LAG_USEC = 60_000_000
# The manager and a run's processes reach journald on different ways: a run's first line may come before the line that
# says it starts. Arbitrary: within one turn of journald's loop.
_TURN_USEC = 1_000_000
_WARNING, _ERROR = 4, 3  # syslog(3)


class Attribution:
    """Says of a unit's entries, told in their order, which run each is of."""

    def __init__(self, unit: str, invocation: str = "") -> None:
        """`invocation`: the run that had begun last before the first entry, if that is known."""
        self._unit = unit
        self._begun = invocation

    def run_of(self, each: Entry) -> str:
        """The run's name; empty where the manager speaks of no run, and for what another unit says."""
        if each.about and each.about != self._unit:
            return ""
        if each.about and each.starts:
            self._begun = each.invocation
        if each.about:
            return each.invocation
        if not _says(self._unit, each):
            return ""
        return each.speaker or self._begun


def _says(unit: str, each: Entry) -> bool:
    """Whether it is the unit that speaks, as far as journald could tell."""
    if each.unit or each.speaker:
        return each.unit == unit
    return each.identifier == Path(unit).stem


def matches(unit: str) -> tuple[str, ...]:
    """What journalctl has to look for: all of this user's unit ("+" is "or")."""
    mine = f"_UID={os.getuid()}"
    return (
        f"_SYSTEMD_USER_UNIT={unit}", mine, "+",
        f"USER_UNIT={unit}", mine, "+",
        f"SYSLOG_IDENTIFIER={Path(unit).stem}", mine,
    )  # fmt: skip


def dropped() -> tuple[str, ...]:
    """What journald says of lines that it dropped, of all that this user's manager runs: `journald.conf(5)`, RateLimitBurst=.

    Who may read the system's journal sees it. A user unit's own LogRateLimitIntervalSec= changes nothing (252, 257).
    """
    return (f"MESSAGE_ID={journalctl.DROPPED}", f"OBJECT_UID={os.getuid()}")


def starts(unit: str) -> list[Entry]:
    """The first entry of each run that the journal still has, oldest first. Raises LaunchError."""
    return journalctl.read(f"MESSAGE_ID={journalctl.STARTING}", f"USER_UNIT={unit}", f"_UID={os.getuid()}")


def run_entries(unit: str, invocation: str, *, last: int | None = None) -> list[Entry]:
    """All that one run has logged, or the last so many entries, oldest first. Raises LaunchError."""
    begun = starts(unit)
    since = next((each.realtime for each in begun if each.invocation == invocation), None)
    if since is None:
        own = journalctl.read(*_named(invocation))
        if not own:
            return []
        since = own[0].realtime
    words = [f"--since={journalctl.moment(since - _TURN_USEC)}"]
    after = [each.realtime for each in begun if each.realtime > since and each.invocation != invocation]
    if after:
        # That lines were dropped is said at the next one that isn't, and dated after it.
        words.append(f"--until={journalctl.moment(min(after) + (1_000_000 if last is None else -1))}")
    words += [*matches(unit), "+", *_named(invocation), "+", *dropped()]
    found = journalctl.read(*words) if last is None else journalctl.last(last, *words)
    # Without its start, `found` begins later than that.
    started = any(each.starts and each.invocation == invocation for each in found)
    runs = Attribution(unit, "" if started else invocation)
    return [each for each in found if runs.run_of(each) == invocation or each.drops]


def own_words(entries: Sequence[Entry]) -> list[Entry]:
    """Of a run's entries what tells why it ended as it did: the training's own, and the manager's errors.

    The manager's summary and the record of the end only say that it ended; they may stand before its last words, as
    what a process prints reaches journald by another way than what the manager logs. All where nothing else is there.
    """
    return [each for each in entries if _tells(each)] or list(entries)


def _tells(each: Entry) -> bool:
    if each.about:
        return each.priority <= _ERROR and not each.last_words
    return not each.message.startswith(RECORDED)


def follow_run(unit: str, invocation: str, *, ended: Callable[[], bool]) -> Iterator[Entry]:
    """A run's entries from the first, as they come, until it has ended and all are out. Raises LaunchError."""
    begun = next((each.realtime for each in starts(unit) if each.invocation == invocation), None)
    since = begun - _TURN_USEC if begun is not None else _usec(clock.calendar()) - _LAG_USEC
    both = [*matches(unit), "+", *_named(invocation)]
    place = f"--since={journalctl.moment(since)}"
    runs, begun_here = Attribution(unit), False

    def every() -> Iterator[Entry]:
        nonlocal place
        for each in journalctl.until_over(place, *both, ended=ended):
            place = f"--after-cursor={each.cursor}"
            yield each
        # What reached the journal while the follower was being ended.
        yield from journalctl.read(place, *both)

    for each in every():
        if runs.run_of(each) == invocation:
            begun_here = True
            yield each
        elif each.starts and begun_here:
            return


@dataclass(frozen=True, slots=True)
class JournalLog:
    """A training's unit and the watcher's, as the journal has them."""

    unit: str
    watcher: str

    def begins(self) -> list[Begin]:
        return [Begin(each.invocation, _calendar(each)) for each in starts(self.unit)]

    def of_run(self, invocation: str) -> list[Line]:
        return [line for each in run_entries(self.unit, invocation) for line in self._lines(each, invocation)]

    def heard(self, since: Begin | None, *, lead: int) -> Iterator[list[Line]]:
        both = [*matches(self.unit), "+", *matches(self.watcher), "+", *dropped()]
        runs = Attribution(self.unit)
        asked = _usec(clock.calendar())
        entries = journalctl.last(lead, *both) if since is None else self._since(since, lead, both)
        if not entries and (why := journalctl.trouble()):
            raise LaunchError(why)
        yield self._told(entries, runs)
        place = f"--after-cursor={entries[-1].cursor}" if entries else f"--since={journalctl.moment(asked)}"
        for portion in journalctl.endless(place, *both):
            yield self._told(portion, runs)

    def _since(self, begin: Begin, lead: int, both: list[str]) -> list[Entry]:
        begun = _usec(begin.at)
        before = journalctl.last(lead, f"--until={journalctl.moment(begun - 1)}", *matches(self.watcher))
        entries = journalctl.read(f"--since={journalctl.moment(begun - _TURN_USEC)}", *both)
        early = [each for each in entries if each.realtime < begun and each.speaker == begin.invocation]
        return [*before, *early, *(each for each in entries if each.realtime >= begun)]

    def _told(self, entries: list[Entry], runs: Attribution) -> list[Line]:
        return [line for each in entries for line in self._lines(each, runs.run_of(each))]

    def _lines(self, each: Entry, invocation: str) -> Iterator[Line]:
        if each.drops:
            yield Line(_calendar(each), self.unit, MANAGER, each.message, _WARNING)
            return
        unit = self.watcher if each.about == self.watcher or _says(self.watcher, each) else self.unit
        who = MANAGER if each.about else Path(unit).stem
        for text in each.message.rstrip("\n").split("\n"):  # not at a \r: that is a progress bar
            yield Line(_calendar(each), unit, who, text, each.priority, invocation)


def _named(invocation: str) -> tuple[str, ...]:
    return (f"_SYSTEMD_INVOCATION_ID={invocation}", "+", f"USER_INVOCATION_ID={invocation}")


def _calendar(each: Entry) -> datetime:
    return datetime.fromtimestamp(each.realtime / 1_000_000, UTC).astimezone()


def _usec(at: datetime) -> int:
    return round(at.timestamp() * 1_000_000)
