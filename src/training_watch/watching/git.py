"""What git is in the middle of. It only looks at which files exist, and never runs git."""

from __future__ import annotations

import os
from pathlib import Path

from training_watch.watching.paths import ancestors, join, shown

# In the order in which a person would name them: a rebase takes index.lock again and again.
SIGNS = (
    (b"rebase-merge", "a rebase"),
    (b"rebase-apply", "a rebase"),
    (b"MERGE_HEAD", "a merge"),
    (b"CHERRY_PICK_HEAD", "a cherry-pick"),
    (b"REVERT_HEAD", "a revert"),
    (b"index.lock", "a checkout or commit"),
)


def busy(path: bytes) -> str | None:
    """As in "a rebase in /home/x/repo", for the repository that holds `path`; None where git rests."""
    found = repository(path)
    if found is None:
        return None
    top, folder = found
    for name, what in SIGNS:
        if os.path.lexists(join(folder, name)):
            return f"{what} in {shown(top)}"
    return None


def repository(path: bytes) -> tuple[bytes, bytes] | None:
    """The top of the work tree that holds `path`, and its git folder."""
    path = os.path.realpath(path)
    for top in (path, *ancestors(path)):
        folder = git_folder(top)
        if folder is not None:
            return top, folder
    return None


def git_folder(top: bytes) -> bytes | None:
    """The git folder of a work tree with this top; None where this is no top."""
    marker = join(top, b".git")
    if os.path.isdir(marker):
        return marker
    # gitrepository-layout(5): in a worktree and a submodule .git is a file that names the real folder.
    try:
        text = Path(os.fsdecode(marker)).read_bytes() if os.path.isfile(marker) else b""
    except OSError:
        return None
    if not text.startswith(b"gitdir: "):
        return None
    return os.path.normpath(os.path.join(top, text[len(b"gitdir: ") :].rstrip(b"\r\n")))


def exclude_file(folder: bytes) -> bytes:
    """info/exclude of a git folder; worktrees share their repository's (gitrepository-layout(5))."""
    try:
        common = Path(os.fsdecode(join(folder, b"commondir"))).read_bytes().rstrip(b"\r\n")
    except OSError:
        common = b"."
    return os.path.normpath(os.path.join(folder, common, b"info/exclude"))
