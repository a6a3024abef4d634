"""Scenes with mounts, each on one back end: run in new namespaces, one a process.

unshare -Urm python -m watching.mounted SCENE inotify|poll FOLDER
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from watching.tree import INTERVAL, Backend, Tree

# What a scene ends with that this machine can't play.
IMPOSSIBLE = 77
SCENES: dict[str, Callable[[Backend, Path], None]] = {}


def scene(play: Callable[[Backend, Path], None]) -> Callable[[Backend, Path], None]:
    SCENES[play.__name__] = play
    return play


def mount(*words: str | Path) -> None:
    done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        sys.exit(IMPOSSIBLE)


def unmount(*words: str | Path) -> None:
    subprocess.run(["umount", *words], check=True)


def in_time(tree: Tree) -> None:
    """What no event tells of is found by the regular comparison."""
    tree.later(10 * INTERVAL)
    tree.see()


def with_files(place: Path, backend: Backend, *names: str) -> Tree:
    tree = Tree(place, backend, make=not (place / "docs").exists())
    for name in names:
        tree.write(name, f"text of {name}")
    tree.train()
    return tree


@scene
def a_folder_bound_into_the_tree_is_seen_at_once_whoever_writes_to_it(backend: Backend, place: Path) -> None:
    source = place / "source"
    (source / "deep").mkdir(parents=True)
    (source / "deep/a.md").write_text("one")
    (place / "docs/bound").mkdir(parents=True)
    mount("--bind", source, place / "docs/bound")
    tree = with_files(place, backend)
    (source / "deep/a.md").write_text("two")
    tree.see()
    assert tree.pending() == {"bound/deep/a.md"}
    (source / "new.md").write_text("new")
    tree.see()
    assert tree.pending() == {"bound/deep/a.md", "bound/new.md"}


@scene
def a_part_of_the_tree_bound_to_a_second_place_in_it_is_found_at_both_in_time(
    backend: Backend, place: Path
) -> None:
    tree = with_files(place, backend, "sub/a.md")
    (tree.root / "twin").mkdir()
    mount("--bind", tree.root / "sub", tree.root / "twin")
    in_time(tree)
    assert tree.pending() == {"twin/a.md"}
    tree.train()
    for text in ("two", "three"):
        tree.write("sub/a.md", text)
        tree.see()
        assert tree.pending()
        in_time(tree)
        assert tree.pending() == {"sub/a.md", "twin/a.md"}
        tree.train()
        in_time(tree)
        assert tree.pending() == set()


@scene
def a_tree_bound_into_itself_comes_to_an_end(backend: Backend, place: Path) -> None:
    tree = with_files(place, backend, "a.md")
    (tree.root / "self").mkdir()
    mount("--bind", tree.root, tree.root / "self")
    in_time(tree)
    assert tree.pending() == {"self/a.md"}
    tree.train()
    tree.write("a.md", "changed")
    in_time(tree)
    assert tree.pending() == {"a.md", "self/a.md"}


@scene
def a_file_bound_over_another_is_found_in_time(backend: Backend, place: Path) -> None:
    tree = with_files(place, backend, "a.md")
    (place / "other").write_text("other")
    mount("--bind", place / "other", tree.root / "a.md")
    in_time(tree)
    assert tree.pending() == {"a.md"}
    unmount(tree.root / "a.md")
    in_time(tree)
    assert tree.pending() == set()


@scene
def a_change_on_an_overlay_is_seen_when_its_file_is_copied_up(backend: Backend, place: Path) -> None:
    for name in ("lower/sub", "upper", "work", "docs"):
        (place / name).mkdir(parents=True)
    for name in ("a.md", "b.md", "sub/c.md"):
        (place / "lower" / name).write_text(f"text of {name}")
    layers = f"lowerdir={place}/lower,upperdir={place}/upper,workdir={place}/work"
    mount("-t", "overlay", "-o", f"{layers},userxattr", "overlay", place / "docs")
    tree = with_files(place, backend)
    (tree.root / "b.md").chmod(0o600)  # copied up with the same text
    assert tree.see().news == 0
    with (tree.root / "a.md").open("a") as file:
        file.write(", changed")
    tree.see()
    assert tree.pending() == {"a.md"}
    (tree.root / "sub/c.md").unlink()
    tree.see()
    assert tree.pending() == {"a.md", "sub/c.md"}


@scene
def a_mount_over_the_root_is_what_counts_until_it_goes(backend: Backend, place: Path) -> None:
    tree = with_files(place, backend, "a.md", "b.md")
    mount("-t", "tmpfs", "none", tree.root)
    tree.write("a.md", "text of a.md")
    tree.later(60)
    tree.see()
    assert tree.pending() == {"b.md"}
    tree.write("a.md", "changed")
    tree.see()
    assert tree.pending() == {"a.md", "b.md"}
    unmount(tree.root)
    tree.later(60)
    tree.see()
    assert tree.pending() == set()
    tree.write("b.md", "changed")
    tree.see()
    assert tree.pending() == {"b.md"}


@scene
def a_root_unmounted_lazily_while_somebody_holds_a_file_is_absent_within_a_minute(
    backend: Backend, place: Path
) -> None:
    (place / "docs").mkdir()
    mount("-t", "tmpfs", "none", place / "docs")
    tree = with_files(place, backend, "a.md")
    with (tree.root / "a.md").open("ab", buffering=0) as held:
        unmount("-l", tree.root)
        held.write(b"nobody can see this any more")
        tree.later(60)
        assert tree.see().absent == tuple(tree.roots)
        assert tree.snapshot.pending() is None
    tree.later(60)
    assert tree.see().absent == tuple(tree.roots)


@scene
def a_root_remounted_read_only_is_no_change(backend: Backend, place: Path) -> None:
    (place / "docs").mkdir()
    mount("-t", "tmpfs", "none", place / "docs")
    tree = with_files(place, backend, "a.md", "sub/b.md")
    mount("-o", "remount,bind,ro", tree.root)
    in_time(tree)
    assert tree.pending() == set()
    mount("-o", "remount,bind,rw", tree.root)
    tree.write("sub/b.md", "changed")
    tree.see()
    assert tree.pending() == {"sub/b.md"}


@scene
def a_mount_in_an_ignored_folder_is_nobody_s_business(backend: Backend, place: Path) -> None:
    tree = with_files(place, backend, "a.md")
    (tree.root / "__pycache__").mkdir()
    mount("-t", "tmpfs", "none", tree.root / "__pycache__")
    tree.write("__pycache__/x.md")
    in_time(tree)
    assert tree.pending() == set()
    unmount(tree.root / "__pycache__")
    in_time(tree)
    assert tree.pending() == set()


@scene
def a_mount_that_appears_in_the_tree_is_watched_in_time(backend: Backend, place: Path) -> None:
    tree = with_files(place, backend, "a.md", "sub/b.md")
    (tree.root / "disk").mkdir()
    mount("-t", "tmpfs", "none", tree.root / "disk")
    tree.write("disk/deep/c.md")
    in_time(tree)
    assert tree.pending() == {"disk/deep/c.md"}
    tree.train()
    tree.write("disk/deep/c.md", "changed")
    tree.see()
    assert tree.pending() == {"disk/deep/c.md"}


@scene
def a_mount_in_the_tree_that_vanishes_and_comes_back_unchanged_is_no_change(
    backend: Backend, place: Path
) -> None:
    (place / "docs/disk").mkdir(parents=True)
    mount("-t", "tmpfs", "none", place / "docs/disk")
    tree = with_files(place, backend, "a.md", "disk/deep/b.md")
    unmount(tree.root / "disk")
    tree.see()
    in_time(tree)
    mount("-t", "tmpfs", "none", tree.root / "disk")
    tree.write("disk/deep/b.md", "text of disk/deep/b.md")
    in_time(tree)
    assert tree.pending() == set()


@scene
def what_tells_of_some_changes_only_is_watched_and_compared_as_often_as_a_polled_tree(
    backend: Backend, place: Path
) -> None:
    (place / "docs").mkdir()
    fake = place / "mountinfo"
    fake.write_bytes(
        b"36 35 0:1 / / rw - ext4 none rw\n"
        b"37 36 0:2 / %s rw - fuse.gocryptfs none rw\n" % os.fsencode(place / "docs")
    )
    mount("--bind", fake, f"/proc/{os.getpid()}/mountinfo")
    tree = Tree(place, backend, make=False, mode="poll" if backend == "poll" else "auto")
    assert tree.watcher.condition.mode == ("polling" if backend == "poll" else "inotify")
    tree.write("a.md")
    assert backend == "poll" or tree.hear()
    assert tree.later(INTERVAL).doubtful


@scene
def a_mount_in_the_tree_that_vanishes_is_no_deletion(backend: Backend, place: Path) -> None:
    (place / "docs/disk").mkdir(parents=True)
    mount("-t", "tmpfs", "none", place / "docs/disk")
    tree = with_files(place, backend, "a.md", "disk/deep/b.md")
    unmount(tree.root / "disk")
    tree.see()
    in_time(tree)
    assert tree.pending() == set()
    tree.write("a.md", "changed")
    tree.see()
    assert tree.pending() == {"a.md"}
    tree.train()
    mount("-t", "tmpfs", "none", tree.root / "disk")
    tree.write("disk/deep/b.md", "text of disk/deep/b.md")
    in_time(tree)
    assert tree.pending() in (set(), {"disk/deep/b.md"})  # a run that couldn't read it may owe it
    tree.train()
    tree.write("disk/deep/b.md", "changed")
    tree.see()
    assert tree.pending() == {"disk/deep/b.md"}


@scene
def a_mount_below_the_tree_in_an_unmounted_one_is_no_deletion_either(backend: Backend, place: Path) -> None:
    (place / "docs/disk").mkdir(parents=True)
    mount("-t", "tmpfs", "none", place / "docs/disk")
    (place / "docs/disk/inner").mkdir()
    mount("-t", "tmpfs", "none", place / "docs/disk/inner")
    tree = with_files(place, backend, "a.md", "disk/b.md", "disk/inner/c.md")
    unmount(tree.root / "disk/inner")
    unmount(tree.root / "disk")
    in_time(tree)
    assert tree.pending() == set()


if __name__ == "__main__":
    chosen: Backend = "poll" if sys.argv[2] == "poll" else "inotify"
    SCENES[sys.argv[1]](chosen, Path(sys.argv[3]))
