"""Every number and place of the training, each with its reason. Environment variables are read here and nowhere else."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from knowledge_platform.errors import ConfigError
from knowledge_platform.text import printable

MARKDOWN = frozenset({".md", ".markdown"})  # .mdx is left out: its import lines and JSX are no Markdown
FILE_LIMIT = (
    16 * 1024 * 1024
)  # bytes; a hand-written page is never this long, a log that was renamed to .md is
LINE_LIMIT = 100_000  # lines; the parser takes 10 µs for an ordinary line, 80 for the worst
CHUNK_SIZE = (
    1400  # characters: about 300 tokens, a screenful, and what fits a small encoder together with its crumbs
)
FENCE_LIMIT = 4 * CHUNK_SIZE  # a code fence up to this length stays whole; arbitrary
WEIGHTS = (2.0, 1.0, 1.0)  # heading, crumbs, body: nDCG@10 .564 on FastAPI's docs, .549 with 5,2,1
TOKENIZER = "porter unicode61"
MASS_DELETE = (
    0.3  # share of the deployed files; more than this gone at once is a lost mount more often than a decision
)
KEEP_RELEASES = 5
KEEP_RUNS = 100  # records of about 1 kB each; arbitrary
SPACE_FACTOR = 3  # the staged release, the deployed one's successor on disk, and room for SQLite's own work
SPACE_FLOOR = 16 * 1024 * 1024  # bytes; for the first release, whose size nobody knows yet
GATE_QUERIES = 200  # at most; 200 lookups take about 0.1 s
GATE_CHUNKS = 200  # at most, compared line by line with their files
# The words' share of a passage's score; the rest is the encoder's. On FastAPI's docs 0.1 to 0.3 are alike (nDCG@10 .510, .513, .504).
LEXICAL = 0.2
LEXICAL_DEPTH = (
    1000  # passages with words of the question whose words count; a common word is in most of them
)
# What is learned from one heading, beside 1 for a sentence or a link's text: with 1 headings gain most, and what people ask in their own
# words loses (.03 of the first hit [.06, .01]).
HEADING_WEIGHT = 0.3
TRAINED_PIECES = 600  # passages from which questions are made; each is encoded a second time, without what is asked. A quarter minute
LINKED_DOCUMENTS = 1000  # documents whose links are read, some 10 ms each
NEGATIVES = 4096  # passages that an answer is told from in training; of more, so many are drawn
SEED = 0
# The best cosine that a question must reach is a share of what one in twenty of the docs' own headings reaches. On FastAPI's docs this
# keeps 95 % of 120 questions and refuses 30 of 30 about something else, 18 of 30 near ones.
FLOOR_SHARE = 0.9
FLOOR_QUANTILE = 0.05
FLOOR_COSINE = 0.2  # where there are too few headings to tell; arbitrary
FLOOR_HEADINGS = 20
COVERED = 0.7  # or this share of the question's words is in one passage: a name or a number means nothing to the encoder; arbitrary

TOP = 10  # a known item counts as found when it is among this many passages
# The share of a question that its best passage must cover, else there is no good match. On FastAPI's docs 0.3 keeps 97 % of 120 real
# questions and refuses 60 % of 30 that are about something else; 0.4 would be 87 % and 83 %. A wrong "nothing" is the worse mistake.
FLOOR = 0.3

QUERY_LIMIT = 4096  # characters of a question that can be taught; more is a pasted page, and its log would grow by pages
# A user's verdicts that count at one time, the newest kept: a program that logs each click under one name, or one zealous person, must
# not drown the others. Arbitrary: 200 are more than anybody types in the year and a half in which a verdict counts.
VERDICTS_EACH = 200
VERDICT_HALF_LIFE = timedelta(days=180)  # a verdict weighs half after it: documents change; arbitrary
VERDICT_FLOOR = 0.1  # weighs less: forgotten, so after 598 days; arbitrary
GOLDEN_TOP = 5  # a golden query's section must be among this many passages: what `crystal ask` shows
# Bytes, some 1,200 answers; then the file is set aside, in place of the one before. Arbitrary.
ANSWERS_LIMIT = 1024 * 1024

RANKER_VERSION = 1  # raise it when the same documents and verdicts would be learned otherwise
CHUNKER_VERSION = (
    2  # raise it when the same file would be cut differently: then nothing is copied from older releases
)


@dataclass(frozen=True, slots=True)
class Settings:
    store: Path
    roots: tuple[Path, ...]
    full: bool = False
    allow_mass_delete: bool = False
    encoder: Path | None = None  # where the encoder's file is, if not where its package put it
    require_dense: bool = False


def store_folder(environ: Mapping[str, str]) -> Path:
    """Where releases live: CRYSTAL_STORE, else below XDG_DATA_HOME, else below ~/.local/share (XDG base directory spec)."""
    if own := environ.get("CRYSTAL_STORE"):
        return Path(own).expanduser().absolute()
    data = environ.get("XDG_DATA_HOME", "")
    # The specification says that a relative path there is to be ignored.
    home = Path(data) if data.startswith("/") else Path("~/.local/share").expanduser()
    return home / "crystal"


def docs_roots(given: Iterable[Path], environ: Mapping[str, str]) -> tuple[Path, ...]:
    """The docs folders: the given ones, else CRYSTAL_DOCS, else ./docs. A folder inside another of them is dropped.

    Raises:
        ConfigError: there is none, or one of them isn't a folder.
    """
    named = list(given) or [Path(part) for part in environ.get("CRYSTAL_DOCS", "").split(os.pathsep) if part]
    if not named:
        if not Path("docs").is_dir():
            raise ConfigError(
                f"no docs folder: {Path.cwd()} has no docs/ in it. Say where: crystal train --docs DIR, or set CRYSTAL_DOCS"
            )
        named = [Path("docs")]
    roots = [Path(os.path.abspath(path.expanduser())) for path in named]
    for root in roots:
        if not root.is_dir():
            problem = "is not a folder" if root.exists() else "does not exist"
            raise ConfigError(
                f"docs folder {printable(str(root))} {problem}: mount it, or name another with --docs"
            )
    kept: dict[Path, Path] = {}
    for root in roots:
        kept.setdefault(root.resolve(), root)
    return tuple(root for real, root in kept.items() if not any(other in real.parents for other in kept))


def encoder_path(environ: Mapping[str, str]) -> Path | None:
    """Where CRYSTAL_ENCODER_PATH says that the encoder's file is; None where it says nothing."""
    own = environ.get("CRYSTAL_ENCODER_PATH")
    return Path(own).expanduser().absolute() if own else None


def config_hash(encoder_id: str | None) -> str:
    """Names the processing itself: a release made with another one is rebuilt even when no document changed."""
    processing = [CHUNKER_VERSION, CHUNK_SIZE, FENCE_LIMIT, WEIGHTS, TOKENIZER, encoder_id, RANKER_VERSION]
    return hashlib.sha256(json.dumps(processing).encode()).hexdigest()
