"""One comparison of the tree with the snapshot: a walk that writes down what it finds.

It does a bounded step of work between two yields and holds neither a transaction nor a lock across
them. Everything it writes is true on its own, so it may be abandoned anywhere: what it hadn't come to
is what is owed to the next one, given the same hints.

A folder whose listing has the fingerprint that it had when all its rows were last true needs no further
look: that makes a walk over an unchanged tree cost little more than asking the kernel for each stamp.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Generator
from dataclasses import dataclass

from training_watch.events import Moment
from training_watch.watching.content import (
    GONE,
    OUT_OF_RESOURCES,
    UNREADABLE,
    UNSETTLED,
    Content,
    Pace,
    Stamp,
    content,
    racy,
    stamp_of,
)
from training_watch.watching.ignore import RULES, Ignore
from training_watch.watching.listing import Listing, Records, listed
from training_watch.watching.paths import ancestors, below, join, outside, split
from training_watch.watching.roots import Roots
from training_watch.watching.rows import BATCH, Batch, Row, Rows
from training_watch.watching.touched import Touched

Steps = Generator[None, None, None]
Reader = Callable[[bytes, Pace], Generator[None, None, Content | None]]


@dataclass(frozen=True, slots=True)
class Comparison:
    """`news`: paths whose content differs from what was known. `files`: how many there are, if all were walked.

    `closed` are folders that may not be read: what was known of them is kept, as of those that are absent.
    """

    news: int
    absent: tuple[bytes, ...]
    unreadable: int
    files: int | None
    closed: tuple[bytes, ...] = ()


class Walk:
    """The walk of one comparison. `read` says what a file holds; another than `content` makes another snapshot."""

    def __init__(
        self,
        rows: Rows,
        roots: Roots,
        ignore: Ignore,
        moment: Moment,
        *,
        running: bool,
        read: Reader = content,
    ) -> None:
        self._rows = rows
        self._roots = roots
        self._ignore = ignore
        self._moment = moment
        self._now_ns = int(moment.calendar.timestamp() * 1e9)
        self._running = running
        self._read = read
        self._records = Records()
        self._pace = Pace()
        self._batch = Batch()
        self._alone = rows.version()
        self._absent = set(roots.absent())
        self._closed: list[bytes] = []
        self._walked: set[bytes] = set()
        self._news = 0
        self._unreadable = 0
        self._unsure = 0
        self._files = 0

    def compare(self, touched: Touched) -> Generator[None, None, Comparison]:
        if self._running:  # it read nothing there, or something else
            self._batch.stirred += map(below, self._absent)
            self._batch.stirred += outside(self._roots.paths)
        if touched.everything:
            yield from self._everything()
        for top in sorted(touched.trees):
            yield from self._tree(top)
        yield from self._racy(touched)
        yield from self._hinted(touched)
        self._write()
        return Comparison(
            news=self._news,
            absent=tuple(place for place in self._roots.places if place in self._absent),
            unreadable=self._unreadable,
            files=self._files if touched.everything else None,
            closed=tuple(self._closed),
        )

    def _everything(self) -> Steps:
        self._ignore.forget()
        for root in self._roots.paths:
            if root not in self._absent:
                yield from self._walk(root)
                self._write()
            if root not in self._absent:
                self._roots.record(root)
        # One that is missing may be a slip of the pen: what lies in none is kept until all are there.
        if self._absent.isdisjoint(self._roots.paths):
            yield from self._forget_outside()

    def _forget_outside(self) -> Steps:
        for path in self._rows.all_outside(self._roots.paths):
            yield from self._forget(path)
        self._roots.forget_others()

    def _tree(self, top: bytes) -> Steps:
        if self._is_walked(top) or not self._is_here(top):
            return
        if top in self._roots.paths:
            yield from self._walk(top)
        else:
            yield from self._name(top)

    def _hinted(self, touched: Touched) -> Steps:
        for folder in sorted(touched.folders):
            if not self._is_walked(folder) and self._is_here(folder):
                yield from self._folder(folder, touched.folders[folder])

    def _folder(self, folder: bytes, names: set[bytes]) -> Steps:
        if folder not in self._roots.paths and self._ignore.ignored(folder, is_folder=True):
            yield from self._forget_below(folder)
        elif not _is_folder(folder) and folder not in self._roots.paths:
            yield from self._name(folder)
        elif names:
            for name in sorted(names):
                yield from self._name(join(folder, name))
        else:
            yield from self._walk(folder, deep=False)

    def _name(self, path: bytes) -> Steps:
        """Look at one path that was hinted at, whatever it was and is."""
        if self._is_walked(path) or not self._is_here(path):
            return
        row = self._rows.one(path)
        try:
            found = os.lstat(path)
        except OSError as error:
            if error.errno not in GONE:
                self._unreadable += 1
                return
            yield from self._vanished(path, row)
            return
        is_folder = stat.S_ISDIR(found.st_mode)
        if self._ignore.ignored(path, is_folder=is_folder):
            if row is not None:
                yield from self._forget(path)
            yield from self._forget_below(path)
        elif is_folder:
            if row is not None and row.digest is not None:
                yield from self._gone(path)
            yield from self._walk(path)
        else:
            yield from self._gone_below(path)
            yield from self._file(path, stamp_of(path, found), row)
        if self._pace.spend(1):
            yield

    def _vanished(self, path: bytes, row: Row | None) -> Steps:
        if row is not None and row.digest is not None:
            yield from self._gone(path)
        else:
            yield from self._gone_below(path)

    def _racy(self, touched: Touched) -> Steps:
        """Look again at files whose stamp can't be trusted, unless their turn comes anyway."""
        for path in self._rows.racy():
            folder, name = split(path)
            names = touched.folders.get(folder)
            if names is None or (names and name not in names):
                yield from self._name(path)

    def _walk(self, top: bytes, *, deep: bool = True) -> Steps:
        """Compare a folder and, if `deep`, all below; otherwise only what is new below."""
        if deep:
            self._walked.add(top)
        to_do = [(top, self._rows.folder(top))]
        while to_do:
            folder, known = to_do.pop()
            listing = yield from self._listed(folder)
            if listing is None:
                continue
            rules = self._ignore.enter(folder, rules=RULES in listing, git=b".git" in listing)
            folders = {
                path
                for path in (join(folder, name) for name in listing.folders)
                if not self._is_elsewhere(path) and not self._ignore.ignored(path, is_folder=True)
            }
            whole = deep or folder != top
            fingerprint = listing.fingerprint(rules)
            if whole and known is not None and known.fingerprint == fingerprint:
                self._files += known.files
            else:
                folders = yield from self._differing(folder, listing, folders, fingerprint, whole=whole)
            if folders:
                inner = self._rows.inner(folder)
                to_do.extend((path, inner.get(path)) for path in folders)

    def _listed(self, folder: bytes) -> Generator[None, None, Listing | None]:
        """The folder's entries; None where it can't be listed, and then what that means is written down."""
        try:
            return (yield from listed(folder, self._records, self._pace, follow=folder in self._roots.paths))
        except OSError as error:
            if error.errno in OUT_OF_RESOURCES:
                raise
            if error.errno in GONE or error.errno == errno.ELOOP:
                yield from self._gone_below(folder)
            else:
                self._close(folder)
            return None

    def _close(self, folder: bytes) -> None:
        """Not ours to read: what was known of it is all that is known."""
        self._unreadable += 1
        self._closed.append(folder)
        if self._running:
            self._batch.stirred.append(below(folder))

    def _differing(
        self, folder: bytes, listing: Listing, folders: set[bytes], fingerprint: bytes, *, whole: bool
    ) -> Generator[None, None, set[bytes]]:
        """Compare what is directly in a folder with its rows; the folders to go on with are returned."""
        doubts, files = self._doubts, self._files
        known = self._rows.in_folder(folder)
        is_ignored = self._ignore.inside(folder)
        for name, stamp in listing.files():
            path = join(folder, name)
            if not is_ignored(path, name):
                self._files += 1
                yield from self._file(path, stamp, known.pop(path, None))
        unknown = {join(folder, name) for name in listing.unknown}
        if unknown:
            self._close(folder)
        for path in unknown:
            known.pop(path, None)
        yield from self._leftover(known)
        before = self._rows.folders_in(folder)
        for path in before:
            if path not in folders and path not in unknown and not self._is_elsewhere(path):
                yield from self._folder_gone(path)
        self._batch.folders[folder] = (fingerprint if doubts == self._doubts else None, self._files - files)
        yield from self._bounded()
        return folders if whole else folders.difference(before)

    def _leftover(self, known: dict[bytes, Row]) -> Steps:
        for path in known:
            if self._ignore.ignored(path, is_folder=False):
                yield from self._forget(path)
            else:
                yield from self._gone(path)

    def _folder_gone(self, path: bytes) -> Steps:
        if self._ignore.ignored(path, is_folder=True):
            yield from self._forget_below(path)
        else:
            yield from self._gone_below(path)

    def _file(self, path: bytes, stamp: Stamp | None, row: Row | None) -> Steps:
        """Compare a file with its row, and read it where the stamps differ."""
        old = row.digest if row is not None else None
        if stamp is None:
            if old is not None:
                yield from self._gone(path)
            return
        if row is not None and old is not None and row.stamp == stamp and not row.racy:
            self._unreadable += old.startswith(UNREADABLE)
            return
        try:
            new = yield from self._read(path, self._pace)
        except PermissionError:
            self._unreadable += 1
            return
        if new is None:
            self._unsure += 1
            if old is not None:
                yield from self._gone(path)
            return
        self._unreadable += new.digest.startswith(UNREADABLE)
        yield from self._put(path, new, old)

    def _put(self, path: bytes, new: Content, old: bytes | None) -> Steps:
        is_racy = racy(new.changed_ns, self._now_ns)
        self._unsure += is_racy or new.digest == UNSETTLED
        self._batch.puts.append((path, new, is_racy))
        self._batch.news += new.digest != old or new.digest == UNSETTLED
        yield from self._bounded()

    def _gone(self, path: bytes) -> Steps:
        self._batch.gone.append(path)
        yield from self._bounded()

    def _gone_below(self, folder: bytes) -> Steps:
        for path in self._rows.known_below(folder):
            yield from self._gone(path)
        self._batch.dropped.append(folder)

    def _forget(self, path: bytes) -> Steps:
        self._batch.forgotten.append(path)
        yield from self._bounded()

    def _forget_below(self, folder: bytes) -> Steps:
        for path in self._rows.known_below(folder):
            yield from self._forget(path)
        self._batch.dropped.append(folder)

    def _bounded(self) -> Steps:
        if len(self._batch) >= BATCH:
            self._write()
        if self._pace.spend(0.1):
            yield

    def _write(self) -> None:
        """Write what was found; deletions only where the root is there after all of them were seen."""
        batch, self._batch = self._batch, Batch()
        if not batch:
            return
        doubtful = {self._roots.of(path) for path in batch.gone}
        self._absent.update(place for place in doubtful if place is not None and self._roots.is_absent(place))
        batch.gone = [path for path in batch.gone if self._roots.of(path) not in self._absent]
        batch.news += len(batch.gone)
        self._news += batch.news
        self._rows.write(batch, self._moment, alone_since=self._alone)

    @property
    def _doubts(self) -> int:
        """How many files have to be looked at again next time, whatever their stamp says then."""
        return self._unreadable + self._unsure

    def _is_elsewhere(self, path: bytes) -> bool:
        """A folder in another's listing that has its own turn, or that is not there to be judged."""
        return path in self._roots.paths or path in self._absent

    def _is_walked(self, path: bytes) -> bool:
        return path in self._walked or any(above in self._walked for above in ancestors(path))

    def _is_here(self, path: bytes) -> bool:
        place = self._roots.of(path)
        return place is not None and place not in self._absent


def _is_folder(path: bytes) -> bool:
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False
