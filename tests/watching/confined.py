"""Scenes that need limits or mounts of their own: run in new namespaces, one a process.

unshare -Urm python -m watching.confined SCENE FOLDER
"""

from __future__ import annotations

import os
import subprocess
import sys
from logging import INFO, WARNING
from pathlib import Path

from watching.tree import INTERVAL, Tree

# What a scene ends with that this machine can't play.
IMPOSSIBLE = 77


def limit(what: str, number: int) -> None:
    try:
        Path(f"/proc/sys/user/{what}").write_text(str(number), encoding="ascii")
    except OSError as error:  # a container has it read-only
        print(error, file=sys.stderr)
        sys.exit(IMPOSSIBLE)


def too_few_watches(place: Path) -> None:
    for number in range(6):
        (place / f"docs/{number}").mkdir(parents=True)
    limit("max_inotify_watches", 3)
    tree = Tree(place, make=False, mode="auto")
    polls_until_it_may(tree, "max_inotify_watches")


def too_few_instances(place: Path) -> None:
    limit("max_inotify_instances", 0)
    tree = Tree(place, mode="auto")
    polls_until_it_may(tree, "max_inotify_instances")


def polls_until_it_may(tree: Tree, name: str) -> None:
    condition = tree.watcher.condition
    assert condition.mode == "polling", condition
    assert "limit" in condition.cause, condition
    assert "sysctl fs.inotify.max_user_" in condition.mend, condition
    assert tree.watcher.fileno() is None
    tree.write("a.md")
    assert not tree.hear()
    retries = [tree.watcher._retry_at]
    assert tree.later(60).everything is False  # tried again, in vain
    retries.append(tree.watcher._retry_at)
    assert retries == [1060, 1060 + 120]
    assert tree.later(INTERVAL).everything
    assert [level for level, _ in tree.said] == [WARNING], tree.said  # once
    assert tree.see().news == 1
    limit(name, 100)
    assert tree.later(3600).everything
    assert tree.watcher.condition.mode == "inotify"
    assert [level for level, _ in tree.said] == [WARNING, INFO], tree.said
    tree.write("b.md")
    assert tree.hear().count == 1
    tree.close()


def too_few_watches_later(place: Path) -> None:
    limit("max_inotify_watches", 4)
    tree = Tree(place, mode="auto")
    assert tree.watcher.fileno() is not None
    for number in range(6):
        tree.write(f"{number}/a.md")
    assert tree.hear().everything
    assert tree.watcher.condition.mode == "polling"
    assert tree.see().news == 6
    tree.close()


def inotify_or_nothing(place: Path) -> None:
    limit("max_inotify_instances", 0)
    tree = Tree(place, mode="inotify")
    assert "limit" in tree.watcher.condition.cause
    tree.write("a.md")
    tree.at += 10 * INTERVAL
    assert tree.see().news == 1
    tree.close()


def mount(where: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "none", where], check=True)


def unmounted_root(place: Path) -> None:
    docs = place / "docs"
    docs.mkdir()
    mount(docs)
    for mode in ("inotify", "poll"):
        tree = Tree(place, "inotify" if mode == "inotify" else "poll", make=False)
        tree.write("a.md", "text")
        tree.train()
        tree.write("a.md", f"owed by {mode}")
        tree.see()
        assert tree.pending() == {"a.md"}
        subprocess.run(["umount", docs], check=True)
        assert tree.see().absent == tuple(tree.roots)
        assert tree.snapshot.pending() is None
        # A file that somebody wrote in the folder underneath says nothing of those that were mounted.
        tree.write("stray.md")
        assert tree.see().absent == tuple(tree.roots)
        assert tree.snapshot.pending() is None
        (docs / "stray.md").unlink()
        mount(docs)
        tree.write("a.md", "text")
        tree.later(60)
        assert tree.see().absent == ()
        assert tree.snapshot.pending() is None
        tree.write("a.md", "new")
        tree.see()
        assert tree.pending() == {"a.md"}
        tree.close()


def mounted_inside(place: Path) -> None:
    tree = Tree(place)
    tree.write("sub/deep/a.md")
    tree.train()
    mount(tree.root / "sub")
    tree.write("sub/deep/b.md")
    assert not tree.hear()  # no event tells of a mount
    assert tree.later(10 * INTERVAL).everything
    tree.see()
    assert tree.pending() == {"sub/deep/a.md", "sub/deep/b.md"}
    tree.write("sub/deep/c.md")
    assert tree.hear().count == 1
    tree.close()


def on_a_network(place: Path) -> None:
    fake = place / "mountinfo"
    here = b"36 35 0:1 / / rw - ext4 none rw\n"
    far = b"37 36 0:2 / %s rw - nfs4 server:/ rw\n" % os.fsencode(place / "docs/far")
    fake.write_bytes(here)
    subprocess.run(["mount", "--bind", fake, f"/proc/{os.getpid()}/mountinfo"], check=True)
    tree = Tree(place, mode="auto")
    assert tree.watcher.fileno() is not None
    fake.write_bytes(here + far)
    assert tree.later(10 * INTERVAL).everything
    assert tree.watcher.condition.mode == "polling"
    assert tree.watcher.condition.cause.startswith(f"{place}/docs/far is on nfs4")
    tree.close()
    again = Tree(place / "again", mode="auto", roots=[place / "docs"])
    assert again.watcher.condition.mode == "polling"
    again.close()
    ignoring = Tree(place / "ignoring", mode="auto", roots=[place / "docs"], patterns=["/far/"])
    assert ignoring.watcher.condition.mode == "inotify"
    ignoring.close()


def moved_to_another_disk(place: Path) -> None:
    docs = place / "docs"
    docs.mkdir()
    mount(docs)
    tree = Tree(place, make=False)
    tree.write("a.md", "text")
    tree.write("b.md", "text")
    tree.train()
    subprocess.run(["umount", docs], check=True)
    tree.write("a.md", "text")
    tree.later(60)
    assert tree.see().absent == ()
    assert tree.pending() == {"b.md"}
    tree.close()


if __name__ == "__main__":
    globals()[sys.argv[1]](Path(sys.argv[2]))
