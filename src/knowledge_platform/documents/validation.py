"""Phase 2, validation: docs folders -> the documents that can be trained on, those that stay as they were, and the files that can't.

Content digests decide, never modification times. A file that can't be used is set aside with its reason; it stops nothing. Files that
vanish in numbers do: that is a lost mount more often than a decision.
"""

import codecs
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from knowledge_platform.documents.document import Document, Earlier, Skipped, Survey
from knowledge_platform.errors import ConfigError
from knowledge_platform.progress import Progress
from knowledge_platform.settings import FILE_LIMIT, LINE_LIMIT, MARKDOWN
from knowledge_platform.text import printable


class UnusableError(Exception):
    """This file can't be trained on; the text is the reason."""


class GoneError(UnusableError):
    """There is no such file, or none any more."""


def survey(roots: Sequence[Path], earlier: Earlier, progress: Progress) -> Survey:
    """Reads every Markdown file below the roots once.

    Raises:
        ConfigError: there is none that can be used.
    """
    candidates = [(root, found) for root in roots for found in _listed(root)]
    progress.expect(len(candidates), "files")
    documents: list[Document] = []
    skipped: list[Skipped] = []
    uncut: dict[str, str] = {}
    usable = False
    for root, found in candidates:
        match _surveyed(root, found, earlier, uncut):
            case Document() as document:
                usable = usable or document.stale is None
                documents.append(document)
            case Skipped() as one if found.wanted:
                skipped.append(one)
        if found.folder:
            kept = (
                earlier.set_aside(root, path, found.problem or "") for path in earlier.below(root, found.path)
            )
            documents += [document for document in kept if isinstance(document, Document)]
        progress.advance()
    surveyed = Survey(tuple(documents), tuple(skipped), uncut)
    if not usable:
        where = ", ".join(printable(str(root)) for root in roots)
        unusable = surveyed.skipped + surveyed.stale
        detail = (
            f" ({len(unusable)} can't be used, the first: {printable(unusable[0].path)}: {unusable[0].reason})"
            if unusable
            else ""
        )
        raise ConfigError(f"no Markdown file to train on in {where}{detail}: name another folder with --docs")
    return surveyed


def content_of(root: Path, path: str) -> bytes:
    """The file's bytes, known to be UTF-8 text.

    Raises:
        GoneError: it isn't there.
        UnusableError: it can't be trained on.
    """
    full = root / path
    try:
        # O_PATH: looked at before it is opened, for opening alone may wait (a FIFO) or act (a tape, a watchdog).
        place = os.open(full, os.O_PATH | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(place).st_mode):
                raise UnusableError("not a regular file")
            if _leads_outside(root, path, place):
                raise UnusableError("a symbolic link to outside the docs folder")
            with open(f"/proc/self/fd/{place}", "rb", buffering=0) as file:
                content = _read(file.fileno())
        finally:
            os.close(place)
    except (FileNotFoundError, NotADirectoryError):
        raise GoneError(
            "a symbolic link to nothing" if full.is_symlink() else "vanished while it was read"
        ) from None
    except OSError as error:
        raise UnusableError(f"can't be read: {error.strerror}") from None
    if len(content) > FILE_LIMIT:
        raise UnusableError(f"larger than {FILE_LIMIT // 2**20} MiB")
    if max(content.count(b"\n"), content.count(b"\r")) > LINE_LIMIT:
        raise UnusableError(f"more than {LINE_LIMIT:,} lines".replace(",", " "))
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise UnusableError("UTF-16, not UTF-8")
    if b"\0" in content:
        raise UnusableError("has NUL bytes, so it is no text")
    try:
        content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnusableError(f"not UTF-8 (byte {error.start})") from None
    return content


def _read(descriptor: int) -> bytes:
    """To the end, or one byte more than is allowed: a file that grows meanwhile must not be followed for ever."""
    parts = []
    left = FILE_LIMIT + 1
    while left and (part := os.read(descriptor, min(left, 2**20))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _leads_outside(root: Path, path: str, place: int) -> bool:
    real = os.path.realpath(root)
    if os.readlink(f"/proc/self/fd/{place}") == os.path.join(real, path):
        return False
    return not Path(os.path.realpath(root / path)).is_relative_to(real)


@dataclass(frozen=True, slots=True)
class _Found:
    """A name in the tree. One that isn't `wanted` matters only if the release before had a file of this name."""

    path: str
    problem: str | None = None
    folder: bool = False
    wanted: bool = True


def _surveyed(root: Path, found: _Found, earlier: Earlier, uncut: dict[str, str]) -> Document | Skipped:
    if found.problem is not None:
        return earlier.set_aside(root, found.path, found.problem)
    try:
        content = content_of(root, found.path)
    except GoneError as gone:
        return Skipped(root, found.path, str(gone))
    except UnusableError as unusable:
        return earlier.set_aside(root, found.path, str(unusable))
    sha256 = hashlib.sha256(content).hexdigest()
    if (reason := earlier.uncut.get(sha256)) is not None:
        uncut[sha256] = reason
        return earlier.set_aside(root, found.path, reason)
    return Document(root, found.path, sha256, len(content))


def _listed(root: Path) -> Iterator[_Found]:
    """Each Markdown file below the root, in a fixed order, and each folder that can't be read.

    Hidden names and links to folders are passed over.
    """
    folders = [""]
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(root / folder) as entries:
                names = sorted((entry.name, _kind(entry)) for entry in entries)
        except (FileNotFoundError, NotADirectoryError):
            continue  # gone since its parent was listed
        except OSError as error:
            yield _Found(folder or ".", f"the folder can't be read: {error.strerror}", folder=True)
            continue
        below = []
        for name, kind in names:
            if name.startswith("."):
                continue
            path = os.path.join(folder, name)
            if kind == "folder":
                below.append(path)
            if os.path.splitext(name)[1].lower() in MARKDOWN:
                yield _Found(path) if kind == "file" else _Found(path, "not a regular file", wanted=False)
        folders.extend(reversed(below))


def _kind(entry: os.DirEntry[str]) -> str:
    try:
        if entry.is_dir(follow_symlinks=False):
            return "folder"
        return "linked folder" if entry.is_dir() else "file"
    except OSError:  # a link to itself, for one: reading it will say what is wrong
        return "file"
