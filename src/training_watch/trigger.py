"""An order → a unit started, once, and only when nothing speaks against it.

Everything is asked again here, under the unit's lock, right before the irreversible act: by whomever
the order comes, two of them never start two trainings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from training_watch import clock, places
from training_watch.check import Verdict, verdict
from training_watch.config import Job
from training_watch.events import Moment, Starter
from training_watch.files import Busy, lock
from training_watch.launching import Launcher, NotStarted, Started
from training_watch.mark import amend
from training_watch.marker import read_marker
from training_watch.records import Records

# How long a start may take to be seen, and how long another trigger may hold the lock. Arbitrary.
SEEN_WITHIN = 10.0


@dataclass(frozen=True, slots=True)
class Held:
    """Nothing was started: one runs already, or the cooldown is not over."""

    verdict: Verdict


def trigger(
    job: Job,
    launcher: Launcher,
    records: Records | None,
    *,
    starter: Starter,
    forced: bool,
    now: Callable[[], Moment],
    say: Callable[[str], None],
) -> Started | NotStarted | Held:
    """Start the job's unit unless it runs, or rests and `forced` is false.

    `records` is None where state.db can't be had: then the marker alone decides. Raises LaunchError,
    MarkerError and sqlite3.Error.
    """
    cooldown = job.settings.cooldown
    try:
        with lock(places.lock_file(job.service), within=SEEN_WITHIN, pause=clock.pause):
            if records is not None:
                amend(job, records, launcher, now(), say)
            unit = launcher.state()
            marker = read_marker(job.marker)
            asked = verdict(marker, now(), cooldown, running=unit.active or unit.queued)
            if asked.reason == "already_running" or not (asked.should_train or forced):
                return Held(asked)
            outcome = launcher.start(within=SEEN_WITHIN)
            if isinstance(outcome, Started) and records is not None:
                records.runs.ordered(outcome.invocation, starter, forced=forced)
            return outcome
    except Busy:
        return Held(verdict(read_marker(job.marker), now(), cooldown, running=True))
