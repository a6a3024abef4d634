"""The laws, as far as they can be seen from outside.

    at rest   what the tree holds is what the last successful run has read, and nothing changed while it read
    a start   never beside another run, never inside the cooldown, never for content that was trained already

Each excuse is a fact of the time line that explains a start or a difference, with its reason. There is no
excuse for what merely happens to fail.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from churn.facts import Deed, Run, Timeline
from churn.truth import Truth, ignored

# Between the comparison that decides to start a run and the run's own look at the tree lie a start of
# Python and the waits of a loaded machine; within this a change may have come in between. Arbitrary.
DECIDING = 5.0
# How long after a training its end may still be looked for in the tree. Arbitrary.
ENDING = 3.0
# So long a new folder may be unknown to the daemon: what comes and goes in it leaves no trace. Arbitrary.
MEETING = 5.0


@dataclass(frozen=True, slots=True)
class Laws:
    """`cooldown` in seconds; `deaf`: the daemon is known to miss events."""

    root: bytes
    cooldown: float
    deaf: bool

    # ---- at rest --------------------------------------------------------------------------------

    def owed(self, truth: Truth, runs: list[Run], timeline: Timeline) -> set[bytes]:
        """The paths that the last successful run can't have read as they are now."""
        last = next((run for run in reversed(runs) if run.succeeded), None)
        if last is None:
            return set(truth.files)
        read = last.training.files
        gone = read.keys() - truth.files.keys()
        # A changed rule is no change: what is ignored now has no business here.
        gone -= ignored(self.root, iter(gone))
        differing = {path for path, digest in truth.files.items() if read.get(path) != digest}
        return differing | gone | self.changed_while_read(truth, last, timeline)

    def changed_while_read(self, truth: Truth, last: Run, timeline: Timeline) -> set[bytes]:
        """The paths whose content changed while the run was active, even if it changed back."""
        training = last.training
        assert training.ended is not None
        found = set()
        for deed in timeline.between(training.began, training.ended):
            within = training.began <= deed.began and deed.ended <= training.ended
            if within and deed.altering and not self._unsure(deed):
                found |= {
                    path for path in deed.altered() if not self._traceless(path, deed, truth, last, timeline)
                }
        return found - ignored(self.root, iter(found))

    def _unsure(self, deed: Deed) -> bool:
        """What the tree held then, as far as rules and permissions go, can't be said."""
        return deed.ruling or deed.before.obscure or deed.after.obscure

    def _traceless(self, path: bytes, deed: Deed, truth: Truth, last: Run, timeline: Timeline) -> bool:
        """It left nothing that a comparison could find, and there was nobody to hear of it."""
        first = timeline.between(last.began, deed.began)[0].before
        if first.stamps.get(path) != truth.stamps.get(path):
            return False
        if self.deaf or not deed.hearing:
            return True
        if path in first.files or path in truth.files:
            return False
        # It was there only for a while, in a folder so new that nobody may have listened there yet.
        folder = path.rpartition(b"/")[0]
        met = timeline.between(deed.began - MEETING, deed.ended)
        return any(folder not in each.before.folders for each in met)

    # ---- starts ---------------------------------------------------------------------------------

    def broken(self, runs: list[Run], timeline: Timeline, forgotten: list[float]) -> Iterator[str]:
        """What the starts so far have broken. `forgotten`: when somebody removed the marker."""
        for before, run in zip([None, *runs], runs, strict=False):
            at = f"run {run.training.run[:6]} at {run.training.began:.2f}"
            if run.training.beside:
                yield f"{at} ran beside another"
            if before is not None and not self._rested(before, run, forgotten):
                yield f"{at} began inside the cooldown of the one before"
        for number, run in enumerate(runs):
            good = next((each for each in reversed(runs[:number]) if each.succeeded), None)
            if good is not None and self._for_nothing(good, run, runs, timeline):
                yield (
                    f"run {run.training.run[:6]} at {run.training.began:.2f} trained what run "
                    f"{good.training.run[:6]} at {good.training.began:.2f} had trained"
                )

    def _rested(self, before: Run, run: Run, forgotten: list[float]) -> bool:
        # The marker of a run that nobody saw end is for its last sign of life.
        ended = before.training.ended
        if ended is None or before.outcome == "interrupted":
            ended = before.began
        if any(before.began <= at <= run.training.began for at in forgotten):
            return True
        return run.training.began - ended >= self.cooldown

    def _for_nothing(self, good: Run, run: Run, runs: list[Run], timeline: Timeline) -> bool:
        """The run was started on what `good`, the last successful one, had read; and nothing excuses it."""
        if run.training.files != good.training.files or run.training.present != good.training.present:
            return False
        assert good.training.ended is not None
        # It may have succeeded on something else, and nobody would know.
        between = runs[runs.index(good) + 1 : runs.index(run)]
        if any(each.record is None or each.outcome in (None, "interrupted") for each in between):
            return False
        # What stirred while it read, even a touch, is in doubt. Once at rest it is over.
        over = good.record.ended if good.record and good.record.ended else good.training.ended
        over = min(over + ENDING, timeline.rest_after(over))
        if timeline.between(good.began, over):
            return False
        # What was ignored in between is new when it is included again; what couldn't be read is anything.
        if any(self._unsure(deed) for deed in timeline.between(good.began, run.training.began)):
            return False
        # It was decided on something else, which became what it had been before the training read it.
        since = max(run.began - DECIDING, timeline.rest_before(run.training.began))
        return not any(deed.altering for deed in timeline.between(since, run.training.began))
