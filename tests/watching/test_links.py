"""Symbolic links: in the tree, out of it, above it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from watching.tree import INTERVAL, Backend, Tree


def in_time(tree: Tree) -> None:
    """What no event tells of is found by the regular comparison."""
    tree.later(10 * INTERVAL)
    tree.see()


def switch(link: Path, target: str | Path) -> None:
    """As `ln -s` to a new name and `mv -T` over the old one."""
    new = link.with_name("switching")
    new.symlink_to(target)
    new.rename(link)


def test_a_link_in_a_file_s_place_is_a_change_even_if_it_leads_to_the_same_text(
    tree: Tree, tmp_path: Path
) -> None:
    (tree.root / "a.md").rename(tmp_path / "a.md")
    (tree.root / "a.md").symlink_to(tmp_path / "a.md")
    tree.see()
    assert tree.pending() == {"a.md"}
    (tmp_path / "a.md").rename(tree.root / "a.md")
    tree.see()
    assert tree.pending() == set()


def test_a_link_in_a_folder_s_place_is_not_gone_into(tree: Tree, tmp_path: Path) -> None:
    (tree.root / "sub").rename(tmp_path / "sub")
    (tree.root / "sub").symlink_to(tmp_path / "sub")
    tree.see()
    assert tree.pending() == {"sub", "sub/c.md", "sub/deep/d.md"}
    tree.train()
    (tmp_path / "sub/c.md").write_text("not in the tree")
    assert tree.backend == "poll" or not tree.hear()
    assert tree.see().news == 0
    (tree.root / "sub").unlink()
    (tmp_path / "sub").rename(tree.root / "sub")
    tree.see()
    assert tree.pending() == {"sub", "sub/c.md", "sub/deep/d.md"}


def test_a_link_switched_to_another_file_is_a_change(tree: Tree) -> None:
    (tree.root / "current.md").symlink_to("a.md")
    tree.train()
    switch(tree.root / "current.md", "b.md")
    tree.see()
    assert tree.pending() == {"current.md"}
    switch(tree.root / "current.md", "a.md")
    tree.see()
    assert tree.pending() == set()


def test_what_a_link_leads_to_is_followed_over_any_number_of_links(tree: Tree, tmp_path: Path) -> None:
    (tmp_path / "target.md").write_text("one")
    (tmp_path / "second").symlink_to("target.md")
    (tmp_path / "first").symlink_to("second")
    (tree.root / "link.md").symlink_to(tmp_path / "first")
    tree.train()
    (tmp_path / "target.md").write_text("two")
    in_time(tree)
    assert tree.pending() == {"link.md"}
    tree.train()
    (tmp_path / "other.md").write_text("three")
    switch(tmp_path / "second", "other.md")
    in_time(tree)
    assert tree.pending() == {"link.md"}


def test_a_target_that_is_saved_by_renaming_or_comes_or_goes_is_found_in_time(
    tree: Tree, tmp_path: Path
) -> None:
    target = tmp_path / "target.md"
    (tree.root / "link.md").symlink_to(target)
    tree.train()
    target.write_text("it came")
    in_time(tree)
    assert tree.pending() == {"link.md"}
    tree.train()
    (tmp_path / "new").write_text("replaced")
    (tmp_path / "new").rename(target)
    in_time(tree)
    assert tree.pending() == {"link.md"}
    tree.train()
    target.unlink()
    in_time(tree)
    assert tree.pending() == {"link.md"}


def test_a_file_that_a_link_in_the_tree_leads_to_is_trained_once(tree: Tree) -> None:
    (tree.root / "link.md").symlink_to("a.md")
    tree.train()
    tree.write("a.md", "new")
    tree.see()
    assert "a.md" in tree.pending()
    tree.train()
    in_time(tree)
    assert tree.pending() == set()


def test_a_link_to_what_would_block_or_never_end_is_a_name_alone(tree: Tree, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tree.root / "fifo").symlink_to(tmp_path / "fifo")
    (tree.root / "zero").symlink_to("/dev/zero")
    (tree.root / "terminal").symlink_to("/dev/tty")
    (tree.root / "process").symlink_to("/proc/self/fd")
    tree.see()
    assert tree.pending() == {"fifo", "zero", "terminal", "process"}
    tree.train()


def test_a_socket_is_no_content(tree: Tree) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        (tree.root / "b.md").unlink()
        here = os.open(tree.root, os.O_PATH)
        listening.bind(f"/proc/self/fd/{here}/b.md")  # a socket's path has at most 107 bytes (unix(7))
        os.close(here)
        tree.see()
    assert tree.pending() == {"b.md"}
    assert tree.see_all().unreadable == 0


# ---- above the root -----------------------------------------------------------------------------


@pytest.fixture
def released(tmp_path: Path, backend: Backend) -> Tree:
    """A root below a link, as deployments make them: current -> v1, and `current/docs` is watched."""
    for version in ("v1", "v2"):
        (tmp_path / version / "docs/sub").mkdir(parents=True)
        (tmp_path / version / "docs/a.md").write_text(version)
        (tmp_path / version / "docs/sub/b.md").write_text("the same in both")
    (tmp_path / "current").symlink_to("v1")
    tree = Tree(tmp_path, backend, make=False, roots=[tmp_path / "current/docs"])
    tree.root = tmp_path / "current/docs"
    tree.train()
    return tree


def test_a_link_above_the_root_that_is_switched_is_followed_within_a_minute(
    released: Tree, tmp_path: Path
) -> None:
    switch(tmp_path / "current", "v2")
    released.later(60)
    released.see()
    assert released.pending() == {"a.md"}
    released.train()
    (tmp_path / "v1/docs/a.md").write_text("no longer watched")
    assert released.see().news == 0
    (tmp_path / "v2/docs/sub/b.md").write_text("watched")
    released.see()
    assert released.pending() == {"sub/b.md"}
    released.close()


def test_a_link_above_the_root_that_leads_nowhere_makes_it_absent(released: Tree, tmp_path: Path) -> None:
    switch(tmp_path / "current", "v3")
    released.later(60)
    assert released.see().absent == tuple(released.roots)
    assert released.snapshot.pending() is None
    (tmp_path / "v2").rename(tmp_path / "v3")
    released.later(60)
    assert released.see().absent == ()
    assert released.pending() == {"a.md"}
    released.close()


def test_a_folder_that_two_roots_lead_to_is_seen_by_both_names(tmp_path: Path, backend: Backend) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "other").symlink_to("docs")
    tree = Tree(tmp_path, backend, make=False, roots=[tmp_path / "docs", tmp_path / "other"])
    tree.write("a.md", "one")
    tree.train()
    tree.write("a.md", "two")
    tree.see()
    assert tree.pending()
    in_time(tree)
    assert tree.pending() == {"a.md", "../other/a.md"}
    tree.train()
    in_time(tree)
    assert tree.pending() == set()
    tree.close()
