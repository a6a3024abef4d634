"""Where a section is now that was somewhere when people spoke of it. PURE: sections in, a section or nothing out.

    its path#anchor is there              there, even if it had been elsewhere for a while
    where it was last seen is there       there
    one section has its text              its file or its heading was renamed
    one section has its headings          it moved and was edited: in the same file first, then in a file of that name, then anywhere
    else                                  it is gone

Each of the rules wants exactly one section: of two equally good ones the wrong one would teach nonsense.
"""

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


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """The sections of the new release (`here`) and of the one before, and where that one had found what had been elsewhere."""

    here: Mapping[Key, Section]
    before: Mapping[Key, Section]
    known: Mapping[Key, Section]

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
        newcomers = [section for section in self.here.values() if section.key not in self.before]
        for look in looks:
            same_text = [section for section in self.here.values() if section.digest == look.digest != ""]
            if len(same_text) == 1:
                return same_text[0]
        for look in looks:
            # What stood beside it in the release before isn't where it went.
            among = newcomers if look.key in self.before else self.here.values()
            if found := _under_the_same_headings(look, among):
                return found
        return None


def section_named(name: str, trail: str | None = None, digest: str | None = None) -> Section:
    """path#anchor taken apart; without an anchor it is the text above the first heading."""
    path, mark, anchor = name.strip().rpartition("#")
    return Section(path if mark else anchor, anchor if mark else "", trail or "", digest or "")


def _under_the_same_headings(look: Section, among: Iterable[Section]) -> Section | None:
    alike = [section for section in among if section.trail == look.trail != ""]
    file_name = look.path.rpartition("/")[2]
    for chosen in (
        [section for section in alike if section.path == look.path],
        [section for section in alike if section.path.rpartition("/")[2] == file_name],
        alike,
    ):
        if len(chosen) == 1:
            return chosen[0]
    return None
