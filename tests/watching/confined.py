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
    condition = tree.watcher.condition
    assert (condition.mode, condition.folders) == ("inotify", 3), condition
    (gap,) = condition.gaps
    assert len(gap.folders) == 4
    assert "limit of 3 watches" in gap.cause
    assert "sysctl fs.inotify.max_user_watches=" in gap.mend
    for number in range(6):
        tree.write(f"{number}/a.md")
    heard = tree.hear()
    assert not heard.doubtful
    assert len(heard.folders) == 2  # what is watched stays watched
    assert tree.later(INTERVAL).trees == set(gap.folders)  # the rest is polled
    assert tree.see().news == 6
    heals(tree, "max_inotify_watches")


def too_few_instances(place: Path) -> None:
    limit("max_inotify_instances", 0)
    tree = Tree(place, mode="auto")
    condition = tree.watcher.condition
    assert condition.mode == "polling", condition
    assert "limit" in condition.cause, condition
    assert "sysctl fs.inotify.max_user_" in condition.mend, condition
    tree.write("a.md")
    assert not tree.hear()
    assert tree.later(INTERVAL).everything
    assert tree.see().news == 1
    heals(tree, "max_inotify_instances")


def heals(tree: Tree, name: str) -> None:
    """It is tried again, ever more rarely; said once; and when the cause has gone it is over, and said."""
    pauses = []
    for _ in range(4):
        due = tree.watcher._retry_at
        assert due is not None
        tree.at = due
        tree.watcher.read(tree.at)
        assert tree.watcher._retry_at is not None
        pauses.append(tree.watcher._retry_at - due)
    assert pauses == sorted(pauses)
    assert pauses[-1] >= 240
    assert [level for level, _ in tree.said] == [WARNING], tree.said
    limit(name, 100)
    assert tree.later(3600).doubtful
    assert tree.watcher.condition.mode == "inotify"
    assert tree.watcher.condition.gaps == ()
    assert [level for level, _ in tree.said] == [WARNING, INFO], tree.said
    tree.write("0/b.md")
    assert b"b.md" in tree.hear().folders.get(os.fsencode(tree.root / "0"), set()) or tree.see().news == 1
    tree.close()


def too_few_watches_later(place: Path) -> None:
    limit("max_inotify_watches", 4 + len(place.parts))  # one for each folder above
    tree = Tree(place, mode="auto")
    for number in range(6):
        tree.write(f"{number}/a.md")
    tree.hear()
    (gap,) = tree.watcher.condition.gaps
    assert len(gap.folders) == 3
    assert tree.see().news == 6  # a new folder is looked into whether it can be watched or not
    for number in range(6):
        tree.write(f"{number}/b.md")
    tree.later(INTERVAL)
    assert tree.see().news == 6
    tree.close()


def no_watch_at_all(place: Path) -> None:
    (place / "docs/sub").mkdir(parents=True)
    limit("max_inotify_watches", 0)
    tree = Tree(place, make=False, mode="auto")
    condition = tree.watcher.condition
    assert (condition.mode, condition.folders) == ("polling", 0), condition
    tree.write("sub/a.md")
    assert tree.later(INTERVAL).doubtful
    assert tree.see().news == 1
    limit("max_inotify_watches", 100)
    tree.later(120)
    assert tree.watcher.condition.folders == 2
    tree.close()


def gaps_go_with_their_folders(place: Path) -> None:
    for number in range(6):
        (place / f"docs/{number}").mkdir(parents=True)
    limit("max_inotify_watches", 3)
    tree = Tree(place, make=False, mode="auto")
    for number in range(6):
        (tree.root / f"{number}").rmdir()
    tree.hear()
    assert tree.watcher.condition.gaps == ()
    tree.write("new/a.md")
    assert tree.see().news == 1
    assert tree.watcher.condition.folders == 2
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
    tree = Tree(place, mode="auto")
    tree.write("sub/deep/a.md")
    tree.train()
    mount(tree.root / "sub")
    assert "mounted" in tree.hear().cause
    tree.write("sub/deep/b.md")
    tree.see()
    assert tree.pending() == {"sub/deep/a.md", "sub/deep/b.md"}
    tree.write("sub/deep/c.md")
    assert tree.hear().count == 1
    tree.train()
    subprocess.run(["umount", tree.root / "sub"], check=True)
    assert tree.hear().everything
    tree.see()
    assert tree.pending() == {
        "sub/deep/a.md",
        "sub/deep/b.md",
        "sub/deep/c.md",
    }  # the folder underneath has files
    tree.write("sub/deep/a.md", "watched again")
    assert tree.hear().count == 1
    tree.close()


def unmounted_inside(place: Path) -> None:
    for mode in ("inotify", "poll"):
        tree = Tree(place / mode, "inotify" if mode == "inotify" else "poll")
        sub = tree.root / "sub"
        sub.mkdir()
        mount(sub)
        tree.write("sub/deep/a.md")
        tree.write("b.md")
        tree.train()
        tree.write("sub/deep/a.md", "owed")
        tree.see()
        subprocess.run(["umount", sub], check=True)
        tree.hear()
        assert tree.see().absent == (os.fsencode(sub),)
        assert tree.snapshot.pending() is None  # an empty folder where something was mounted is no deletion
        tree.write("b.md", "changed")
        tree.see()
        pending = tree.snapshot.pending()
        assert pending is not None
        assert pending.sample == (os.fsencode(tree.root / "b.md"),)
        mount(sub)
        tree.write("sub/deep/a.md", "text")
        tree.hear()
        assert tree.see_all().absent == ()
        assert tree.pending() == {"b.md"}
        subprocess.run(["umount", sub], check=True)
        sub.rmdir()  # without its folder it is gone for good
        tree.hear()
        tree.see_all()
        assert tree.pending() == {"b.md", "sub/deep/a.md"}
        tree.close()


def on_a_network(place: Path) -> None:
    fake = place / "mountinfo"
    here = b"36 35 0:1 / / rw - ext4 none rw\n"
    far = b"37 36 0:2 / %s rw - nfs4 server:/ rw\n" % os.fsencode(place / "docs/far")
    fake.write_bytes(here)
    subprocess.run(["mount", "--bind", fake, f"/proc/{os.getpid()}/mountinfo"], check=True)
    tree = Tree(place, mode="auto")
    tree.write("far/a.md")
    tree.write("near/a.md")
    tree.train()
    assert tree.watcher.condition.folders == 3
    fake.write_bytes(here + far)
    assert tree.later(10 * INTERVAL).everything
    (gap,) = tree.watcher.condition.gaps
    assert gap.folders == (os.fsencode(place / "docs/far"),)
    assert "nfs4" in gap.cause
    assert tree.watcher.condition.folders == 2
    tree.see()
    tree.write("far/a.md", "from another machine")
    assert not tree.hear()
    tree.write("near/a.md", "from here")
    assert tree.hear().count == 1
    assert tree.later(INTERVAL).trees == set(gap.folders)
    tree.see()
    assert tree.pending() == {"far/a.md", "near/a.md"}
    tree.close()
    fake.write_bytes(b"36 35 0:1 / / rw - nfs4 server:/ rw\n")
    all_of_it = Tree(place / "again", mode="auto", roots=[place / "docs"])
    assert all_of_it.watcher.condition.mode == "polling"
    assert all_of_it.later(INTERVAL).doubtful
    all_of_it.close()
    fake.write_bytes(here + far)
    ignoring = Tree(place / "ignoring", mode="auto", roots=[place / "docs"], patterns=["/far/"])
    assert ignoring.watcher.condition.gaps == ()
    ignoring.close()
    told = Tree(place / "told", mode="inotify", roots=[place / "docs"])
    assert told.watcher.condition.gaps == ()
    told.close()


def partly_seen(place: Path) -> None:
    fake = place / "mountinfo"
    fuse = b"37 36 0:2 / %s rw - fuse.gocryptfs x rw\n" % os.fsencode(place / "docs/vault")
    fake.write_bytes(b"36 35 0:1 / / rw - ext4 none rw\n" + fuse)
    subprocess.run(["mount", "--bind", fake, f"/proc/{os.getpid()}/mountinfo"], check=True)
    tree = Tree(place, mode="auto")
    tree.write("vault/a.md")
    assert tree.hear().count == 1
    assert tree.watcher.condition.gaps == ()
    assert tree.later(INTERVAL).trees == {os.fsencode(place / "docs/vault")}
    tree.close()


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
