"""The unit's first end: a run begins, and this is the content that it is about to train on."""

from __future__ import annotations

from collections.abc import Callable

from training_watch import places
from training_watch.bell import ring
from training_watch.config import Job
from training_watch.events import Moment
from training_watch.records import opened_records


def begin(
    job: Job,
    invocation: str,
    now: Callable[[], Moment],
    say: Callable[[str], None],
    *,
    strange: str | None = None,
) -> int:
    """Take the attempted snapshot and open the run's record; the number of files that differ.

    `strange` is how the unit that runs differs from the job: then nobody knows what it reads, and none of it counts.
    The snapshot stands before the record does: a run without a record is never counted as a success.
    Raises DatabaseError.
    """
    began = now()
    if strange:
        say(f"{strange}; what this run reads counts as untrained")
    with opened_records(job, say) as records:
        compared = records.compare_all(began, running=False)
        if records.runs.open() is not None:  # one before it ended unrecorded, and may have succeeded
            records.snapshot.doubt()
        pending = records.snapshot.pending()
        records.snapshot.begin(job.roots if strange else compared.closed)
        records.runs.begin(
            invocation, began, pending.content if pending else "", pending.count if pending else 0
        )
    ring(places.bell())
    return pending.count if pending else 0
