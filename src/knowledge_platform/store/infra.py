"""Phase 1, infra: the ground a training stands on. Store, lock, disk space, the programs it needs, an empty staging folder."""

import contextlib
import fcntl
import importlib.util
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from knowledge_platform.errors import BusyError, ConfigError, CrystalError
from knowledge_platform.settings import SPACE_FACTOR, SPACE_FLOOR
from knowledge_platform.store.releases import STAGING, Store


@contextlib.contextmanager
def training_lock(store: Store) -> Iterator[None]:
    """Holds the one training lock of the store. The kernel drops it with the process, however that ends (flock(2)).

    Raises:
        BusyError: another training holds it.
    """
    path = store.folder / "lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 64, 0).decode("ascii", "replace").partition(" ")[0].strip()
            raise BusyError(
                f"another training is running (pid {holder or 'unknown'}): try again when it has ended"
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()} {_started(os.getpid())}\n".encode(), 0)
        try:
            yield
        finally:
            # The file stays: removing it would let two trainings lock two files of one name.
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def training_pid(store: Store) -> int | None:
    """Who is training now. It only reads: to try the lock, however briefly, could turn a training away."""
    try:
        pid, started = (store.folder / "lock").read_text().split()
        return int(pid) if _started(int(pid)) == started else None
    except (OSError, ValueError):
        return None


def check_programs() -> None:
    """What the training imports later is there.

    Raises:
        ConfigError: something is missing, and how to get it.
    """
    if importlib.util.find_spec("markdown_it") is None:
        raise ConfigError(
            "markdown-it-py is missing, which reads the Markdown: pip install 'training-watch[crystal]'"
        )
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        try:
            database.execute("CREATE VIRTUAL TABLE probe USING fts5(text)")
        except sqlite3.OperationalError as error:
            raise ConfigError(
                f"this Python's SQLite {sqlite3.sqlite_version} has no FTS5: use another Python"
            ) from error


def check_space(store: Store) -> tuple[int, int]:
    """(free, needed) bytes where the store is.

    Raises:
        CrystalError: too little is free; someone may make room, so this is no configuration error.
    """
    deployed = store.current()
    known = deployed.size() if deployed is not None and deployed.folder.is_dir() else 0
    needed = max(SPACE_FACTOR * known, SPACE_FLOOR)
    free = shutil.disk_usage(store.folder).free
    if free < needed:
        raise CrystalError(
            f"not enough disk space: {store.folder} has {free // 2**20} MiB free, a training needs {needed // 2**20} MiB. "
            "Make room, or set CRYSTAL_STORE"
        )
    return free, needed


@contextlib.contextmanager
def staging_folder(store: Store, release_id: str) -> Iterator[Path]:
    """The folder where a release grows until it is renamed into place; removed if it wasn't."""
    folder = store.releases / f"{STAGING}{release_id}"
    try:
        # Within the try: a signal may come between the system call and the next line.
        folder.mkdir()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _started(pid: int) -> str:
    """The process's start time in clock ticks since boot: with it a pid is unique (proc_pid_stat(5), field 22)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
