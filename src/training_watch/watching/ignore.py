"""Which names are none of the job's business: rules in the manner of gitignore(5).

pathspec translates one pattern into a regular expression; which rule wins is decided here, because it
depends on many files and on the folders above. The weakest first:

    built in  <  .git/info/exclude  <  .gitignore at the repository's top … beside the file  <  the job's own

In each the last match wins, and nothing below an excluded folder comes back. Inside a repository that
lies in the tree only its own files count. A root itself is never ignored: somebody asked for it.
"""

from __future__ import annotations

import os
import re
import stat
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b

from training_watch.watching import git
from training_watch.watching.paths import ancestors, below, holder, join, shown, split

RULES = b".gitignore"
# What editors, version control and file systems leave beside a document for their own use.
BUILT_IN = b"""
.git
.hg/
.svn/
.jj/
.bzr/
CVS/
4913
*.swp
*.swx
.*.sw?
*~
.#*
\\#*#
___jb_tmp___
___jb_old___
*___jb_tmp___
*___jb_old___
.goutputstream-*
*.part
.*.kate-swp
.~lock.*#
~$*
__pycache__/
.ipynb_checkpoints/
.DS_Store
.nfs*
.fuse_hidden*
.Trash-*/
Thumbs.db
desktop.ini
.directory
._*
.syncthing.*.tmp
.stfolder/
.stversions/
.sync_*.db*
._sync_*.db*
.owncloudsync.log
.*.~*
.dropbox
.dropbox.cache/
*.partial
*.crdownload
*.filepart
.obsidian/
"""
# A rule file larger than this is none. Arbitrary.
LARGEST = 1 << 20
# How many folders' rules are remembered. Arbitrary: a few megabytes.
REMEMBERED = 10_000
# POSIX classes, which git knows and pathspec hands to `re` as they are (glob(7)).
CLASSES = {
    b"[:alnum:]": b"a-zA-Z0-9", b"[:alpha:]": b"a-zA-Z", b"[:blank:]": b" \t", b"[:digit:]": b"0-9",
    b"[:cntrl:]": b"\x00-\x1f\x7f", b"[:lower:]": b"a-z", b"[:upper:]": b"A-Z", b"[:space:]": b" \t\n\r\f\v",
    b"[:punct:]": b"!-,.:-@\\[-`{-~-", b"[:xdigit:]": b"0-9a-fA-F", b"[:graph:]": b"!-.0-~",
    b"[:print:]": b" -.0-~",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rule:
    """One pattern, and where it stands: a file with its line, or whose it is."""

    text: str
    source: str
    included: bool
    folders_only: bool
    by_name: bool
    regex: re.Pattern[bytes]


@dataclass(frozen=True, slots=True)
class Base:
    """What the paths in a rule file are relative to: `folder`, or, of a file above, `prefix` from there."""

    folder: bytes
    prefix: bytes = b""


class Rules:
    """The rules of one file."""

    __slots__ = ("_cut", "_prefix", "_rules", "digest", "names", "paths")

    def __init__(self, base: Base, rules: Iterable[Rule]) -> None:
        self._cut, self._prefix = len(below(base.folder)[0]), base.prefix
        self._rules = tuple(rules)[::-1]
        self.names = _either(rule for rule in self._rules if rule.by_name)
        self.paths = _either(rule for rule in self._rules if not rule.by_name)
        told = (b"%d%d%s" % (rule.included, rule.folders_only, rule.regex.pattern) for rule in self._rules)
        self.digest = _digest((base.folder, base.prefix, *told))

    def last(self, path: bytes, name: bytes, *, is_folder: bool) -> Rule | None:
        """The last rule that matches."""
        name += b"/"
        relative = self._prefix + path[self._cut :] + b"/" if self.paths else b""
        by_name = self.names is not None and self.names.fullmatch(name)
        by_path = self.paths is not None and self.paths.fullmatch(relative)
        if by_name or by_path:
            for rule in self._rules:
                matches = rule.regex.fullmatch(name if rule.by_name else relative)
                if matches and (is_folder or not rule.folders_only):
                    return rule
        return None

    def __bool__(self) -> bool:
        return bool(self._rules)


@dataclass(frozen=True, slots=True)
class Scope:
    """The rules that hold directly in a folder, the strongest first, or what excludes it all."""

    files: tuple[Rules, ...]
    job: Rules
    built_in: Rules
    excluded: Rule | None = None
    digest: bytes = field(init=False, default=b"")
    _names: re.Pattern[bytes] | None = field(init=False, default=None)
    _paths: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        every = (self.job, *self.files, self.built_in)
        excluded = self.excluded.regex.pattern if self.excluded is not None else b""
        object.__setattr__(self, "digest", _digest((*(rules.digest for rules in every), excluded)))
        names = [rules.names.pattern for rules in every if rules.names is not None]
        object.__setattr__(self, "_names", _compiled(b"|".join(names)) if names else None)
        object.__setattr__(self, "_paths", any(rules.paths is not None for rules in every))

    def verdict(self, path: bytes, name: bytes, *, is_folder: bool) -> Rule | None:
        """What ignores a path in this folder; nearly always nothing, so that is what is asked first."""
        if self.excluded is not None:
            return self.excluded
        if not self._paths and (self._names is None or not self._names.fullmatch(name + b"/")):
            return None
        for rules in (self.job, *self.files, self.built_in):
            rule = rules.last(path, name, is_folder=is_folder)
            if rule is not None:
                return None if rule.included else rule
        return None


class Ignore:
    """What is ignored below `roots`. Rule files are read when needed and remembered until `forget`.

    `editors`: what editors and version control leave beside a document is ignored too.
    """

    def __init__(
        self, roots: Sequence[bytes], patterns: Sequence[str], *, gitignore: bool, editors: bool = True
    ) -> None:
        self._roots = tuple(roots)
        self._gitignore = gitignore
        # A changed rule alone is no change, so a file of rules is no content.
        self._built_in_text = (BUILT_IN if editors else b"") + (RULES if gitignore else b"")
        self._patterns_text = "\n".join(patterns).encode("utf-8", "surrogateescape")
        self._scopes: dict[bytes, Scope] = {}

    def ignored(self, path: bytes, *, is_folder: bool) -> bool:
        """`path`, absolute and below a root, is to be left alone, itself or with a folder above it."""
        return self._rule(path, is_folder=is_folder) is not None

    def inside(self, folder: bytes) -> Callable[[bytes, bytes], bool]:
        """`ignored` for the files directly in a folder, asked by path and name: what is the same for all is done once."""
        scope = self._scopes.get(folder) or self._scope(folder)
        if scope is None:
            return lambda _path, _name: False
        verdict = scope.verdict
        return lambda path, name: verdict(path, name, is_folder=False) is not None

    def why(self, path: bytes, *, is_folder: bool) -> str | None:
        """The rule that ignores `path`, and where it stands: `*.swp (built in)`, `build/ (/repo/.gitignore:3)`."""
        rule = self._rule(path, is_folder=is_folder)
        return f"{rule.text} ({rule.source})" if rule else None

    def is_rules(self, name: bytes) -> bool:
        """A file of this name holds rules; when it changes, `forget` is owed."""
        return self._gitignore and name == RULES

    def enter(self, folder: bytes, *, rules: bool, git: bool) -> bytes:
        """Learn from the listing of a folder that isn't ignored whether it has rules of its own.

        A name for all rules that hold in it is returned.
        """
        if folder not in self._scopes and not (rules or git) and folder not in self._roots:
            outer = self._scopes.get(split(folder)[0])
            if outer is not None:  # nothing to read, so nothing is looked for
                return self._remember(folder, outer).digest
        scope = self._scope(folder)
        return scope.digest if scope is not None else b""

    def forget(self) -> None:
        """Read all rule files anew when they are next needed."""
        self._scopes.clear()

    # Compiled when first needed: that takes longer than all else that `status` does.

    @cached_property
    def _built_in(self) -> tuple[Rule, ...]:
        return tuple(_rules(self._built_in_text, "built in"))

    @cached_property
    def _patterns(self) -> tuple[Rule, ...]:
        return tuple(_rules(self._patterns_text, "`ignore` in the configuration"))

    def _rule(self, path: bytes, *, is_folder: bool) -> Rule | None:
        if path in self._roots:
            return None
        folder, name = split(path)
        scope = self._scopes.get(folder) or self._scope(folder)
        return scope.verdict(path, name, is_folder=is_folder) if scope else None

    def _scope(self, folder: bytes) -> Scope | None:
        """The rules in `folder`; None where no root holds it."""
        root = holder(self._roots, folder)
        if root is None:
            return None
        missing = []
        known = folder
        while known not in self._scopes and known != root:
            missing.append(known)
            known = split(known)[0]
        scope = self._scopes.get(known) or self._remember(root, self._root_scope(root))
        for inner in reversed(missing):
            scope = self._remember(inner, self._inner_scope(scope, inner))
        return scope

    def _remember(self, folder: bytes, scope: Scope) -> Scope:
        if len(self._scopes) >= REMEMBERED:
            self._scopes.clear()
        self._scopes[folder] = scope
        return scope

    def _root_scope(self, root: bytes) -> Scope:
        scope = Scope((), Rules(Base(root), self._patterns), Rules(Base(root), self._built_in))
        if not self._gitignore:
            return scope
        # The root may be a link into a repository: what counts is where it leads.
        real = os.path.realpath(root)
        found = git.repository(real)
        if found is None:
            return replace(scope, files=_read(root, Base(root)))
        top, folder = found
        files: tuple[Rules, ...] = ()
        for place in (real, *ancestors(real)):
            base = Base(root, prefix=real[len(below(place)[0]) :] + b"/" if place != real else b"")
            files += _read(place, base)
            if place == top:
                break
        return replace(scope, files=files + _rules_in(git.exclude_file(folder), base))

    def _excluding(self, outer: Scope, folder: bytes) -> Scope:
        """The scope of a folder without rules of its own."""
        rule = None if outer.excluded is not None else outer.verdict(folder, split(folder)[1], is_folder=True)
        return replace(outer, files=(), excluded=rule) if rule is not None else outer

    def _inner_scope(self, outer: Scope, folder: bytes) -> Scope:
        outer = self._excluding(outer, folder)
        if outer.excluded is not None or not self._gitignore:
            return outer
        own = _read(folder, Base(folder))
        repository = git.git_folder(folder)
        if repository is not None:
            return replace(outer, files=own + _rules_in(git.exclude_file(repository), Base(folder)))
        return replace(outer, files=own + outer.files) if own else outer


def escaped(path: bytes) -> bytes:
    """The pattern that means just this path (gitignore(5)); one with "/" in front."""
    path = re.sub(rb"([\\*?\[])", rb"\\\1", path)
    return path[:-1] + b"\\ " if path.endswith(b" ") else path


def _read(folder: bytes, base: Base) -> tuple[Rules, ...]:
    return _rules_in(join(folder, RULES), base)


def _rules_in(path: bytes, base: Base) -> tuple[Rules, ...]:
    """The rules in a file; none where it can't be read. Git doesn't follow a link here either."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return ()
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
            return ()
        text = os.read(fd, LARGEST)
    except OSError:
        return ()
    finally:
        os.close(fd)
    rules = Rules(base, _rules(text, shown(path), numbered=True))
    return (rules,) if rules else ()


def _rules(text: bytes, source: str, *, numbered: bool = False) -> Iterable[Rule]:
    for number, line in enumerate(text.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        rule = _rule(line.removesuffix(b"\r"), f"{source}:{number}" if numbered else source)
        if rule is not None:
            yield rule


def _rule(line: bytes, source: str) -> Rule | None:
    """The rule in a line; None for a comment, an empty line, and what git discards too."""
    while line.endswith(b" ") and not line.endswith(b"\\ "):
        line = line[:-1]
    if not line or line.startswith(b"#"):
        return None
    pattern = line.removeprefix(b"!")
    glob = pattern.removesuffix(b"/")
    by_name = b"/" not in glob
    regex = _regex(glob.removeprefix(b"/"))
    if regex is None:
        return None
    return Rule(
        text=shown(line),
        source=source,
        included=line.startswith(b"!"),
        folders_only=pattern.endswith(b"/"),
        by_name=by_name,
        regex=regex,
    )


def _regex(glob: bytes) -> re.Pattern[bytes] | None:
    """What fully matches a path with a "/" behind it that the glob means, and nothing below it."""
    # Importing pathspec takes as long as all of `check`, which needs none of it.
    from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern  # noqa: PLC0415

    if not glob:
        return None
    for name, members in CLASSES.items():
        glob = glob.replace(name, members)
    glob = re.sub(rb"\*{3,}", b"**", glob)  # to git, more stars are no more than two (wildmatch.c)
    # "/**" at the end means all that is inside; pathspec's answer to it covers the folder itself.
    # In front and behind "/" keep pathspec from reading "#", "!" and a last byte that is a space in
    # Latin 1, such as in "à", as something special.
    glob = b"/" + glob + (b"/*/" if glob.endswith(b"/**") or glob == b"**" else b"/")
    try:
        raw, _ = GitIgnoreSpecPattern.pattern_to_regex(glob)
        if raw is None:
            return None
        raw = re.sub(rb"\(\?P<\w+>", b"(?:", raw).replace(b"[^", b"[^/")  # "/" is never in a bracket
        if not raw.startswith(b"^"):
            raw = b".+"  # pathspec's short form for what matches everything
        return _compiled(raw)
    except (ValueError, re.error):
        return None


def _digest(parts: Iterable[bytes]) -> bytes:
    hasher = blake2b(digest_size=16)
    for part in parts:
        hasher.update(b"%d:%s" % (len(part), part))
    return hasher.digest()


def _either(rules: Iterable[Rule]) -> re.Pattern[bytes] | None:
    parts = [b"(?:" + rule.regex.pattern + b")" for rule in rules]
    return _compiled(b"|".join(parts)) if parts else None


def _compiled(regex: bytes) -> re.Pattern[bytes]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # "[[" in a glob means what it says
        return re.compile(regex, re.DOTALL)  # a name may hold a newline
