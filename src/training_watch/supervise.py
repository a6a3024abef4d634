"""What the service manager does for a unit, done for a command where there is none (launcher "process")."""

from __future__ import annotations

import sys
from functools import partial

from training_watch import clock, places
from training_watch.begin import begin
from training_watch.config import Job
from training_watch.database import DatabaseError
from training_watch.launching import process, runlog
from training_watch.mark import Ending, judge, mark, record_end
from training_watch.program import NoProgram, program_of
from training_watch.records import opened_records
from training_watch.timespan import spoken


def supervise_job(job: Job) -> int:
    """Run the job's command once, record both its ends, and return its exit code."""
    say = partial(print, file=sys.stderr, flush=True)

    def began(invocation: str) -> None:
        try:
            begin(job, invocation, clock.now, say)
        except DatabaseError as error:
            say(
                f"The history has no record of this run's beginning ({error}); what it reads counts as untrained"
            )

    def ended(invocation: str, result: str, code: str, status: str) -> None:
        outcome, moment = judge(Ending(result, code, status), stopping=False), clock.now()
        mark(job, outcome, moment, say)
        try:
            record_end(
                job, invocation, moment, outcome, status, say,
                # The very last one says that it ended.
                last_words=lambda: runlog.last_lines(process.log_file(job.service), invocation, 3)[:-1],
            )  # fmt: skip
        except DatabaseError as error:
            say(f"The history has no record of this run's end ({error}); what it read counts as untrained")

    def alive(invocation: str) -> None:
        try:
            with opened_records(job, say) as records:
                records.runs.alive(invocation, clock.now())
        except DatabaseError as error:
            say(f"No sign of life recorded ({error}); tried again in {spoken(process.ALIVE_EVERY)}")

    folder = places.status_file(job.service).parent
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        say(f"The training can't say how far it is: {folder}: {error.strerror}; it trains all the same")
    try:
        command = program_of(job).command
    except NoProgram:
        command = job.command  # it fails then, with 203 as systemd has it, and its log says why
    return process.supervise(job.service, command, begin=began, mark=ended, alive=alive)
