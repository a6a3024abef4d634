"""Phase 2, validation: docs folders -> the documents that can be trained on, the files that can't, and what changed.

Content digests decide, never modification times. A file that can't be used is set aside with its reason; it stops nothing. Files that
vanish in numbers do: that is a lost mount more often than a decision.
"""

import hashlib
import os
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from knowledge_platform.errors import ConfigError, RefusedError
from knowledge_platform.progress import Progress
from knowledge_platform.settings import FILE_LIMIT, MARKDOWN, MASS_DELETE
from knowledge_platform.text import printable


@dataclass(frozen=True, slots=True)
class Document:
    """One file: `path` is relative to `root`. Together they name it, as two roots may share a relative path."""

    root: Path
    path: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that can't be trained on, and why."""

    root: Path
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Survey:
    documents: tuple[Document, ...]
    skipped: tuple[Skipped, ...]

    def documents_json(self) -> list[dict[str, object]]:
        return [{**asdict(document), "root": str(document.root)} for document in self.documents]

    def skipped_json(self) -> list[dict[str, object]]:
        return [{**asdict(skipped), "root": str(skipped.root)} for skipped in self.skipped]


@dataclass(frozen=True, slots=True)
class Difference:
    """How the documents differ from a release's. A file whose whole content is elsewhere now has moved."""

    added: int
    changed: int
    removed: int
    moved: int
    known: int

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed or self.moved)

    def __str__(self) -> str:
        counts = {"added": self.added, "changed": self.changed, "removed": self.removed, "moved": self.moved}
        return ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "nothing changed"


class UnusableError(Exception):
    """This file can't be trained on; the text is the reason."""


def survey(roots: Sequence[Path], progress: Progress) -> Survey:
    """Reads every Markdown file below the roots once.

    Raises:
        ConfigError: there is none that can be used.
    """
    candidates: list[tuple[Path, str]] = []
    skipped: list[Skipped] = []
    for root in roots:
        for path, problem in _listed(root):
            if problem is None:
                candidates.append((root, path))
            else:
                skipped.append(Skipped(root, path, problem))
    progress.expect(len(candidates), "files")
    documents = []
    for root, path in candidates:
        try:
            content = content_of(root, path)
            documents.append(Document(root, path, hashlib.sha256(content).hexdigest(), len(content)))
        except UnusableError as unusable:
            skipped.append(Skipped(root, path, str(unusable)))
        progress.advance()
    if not documents:
        where = ", ".join(printable(str(root)) for root in roots)
        detail = (
            f" ({len(skipped)} can't be used, the first: {printable(skipped[0].path)}: {skipped[0].reason})"
            if skipped
            else ""
        )
        raise ConfigError(f"no Markdown file to train on in {where}{detail}: name another folder with --docs")
    return Survey(tuple(documents), tuple(skipped))


def difference(documents: Iterable[Document], manifest: dict[str, Any] | None) -> Difference:
    """Compares with the documents of a release's manifest; without one everything is added."""
    now = {(str(document.root), document.path): document.sha256 for document in documents}
    then = known_documents(manifest)
    appeared = [name for name in now if name not in then]
    gone = [name for name in then if name not in now]
    changed = sum(1 for name, content in now.items() if name in then and then[name] != content)
    moved = (Counter(now[name] for name in appeared) & Counter(then[name] for name in gone)).total()
    return Difference(
        added=len(appeared) - moved, changed=changed, removed=len(gone) - moved, moved=moved, known=len(then)
    )


def known_documents(manifest: dict[str, Any] | None) -> dict[tuple[str, str], str]:
    """(root, path) -> digest, as a release's manifest has them."""
    if manifest is None:
        return {}
    return {(entry["root"], entry["path"]): entry["sha256"] for entry in manifest["documents"]}


def refuse_mass_deletion(changes: Difference) -> None:
    """Stops when too large a part of the deployed documents is gone.

    Raises:
        RefusedError: more than MASS_DELETE of them.
    """
    if changes.removed > MASS_DELETE * changes.known:
        raise RefusedError(
            f"{changes.removed} of the {changes.known} deployed files are gone or can't be used any more: is a folder not mounted? "
            "If they were meant to go: crystal train --allow-mass-delete"
        )


def content_of(root: Path, path: str) -> bytes:
    """The file's bytes, known to be UTF-8 text.

    Raises:
        UnusableError: it can't be trained on.
    """
    full = root / path
    try:
        # O_NONBLOCK: opening a FIFO must not wait for a writer (open(2)).
        descriptor = os.open(full, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode):
                raise UnusableError("not a regular file")
            if full.is_symlink() and not full.resolve().is_relative_to(root.resolve()):
                raise UnusableError("a symbolic link to outside the docs folder")
            content = file.read(FILE_LIMIT + 1)
    except FileNotFoundError:
        raise UnusableError(
            "a symbolic link to nothing" if full.is_symlink() else "vanished while it was read"
        ) from None
    except OSError as error:
        raise UnusableError(f"can't be read: {error.strerror}") from None
    if len(content) > FILE_LIMIT:
        raise UnusableError(f"larger than {FILE_LIMIT // 2**20} MiB")
    if b"\0" in content:
        raise UnusableError("has NUL bytes, so it is no text")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnusableError(f"not UTF-8 (byte {error.start})") from None
    return content


def _listed(root: Path) -> Iterator[tuple[str, str | None]]:
    """(path, problem) of each Markdown file below the root, in a fixed order; hidden names and links to folders are passed over."""
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            entries = sorted(os.scandir(root / folder), key=lambda entry: entry.name)
        except OSError as error:
            yield folder or ".", f"the folder can't be read: {error.strerror}"
            continue
        below = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            path = os.path.join(folder, entry.name)
            if entry.is_dir(follow_symlinks=False):
                below.append(path)
            elif os.path.splitext(entry.name)[1].lower() in MARKDOWN and not _leads_to_folder(entry):
                yield path, None
        folders.extend(reversed(below))


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, for one: reading it will say what is wrong
        return False
