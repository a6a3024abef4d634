"""What people said of answers: an append-only log that nothing ever rewrites.

    feedback/events.jsonl    one JSON object a line, each with its schema and its own id

Standard library only, and little of it: other programs import this to log verdicts, in environments where nothing else is installed.
Its lines survive what lines.py says. The schema is raised when a field changes its meaning; a field that is added doesn't raise it.
"""

import os
import pwd
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from knowledge_platform.clock import Clock, system_clock
from knowledge_platform.durable import sync_folder
from knowledge_platform.feedback.lines import append, records
from knowledge_platform.settings import QUERY_LIMIT, store_folder

SCHEMA = 1

Verdict = Literal["good", "bad"]


@dataclass(frozen=True, slots=True)
class Feedback:
    """One verdict: `section` (path#anchor) was a good or bad answer to `query`; `correct` names the section that would have been right.

    `heading` (the headings that lead there, joined by " > ") and `digest` are what the section looked like then: by them it is found
    again when it moves. Events that were logged without them, or before they existed, have None.
    """

    schema: int
    id: str
    at: str
    query: str
    section: str
    verdict: Verdict
    answer_id: str | None = None
    correct: str | None = None
    user: str | None = None
    heading: str | None = None
    digest: str | None = None
    correct_heading: str | None = None
    correct_digest: str | None = None


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
        user: str | None = None,
        heading: str | None = None,
        digest: str | None = None,
        correct_heading: str | None = None,
        correct_digest: str | None = None,
    ) -> Feedback:
        """Appends one verdict; when this returns, it is on the disk. Without `user` it is the login name's.

        Raises:
            ValueError: the verdict is neither "good" nor "bad", query or section is empty, or a text is longer than QUERY_LIMIT.
            OSError: the log can't be written.
        """
        if verdict not in ("good", "bad"):
            raise ValueError(f'the verdict is "good" or "bad", not {verdict!r}')
        if not query.strip() or not section.strip():
            raise ValueError("feedback needs the query and the section that it is about: name both")
        event = Feedback(
            schema=SCHEMA,
            id=os.urandom(16).hex(),
            at=self._clock.now().isoformat(timespec="seconds"),
            query=query,
            section=section,
            verdict=verdict,
            answer_id=answer_id,
            correct=correct,
            user=login_name() if user is None else user,
            heading=heading,
            digest=digest,
            correct_heading=correct_heading,
            correct_digest=correct_digest,
        )
        record = asdict(event)
        for name, value in record.items():
            if isinstance(value, str) and len(value) > QUERY_LIMIT:
                raise ValueError(
                    f"the {name} has {len(value)} characters, {QUERY_LIMIT} are the most: shorten it"
                )
        self._make_folder()
        append(self.path, record, durable=True)
        return event

    def iter(self) -> Iterator[Feedback]:
        """Every whole event, oldest first; torn lines, what makes no sense, and events of a later schema are passed over."""
        for record in records(self.path):
            event = _parsed(record)
            if event is not None:
                yield event

    def pairs(self) -> Iterator[tuple[str, str]]:
        """(query, section that answers it); the last word on a query and section counts. What training makes of it: verdicts.py."""
        accepted: dict[tuple[str, str], bool] = {}
        for event in self.iter():
            accepted[event.query, event.section] = event.verdict == "good"
            if event.correct:
                accepted[event.query, event.correct] = True
        return (pair for pair, good in accepted.items() if good)

    def _make_folder(self) -> None:
        folder = self.path.parent
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            sync_folder(folder.parent)


def login_name() -> str:
    """Who runs this, as the system knows it: the environment could name anybody."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


_FIELDS = tuple(field.name for field in fields(Feedback))
_OWED = ("id", "at", "query", "section")


def _parsed(record: dict[str, Any]) -> Feedback | None:
    if record.get("schema") != SCHEMA or record.get("verdict") not in ("good", "bad"):
        return None
    known: dict[str, Any] = {name: record.get(name) for name in _FIELDS}
    texts = [known[name] for name in _FIELDS if name != "schema"]
    if not all(isinstance(known[name], str) for name in _OWED) or not all(
        isinstance(text, str | None) for text in texts
    ):
        return None
    try:
        aware = datetime.fromisoformat(record["at"]).tzinfo is not None
    except ValueError:
        return None
    return Feedback(**known) if aware else None
