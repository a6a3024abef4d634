"""Releases on disk: immutable folders, and two symbolic links that say which one answers.

    releases/20261123T200512Z-1a2b3c4d/   a release, never written again
    current -> releases/...               the one that answers, replaced in one step
    previous -> releases/...              what answered before the last swap
    pinned                                the id that a rollback pinned, absent otherwise

The invariant: the pinned release answers, and without a pin the newest does. Names sort in the order of training. Each change of the
links is made under a lock of its own, held for milliseconds, so that a rollback never waits for a training.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from knowledge_platform.durable import point, sync_folder, write_whole
from knowledge_platform.errors import ConfigError, CrystalError

SCHEMA = 1
STAMP = "%Y%m%dT%H%M%SZ"
STAGING = ".staging-"


@dataclass(frozen=True, slots=True)
class Release:
    folder: Path

    @property
    def id(self) -> str:
        return self.folder.name

    def manifest(self) -> dict[str, Any]:
        """What the release was made from.

        Raises:
            CrystalError: the manifest is missing or damaged.
        """
        path = self.folder / "manifest.json"
        try:
            content = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise CrystalError(
                f"release {self.id} is damaged: {path}: {error}. Go back with: crystal rollback"
            ) from error
        if not isinstance(content, dict) or content.get("schema") != SCHEMA:
            raise CrystalError(
                f"release {self.id} was made by another version of crystal: run crystal train --full"
            )
        return content

    def intact(self) -> bool:
        """Whether every file still has the digest that the manifest names."""
        try:
            files = self.manifest()["files"]
            return all(digest(self.folder / name) == expected for name, expected in files.items())
        except (CrystalError, OSError, KeyError, AttributeError):
            return False

    def size(self) -> int:
        return sum(entry.stat().st_size for entry in os.scandir(self.folder))


@dataclass(frozen=True, slots=True)
class Store:
    folder: Path

    @property
    def releases(self) -> Path:
        return self.folder / "releases"

    def create(self) -> None:
        """Makes the store's folders.

        Raises:
            ConfigError: they can't be made or written.
        """
        try:
            for name in ("releases", "runs", "feedback", "cache"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(
                f"the store can't be made: {self.folder}: {error.strerror}. Set CRYSTAL_STORE to a folder of yours"
            ) from error
        if not os.access(self.releases, os.W_OK | os.X_OK):
            raise ConfigError(
                f"the store is not writable: {self.releases}. Set CRYSTAL_STORE to a folder of yours"
            )

    def all(self) -> list[Release]:
        """Every release, oldest first."""
        try:
            names = sorted(os.listdir(self.releases))
        except FileNotFoundError:
            return []
        return [Release(self.releases / name) for name in names if not name.startswith(".")]

    def current(self) -> Release | None:
        return self._linked("current")

    def previous(self) -> Release | None:
        return self._linked("previous")

    def pinned(self) -> str | None:
        try:
            return (self.folder / "pinned").read_text().strip() or None
        except FileNotFoundError:
            return None

    def newest(self) -> Release | None:
        return next(reversed(self.all()), None)

    def named(self, release_id: str) -> Release:
        """The release of this id, or of the only one that the id begins.

        Raises:
            ConfigError: there is none, or more than one.
        """
        found = [release for release in self.all() if release_id and release.id.startswith(release_id)]
        if len(found) != 1:
            problem = "several releases begin with" if found else "there is no release"
            raise ConfigError(f"{problem} {release_id!r}: see crystal releases")
        return found[0]

    def answering(self) -> Release:
        """The release that answers now.

        Raises:
            ConfigError: nothing was deployed yet.
        """
        release = self.current()
        if release is None:
            raise ConfigError(f"no model yet in {self.folder}: run crystal train --docs DIR first")
        return release

    def swap(self, release: Release) -> None:
        """Makes the release answer, in one step for readers. Hold `swapping` for this."""
        before = self.current()
        if before is not None and before.id == release.id:
            return
        if before is not None:
            point(self.folder / "previous", f"releases/{before.id}")
        point(self.folder / "current", f"releases/{release.id}")

    def withdraw(self, release: Release, before: Release | None) -> None:
        """Undoes a swap that didn't work out, and removes the release. Hold `swapping` for this."""
        if before is None:
            (self.folder / "current").unlink(missing_ok=True)
            sync_folder(self.folder)
        else:
            point(self.folder / "current", f"releases/{before.id}")
        self._remove(release)

    def roll_back(self, release_id: str | None) -> Release:
        """Makes an older release answer (the one before the current, or the named one) and pins it.

        Raises:
            ConfigError: there is no such release.
        """
        self.answering()
        with self.swapping():
            answering = self.answering()
            if release_id is None:
                older = [release for release in self.all() if release.id < answering.id]
                if not older:
                    raise ConfigError(f"there is no release older than {answering.id}: see crystal releases")
                target = older[-1]
            else:
                target = self.named(release_id)
            target.manifest()
            # The pin first: a crash between the two is finished by the next `settle`.
            write_whole(self.folder / "pinned", f"{target.id}\n".encode())
            self.swap(target)
        return target

    def unpin(self) -> Release | None:
        """Lets the newest release answer again; None when nothing was pinned."""
        if self.pinned() is None:
            return None
        with self.swapping():
            newest = self.newest()
            if newest is not None:
                self.swap(newest)
            (self.folder / "pinned").unlink(missing_ok=True)
            sync_folder(self.folder)
        return newest

    def settle(self) -> list[str]:
        """Finishes or undoes what a crash left half done; says what it did. Only for the holder of the training lock."""
        done = []
        with self.swapping():
            for name in os.listdir(self.releases):
                if name.startswith(STAGING):
                    shutil.rmtree(self.releases / name)
                    done.append(f"removed {name}, left by a training that was interrupted")
            for leftover in self.folder.glob(".*.tmp"):
                leftover.unlink()
            pinned, current = self.pinned(), self.current()
            if pinned is not None and any(release.id == pinned for release in self.all()):
                self.swap(Release(self.releases / pinned))
            elif pinned is None and current is not None:
                for release in self.all():
                    if release.id > current.id:
                        self._remove(release)
                        done.append(f"removed release {release.id}: its deployment was interrupted")
        return done

    def prune(self, keep: int) -> None:
        """Removes the oldest releases but `keep`; never the current, the previous or the pinned one."""
        with self.swapping():
            held = {self.pinned(), *(release.id for release in (self.current(), self.previous()) if release)}
            every = self.all()
            surplus = len(every) - keep
            for release in every:
                if surplus > 0 and release.id not in held:
                    self._remove(release)
                    surplus -= 1

    @contextlib.contextmanager
    def swapping(self) -> Iterator[None]:
        """The lock under which the links, the pin and the set of releases change."""
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _linked(self, name: str) -> Release | None:
        try:
            target = (self.folder / name).readlink()
        except FileNotFoundError:
            return None
        return Release(self.releases / target.name)

    def _remove(self, release: Release) -> None:
        # Renamed first: a crash in the middle leaves a staging folder, never half a release.
        leaving = self.releases / f"{STAGING}removed-{release.id}"
        release.folder.rename(leaving)
        shutil.rmtree(leaving)


def next_id(now: datetime, newest: Release | None, random: bytes) -> str:
    """A name that sorts after every other, even when the clock was set back or two trainings share a second."""
    stamp = now.astimezone(UTC).replace(microsecond=0)
    if newest is not None:
        with contextlib.suppress(ValueError):
            last = datetime.strptime(newest.id.partition("-")[0], STAMP).replace(tzinfo=UTC)
            stamp = max(stamp, last + timedelta(seconds=1))
    return f"{stamp.strftime(STAMP)}-{random.hex()}"


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
