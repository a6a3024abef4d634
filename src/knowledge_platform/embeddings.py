"""Texts -> vectors, each text encoded once in its life: a cache under the encoder's name and the text's digest.

    cache/embeddings.sqlite    vectors: encoder, digest, vector (float32)

A vector is a function of its text alone, so a section that moved, was reordered or came back costs nothing, and no document has to be
remembered for that. A training that is killed has kept what it had encoded. The file is only a cache: a damaged one is made anew.
"""

import contextlib
import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

Item = TypeVar("Item")
Vectors = NDArray[np.float32]
Numbers = NDArray[np.int32]  # of pieces or sections, from 0

BATCH = 256  # texts between two commits, some 5 s of work that a kill can cost; also SQLite's parameters in one question
SURPLUS = 4  # times as many vectors as the last training used may lie in the cache; beyond, the others go. Arbitrary
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS vectors (
        encoder TEXT NOT NULL, digest BLOB NOT NULL, vector BLOB NOT NULL, PRIMARY KEY (encoder, digest)
    ) WITHOUT ROWID;
"""


class Encodes(Protocol):
    """What is needed of an encoder."""

    id: str

    def encode(self, texts: Sequence[str], *, advance: Callable[[int], object] = ...) -> Vectors: ...


class Embeddings:
    """The cache in front of one encoder. Only the holder of the training lock has one."""

    def __init__(self, database: sqlite3.Connection, encoder: Encodes) -> None:
        self._database = database
        self._encoder = encoder
        self._used: set[bytes] = set()
        self.encoded = 0

    @classmethod
    @contextlib.contextmanager
    def kept(cls, folder: Path, encoder: Encodes, note: Callable[[str], None]) -> Iterator[Self]:
        """Those that are kept in this folder."""
        path = folder / "embeddings.sqlite"
        try:
            database = _opened(path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            note(f"{path.name} is damaged ({error}): every passage is encoded anew")
            for part in folder.glob(f"{path.name}*"):
                part.unlink()
            database = _opened(path)
        with contextlib.closing(database):
            yield cls(database, encoder)

    def missing(self, texts: Sequence[str]) -> list[str]:
        """Those that have to be encoded, each once."""
        known: set[bytes] = set()
        digests = {_digest(text): text for text in texts}
        for part in _parts(list(digests)):
            known.update(digest for (digest,) in self._rows("digest", part))
        return [text for digest, text in digests.items() if digest not in known]

    def encode(self, texts: Sequence[str], *, advance: Callable[[int], object] = lambda _count: None) -> None:
        """Encodes texts that are missing, and keeps their vectors."""
        for part in _parts(texts):
            vectors = self._encoder.encode(part, advance=advance)
            with self._database:
                self._database.executemany(
                    "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)",
                    [
                        (self._encoder.id, _digest(text), vector.tobytes())
                        for text, vector in zip(part, vectors, strict=True)
                    ],
                )
            self.encoded += len(part)

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """A row for each text, in their order: (n, dimensions). What isn't there yet is encoded."""
        self.encode(self.missing(texts))
        found: dict[bytes, bytes] = {}
        digests = [_digest(text) for text in texts]
        self._used.update(digests)
        for part in _parts(list(dict.fromkeys(digests))):
            found.update((digest, vector) for digest, vector in self._rows("digest, vector", part))
        if not digests:
            return np.empty((0, 0), np.float32)
        return np.frombuffer(b"".join(found[digest] for digest in digests), np.float32).reshape(
            len(digests), -1
        )

    def forget(self) -> int:
        """Drops what this training didn't use, if that is much; how many."""
        (kept,) = self._database.execute("SELECT count(*) FROM vectors").fetchone()
        if kept <= SURPLUS * len(self._used):
            return 0
        with self._database:
            self._database.execute("CREATE TEMP TABLE used (digest BLOB PRIMARY KEY) WITHOUT ROWID")
            self._database.executemany("INSERT INTO used VALUES (?)", [(digest,) for digest in self._used])
            dropped = self._database.execute(
                "DELETE FROM vectors WHERE encoder <> ? OR digest NOT IN (SELECT digest FROM used)",
                (self._encoder.id,),
            ).rowcount
            self._database.execute("DROP TABLE used")
        self._database.execute("VACUUM")
        return dropped

    def _rows(self, columns: str, digests: Sequence[bytes]) -> list[tuple[bytes, ...]]:
        marks = ", ".join("?" * len(digests))
        return self._database.execute(
            f"SELECT {columns} FROM vectors WHERE encoder = ? AND digest IN ({marks})",  # noqa: S608 - marks only
            (self._encoder.id, *digests),
        ).fetchall()


def _opened(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path)
    try:
        # A power cut may cost what was encoded last, never the file (sqlite.org/pragma.html, synchronous).
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.executescript(_SCHEMA)
        (state,) = database.execute("PRAGMA quick_check(1)").fetchone()
        if state != "ok":
            raise sqlite3.DatabaseError(state)
        database.execute("SELECT encoder, digest, vector FROM vectors LIMIT 1").fetchone()
    except BaseException:
        database.close()
        raise
    return database


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _parts(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for first in range(0, len(items), BATCH):
        yield items[first : first + BATCH]
