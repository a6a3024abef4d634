"""The candidate's passages as training and evaluation see them: read once from its database, numbered from 0 in the order of the docs."""

import hashlib
import os
import sqlite3
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from knowledge_platform.documents.chunks import Chunk, body_of
from knowledge_platform.documents.plain import plain, windows
from knowledge_platform.feedback.anchors import Key
from knowledge_platform.meaning.wordpiece import WordPiece

# Tokens of one window; the encoder reads 128, and the heading stands before each. What lay beyond the first window was never found by
# meaning: that was a third of the passages of FastAPI's docs and two thirds of this project's. With windows nDCG@10 is -.005
# [-.028, .017] there and +.034 [.010, .059] here; their mean instead of the best one is -.025 there.
WINDOW = 110
HELD_OUT = 5  # one section in five is never trained on: what the gate asks about


@dataclass(frozen=True, slots=True)
class Piece:
    """One chunk: `section` numbers the sections from 0; two files in two roots never share one."""

    section: int
    path: str
    chunk: Chunk


@dataclass(frozen=True)
class Corpus:
    """`pieces[i]` is the chunk in row i + 1 of the table."""

    pieces: Sequence[Piece]
    files: Sequence[int]

    @cached_property
    def sections(self) -> list[int]:
        """Of each piece."""
        return [piece.section for piece in self.pieces]

    @cached_property
    def members(self) -> list[list[int]]:
        """The pieces of each section."""
        found: list[list[int]] = []
        for number, piece in enumerate(self.pieces):
            if piece.section == len(found):
                found.append([])
            found[piece.section].append(number)
        return found

    @cached_property
    def by_name(self) -> dict[Key, list[int]]:
        """The sections of each path and anchor: several where two docs folders share a path."""
        found: defaultdict[Key, list[int]] = defaultdict(list)
        for section, (first, *_) in enumerate(self.members):
            piece = self.pieces[first]
            found[piece.path, piece.chunk.anchor].append(section)
        return dict(found)

    @cached_property
    def bodies(self) -> list[str]:
        """Of each piece, without its heading."""
        return [body_of(piece.chunk) for piece in self.pieces]

    @cached_property
    def words(self) -> list[str]:
        """Of each piece, its body without markup."""
        return [plain(body) for body in self.bodies]

    @cached_property
    def windows(self) -> list[list[str]]:
        """Of each piece, its words in windows that the encoder reads to their end."""
        tokens = WordPiece()

        def length(word: str) -> int:
            return len(tokens.ids(word, WINDOW + 2)) - 2  # without the two that begin and end a text

        return [windows(words, length, WINDOW) for words in self.words]

    @cached_property
    def starts(self) -> list[int]:
        """Of each piece, the number of its first window, all windows counted through."""
        return [0, *accumulate(map(len, self.windows))][:-1]

    def held_out(self, piece: int) -> bool:
        """Whether its section is kept for the gate. By its own heading alone: it stays on its side when it is edited, or moves.

        Not by the headings above it, which a move changes: the deployed ranker would be asked what it was trained on, the new one not.
        """
        first, *_ = self.members[self.pieces[piece].section]
        return digest_number(self.pieces[first].chunk.heading.casefold()) % HELD_OUT == 0

    def is_lone(self, piece: int) -> bool:
        """Whether its heading occurs once in the docs: only then is it a question with one answer."""
        return self._headings[self.pieces[piece].chunk.heading.casefold()] == 1

    @cached_property
    def _headings(self) -> dict[str, int]:
        counts: defaultdict[str, int] = defaultdict(int)
        for first, *_ in self.members:
            counts[self.pieces[first].chunk.heading.casefold()] += 1
        return counts


def corpus_of(database: sqlite3.Connection) -> Corpus:
    """Reads it.

    Raises:
        ValueError: the rows aren't numbered from 1 without a gap, by which vectors are found; nothing is ever taken from the table.
    """
    pieces: list[Piece] = []
    files: list[int] = []
    numbers: dict[tuple[int, str], int] = {}
    rows = database.execute(
        'SELECT chunks.id, file, files.path, start, "end", heading, anchor, crumbs, text '
        "FROM chunks JOIN files ON files.id = chunks.file ORDER BY chunks.id"
    )
    for row, file, path, *fields in rows:
        if row != len(pieces) + 1:
            raise ValueError(f"chunk {row} follows {len(pieces)}")
        chunk = Chunk(*fields)
        section = numbers.setdefault((file, chunk.anchor), len(numbers))
        pieces.append(Piece(section, os.fsdecode(path), chunk))
        files.append(file)
    return Corpus(pieces, files)


def digest_number(text: str) -> int:
    """A number that a text always has, and that says nothing else about it: for choices that stay as documents come and go."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8])
