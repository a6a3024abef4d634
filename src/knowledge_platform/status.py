"""The status file: how far a training is, as a small JSON object that any training command may write.

The format is a contract with other programs, described in docs/status-file.md. The file is replaced whole, so that no reader meets a
part of it, and a write that fails is warned about once: it never stops a training.
"""

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Literal

from knowledge_platform.clock import Clock
from knowledge_platform.durable import write_whole

SCHEMA = 1
INTERVAL = 1.0  # seconds between writes of mere progress; people read this, and the folder may be on a disk

Result = Literal["succeeded", "failed", "up-to-date", "refused"]


@dataclass(frozen=True, slots=True)
class Status:
    schema: int
    invocation: str | None
    pid: int
    started_at: str
    updated_at: str
    phase: str | None = None
    phase_number: int | None = None
    phases: int | None = None
    done: int | None = None
    total: int | None = None
    unit: str | None = None
    remaining_seconds: int | None = None
    message: str | None = None
    result: Result | None = None
    error: str | None = None
    quality: str | None = None


class StatusFile:
    """Writes the status of one run. Without a path it writes nothing."""

    def __init__(
        self, path: Path | None, *, invocation: str | None, clock: Clock, warn: Callable[[str], None]
    ) -> None:
        self._path = path
        self._clock = clock
        self._warn = warn
        self._warned = False
        self._written_at = float("-inf")
        now = _moment(clock.now())
        self.status = Status(
            schema=SCHEMA, invocation=invocation, pid=os.getpid(), started_at=now, updated_at=now
        )

    def phase(self, name: str, number: int, phases: int) -> None:
        self.status = replace(
            self.status,
            phase=name,
            phase_number=number,
            phases=phases,
            done=None,
            total=None,
            unit=None,
            remaining_seconds=None,
            message=None,
        )
        self._write()

    def expect(self, total: int, unit: str) -> None:
        self.status = replace(self.status, done=0, total=total, unit=unit)
        self._write_seldom()

    def advance(self, done: int, remaining: float | None) -> None:
        seconds = None if remaining is None else round(remaining)
        self.status = replace(self.status, done=done, remaining_seconds=seconds)
        self._write_seldom()

    def message(self, text: str) -> None:
        self.status = replace(self.status, message=text)
        self._write_seldom()

    def finish(
        self, result: Result, *, message: str | None, error: str | None, quality: str | None = None
    ) -> None:
        self.status = replace(
            self.status,
            result=result,
            message=message or self.status.message,
            error=error,
            quality=quality,
            remaining_seconds=None,
        )
        self._write()

    def _write_seldom(self) -> None:
        if self._clock.elapsed() - self._written_at >= INTERVAL:
            self._write()

    def _write(self) -> None:
        if self._path is None:
            return
        self._written_at = self._clock.elapsed()
        self.status = replace(self.status, updated_at=_moment(self._clock.now()))
        try:
            write_whole(self._path, json.dumps(asdict(self.status)).encode() + b"\n", durable=False)
        except OSError as error:
            if not self._warned:
                self._warned = True
                self._warn(
                    f"the status file can't be written, the training goes on: {self._path}: {error.strerror}"
                )


def status_file(environ: Mapping[str, str], *, clock: Clock, warn: Callable[[str], None]) -> StatusFile:
    """The file that TRAINING_STATUS_FILE names; INVOCATION_ID is systemd's name for this run (systemd.exec(5))."""
    path = environ.get("TRAINING_STATUS_FILE")
    return StatusFile(
        Path(path) if path else None, invocation=environ.get("INVOCATION_ID") or None, clock=clock, warn=warn
    )


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
