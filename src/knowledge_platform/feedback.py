"""What people said of answers: an append-only log that nothing ever rewrites.

    feedback/events.jsonl    one JSON object a line, each with its schema and its own id

Standard library only, and little of it: other programs import this to log verdicts, in environments where nothing else is installed.
A line that a crash tore is passed over by readers and closed off by the next writer.
"""

import fcntl
import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from knowledge_platform.clock import Clock, system_clock
from knowledge_platform.settings import store_folder

SCHEMA = 1

Verdict = Literal["good", "bad"]


@dataclass(frozen=True, slots=True)
class Feedback:
    """One verdict: `section` (path#anchor) was a good or bad answer to `query`; `correct` names the section that would have been right."""

    schema: int
    id: str
    at: str
    query: str
    section: str
    verdict: Verdict
    answer_id: str | None = None
    correct: str | None = None


class FeedbackLogger:
    """The log of one store; without a path it is the store that `crystal` itself uses."""

    def __init__(self, store: str | os.PathLike[str] | None = None, *, clock: Clock | None = None) -> None:
        self.path = (store_folder(os.environ) if store is None else Path(store)) / "feedback" / "events.jsonl"
        self._clock = clock or system_clock()

    def log(
        self,
        *,
        query: str,
        section: str,
        verdict: Verdict,
        answer_id: str | None = None,
        correct: str | None = None,
    ) -> Feedback:
        """Appends one verdict; when this returns, it is on the disk.

        Raises:
            ValueError: the verdict is neither "good" nor "bad", or query or section is empty.
            OSError: the log can't be written.
        """
        if verdict not in ("good", "bad"):
            raise ValueError(f'the verdict is "good" or "bad", not {verdict!r}')
        if not query.strip() or not section.strip():
            raise ValueError("feedback needs the query and the section that it is about")
        event = Feedback(
            schema=SCHEMA,
            id=uuid.uuid4().hex,
            at=self._clock.now().isoformat(timespec="seconds"),
            query=query,
            section=section,
            verdict=verdict,
            answer_id=answer_id,
            correct=correct,
        )
        self._append(json.dumps(asdict(event)).encode() + b"\n")
        return event

    def iter(self) -> Iterator[Feedback]:
        """Every whole event, oldest first; torn lines and those of a later schema are passed over."""
        try:
            file = self.path.open("rb")
        except FileNotFoundError:
            return
        with file:
            for line in file:
                event = _parsed(line)
                if event is not None:
                    yield event

    def pairs(self) -> Iterator[tuple[str, str]]:
        """(query, section that answers it), for training; the last word on a query and section counts."""
        accepted: dict[tuple[str, str], bool] = {}
        for event in self.iter():
            accepted[event.query, event.section] = event.verdict == "good"
            if event.correct:
                accepted[event.query, event.correct] = True
        return (pair for pair, good in accepted.items() if good)

    def _append(self, line: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # The lock is for the look at the last byte; the single write alone would be whole (O_APPEND, open(2)).
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                line = b"\n" + line
            if os.write(descriptor, line) != len(line):
                raise OSError(f"{self.path}: the disk took only a part of the line")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _parsed(line: bytes) -> Feedback | None:
    try:
        fields = json.loads(line)
        return Feedback(**fields) if fields["schema"] == SCHEMA else None
    except (ValueError, TypeError, KeyError):
        return None
