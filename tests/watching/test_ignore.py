"""Ignore rules mean what git says that they mean."""

from __future__ import annotations

import os
import re
import subprocess
from itertools import product
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from training_watch.watching.ignore import Ignore, escaped

ENVIRONMENT = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}

# Folders end in "/". Every path below is asked about, and every folder above it.
PATHS = [
    b"a", b"b.log", b"keep.log", b"dir/", b"dir/a", b"dir/b.log", b"dir/keep.log", b"dir/sub/", b"dir/sub/a",
    b"dir/sub/deep/", b"dir/sub/deep/a", b"build/", b"build/a", b"build/keep/", b"build/keep/a", b"x/", b"x/build/",
    b"x/build/a", b"x/y/", b"x/y/z", b"foo", b"foo1", b"fooA", b"foo-", b"#hash", b"!bang", b"space ",
    b"tab\t", b"back\\slash", b"star*", b"[x]", "voil\u00e0".encode(), "\u00fc".encode(), b"new\nline/", b"new\nline/a",
    b".hidden", b"dir/.hidden", b"-dash", b"\xff\xfe", b"abc/", b"abc/x", b"abc/keep", b"abc/d/", b"abc/d/x",
]  # fmt: skip
PLAIN = [
    b"/".join(names) + end
    for depth in (1, 2, 3)
    for names in product([b"a/b", b"dir", b".a"], repeat=depth)
    for end in (b"/", b"/b", b"/ab", b"/b.a", b"/.b")
]
RULES = [
    b"*.log", b"*.log\n!keep.log", b"dir/", b"dir", b"/dir", b"/a", b"a", b"build/\n!build/keep/", b"build/*\n!build/keep/",
    b"dir/sub", b"/dir/sub/", b"sub/", b"**/a", b"**/sub/a", b"dir/**", b"dir/**/a", b"abc/**\n!abc/keep", b"abc/**/",
    b"*", b"*\n!*/", b"*\n!dir/", b"*\n!*/\n!*.log", b"**", b"*/", b"/*", b"/*/", b"/*\n!/dir", b"*/*", b"x/**/a",
    b"foo?", b"foo[0-9]", b"foo[!0-9]", b"foo[^0-9]", b"foo[[:digit:]]", b"foo[[:upper:][:punct:]]", b"foo[", b"foo[z-a]",
    b"[[]x]", b"\\[x\\]", b"\\#hash", b"#hash", b"\\!bang", b"!bang", b"space ", b"space\\ ", b"star\\*", b"back\\\\slash",
    "voil\u00e0".encode(), b"\xff\xfe", b"new\nline", b"new*", b"*line/a", b".*", b"dir/a\ndir/b.log", b"!a", b"a\n!a\na",
    b"/", b"//", b"", b"\\", b"a/", b"dir\r\n", b"\xef\xbb\xbfdir", b"d*r", b"d**r", b"dir/*b", b"**/", b"foo/**", b"***",
    b"x/*/a", b"dir/[s]ub", b"dir[/]sub", b"-dash", b"?", b"dir?sub",
]  # fmt: skip


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repository_with(tmp_path_factory.mktemp("repository"), PATHS)


@pytest.fixture(scope="module")
def plain_repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repository_with(tmp_path_factory.mktemp("plain"), PLAIN)


def repository_with(top: Path, paths: list[bytes]) -> Path:
    git(top, "init", "-q")
    for path in paths:
        place = os.path.join(os.fsencode(top), path)
        os.makedirs(os.path.dirname(place), exist_ok=True)
        if not path.endswith(b"/"):
            Path(os.fsdecode(place)).touch()
    return top


def git(top: Path, *words: str, text: bytes = b"", fine: tuple[int, ...] = (0,)) -> bytes:
    done = subprocess.run(
        ["git", *words], cwd=top, env=ENVIRONMENT, input=text, capture_output=True, check=False
    )
    assert done.returncode in fine, done.stderr
    return done.stdout


def by_git(top: Path, paths: list[bytes]) -> set[bytes]:
    """The paths that git ignores. Asked without the slash: with it, git answers as for what is inside."""
    asked = {path.rstrip(b"/"): path for path in paths}
    text = b"\0".join(asked) + b"\0"
    found = git(top, "check-ignore", "-z", "--stdin", "--no-index", text=text, fine=(0, 1))
    return {asked[path] for path in found.split(b"\0")[:-1]}


def by_us(root: Path, paths: list[bytes], *patterns: str) -> set[bytes]:
    ignore = Ignore([os.fsencode(root)], patterns, gitignore=True)
    return {
        path
        for path in paths
        if ignore.ignored(os.path.join(os.fsencode(root), path.rstrip(b"/")), is_folder=path.endswith(b"/"))
    }


@pytest.mark.parametrize("rules", RULES, ids=repr)
def test_a_pattern_means_what_it_means_to_git(repository: Path, rules: bytes) -> None:
    (repository / ".gitignore").write_bytes(rules + b"\n")
    assert by_us(repository, PATHS) == by_git(repository, PATHS)


# Git compares the part without wildcards on its own and then takes "**" in "a**/" to stand at the beginning
# (dir.c, match_pathname): not what gitignore(5) says, and not followed here.
ODD = re.compile(rb"[^/]\*\*+/")
GLOB = st.lists(
    st.sampled_from([b"*", b"**", b"?", b"a", b"b", b".", b"/", b"!", b"[ab]", b"[!a]", b"\\a", b"dir"]),
    min_size=1, max_size=9,
).map(b"".join).filter(lambda glob: not ODD.search(glob))  # fmt: skip


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rules=st.lists(GLOB, max_size=3), inner=st.lists(GLOB, max_size=2))
def test_any_patterns_mean_what_they_mean_to_git(
    plain_repository: Path, rules: list[bytes], inner: list[bytes]
) -> None:
    (plain_repository / ".gitignore").write_bytes(b"\n".join(rules) + b"\n")
    (plain_repository / "dir/.gitignore").write_bytes(b"\n".join(inner) + b"\n")
    try:
        assert by_us(plain_repository, PLAIN) == by_git(plain_repository, PLAIN)
    finally:
        (plain_repository / "dir/.gitignore").unlink()


def test_rules_come_from_all_files_up_to_the_repository_s_top(tmp_path: Path) -> None:
    top = tmp_path / "repository"
    docs = top / "project/docs"
    (docs / "inner").mkdir(parents=True)
    git(top, "init", "-q")
    (tmp_path / ".gitignore").write_text("*.md\n")  # above the repository: of no account
    (top / ".git/info").mkdir(exist_ok=True)
    (top / ".git/info/exclude").write_text("*.secret\n*.log\n")
    (top / ".gitignore").write_text("/project/docs/anchored\nproject/docs/inner/x\n*.tmp\n!kept.log\n")
    (top / "project/.gitignore").write_text("!kept.tmp\ndocs/y\n")
    (docs / ".gitignore").write_text("*.bak\n")
    (docs / "inner/.gitignore").write_text("!own.bak\n/x2\n")
    names = ["a.md", "anchored", "inner/anchored", "inner/x", "inner/x2", "y", "inner/y", "a.tmp", "kept.tmp",
             "a.secret", "a.log", "kept.log", "a.bak", "own.bak", "inner/own.bak", "x2"]  # fmt: skip
    paths = [name.encode() for name in names]
    assert by_us(docs, paths) == by_git(docs, paths)
    link = tmp_path / "link"
    link.symlink_to(docs)
    assert by_us(link, paths) == by_git(docs, paths)


def test_a_repository_inside_has_rules_of_its_own(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "docs")
    git(tmp_path, "init", "-q", "docs/inner")
    docs = tmp_path / "docs"
    (docs / ".gitignore").write_text("*.log\n")
    (docs / "inner/.gitignore").write_text("*.tmp\n")
    paths = [b"a.log", b"a.tmp", b"inner/a.log", b"inner/a.tmp"]
    assert by_us(docs, paths) == {b"a.log", b"inner/a.tmp"}


def test_the_job_s_own_patterns_are_above_all(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("build/\n*.pdf\n")
    assert by_us(tmp_path, [b"build/", b"a.pdf", b"x.bin", b"s/x.bin", b"a.swp"], "!build/", "/*.bin") == {
        b"a.pdf", b"x.bin", b"a.swp",
    }  # fmt: skip


def test_without_gitignore_such_a_file_is_content_like_any_other(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*\n")
    ignore = Ignore([os.fsencode(tmp_path)], [], gitignore=False)
    assert not ignore.ignored(os.fsencode(tmp_path / "a.md"), is_folder=False)
    assert not ignore.ignored(os.fsencode(tmp_path / ".gitignore"), is_folder=False)
    assert not ignore.is_rules(b".gitignore")


def test_it_names_the_rule_and_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.log\nbuild/\n")
    ignore = Ignore([os.fsencode(tmp_path)], ["*.bin"], gitignore=True)

    def why(name: str) -> str | None:
        return ignore.why(os.fsencode(tmp_path / name), is_folder=False)

    assert why("a.md") is None
    assert why("a.swp") == "*.swp (built in)"
    assert why("a.bin") == "*.bin (`ignore` in the configuration)"
    assert why("a.log") == f"*.log ({tmp_path}/.gitignore:1)"
    assert why("build/deep/a") == f"build/ ({tmp_path}/.gitignore:2)"


def test_rules_are_read_again_when_they_are_forgotten(tmp_path: Path) -> None:
    ignore = Ignore([os.fsencode(tmp_path)], [], gitignore=True)
    path = os.fsencode(tmp_path / "a.log")
    assert not ignore.ignored(path, is_folder=False)
    (tmp_path / ".gitignore").write_text("*.log\n")
    ignore.forget()
    assert ignore.ignored(path, is_folder=False)


def test_the_root_itself_and_what_is_outside_are_never_ignored(tmp_path: Path) -> None:
    root = tmp_path / "__pycache__"
    root.mkdir()
    ignore = Ignore([os.fsencode(root)], ["*"], gitignore=True)
    assert not ignore.ignored(os.fsencode(root), is_folder=True)
    assert not ignore.ignored(os.fsencode(tmp_path / "a.swp"), is_folder=False)
    assert ignore.ignored(os.fsencode(root / "a"), is_folder=False)


@pytest.mark.parametrize("kind", ["folder", "fifo", "link", "huge", "unreadable"])
def test_a_strange_rule_file_is_none(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ".gitignore"
    match kind:
        case "folder":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "link":
            (tmp_path / "rules").write_text("*\n")
            path.symlink_to("rules")
        case "huge":
            path.write_bytes(b"*\n" * (1 << 20))
        case _:
            path.write_text("\0\xff[[[\n")
    assert by_us(tmp_path, [b"a.md"]) == set()


@pytest.mark.parametrize(
    "name", [b"a*b", b"a?b", b"[ab]", b"a\\b", b"ends in a space ", b"#a", b"!a", b"plain.md"]
)
def test_an_escaped_path_means_just_itself(tmp_path: Path, name: bytes) -> None:
    root = os.fsencode(tmp_path)
    ignore = Ignore([root], [os.fsdecode(escaped(b"/" + name))], gitignore=False, editors=False)
    assert ignore.ignored(root + b"/" + name, is_folder=False)
    for other in (b"aXb", b"a", b"b", b"ends in a space", b"plainxmd"):
        assert not ignore.ignored(root + b"/" + other, is_folder=False)
