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
