"""What can happen to a watched tree, and to the daemon that watches it.

An operation is a generator: what is done between two yields counts as one deed. One that can't be done,
for the file isn't there or the name is too long, raises OSError, which is as good as anything else.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Flag, auto
from itertools import count

from churn.world import NAMES, RULES, TEXTS, World
from machine.waiting import eventually

Act = Callable[[World], Iterator[None]]


class Trait(Flag):
    NONE = 0
    # Content may change with no event in the tree, now or later: only a comparison of everything finds it.
    SILENT = auto()
    # Needs mounts, or permissions that hold.
    MOUNTS = auto()
    PERMISSIONS = auto()


@dataclass(frozen=True, slots=True)
class Operation:
    name: str
    act: Act
    weight: int
    traits: Trait


OPERATIONS: list[Operation] = []


def operation(weight: int, traits: Trait = Trait.NONE) -> Callable[[Act], Act]:
    def enlist(act: Act) -> Act:
        OPERATIONS.append(Operation(act.__name__, act, weight, traits))
        return act

    return enlist


def fill(path: bytes, text: bytes) -> None:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    # Not waiting: a FIFO of this name has no reader.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK, 0o644), "wb") as file:
        file.write(text)


# ---- files --------------------------------------------------------------------------------------


@operation(14)
def write(world: World) -> Iterator[None]:
    fill(world.a_path(), world.a_text())
    yield


@operation(5)
def append(world: World) -> Iterator[None]:
    with open(world.a_file(), "ab") as file:
        file.write(world.rng.choice(TEXTS))
    yield


@operation(3)
def truncate(world: World) -> Iterator[None]:
    os.truncate(world.a_file(), world.rng.randrange(5))
    yield


@operation(3)
def write_without_closing(world: World) -> Iterator[None]:
    with open(world.a_file(), "r+b", buffering=0) as file:
        file.write(world.rng.choice(TEXTS))
        yield
        file.write(world.rng.choice(TEXTS))
        yield


@operation(4)
def rewrite_as_it_is(world: World) -> Iterator[None]:
    path = world.a_file()
    with open(path, "rb") as file:
        text = file.read()
    fill(path, text)
    yield


@operation(4)
def rewrite_with_its_old_time(world: World) -> Iterator[None]:
    path = world.a_file()
    before = os.stat(path)
    text = bytes(world.rng.choice(b"xyz") for _ in range(before.st_size % 5000))
    fill(path, text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    yield


@operation(5)
def save_by_renaming(world: World) -> Iterator[None]:
    path, text = world.a_path(), world.a_text()
    fill(path + b".new~" if len(path) % 2 else path + b".new", text)
    yield
    os.replace(path + b".new~" if len(path) % 2 else path + b".new", path)
    yield


@operation(4)
def change_and_back(world: World) -> Iterator[None]:
    path = world.a_file()
    with open(path, "rb") as file:
        text = file.read()
    fill(path, b"something else")
    yield
    fill(path, text)
    yield


@operation(3)
def make_and_delete(world: World) -> Iterator[None]:
    path = world.a_path()
    if os.path.lexists(path):
        raise FileExistsError(path)
    fill(path, b"a fleeting thing")
    yield
    os.unlink(path)
    yield


@operation(4)
def touch(world: World) -> Iterator[None]:
    os.utime(world.a_file() if world.rng.random() < 0.7 else world.a_folder())
    yield


@operation(3)
def chmod(world: World) -> Iterator[None]:
    if world.rng.random() < 0.7:
        os.chmod(world.a_file(), world.rng.choice([0o644, 0o600, 0o755]))
    else:
        os.chmod(world.a_folder(), world.rng.choice([0o755, 0o700]))
    yield


@operation(6)
def rename(world: World) -> Iterator[None]:
    os.rename(world.an_entry(), world.a_path())
    yield


@operation(3)
def exchange(world: World) -> Iterator[None]:
    one, other = world.a_file(), world.a_file()
    spare = os.path.join(world.outside, b"spare")
    os.rename(one, spare)
    yield
    os.rename(other, one)
    yield
    os.rename(spare, other)
    yield


@operation(6)
def delete(world: World) -> Iterator[None]:
    os.unlink(world.an_entry())
    yield


@operation(1)
def append_without_pause(world: World) -> Iterator[None]:
    path = world.a_file()
    for _ in range(150):
        with open(path, "ab") as file:
            file.write(b"more\n")
    yield


# ---- folders ------------------------------------------------------------------------------------


@operation(10)
def mkdir_deep(world: World) -> Iterator[None]:
    folder = os.path.join(world.a_folder(), *world.rng.choices(NAMES, k=world.rng.randint(1, 4)))
    os.makedirs(folder, exist_ok=True)
    for name in world.rng.sample(NAMES, 3):
        fill(os.path.join(folder, name), world.rng.choice(TEXTS))
    yield


@operation(5)
def move_folder(world: World) -> Iterator[None]:
    os.rename(world.an_inner_folder(), world.a_path())
    yield


@operation(3)
def move_folder_over_another(world: World) -> Iterator[None]:
    folder, other = world.an_inner_folder(), world.an_inner_folder()
    if (other + b"/").startswith(folder + b"/") or (folder + b"/").startswith(other + b"/"):
        raise FileExistsError(other)
    shutil.rmtree(other)
    os.rename(folder, other)
    yield


@operation(4)
def move_folder_twice(world: World) -> Iterator[None]:
    folder, there = world.an_inner_folder(), world.a_path()
    os.rename(folder, there)
    fill(os.path.join(there, b"between.md"), world.rng.choice(TEXTS))
    os.rename(there, world.a_path())
    yield


@operation(5)
def move_folder_out(world: World) -> Iterator[None]:
    os.rename(world.an_inner_folder(), os.path.join(world.outside, world.rng.choice(NAMES)))
    yield


@operation(5)
def move_folder_in(world: World) -> Iterator[None]:
    path = world.a_path()
    os.rename(world.an_inner_folder(world.outside), path)
    if world.rng.random() < 0.5:
        yield
        fill(os.path.join(path, b"later.md"), world.rng.choice(TEXTS))
    yield


@operation(3)
def move_folder_out_and_back(world: World) -> Iterator[None]:
    folder, out = world.an_inner_folder(), os.path.join(world.outside, b"passing")
    os.rename(folder, out)
    yield
    os.rename(out, folder)
    yield


@operation(2)
def change_what_was_moved_out(world: World) -> Iterator[None]:
    fill(world.a_path(world.outside), world.a_text())
    yield


@operation(5)
def copy_folder(world: World) -> Iterator[None]:
    folder, there = world.an_inner_folder(), world.a_path()
    if there.startswith(folder + b"/"):
        raise FileExistsError(there)
    shutil.copytree(os.fsdecode(folder), os.fsdecode(there), symlinks=True)
    yield


@operation(2)
def remove_folder(world: World) -> Iterator[None]:
    shutil.rmtree(world.an_inner_folder())
    yield


@operation(3)
def remove_folder_and_make_it_again(world: World) -> Iterator[None]:
    folder = world.an_inner_folder()
    shutil.rmtree(folder)
    if world.rng.random() < 0.3:
        yield
    fill(os.path.join(folder, world.rng.choice(NAMES)), world.rng.choice(TEXTS))
    yield


@operation(3)
def check_out(world: World) -> Iterator[None]:
    """As git does: under its lock, files of another branch unlinked and made anew, folders gone and come."""
    base, branch = os.path.join(world.root, b"src"), world.rng.randrange(3)
    if not os.path.isdir(world.root):
        raise FileNotFoundError(world.root)
    lock = world.place / ".git/index.lock"
    lock.touch()
    try:
        for number in range(60):
            path = os.path.join(base, b"%d/%d" % (number % 7 + branch % 2, number % 3), b"%d.md" % number)
            with suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(path)
            if (number + branch) % 4:
                fill(path, b"branch %d" % (branch if number % 2 else 0))
    finally:
        lock.unlink()
    yield


@operation(1)
def flood(world: World) -> Iterator[None]:
    folder = world.a_folder()
    for number in count():
        path = os.path.join(folder, b"flood%d" % (number % 20))
        if number == 300:
            break
        fill(path, b"")
        os.unlink(path)
    fill(os.path.join(folder, b"after/the/flood.md"), world.rng.choice(TEXTS))
    yield


# ---- links and such -----------------------------------------------------------------------------


@operation(3, Trait.SILENT)
def link_to_a_file(world: World) -> Iterator[None]:
    target = world.a_file(world.rng.choice([world.root, world.outside]))
    os.symlink(target, world.a_path())
    yield


@operation(2)
def link_to_a_folder(world: World) -> Iterator[None]:
    os.symlink(world.rng.choice([world.a_folder(), b".", b"..", world.outside]), world.a_path())
    yield


@operation(2)
def link_to_nothing(world: World) -> Iterator[None]:
    path = world.a_path()
    os.symlink(world.rng.choice([b"no such thing", os.path.basename(path)]), path)
    yield


@operation(3, Trait.SILENT)
def hard_link(world: World) -> Iterator[None]:
    os.link(world.a_file(world.rng.choice([world.root, world.outside])), world.a_path())
    yield


@operation(2, Trait.SILENT)
def hard_link_outside(world: World) -> Iterator[None]:
    os.link(world.a_file(), os.path.join(world.outside, world.rng.choice(NAMES)))
    yield


@operation(2)
def fifo(world: World) -> Iterator[None]:
    os.mkfifo(world.a_path())
    yield


# ---- rules, roots, mounts, permissions ----------------------------------------------------------


@operation(2)
def change_the_rules(world: World) -> Iterator[None]:
    fill(os.path.join(world.a_folder(), b".gitignore"), b"".join(world.rng.sample(RULES, 2)))
    yield


@operation(2)
def remove_the_rules(world: World) -> Iterator[None]:
    for folder in world.entries(world.root)[0]:
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(folder, b".gitignore"))
    yield


@operation(2)
def root_away(world: World) -> Iterator[None]:
    if os.path.lexists(world.away):
        raise FileExistsError(world.away)
    os.rename(world.root, world.away)
    yield
    if world.rng.random() < 0.3:
        os.mkdir(world.root)
        fill(os.path.join(world.root, b"another.md"), b"another root")
        yield


@operation(2)
def root_away_and_back(world: World) -> Iterator[None]:
    if os.path.lexists(world.away):
        raise FileExistsError(world.away)
    os.rename(world.root, world.away)
    yield
    world.root_back()
    yield


@operation(15)
def root_back(world: World) -> Iterator[None]:
    if not os.path.isdir(world.away):
        raise FileNotFoundError(world.away)
    world.root_back()
    yield


@operation(2, Trait.MOUNTS | Trait.SILENT)
def mount(world: World) -> Iterator[None]:
    folder = world.an_inner_folder()
    if len(world.mounts()) >= 3:
        raise FileExistsError(folder)
    world.mount(folder)
    yield
    if world.rng.random() < 0.8:
        fill(os.path.join(folder, world.rng.choice(NAMES)), world.rng.choice(TEXTS))
        yield


@operation(3, Trait.MOUNTS | Trait.SILENT)
def unmount(world: World) -> Iterator[None]:
    mounts = world.mounts()
    if not mounts:
        raise FileNotFoundError("no mount")
    eventually(lambda: world.unmount(mounts[0]), 20, f"{mounts[0]!r} can be unmounted", every=0.02)
    yield


@operation(3, Trait.PERMISSIONS)
def close_a_folder(world: World) -> Iterator[None]:
    os.chmod(world.an_inner_folder(), world.rng.choice([0, 0o100, 0o400]))
    yield


@operation(2, Trait.PERMISSIONS)
def close_a_file(world: World) -> Iterator[None]:
    os.chmod(world.a_file(), 0)
    yield


@operation(9, Trait.PERMISSIONS)
def open_everything(world: World) -> Iterator[None]:
    world.open_everything()
    yield


# ---- the daemon and its trainings ---------------------------------------------------------------


@operation(2)
def freeze_the_daemon(world: World) -> Iterator[None]:
    world.daemon.freeze()
    yield


@operation(8)
def thaw_the_daemon(world: World) -> Iterator[None]:
    world.daemon.thaw()
    yield


@operation(2)
def kill_the_daemon(world: World) -> Iterator[None]:
    world.daemon.kill()
    yield


@operation(2)
def kill_and_start_the_daemon(world: World) -> Iterator[None]:
    world.daemon.kill()
    world.daemon.start()
    yield


@operation(1)
def stop_the_daemon(world: World) -> Iterator[None]:
    world.daemon.stop()
    yield


@operation(12)
def start_the_daemon(world: World) -> Iterator[None]:
    world.daemon.start()
    yield


@operation(1)
def reload_the_daemon(world: World) -> Iterator[None]:
    world.daemon.reload()
    yield


@operation(30)
def during_a_training(world: World) -> Iterator[None]:
    """What the dice would rarely do: something while a training reads."""
    world.mode("slow")
    world.daemon.thaw()
    world.daemon.start()
    fill(os.path.join(world.a_folder(), b"new.md"), b"%d" % world.rng.randrange(1000))
    yield
    with suppress(AssertionError):
        eventually(lambda: _training(world), 3, "a training reads", every=0.02)
    yield
    yield from world.rng.choice(CHANGES)(world)


# Half of them are of no effect in the end, which is all the harder to see.
CHANGES: tuple[Act, ...] = (
    *(change_and_back,) * 4, *(make_and_delete,) * 2, *(move_folder_out_and_back,) * 2, *(root_away_and_back,) * 2,
    write, rewrite_with_its_old_time, touch, rename, exchange, delete, move_folder, move_folder_twice,
    move_folder_out, remove_folder_and_make_it_again,
)  # fmt: skip


@operation(1)
def kill_the_supervisor(world: World) -> Iterator[None]:
    _kill_process_of_run(world)
    yield


@operation(1)
def forget_the_cooldown(world: World) -> Iterator[None]:
    world.daemon.marker.unlink(missing_ok=True)
    yield


def _training(world: World) -> bool:
    try:
        last = (world.place / "trainings").read_text(encoding="ascii").splitlines()[-1]
    except (FileNotFoundError, IndexError):
        return False
    return bool(json.loads(last)["what"] == "began")


def _kill_process_of_run(world: World) -> None:
    """Only once the training itself runs: a start that comes to nothing is tried again after a minute."""
    try:
        record = json.loads(world.daemon.run_file.read_text(encoding="utf-8").split("\n")[0])
        last = json.loads((world.place / "trainings").read_text(encoding="ascii").splitlines()[-1])
        if last["what"] != "began" or last["run"] != record["invocation"] or record["result"]:
            return
        fd = os.pidfd_open(record["pid"])
    except (OSError, ValueError, IndexError):
        return
    try:
        signal.pidfd_send_signal(fd, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(fd)
