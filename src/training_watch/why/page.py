"""`why` for people and for programs: values in, lines and JSON out."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Any

from training_watch.describe import counted, day_time, ignore_line
from training_watch.events import Reason
from training_watch.overview import NEEDS_A_PERSON, WENT_WRONG, absences, run_words, short
from training_watch.published import JobReport
from training_watch.screen import Screen, Words, bad, command, dim, good, strong, warned
from training_watch.status import JobStatus, run_json
from training_watch.text import printable
from training_watch.timespan import spoken
from training_watch.why.decision import Decision, Step
from training_watch.why.path import Fate, Found

SCHEMA = 1


def decision_lines(screen: Screen, status: JobStatus, decision: Decision, now: datetime) -> list[str]:
    """A job's heading, the steps as a list to the one that decided, what the last run was, and the ways round."""
    lines = screen.row(strong(status.job.name), strong(status.line), indent=0)
    for step in decision.steps[: len(decision.steps) - len(decision.after)]:
        lines += screen.line(*_step(step, status), indent=2, hang=2)
    if decision.after:
        lines += screen.line(dim(f"· asked after that: {', '.join(decision.after)}"), indent=2, hang=2)
    if status.last:
        lines += screen.row(dim("last run"), *run_words(status.last, now))
        if status.last.error:
            lines += screen.row(dim("it said"), warned(status.last.error))
    lines += absences(screen, status)
    for at, way in enumerate(decision.ways):
        lines += screen.row(dim("to do") if at == 0 else "", f"{way.what}: ", command(way.command))
    return lines


def _step(step: Step, status: JobStatus) -> list[Words]:
    """To wait is no failure: what needs a person is crossed, what only needs time is pointed at."""
    match step.passed:
        case None:
            return [dim("·"), " ", dim(step.told)]
        case True:
            return [good("✓"), " ", step.told]
        case False if step.name == "daemon" or status.reason in NEEDS_A_PERSON:
            return [bad("✗"), " ", step.told]
        case False:
            return [strong("→"), " ", strong(step.told)]


def decision_json(status: JobStatus, decision: Decision) -> dict[str, Any]:
    return {
        "waiting_for": str(status.reason or "nothing"),
        "line": status.line,
        "steps": [
            {"question": step.name, "passed": step.passed, "told": step.told} for step in decision.steps
        ],
        "absent": list(status.absent),
        "ways": [{"command": way.command, "what": way.what} for way in decision.ways],
        "last_run": run_json(status.last) if status.last else None,
    }


def path_lines(
    screen: Screen, found: Found, status: JobStatus | None, roots: list[Path], now: datetime
) -> list[str]:
    """What became of a path, and, where it is owed, what its job waits for."""
    lines = screen.line(strong(_name(found.path)))
    lines += screen.row(*_verdict(found, status, roots))
    if status is not None and found.fate is Fate.PENDING and _is_own(found):
        sure = "" if status.reason is Reason.OWN else "if the training itself writes it, "
        line = command(ignore_line(status.job, [found.path]))
        lines += screen.row(dim("to do"), f"{sure}leave it out, in the configuration: ", line)
    if found.by is not None and found.by != found.path and found.fate is not Fate.ABSENT:
        lines += screen.row(dim("because"), f"of {_name(found.by)}, which holds it")
    if found.rule is not None:
        lines += screen.row(dim("rule"), found.rule)
    if found.fate in (Fate.PENDING, Fate.TRAINED, Fate.UNSEEN):
        lines += _past(screen, found, now)
    if status is not None and found.fate is Fate.PENDING:
        lines += _tried(screen, found, status, now)
    if status is not None and found.fate in (Fate.PENDING, Fate.UNSEEN, Fate.FOLDER):
        lines += screen.row(dim("job"), f"{found.job}: {status.line}")
    if status is not None and found.fate not in (Fate.IGNORED, Fate.NO_CONTENT, Fate.BEHIND_LINK):
        lines += screen.row(dim("watched"), *_watched(found.path, status.report))
    return lines


def path_json(found: Found, status: JobStatus | None) -> dict[str, Any]:
    known = found.known
    return {
        "path": printable(found.path),
        "fate": str(found.fate),
        "job": found.job,
        "by": printable(found.by) if found.by is not None else None,
        "rule": found.rule,
        "seen_at": found.seen_at.astimezone().isoformat(timespec="seconds") if found.seen_at else None,
        "removed": not known.there if known is not None else None,
        "run": run_json(found.run) if found.run else None,
        "files": found.files,
        "pending": found.pending,
        "line": status.line if status is not None else None,
    }


def _verdict(found: Found, status: JobStatus | None, roots: list[Path]) -> list[Words]:
    match found.fate:
        case Fate.OUTSIDE:
            held = ", ".join(map(short, roots))
            return [bad("outside"), f"no job watches it: add its folder to `paths`; watched are {held}"]
        case Fate.ABSENT:
            return [warned("absent"), f"{_name(found.by or b'')} is not there: nothing is pending from it"]
        case Fate.FOLDER:
            counts = f"{counted(found.files or 0, 'known file')}, {found.pending or 'none'} pending"
            return [good("watched"), f"a folder with {counts}"]
        case Fate.UNSEEN:
            there = os.path.lexists(found.path)
            what = (
                "new" if found.known is None else "changed since the last comparison" if there else "removed"
            )
            return [warned(what), "it is compared when the edit has settled"]
        case Fate.PENDING:
            return [warned("pending"), _owed(found, status)]
        case fate:
            return list(_VERDICTS[fate])


_VERDICTS: dict[Fate, tuple[Words, Words]] = {
    Fate.IGNORED: (warned("ignored"), "a rule leaves it out: changes in it start nothing"),
    Fate.BEHIND_LINK: (
        warned("not seen"),
        "links to folders are not followed: add the folder that it leads to to `paths`",
    ),
    Fate.FORBIDDEN: (
        bad("unread"),
        "your user may not read it, so changes in it are not seen: chmod u+r, or ignore it",
    ),
    Fate.NO_CONTENT: (
        warned("not seen"),
        "it has no content to train on: it is neither a file nor a link to one",
    ),
    Fate.MISSING: (
        warned("missing"),
        "nothing is there or remembered: it never was (is it spelled so?), or a training has run without it already",
    ),
    Fate.TRAINED: (good("trained"), "its content is what the last successful training read"),
}


def _owed(found: Found, status: JobStatus | None) -> str:
    known = found.known
    if known is not None and not known.there:
        return "it was removed, and no training has run without it yet"
    if _is_own(found) and status is not None and status.reason is Reason.OWN:
        return "the training itself changes it, so that after each one it differs again from what was read"
    if _is_own(found):
        return "it changed while a training ran: what that one read of it, nobody knows"
    if known is not None and known.unknown:
        return "a training may have read it while it changed: what it read, nobody knows"
    if known is not None and known.untrained:
        return "no training has read it yet"
    return "its content differs from what the last successful training read"


def _is_own(found: Found) -> bool:
    """Whether it changed while a training ran, so that it may be the training's own work."""
    return found.known is not None and found.known.there and found.known.own


def _past(screen: Screen, found: Found, now: datetime) -> list[str]:
    lines, known = [], found.known
    if found.seen_at is not None and known is not None:
        since = "unchanged since" if known.there else "removed"
        told = "an earlier content" if found.fate is Fate.UNSEEN else since
        lines += screen.row(dim("seen"), f"{day_time(found.seen_at, now)}, {told}")
    if found.run is not None:
        which = "by run" if found.fate is Fate.TRAINED else "an earlier content, by run"
        words = run_words(found.run, now)
        lines += screen.row(dim("read"), f"{which} {found.run.invocation[:8]}: ", *words)
    elif known is not None and not known.untrained and not known.unknown:
        lines += screen.row(dim("read"), "by a run that the history no longer has")
    return lines


def _tried(screen: Screen, found: Found, status: JobStatus, now: datetime) -> list[str]:
    """The last run, where it was given this content and came to nothing."""
    run = status.last
    if run is None or run.outcome not in WENT_WRONG or found.seen_at is None:
        return []
    if run.began.calendar < found.seen_at:
        return []
    lines = screen.row(dim("tried"), f"by run {run.invocation[:8]}: ", *run_words(run, now))
    return [*lines, *(screen.row(dim("it said"), warned(run.error)) if run.error else [])]


def _watched(path: bytes, report: JobReport | None) -> list[Words]:
    if report is None:
        return [warned("not now"), ": the daemon is not running, or has not said how"]
    watching = report.watching
    name = printable(path)
    for gap in watching.gaps:
        if any(name == folder or name.startswith(folder.rstrip("/") + "/") for folder in gap.folders):
            how = f"looked into every {spoken(watching.poll_seconds)}" if gap.polled else "not seen"
            return [warned(how), f": {gap.cause}"]
    match watching.mode:
        case "inotify":
            return ["by inotify: a change is seen at once"]
        case "polling":
            return [f"by polling: it is looked at every {spoken(watching.poll_seconds)}"]
        case _:
            return [warned("not now"), ": the folder is not there"]


def _name(path: bytes) -> str:
    return short(Path(printable(path)))
