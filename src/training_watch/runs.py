"""The history: one row a run, written by the unit itself at both its ends."""

from __future__ import annotations

import math
import sqlite3
from datetime import datetime

from training_watch.events import Moment, Outcome, Run, Starter

# What the rule looks back on; far more than any number of retries. Arbitrary.
RECENT = 200
# Rows kept for each unit. At one run every six hours these are eight months. Arbitrary.
KEPT = 1000

_COLUMNS = """
    runs.id, runs.invocation, starts.starter, starts.forced,
    began_boot, began_elapsed, began_at, alive_boot, alive_elapsed, alive_at,
    ended_boot, ended_elapsed, ended_at, outcome, status, content, self_fed, files, quality, error
    FROM runs LEFT JOIN starts USING (invocation) LEFT JOIN reports USING (invocation)
"""


def recorded_units(connection: sqlite3.Connection) -> list[str]:
    """All units that have a history. Raises sqlite3.Error."""
    return [unit for (unit,) in connection.execute("SELECT DISTINCT unit FROM runs ORDER BY unit")]


class Runs:
    """One unit's history in an open state.db. Raises sqlite3.Error where it can't be read or written."""

    def __init__(self, connection: sqlite3.Connection, unit: str, job: str) -> None:
        self._connection = connection
        self._unit = unit
        self._job = job

    def ordered(self, invocation: str, starter: Starter, *, forced: bool) -> None:
        """Remember who started the run of that name. Its row may be there already, or come later."""
        self._connection.execute(
            "INSERT OR IGNORE INTO starts VALUES (?, ?, ?, ?)",
            (invocation, self._unit, starter.value, forced),
        )

    def begin(self, invocation: str, moment: Moment, content: str, files: int | None = None) -> None:
        """A run began on that content, `files` files that differ from what was trained; a second call changes nothing."""
        at = _columns(moment)
        self._connection.execute(
            """INSERT OR IGNORE INTO runs (unit, job, invocation, content,
                began_boot, began_elapsed, began_at, alive_boot, alive_elapsed, alive_at)
               VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (self._unit, self._job, invocation, content, *at, *at),
        )
        self._connection.execute(
            "INSERT OR IGNORE INTO reports(invocation, unit, files) VALUES (?, ?, ?)",
            (invocation, self._unit, files),
        )
        self._connection.execute(
            """DELETE FROM runs WHERE unit = ? AND id <=
               (SELECT id FROM runs WHERE unit = ? ORDER BY id DESC LIMIT 1 OFFSET ?)""",
            (self._unit, self._unit, KEPT),
        )
        for table in ("starts", "reports"):
            self._connection.execute(
                f"DELETE FROM {table} WHERE unit = ? AND invocation != ? "  # noqa: S608
                "AND invocation NOT IN (SELECT invocation FROM runs)",
                (self._unit, invocation),
            )

    def alive(self, invocation: str, moment: Moment) -> None:
        """A sign of life: should its end stay unknown, the run counts as ended then."""
        self._connection.execute(
            "UPDATE runs SET alive_boot = ?, alive_elapsed = ?, alive_at = ? WHERE invocation = ? AND outcome IS NULL",
            (*_columns(moment), invocation),
        )

    def finish(
        self, invocation: str, moment: Moment, outcome: Outcome, *, status: str, self_fed: bool
    ) -> bool:
        """The run ended; false where its end stood already, or nobody recorded its beginning."""
        changed = self._connection.execute(
            """UPDATE runs SET ended_boot = ?, ended_elapsed = ?, ended_at = ?, outcome = ?, status = ?, self_fed = ?
               WHERE invocation = ? AND outcome IS NULL""",
            (*_columns(moment), outcome.value, status, self_fed, invocation),
        )
        return changed.rowcount == 1

    def report(self, invocation: str, *, quality: str, error: str) -> None:
        """What the training said of its result; where its beginning is not recorded, nothing is kept."""
        self._connection.execute(
            "UPDATE reports SET quality = ?, error = ? WHERE invocation = ?", (quality, error, invocation)
        )

    def open(self) -> Run | None:
        """The run that began and has no end yet; of several, which only a crash can leave, the oldest."""
        rows = self._rows("WHERE runs.unit = ? AND outcome IS NULL ORDER BY runs.id LIMIT 1", self._unit)
        return rows[0] if rows else None

    def find(self, invocation: str) -> Run | None:
        """The run of that name."""
        rows = self._rows("WHERE runs.unit = ? AND runs.invocation = ?", self._unit, invocation)
        return rows[0] if rows else None

    def numbered(self, number: int) -> Run | None:
        """The run of that id; None where the history has forgotten it."""
        rows = self._rows("WHERE runs.unit = ? AND runs.id = ?", self._unit, number)
        return rows[0] if rows else None

    def recent(self, most: int = RECENT) -> tuple[Run, ...]:
        """The last runs, oldest first, for the rule: of those that said "not now" only a newest one."""
        rows = self._rows(
            """WHERE runs.unit = ? AND (outcome IS NOT 'deferred'
                   OR runs.id = (SELECT max(id) FROM runs WHERE unit = ?))
               ORDER BY runs.id DESC LIMIT ?""",
            self._unit,
            self._unit,
            most,
        )
        return tuple(reversed(rows))

    def all(self, most: int) -> tuple[Run, ...]:
        """The last runs for a person, oldest first."""
        return tuple(
            reversed(self._rows("WHERE runs.unit = ? ORDER BY runs.id DESC LIMIT ?", self._unit, most))
        )

    def _rows(self, where: str, *values: str | int) -> list[Run]:
        rows = self._connection.execute(f"SELECT {_COLUMNS} {where}", values)
        try:
            return [_run(row) for row in rows]
        except ValueError as error:  # nobody wrote that: the file is damaged, where SQLite couldn't see it
            raise sqlite3.DatabaseError(f"a run that makes no sense: {error}") from error


def _columns(moment: Moment) -> tuple[str, float, str]:
    return moment.boot_id, moment.elapsed, moment.calendar.isoformat()


def _run(row: tuple[object, ...]) -> Run:
    identity, invocation, starter, forced, *rest = row
    began, alive, ended = rest[0:3], rest[3:6], rest[6:9]
    outcome, status, content, self_fed, files, quality, error = rest[9:16]
    return Run(
        id=int(str(identity)),
        invocation=str(invocation),
        starter=Starter(str(starter)) if starter else Starter.HAND,
        forced=bool(forced),
        began=_read(began),
        alive=_read(alive),
        ended=_read(ended) if ended[0] is not None else None,
        outcome=Outcome(str(outcome)) if outcome else None,
        status=str(status),
        content=str(content),
        self_fed=bool(self_fed),
        files=int(str(files)) if files is not None else None,
        quality=str(quality or ""),
        error=str(error or ""),
    )


def _read(columns: list[object]) -> Moment:
    boot_id, elapsed, at = str(columns[0]), float(str(columns[1])), datetime.fromisoformat(str(columns[2]))
    if at.tzinfo is None or not math.isfinite(elapsed):
        raise ValueError(f"{at} {elapsed} is no moment")
    return Moment(boot_id, elapsed, at)
