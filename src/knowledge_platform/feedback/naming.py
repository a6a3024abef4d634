"""What a person types for a section -> the section. PURE: the sections of a release are an argument.

ops/logs.md#rotation        as answers name it
logs.md#rotation            the end of a path will do, if there is one such section
docs/ops/logs.md#rotation   and so will a path that begins at, or above, the docs folder
ops/logs.md                 without an anchor, the file's first section
"""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from knowledge_platform.errors import ConfigError
from knowledge_platform.feedback.anchors import Key, Section

SHOWN = 3
_LINES = re.compile(r"(?P<path>.+):(?P<line>\d{1,9})(-\d+)?")


def named(
    wanted: str,
    sections: Mapping[Key, Section],
    roots: Sequence[str],
    anchor_at: Callable[[str, int], str | None],
) -> Section:
    """The section that is meant. `anchor_at` knows which section of a file has a line, if one has.

    Raises:
        ConfigError: there is none, and which ones are like it; or there are several.
    """
    files, found = _meant(wanted, sections, roots, anchor_at)
    if len(found) == 1:
        return found[0]
    if found:
        some = ", ".join(section.name for section in found[:SHOWN])
        raise ConfigError(
            f"{wanted!r} may be {some}{' or others' if len(found) > SHOWN else ''}: give more of its path"
        )
    near = _near(wanted, [section for section in sections.values() if section.path in files], sections)
    hint = f"the nearest: {', '.join(near)}" if near else "crystal ask shows the names of sections"
    raise ConfigError(f"the release that answers has no section {wanted!r}; {hint}")


def _meant(
    wanted: str,
    sections: Mapping[Key, Section],
    roots: Sequence[str],
    anchor_at: Callable[[str, int], str | None],
) -> tuple[list[str], list[Section]]:
    """The files that may be meant, and the sections in them."""
    first: dict[str, Section] = {}
    for section in sections.values():
        first.setdefault(section.path, section)
    if files := _files(wanted, first, roots):
        return files, [first[file] for file in files]
    if shown := _LINES.fullmatch(wanted):
        files = _files(shown["path"], first, roots)
        anchors = {file: anchor_at(file, int(shown["line"])) for file in files}
        return files, [sections[file, anchor] for file, anchor in anchors.items() if anchor is not None]
    path, _, anchor = wanted.rpartition("#")
    files = _files(path, first, roots)
    if not anchor:
        return files, [first[file] for file in files]
    return files, [sections[file, anchor] for file in files if (file, anchor) in sections]


def _files(path: str, known: Iterable[str], roots: Sequence[str]) -> list[str]:
    path = path.removeprefix("./")
    if path in known:
        return [path]
    if not path.strip("/"):
        return []
    end = f"/{path.lstrip('/')}"
    whole = [f"{root.rstrip('/')}/" for root in roots]
    return [
        file
        for file in known
        if f"/{file}".endswith(end) or any(f"{root}{file}".endswith(end) for root in whole)
    ]


def _near(wanted: str, inside: Sequence[Section], sections: Mapping[Key, Section]) -> list[str]:
    """The names most like it: of the sections of the file, if that was found, else of all."""
    names = (
        {section.anchor: section.name for section in inside}
        if inside
        else {section.name: section.name for section in sections.values()}
    )
    searched = wanted.rpartition("#")[2] if inside else wanted
    close = difflib.get_close_matches(searched, names, SHOWN, cutoff=0.5)
    return [names[one] for one in close or (list(names)[:SHOWN] if inside else [])]
