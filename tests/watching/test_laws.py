"""Whatever is done to a tree: hints lead to the same snapshot as a walk, and a walk to the truth."""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from training_watch.watching.snapshot import Snapshot
from watching.tree import Tree

NAMES = ["a", "b", "a!", "d", "x.swp", ".gitignore"]
PATHS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)
ACTS = st.one_of(
    st.tuples(st.just("write"), PATHS, st.sampled_from(["1", "2", "a\n", "d/\n", "!a\n"])),
    st.tuples(st.just("move"), PATHS, PATHS),
    st.tuples(st.sampled_from(["remove", "make", "out", "in", "touch"]), PATHS, st.just("")),
    st.tuples(st.sampled_from(["see", "begin", "end", "away", "back"]), st.just(""), st.just("")),
)


def act(tree: Tree, what: str, path: Path, other: str) -> None:
    outside = tree.root.with_name("outside")
    match what:
        case "write":
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(other)
        case "move":
            path.rename(tree.root / other)
        case "remove":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        case "make":
            path.mkdir(parents=True)
        case "out":
            path.rename(outside)
        case "in":
            outside.rename(path)
        case "touch":
            os.utime(path)
        case "away":
            tree.root.rename(tree.root.with_name("away"))
        case "back":
            tree.root.with_name("away").rename(tree.root)


def truth(tree: Tree) -> dict[bytes, bytes]:
    found = {}
    for folder, _, names in os.walk(tree.roots[0]):
        for name in names:
            path = os.path.join(folder, name)
            if stat.S_ISREG(os.lstat(path).st_mode) and not tree.ignore.ignored(path, is_folder=False):
                found[path] = blake2b(Path(os.fsdecode(path)).read_bytes(), digest_size=20).digest()
    return found


@settings(max_examples=60, deadline=None)
@given(acts=st.lists(ACTS, min_size=3, max_size=25))
def test_hints_lead_to_the_same_snapshot_as_a_walk(acts: list[tuple[str, str, str]]) -> None:
    with TemporaryDirectory() as place:
        tree = Tree(Path(place))
        running = False
        for what, path, other in acts:
            match what:
                case "see":
                    tree.see(running=running)
                case "begin" if not running:
                    tree.begin()
                    running = True
                case "end" if running:
                    tree.see_all(running=True)
                    tree.snapshot.succeed()
                    running = False
                case _:
                    with suppress(OSError):
                        act(tree, what, tree.root / path, other)
        with suppress(OSError):
            act(tree, "back", tree.root, "")
        tree.hear()
        tree.later(60)
        tree.see()
        hinted = tree.known()
        tree.ignore.forget()
        assert hinted == truth(tree)
        tree.see_all()
        assert tree.known() == hinted
        tree.train()
        tree.close()


EDITS = st.lists(st.tuples(st.sampled_from(["a", "d/b"]), st.sampled_from(["1", "2", ""])), max_size=2)
# Edits, whether the paths are right when a run begins; edits during it, whether they are right at its end, and how it ended.
RUNS = st.tuples(EDITS, st.booleans(), EDITS, st.booleans(), st.booleans())


def edit(tree: Tree, edits: list[tuple[str, str]]) -> set[bytes]:
    for name, text in edits:
        if text:
            tree.write(name, text)
        else:
            (tree.root / name).unlink(missing_ok=True)
    return {os.fsencode(tree.root / name) for name, _ in edits}


@settings(max_examples=150, deadline=None)
@given(runs=st.lists(RUNS, min_size=1, max_size=5), last=EDITS)
def test_what_the_last_good_run_can_not_be_sure_to_have_read_is_pending(
    runs: list[tuple[list[tuple[str, str]], bool, list[tuple[str, str]], bool, bool]],
    last: list[tuple[str, str]],
) -> None:
    """Also where the folder was in no path for a time. What comes and goes between two looks is for the hints to tell."""
    with TemporaryDirectory() as place:
        tree = Tree(Path(place))
        right = tree.snapshot
        slip = Snapshot(tree.connection, "docs.service", [tree.roots[0] + b"-typo"], tree.ignore)
        read, unsure = dict[bytes, bytes](), set[bytes]()
        for before, begins_right, during, ends_right, succeeds in runs:
            edit(tree, before)
            tree.snapshot = right if begins_right else slip
            tree.begin()
            reading = truth(tree) if begins_right else {}
            touched = edit(tree, during)
            tree.snapshot = right if ends_right else slip
            tree.see_all(running=True)
            if succeeds:
                tree.snapshot.succeed()
                found = truth(tree) if ends_right else {}
                read, unsure = reading, touched & (reading.keys() | found.keys())
            else:
                tree.snapshot.fail()
        edit(tree, last)
        tree.snapshot = right
        tree.see_all()
        now = truth(tree)
        owed = unsure | {path for path in now.keys() | read.keys() if now.get(path) != read.get(path)}
        assert {os.path.relpath(os.fsdecode(path), tree.root) for path in owed} <= tree.pending()
        tree.close()
