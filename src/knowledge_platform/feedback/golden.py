"""Golden queries: questions that a person pinned to the section that must answer them. A training that loses one is refused.

    golden.json    in the store, written whole under a lock; one entry for a question, in the order in which they were added

A file that can't be understood is an error that a person must mend: to go on without it would silently give up what was pinned.
"""

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from knowledge_platform.durable import write_whole
from knowledge_platform.errors import ConfigError
from knowledge_platform.feedback.anchors import Section
from knowledge_platform.feedback.verdicts import normalised
from knowledge_platform.store.releases import Store

SCHEMA = 1


@dataclass(frozen=True, slots=True)
class Golden:
    """`trail` and `digest` are what the section looked like when it was pinned: by them it is found again when it moves."""

    query: str
    path: str
    anchor: str
    trail: str
    digest: str
    added_at: str

    @property
    def section(self) -> Section:
        return Section(self.path, self.anchor, self.trail, self.digest)


def load(store: Store) -> list[Golden]:
    """Every golden query, in order; a store without the file has none.

    Raises:
        ConfigError: the file can't be understood.
    """
    path = store.folder / "golden.json"
    try:
        content = json.loads(path.read_bytes())
        if content["schema"] != SCHEMA:
            raise ConfigError(
                f"{path} was written by another version of crystal: move it away, or use that version"
            )
        return [_parsed(entry) for entry in content["golden"]]
    except FileNotFoundError:
        return []
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        problem = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{path} is damaged ({problem}): mend it, or move it away and pin anew") from error


def add(store: Store, golden: Golden) -> Golden | None:
    """Pins the query; what the same question was pinned to before is returned, and no longer holds.

    Raises:
        ConfigError: the file can't be understood.
    """
    with store.swapping():
        every = load(store)
        same = [
            number for number, one in enumerate(every) if normalised(one.query) == normalised(golden.query)
        ]
        replaced = every[same[0]] if same else None
        if same:
            every[same[0]] = golden
        else:
            every.append(golden)
        _write(store, every)
    return replaced


def remove(store: Store, which: str) -> Golden:
    """Unpins the query of these words, or of this number, counted from 1.

    Raises:
        ConfigError: there is none, or the file can't be understood.
    """
    if not store.folder.is_dir():
        raise ConfigError(f"{store.folder} has no golden query: pin one with crystal golden add")
    with store.swapping():
        every = load(store)
        same = [number for number, one in enumerate(every) if normalised(one.query) == normalised(which)]
        if not same and which.isdecimal() and 0 < int(which) <= len(every):
            same = [int(which) - 1]
        if not same:
            raise ConfigError(f"there is no golden query {which!r}: see crystal golden list")
        removed = every.pop(same[0])
        _write(store, every)
    return removed


_FIELDS = tuple(field.name for field in fields(Golden))


def _parsed(entry: dict[str, Any]) -> Golden:
    for name in _FIELDS:
        if not isinstance(entry[name], str):
            raise TypeError(f"{name} is {entry[name]!r}")
    return Golden(**{name: entry[name] for name in _FIELDS})


def _write(store: Store, every: list[Golden]) -> None:
    content = {"schema": SCHEMA, "golden": [asdict(one) for one in every]}
    write_whole(store.folder / "golden.json", json.dumps(content, indent=1).encode() + b"\n")
