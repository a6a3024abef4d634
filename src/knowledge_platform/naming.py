"""What a person types for a section -> the section. PURE: the sections of a release are an argument.

ops/logs.md#rotation        as answers name it
logs.md#rotation            the end of a path will do, if there is one such section
docs/ops/logs.md#rotation   and so will a path that begins at, or above, the docs folder
ops/logs.md                 without an anchor, the file's first section
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence

from knowledge_platform.anchors import Key, Section
from knowledge_platform.errors import ConfigError

SHOWN = 3


def named(wanted: str, sections: Mapping[Key, Section], roots: Sequence[str]) -> Section:
    """The section that is meant.

    Raises:
        ConfigError: there is none, and which ones are like it; or there are several.
    """
    first: dict[str, Section] = {}
    for section in sections.values():
        first.setdefault(section.path, section)
    path, _, anchor = wanted.rpartition("#")
    files = _files(wanted, first, roots)
    if files or not path:
        found = [first[file] for file in files]
    else:
        files = _files(path, first, roots)
        found = [sections[file, anchor] for file in files if (file, anchor) in sections]
        if not anchor:
            found = [first[file] for file in files]
    if len(found) == 1:
        return found[0]
    if found:
        some = ", ".join(section.name for section in found[:SHOWN])
        raise ConfigError(
            f"{wanted!r} may be {some}{' or others' if len(found) > SHOWN else ''}: give more of its path"
        )
    if files:
        inside = [section for section in sections.values() if section.path in files]
        near = _near(anchor, {section.anchor: section.name for section in inside}) or [
            section.name for section in inside
        ]
    else:
        near = _near(wanted, {section.name: section.name for section in sections.values()})
    hint = f"; the nearest: {', '.join(near[:SHOWN])}" if near else ""
    raise ConfigError(f"the release that answers has no section {wanted!r}{hint}")


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


def _near(wanted: str, names: Mapping[str, str]) -> list[str]:
    return [names[close] for close in difflib.get_close_matches(wanted, names, SHOWN, cutoff=0.5)]
