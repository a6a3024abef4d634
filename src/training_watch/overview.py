"""The screen of `status`: a page a person takes in at one glance. Values in, lines out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from training_watch import places
from training_watch.config import Config, Job
from training_watch.cooldown import since
from training_watch.describe import (
    comes_back,
    counted,
    day_time,
    ending,
    folders,
    logs_of,
    read_anew,
    start_it,
    unreadable,
)
from training_watch.events import Outcome, Reason, Run
from training_watch.progress import Progress
from training_watch.published import DaemonReport, GapReport, JobReport, outdated
from training_watch.screen import Screen, Styled, Words, bad, command, dim, good, strong, warned
from training_watch.status import JobStatus
from training_watch.text import printable
from training_watch.timespan import spoken, took
from training_watch.typed import Typed, for_job

# How many folders of a gap are named on the screen. Arbitrary.
NAMED = 3

WENT_WRONG = frozenset({Outcome.FAILED, Outcome.INTERRUPTED})
NEEDS_A_PERSON = frozenset({Reason.RETRIES, Reason.REFUSED, Reason.OWN, Reason.OBSTACLE})


def overview(
    screen: Screen,
    config: Config,
    jobs: Sequence[JobStatus],
    report: DaemonReport | None,
    now: datetime,
    *,
    program: str,
    back: float | None = None,
) -> list[str]:
    """The whole screen.

    `program` is how a person calls this one. Where no daemon runs, systemd starts one by itself within `back` seconds,
    if that isn't None.
    """
    lines = _daemon(screen, config.jobs, report, now, program, back)
    lines += _config(screen, config, report, program)
    for status in jobs:
        lines += ["", *screen.row(strong(status.job.name), dim(status.job.service), indent=0)]
        lines += _job(screen, status, for_job(config, status.job, program), report, now)
    return lines


def run_words(run: Run, now: datetime) -> list[Words]:
    """One run for a person."""
    words: list[Words] = [f"{day_time(run.began.calendar, now)}, ", outcome_word(run)]
    if how := ending(run.status):
        words.append(f" ({how})")
    if run.ended:
        words.append(f" after {took(since(run.began, run.ended))}")
    if run.files:
        words.append(f", {counted(run.files, 'changed file')}")
    return [*words, dim(f", started by {run.starter}{', forced' if run.forced else ''}")]


def outcome_word(run: Run) -> Styled:
    match run.outcome:
        case None:
            return strong("running")
        case Outcome.SUCCEEDED:
            return good(str(run.outcome))
        case Outcome.FAILED:
            return bad(str(run.outcome))
        case _:
            return warned(str(run.outcome))


def short(path: Path) -> str:
    """A path for a person, with the home as ~."""
    home = places.home()
    return printable(f"~/{path.relative_to(home)}" if home in path.parents else str(path))


def _daemon(
    screen: Screen,
    jobs: Iterable[Job],
    report: DaemonReport | None,
    now: datetime,
    program: str,
    back: float | None,
) -> list[str]:
    if report is None:
        then = command(start_it(jobs, program)) if back is None else comes_back(back)
        return screen.row(dim("daemon"), bad("not running"), ": ", then, indent=0)
    if report.since is None:
        version = f" version {report.version}" if report.version else ""
        told = f": it is starting, or another version than this program's{version}"
        return screen.row(dim("daemon"), good("running"), told, indent=0)
    memory = report.memory()
    held = f", {memory / 1e6:.0f} MB" if memory is not None else ""
    lasts = max(0.0, (now - report.since).total_seconds())
    told = spoken(lasts // 60 * 60 if lasts >= 60 else lasts)
    since_when = f" since {day_time(report.since, now)} ({told}{held}, pid {report.pid})"
    lines = screen.row(dim("daemon"), good("running"), since_when, indent=0)
    seen = [job.watching for job in report.jobs.values()]
    overflows = sum(each.overflows for each in seen)
    counts = [
        counted(sum(each.events for each in seen), "event"),
        ", ",
        warned(counted(overflows, "overflow")) if overflows else "no overflow",
        f", {counted(sum(each.rescans for each in seen), 'rescan')}",
    ]
    return [*lines, *screen.row("", *counts, indent=0)]


def _config(screen: Screen, config: Config, report: DaemonReport | None, program: str) -> list[str]:
    lines = screen.row(dim("config"), short(config.path), indent=0)
    if report is None or not outdated(report, config):
        return lines
    mend = read_anew(config.jobs, f"{program} install", report.pid)
    changed = warned("changed since the daemon read it: what is new doesn't count yet")
    return [*lines, *screen.row("", changed, ": ", command(mend), indent=0)]


def _job(
    screen: Screen, status: JobStatus, typed: Typed, daemon: DaemonReport | None, now: datetime
) -> list[str]:
    # Whether one runs is asked now, and what would be said of a start is said with an if.
    stale = daemon is None and status.looked and status.reason not in (None, Reason.RUNNING)
    lines = screen.row(dim("now"), _now(status), *([dim(", as of the last look")] if stale else []))
    if status.state.running is not None and status.training is None:
        lines += screen.row(dim("training"), *_without_words(status, now))
    if status.training:
        lines += screen.row(dim("training"), strong(_progress(status.training)))
    if status.next_at:
        ahead = spoken((status.next_at - now).total_seconds()) if status.next_at > now else "now"
        lines += screen.row(dim("next"), day_time(status.next_at, now), dim(f", in {ahead}"))
    lines += _files(screen, status)
    last = run_words(status.last, now) if status.last else [dim("none yet")]
    lines += screen.row(dim("last run"), *last)
    if status.last and status.last.quality:
        lines += screen.row(dim("quality"), status.last.quality)
    if status.last and status.last.error:
        lines += screen.row(dim("it said"), warned(status.last.error))
    if status.last and status.last.outcome in WENT_WRONG:
        lines += screen.row(dim("more"), command(logs_of(status.last.invocation, typed)))
    if tries := status.tries:
        told = (
            f"{counted(tries, 'time')} on this content; by itself {1 + status.settings.retries} times at most"
        )
        lines += screen.row(dim("tried"), told)
    if status.reason in (Reason.RETRIES, Reason.REFUSED):
        again = command(typed("trigger", "--force"))
        lines += screen.row(dim("to do"), "when the cause is mended: ", again)
    lines += _watching(screen, status, daemon)
    if status.trouble:
        lines += screen.row(bad("trouble"), status.trouble)
    return lines


def _now(status: JobStatus) -> Words:
    match status.reason:
        case Reason.RUNNING:
            return good(status.line)
        case reason if reason in NEEDS_A_PERSON:
            return bad(status.line)
        case Reason.BALKED:
            return warned(status.line)
        case _:
            return strong(status.line)


def _without_words(status: JobStatus, now: datetime) -> list[Words]:
    """How far it may be: for how long it runs, and how long the one before took."""
    words: list[Words] = ["it says nothing of how far it is"]
    running, last = status.state.running, status.last
    if running is not None and running.since is not None:
        words = [f"for {spoken(max(0.0, (now - running.since.calendar).total_seconds()))}"]
    if last is not None and last.ended is not None and last.outcome is Outcome.SUCCEEDED:
        words.append(dim(f", the last one took {took(since(last.began, last.ended))}"))
    return words


def _files(screen: Screen, status: JobStatus) -> list[str]:
    lines, pending, report = list[str](), status.state.pending, status.report
    if report is not None and report.changed:
        lines += _names(screen, "changed", report.changed, report.touched)
    # A run that goes on may be reading just those that are pending.
    if pending is not None and status.state.running is None:
        lines += _names(screen, "pending", [printable(path) for path in pending.sample], pending.count)
    return lines


def _names(screen: Screen, label: str, names: Sequence[str], count: int) -> list[str]:
    more = count - len(names)
    lines = [
        line
        for at, name in enumerate(names)
        for line in screen.row(dim(label) if at == 0 else "", short(Path(name)))
    ]
    return [*lines, *(screen.row("", f"and {more:,} more") if more > 0 else [])]


def absences(screen: Screen, status: JobStatus) -> list[str]:
    """The roots that are missing, as the daemon has it, and what that means."""
    told = "nothing is pending from it, its files are kept as they were"
    return [
        line
        for root in status.absent
        for line in screen.row(warned("absent"), f"{short(Path(root))}: {told}")
    ]


def _watching(screen: Screen, status: JobStatus, daemon: DaemonReport | None) -> list[str]:
    report = status.report
    # Another text of the configuration may name other folders than those that the daemon's counts are of.
    roots = map(Path, report.paths) if report is not None and report.paths else status.job.paths
    paths = ", ".join(map(short, roots))
    if report is None:
        why = "the daemon is not running"
        if daemon is not None:
            why = "the daemon doesn't know this job yet" if daemon.jobs else "the daemon has not said how"
        return screen.row(dim("watching"), f"{paths} (", warned(f"not watched: {why}"), ")")
    lines = screen.row(dim("watching"), f"{paths} ({_how(report)})")
    for gap in report.watching.gaps:
        lines += _gap(screen, gap, report.watching.poll_seconds)
    lines += absences(screen, status)
    if report.unreadable:
        told = f"{unreadable(report.unreadable)} can't be read: changes in them are not seen"
        lines += screen.row(warned("unread"), told)
    if report.noisiest and _keeps_changing(status):
        lines += screen.row(dim("busiest"), short(Path(report.noisiest)))
    return lines


def _keeps_changing(status: JobStatus) -> bool:
    """Whether a burst goes on for longer than one edit would."""
    burst = status.state.burst
    return burst is not None and burst.last_at - burst.first_at > status.settings.debounce


def _how(report: JobReport) -> str:
    watching = report.watching
    files = f", {counted(watching.files, 'file')}" if watching.files is not None else ""
    match watching.mode:
        case "inotify":
            return f"inotify, {folders(watching.folders)}{files}"
        case "polling":
            return f"polling every {spoken(watching.poll_seconds)}{files}"
        case _:
            return "waiting for it: it is not there"


def _gap(screen: Screen, gap: GapReport, poll_seconds: float) -> list[str]:
    """A part of the tree that the kernel doesn't tell of: why, which, and what would mend that."""
    more = gap.count - len(gap.folders[:NAMED])
    names = ", ".join(gap.folders[:NAMED]) + (f" and {more:,} more" if more > 0 else "")
    how = f"looked into every {spoken(poll_seconds)} instead" if gap.polled else "nothing can be seen there"
    lines = screen.row(warned("degraded"), f"{gap.cause}: {how}: {names}")
    return [*lines, *(screen.row(dim("mend"), gap.mend) if gap.mend else [])]


def _progress(told: Progress) -> str:
    parts = []
    if told.phase or told.phase_number is not None:
        which = ""
        if told.phase_number is not None:
            which = f" {told.phase_number}" if told.phases is None else f" {told.phase_number}/{told.phases}"
        parts.append(f"phase{which} {told.phase}".rstrip())
    if told.done is not None and told.total:
        parts.append(f"{told.done} of {told.total} {told.unit}".rstrip())
    if told.remaining_seconds is not None:
        parts.append(f"about {spoken(told.remaining_seconds)} left")
    return ", ".join(parts) or told.message or "it says nothing of how far it is"
