"""Texts -> vectors, each text encoded once in its life: a cache under the encoder's name and the text's digest.

    cache/embeddings.sqlite    vectors: encoder, digest, vector (float32), sum (CRC-32 of digest and vector)

A vector is a function of its text alone, so a section that moved, was reordered or came back costs nothing, and no document has to be
remembered for that. A training that is killed has kept what it had encoded. The file is only a cache: a damaged one is made anew, and a
vector whose sum is wrong is as if it weren't there. What is no file in its place is left to a person.
"""

import contextlib
import hashlib
import os
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from knowledge_platform.errors import ConfigError
from knowledge_platform.text import printable

Item = TypeVar("Item")
Vectors = NDArray[np.float32]
Numbers = NDArray[np.int32]  # of pieces or sections, from 0

BATCH = 256  # texts between two commits, some 5 s of work that a kill can cost; also SQLite's parameters in one question
SURPLUS = 4  # times as many vectors as the last training used may lie in the cache; beyond, the others go. Arbitrary
_SCHEMA = """
    CREATE TABLE IF NOT EXISTS vectors (
        encoder TEXT NOT NULL, digest BLOB NOT NULL, vector BLOB NOT NULL, sum INTEGER NOT NULL,
        PRIMARY KEY (encoder, digest)
    ) WITHOUT ROWID;
"""


# No database, a torn one, one with other columns (an older version's), one that can't be written although the folder can.
_DAMAGED = frozenset(
    {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_READONLY}
)


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
        if os.path.lexists(path) and not path.is_file():
            raise ConfigError(f"{printable(str(path))} is no regular file: remove it, it is only a cache")
        if path.exists() and not os.access(path, os.R_OK | os.W_OK):
            note(f"{path.name} can't be written: every passage is encoded anew")
            _removed(path)
        try:
            database = _opened(path)
        except sqlite3.DatabaseError as error:
            # Its first byte says which kind it is (sqlite.org/rescode.html).
            if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF not in _DAMAGED:
                raise
            note(f"{path.name} is damaged ({error}): every passage is encoded anew")
            _removed(path)
            database = _opened(path)
        with contextlib.closing(database):
            yield cls(database, encoder)

    def missing(self, texts: Sequence[str]) -> list[str]:
        """Those that have to be encoded, each once."""
        digests = {_digest(text): text for text in texts}
        known = self._known(list(digests))
        return [text for digest, text in digests.items() if digest not in known]

    def encode(self, texts: Sequence[str], *, advance: Callable[[int], object] = lambda _count: None) -> None:
        """Encodes texts that are missing, and keeps their vectors."""
        for part in _parts(texts):
            vectors = self._encoder.encode(part, advance=advance)
            with self._database:
                self._database.executemany(
                    "INSERT OR REPLACE INTO vectors VALUES (?, ?, ?, ?)",
                    [
                        (self._encoder.id, digest, content, _sum(digest, content))
                        for digest, content in zip(
                            map(_digest, part), (vector.tobytes() for vector in vectors), strict=True
                        )
                    ],
                )
            self.encoded += len(part)

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """A row for each text, in their order: (n, dimensions). What isn't there yet is encoded."""
        self.encode(self.missing(texts))
        digests = [_digest(text) for text in texts]
        self._used.update(digests)
        if not digests:
            return np.empty((0, 0), np.float32)
        found = self._known(list(dict.fromkeys(digests)))
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
        # It wants room for a second copy, and that there is none is no reason to fail.
        with contextlib.suppress(sqlite3.OperationalError):
            self._database.execute("VACUUM")
        return dropped

    def _known(self, digests: Sequence[bytes]) -> dict[bytes, bytes]:
        """The vectors that are there and sound."""
        found: dict[bytes, bytes] = {}
        for part in _parts(digests):
            marks = ", ".join("?" * len(part))
            rows = self._database.execute(
                f"SELECT digest, vector, sum FROM vectors WHERE encoder = ? AND digest IN ({marks})",  # noqa: S608 - marks only
                (self._encoder.id, *part),
            )
            found.update((digest, vector) for digest, vector, total in rows if _sum(digest, vector) == total)
        return found


def _removed(path: Path) -> None:
    """With what SQLite keeps beside it."""
    for part in path.parent.glob(f"{path.name}*"):
        part.unlink()


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
        database.execute("SELECT encoder, digest, vector, sum FROM vectors LIMIT 0")
    except BaseException:
        database.close()
        raise
    return database


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _sum(digest: bytes, vector: bytes) -> int:
    return zlib.crc32(vector, zlib.crc32(digest))


def _parts(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for first in range(0, len(items), BATCH):
        yield items[first : first + BATCH]
