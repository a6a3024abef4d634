"""A training from the lock to the record: what `crystal train` does around the six phases, which are in run.py.

Nothing that a reader could see changes before the last phase. However the run ends, its staging folder goes, the status file says how,
and runs/ keeps the record.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator

from knowledge_platform.clock import Clock
from knowledge_platform.deployment import record_run, run_id
from knowledge_platform.errors import CrystalError, exit_code, mend_of, one_line, result_of
from knowledge_platform.progress import Progress
from knowledge_platform.run import Outcome, Run
from knowledge_platform.settings import Settings
from knowledge_platform.store.infra import training_lock
from knowledge_platform.store.releases import Store, next_id
from knowledge_platform.text import printable


def train(settings: Settings, *, progress: Progress, clock: Clock) -> Outcome:
    """Runs the six phases.

    Raises:
        CrystalError: it didn't end well; the kind says what to do about it.
        Stopped: a signal came.
    """
    store = Store(settings.store)
    store.create()
    started, began = clock.now(), clock.elapsed()
    with training_lock(store):
        release_id = next_id(started, store.newest(), os.urandom(4))
        record: dict[str, object] = {
            "schema": 1,
            "started_at": started.isoformat(timespec="seconds"),
            "release": None,
        }
        try:
            with _writing(store):
                outcome = Run(settings, store, release_id, progress, clock).outcome()
        except BaseException as problem:
            record |= {"result": result_of(problem), "exit": exit_code(problem), "error": one_line(problem)}
            raise
        else:
            record |= {"result": outcome.result, "exit": 0, "release": outcome.release}
        finally:
            record |= {"phases": progress.seconds, "seconds": round(clock.elapsed() - began, 3)}
            _record(store, run_id(started, release_id), record, progress)
    return outcome


@contextlib.contextmanager
def _writing(store: Store) -> Iterator[None]:
    """Says where and what to do when the disk says no; each phase up to the swap may meet a full one."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise CrystalError(
            f"the training could not write or read below {printable(str(store.folder))}: {one_line(error)}. "
            "What was deployed goes on answering; make room there, or set CRYSTAL_STORE"
        ) from error


def _record(store: Store, name: str, record: dict[str, object], progress: Progress) -> None:
    try:
        record_run(store, name, record)
    except OSError as error:
        progress.note(
            f"the record of this run can't be kept, all else stands: {one_line(error)}; {mend_of(error)}"
        )
