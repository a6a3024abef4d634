"""Where a section is now that was somewhere when people spoke of it. PURE: sections in, a section or nothing out.

    its path#anchor is there              there, even if it had been elsewhere for a while
    where it was last seen is there       there
    one section has its text              its file or its heading was renamed
    one section has its headings          it moved and was edited: in the same file first, then in a file of that name, then anywhere
    else                                  it is gone

Each of the rules wants exactly one section: of two equally good ones the wrong one would teach nonsense.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Section:
    """A section, and what it looks like: its headings, joined by " > ", and a digest of its text; "" where that isn't known.

    `path` is relative to its docs folder; where two folders share it, it means both.
    """

    path: str
    anchor: str
    trail: str = ""
    digest: str = ""

    @property
    def key(self) -> Key:
        return self.path, self.anchor

    @property
    def name(self) -> str:
        return f"{self.path}#{self.anchor}"


class Whereabouts:
    """The sections of the new release (`here`) and of the one before, and where that one had found what had been elsewhere (`known`)."""

    def __init__(
        self, here: Mapping[Key, Section], before: Mapping[Key, Section], known: Mapping[Key, Section]
    ) -> None:
        self.here, self.before, self.known = here, before, known
        self._by_text: defaultdict[str, list[Section]] = defaultdict(list)
        self._by_trail: defaultdict[str, list[Section]] = defaultdict(list)
        for section in here.values():
            if section.digest:
                self._by_text[section.digest].append(section)
            if section.trail:
                self._by_trail[section.trail].append(section)

    def place(self, origin: Key, seen: Iterable[Section]) -> Section | None:
        """Where the section is that was at `origin`; `seen` is what it looked like to those who spoke of it, newest first."""
        if origin in self.here:
            return self.here[origin]
        looks = [
            look for look in (self.known.get(origin), self.before.get(origin), *seen) if look is not None
        ]
        for look in looks:
            if look.key in self.here:
                return self.here[look.key]
        for look in looks:
            same_text = self._by_text.get(look.digest, ())
            if len(same_text) == 1:
                return same_text[0]
        for look in looks:
            if found := self._under_the_same_headings(look):
                return found
        return None

    def _under_the_same_headings(self, look: Section) -> Section | None:
        alike = self._by_trail.get(look.trail, [])
        if look.key in self.before:
            # What stood beside it in the release before isn't where it went.
            alike = [section for section in alike if section.key not in self.before]
        for chosen in (
            [section for section in alike if section.path == look.path],
            [section for section in alike if file_name(section.path) == file_name(look.path)],
            alike,
        ):
            if len(chosen) == 1:
                return chosen[0]
        return None


def section_named(name: str, trail: str | None = None, digest: str | None = None) -> Section:
    """path#anchor taken apart; without an anchor it is the text above the first heading."""
    path, mark, anchor = name.strip().rpartition("#")
    return Section(path if mark else anchor, anchor if mark else "", trail or "", digest or "")


def file_name(path: str) -> str:
    return path.rpartition("/")[2]
