"""Documents as values: what a survey found, what the release before had, and how the two differ. PURE: nothing is read here.

A file that is there by name and can't be used is no reason to forget what it said: if the release before had it, its last good content
stays, marked stale with the reason. Only a file that is gone is gone.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from knowledge_platform.errors import RefusedError
from knowledge_platform.settings import MASS_DELETE
from knowledge_platform.text import printable

Name = tuple[str, str]  # root and path


@dataclass(frozen=True, slots=True)
class Document:
    """One file: `path` is relative to `root`. Together they name it, as two roots may share a relative path.

    `stale` is the reason why the file can't be used at present; digest and size are then those of its last good content.
    """

    root: Path
    path: str
    sha256: str
    size: int
    stale: str | None = None

    @property
    def name(self) -> Name:
        return str(self.root), self.path


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that can't be trained on, and why."""

    root: Path
    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Survey:
    """`uncut` are the digests of contents that could not be cut into chunks, each with its reason."""

    documents: tuple[Document, ...]
    skipped: tuple[Skipped, ...]
    uncut: Mapping[str, str] = field(default_factory=dict)

    @property
    def stale(self) -> tuple[Skipped, ...]:
        """The documents that stay as they were, and why."""
        return tuple(
            Skipped(one.root, one.path, one.stale) for one in self.documents if one.stale is not None
        )

    def documents_json(self) -> list[dict[str, object]]:
        return [{**asdict(document), "root": str(document.root)} for document in self.documents]

    def skipped_json(self) -> list[dict[str, object]]:
        return _listed(self.skipped)

    def stale_json(self) -> list[dict[str, object]]:
        return _listed(self.stale)

    def __str__(self) -> str:
        counts = {"stale": len(self.stale), "skipped": len(self.skipped)}
        return ", ".join(
            [f"{len(self.documents)} files", *(f"{n} {what}" for what, n in counts.items() if n)]
        )

    def notes(self) -> list[str]:
        """A line for each file that isn't trained on as it is now."""
        return [f"skipped {printable(one.path)}: {one.reason}" for one in self.skipped] + [
            f"kept as it was: {printable(one.path)}: {one.reason}" for one in self.stale
        ]


@dataclass(frozen=True, slots=True)
class Earlier:
    """What the release that this training goes on from had, if there is one."""

    documents: Mapping[Name, Document] = field(default_factory=dict)
    uncut: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, manifest: Mapping[str, Any] | None, *, alike: bool) -> Self:
        """From a release's manifest. What could not be cut is remembered only where it would be cut in the same way (`alike`)."""
        if manifest is None:
            return cls()
        documents = (
            Document(Path(one["root"]), one["path"], one["sha256"], one["size"], one.get("stale"))
            for one in manifest["documents"]
        )
        # Older releases know neither `stale` nor `uncut`.
        return cls({one.name: one for one in documents}, manifest.get("uncut", {}) if alike else {})

    def set_aside(self, root: Path, path: str, reason: str) -> Document | Skipped:
        """A file that is there and can't be used: its last good content, else nothing."""
        known = self.documents.get((str(root), path))
        return replace(known, stale=reason) if known is not None else Skipped(root, path, reason)

    def below(self, root: Path, folder: str) -> Iterator[str]:
        """The paths that were in this folder of the root, at any depth; "." is the root itself."""
        inside = f"{folder}/" if folder != "." else ""
        for place, path in self.documents:
            if place == str(root) and path.startswith(inside):
                yield path


@dataclass(frozen=True, slots=True)
class Difference:
    """How the documents differ from a release's. A file whose whole content is elsewhere now has moved.

    `stale` and `mended` are those that can't be used any more, and those that can again; whether the content is another one than the
    last good is a question of its own.
    """

    added: int
    changed: int
    removed: int
    moved: int
    stale: int
    mended: int
    known: int

    def __bool__(self) -> bool:
        return any(self._counts().values())

    def __str__(self) -> str:
        return (
            ", ".join(f"{count} {name}" for name, count in self._counts().items() if count)
            or "nothing changed"
        )

    def _counts(self) -> dict[str, int]:
        return {
            "added": self.added,
            "changed": self.changed,
            "removed": self.removed,
            "moved": self.moved,
            "gone stale": self.stale,
            "mended": self.mended,
        }


def difference(documents: Iterable[Document], earlier: Earlier) -> Difference:
    """Compares with a release's documents; without a release everything is added."""
    now = {document.name: document for document in documents}
    then = earlier.documents
    both = [(document, then[name]) for name, document in now.items() if name in then]
    appeared = [document.sha256 for name, document in now.items() if name not in then]
    gone = [document.sha256 for name, document in then.items() if name not in now]
    moved = (Counter(appeared) & Counter(gone)).total()
    return Difference(
        added=len(appeared) - moved,
        changed=sum(1 for new, old in both if new.sha256 != old.sha256),
        removed=len(gone) - moved,
        moved=moved,
        stale=sum(1 for new, old in both if new.stale is not None and old.stale is None),
        mended=sum(1 for new, old in both if new.stale is None and old.stale is not None),
        known=len(then),
    )


def refuse_mass_deletion(changes: Difference) -> None:
    """Stops when too large a part of the deployed documents is gone.

    Raises:
        RefusedError: more than MASS_DELETE of them.
    """
    if changes.removed > MASS_DELETE * changes.known:
        raise RefusedError(
            f"{changes.removed} of the {changes.known} deployed files are gone: is a folder not mounted? "
            "If they were meant to go: crystal train --allow-mass-delete"
        )


def _listed(files: Iterable[Skipped]) -> list[dict[str, object]]:
    return [{**asdict(one), "root": str(one.root)} for one in files]
