"""What git does to a tree: with its own folder nothing, with the work tree what the files say."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from watching.tree import INTERVAL, Backend, Tree

NAMES = ("a.md", "b.md", "sub/c.md", "sub/deep/d.md")
HERMETIC = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
SETTINGS = (
    "user.name=x",
    "user.email=x@y",
    "init.defaultBranch=main",
    "protocol.file.allow=always",
    "gc.auto=0",
)


def git(top: Path, *words: str) -> None:
    settings = [word for setting in SETTINGS for word in ("-c", setting)]
    subprocess.run(["git", *settings, *words], cwd=top, env=HERMETIC, check=True, capture_output=True)


@pytest.fixture
def repository(tree: Tree) -> Tree:
    """The tree as a work tree on `main`, and a branch `side` where a.md differs and new.md is new."""
    top = tree.root
    git(top, "init")
    git(top, "add", ".")
    git(top, "commit", "-m", "first")
    git(top, "checkout", "-b", "side")
    tree.write("a.md", "text of the side")
    tree.write("new.md")
    git(top, "add", ".")
    git(top, "commit", "-m", "second")
    git(top, "checkout", "main")
    tree.train()
    return tree


def test_what_git_does_to_its_own_folder_is_not_even_a_hint(repository: Tree) -> None:
    for words in (
        "status",
        "commit --allow-empty -m x",
        "tag t",
        "branch other",
        "gc",
        "repack -ad",
        "fetch .",
    ):
        git(repository.root, *words.split())
        assert repository.backend == "poll" or not repository.hear(), words
        assert repository.see().news == 0


def test_a_commit_of_what_was_trained_is_no_change(repository: Tree) -> None:
    repository.write("b.md", "new")
    repository.train()
    git(repository.root, "commit", "-am", "trained already")
    repository.see()
    assert repository.pending() == set()


def test_a_checkout_is_the_files_that_differ_and_back_again_is_nothing(repository: Tree) -> None:
    git(repository.root, "checkout", "side")
    repository.see()
    assert repository.pending() == {"a.md", "new.md"}
    git(repository.root, "checkout", "main")
    repository.see()
    assert repository.pending() == set()


def test_a_checkout_and_back_between_two_looks_is_nothing(repository: Tree) -> None:
    git(repository.root, "checkout", "side")
    git(repository.root, "checkout", "main")
    repository.see()
    assert repository.pending() == set()


def test_a_stash_takes_the_edit_away_and_a_pop_brings_it_back(repository: Tree) -> None:
    repository.write("b.md", "edited")
    repository.write("untracked.md")
    repository.see()
    git(repository.root, "stash", "-u")
    repository.see()
    assert repository.pending() == set()
    git(repository.root, "stash", "pop")
    repository.see()
    assert repository.pending() == {"b.md", "untracked.md"}


def test_a_reset_that_throws_the_edit_away_is_nothing(repository: Tree) -> None:
    repository.write("b.md", "edited")
    repository.see()
    git(repository.root, "reset", "--hard")
    repository.see()
    assert repository.pending() == set()


def test_a_rebase_is_what_it_leaves_behind(repository: Tree) -> None:
    repository.write("b.md", "on main")
    git(repository.root, "commit", "-am", "third")
    git(repository.root, "checkout", "side")
    repository.train()
    git(repository.root, "rebase", "main")
    repository.see()
    assert repository.pending() == {"b.md"}
    git(repository.root, "reset", "--hard", "ORIG_HEAD")
    repository.see()
    assert repository.pending() == set()


def test_a_checkout_of_two_thousand_files_is_seen_whole(repository: Tree) -> None:
    git(repository.root, "checkout", "side")
    names = {f"many/{number % 40}/{number}.md" for number in range(2000)}
    for name in names:
        repository.write(name, name)
    git(repository.root, "add", ".")
    git(repository.root, "commit", "-m", "many")
    git(repository.root, "checkout", "main")
    repository.train()
    git(repository.root, "checkout", "side")
    repository.see()
    assert repository.pending() == {"a.md", "new.md", *names}


def test_moves_and_removals_by_git_are_what_they_are(repository: Tree) -> None:
    git(repository.root, "mv", "sub", "moved")
    git(repository.root, "rm", "a.md")
    repository.see()
    assert repository.pending() == {
        "a.md", "sub/c.md", "sub/deep/d.md", "moved/c.md", "moved/deep/d.md",
    }  # fmt: skip


def test_a_clone_inside_the_tree_is_content_but_for_its_git_folder(repository: Tree, tmp_path: Path) -> None:
    git(tmp_path, "clone", str(repository.root), str(repository.root / "clone"))
    repository.see()
    assert repository.pending() == {f"clone/{name}" for name in NAMES}
    repository.train()
    git(repository.root / "clone", "commit", "--allow-empty", "-m", "x")
    assert repository.see().news == 0
    repository.write("clone/sub/c.md", "changed")
    repository.see()
    assert repository.pending() == {"clone/sub/c.md"}


def test_a_work_tree_inside_the_tree_is_content_but_for_its_git_file(repository: Tree) -> None:
    git(repository.root, "worktree", "add", "other", "side")
    repository.see()
    assert repository.pending() == {f"other/{name}" for name in (*NAMES, "new.md")}
    git(repository.root, "worktree", "remove", "other")
    repository.see()
    assert repository.pending() == set()


def test_a_submodule_is_content_but_for_its_git_file(repository: Tree, tmp_path: Path) -> None:
    git(tmp_path, "clone", str(repository.root), str(tmp_path / "library"))
    git(repository.root, "submodule", "add", str(tmp_path / "library"), "library")
    repository.see()
    assert repository.pending() == {".gitmodules", *(f"library/{name}" for name in NAMES)}
    repository.train()
    git(repository.root, "submodule", "deinit", "-f", "library")
    repository.see()
    assert repository.pending() == {f"library/{name}" for name in NAMES}


# ---- rules that are not in the tree -------------------------------------------------------------


def test_rules_in_the_repository_s_own_folder_are_read_again_in_time(repository: Tree) -> None:
    exclude = repository.root / ".git/info/exclude"
    exclude.write_text("*.log\n")
    repository.later(10 * INTERVAL)
    repository.write("x.log")
    repository.see()
    assert repository.pending() == set()
    exclude.write_text("")
    repository.later(10 * INTERVAL)
    repository.see()
    assert repository.pending() == {"x.log"}


def test_rules_above_the_root_are_read_again_in_time(tmp_path: Path, backend: Backend) -> None:
    git(tmp_path, "init")
    (tmp_path / ".gitignore").write_text("docs/*.log\n")
    tree = Tree(tmp_path, backend)
    tree.write("x.log")
    tree.train()
    assert tree.known() == {}
    (tmp_path / ".gitignore").write_text("")
    tree.later(10 * INTERVAL)
    tree.see()
    assert tree.pending() == {"x.log"}
    tree.close()
