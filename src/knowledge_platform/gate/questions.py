"""Questions whose answers are known, from a file. PURE: text in, needs out.

    GOLD|GOLD… ;; a question ;; the same in other words ;; …

One need a line: any of its golds answers it, each as measures.py has it. Empty lines and lines that begin with # are passed over.
"""

import difflib
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from knowledge_platform.gate.measures import Section, matches, ranks_of
from knowledge_platform.text import printable
from knowledge_platform.words.search import words_of


@dataclass(frozen=True, slots=True)
class Need:
    """What somebody wants to know, in one or more phrasings, and the sections that answer it.

    `exact`: the golds are sections, each by its path#anchor and no other.
    """

    golds: tuple[str, ...]
    phrasings: tuple[str, ...]
    exact: bool = False

    def ranks(self, sections: Iterable[Section]) -> list[int]:
        """The ranks at which its golds stand among these, from 1."""
        if not self.exact:
            return ranks_of(self.golds, sections)
        names = (f"{path}#{anchor}" for path, anchor in dict.fromkeys(sections))
        return [rank for rank, name in enumerate(names, 1) if name in self.golds]


class QuestionsError(Exception):
    """A line isn't a need, or isn't about these documents; the message begins with the line's number."""


def needs_of(text: str, sections: Collection[Section]) -> list[Need]:
    """The needs of a file, checked against the sections that there are.

    Raises:
        QuestionsError: a line can't be used, or there is none.
    """
    needs = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        golds, *phrasings = (part.strip() for part in line.split(";;"))
        if not phrasings or not all(words_of(phrasing) for phrasing in phrasings):
            raise QuestionsError(f"{number}: write PATH#ANCHOR|… ;; question ;; another phrasing")
        need = Need(tuple(dict.fromkeys(gold.strip() for gold in golds.split("|"))), tuple(phrasings))
        for gold in need.golds:
            if not any(matches(gold, section) for section in sections):
                raise QuestionsError(
                    f"{number}: the release has no section {gold!r}{_nearest(gold, sections)}"
                )
        needs.append(need)
    if not needs:
        raise QuestionsError("1: there is no question in it: write PATH#ANCHOR ;; question")
    return needs


def _nearest(gold: str, sections: Collection[Section]) -> str:
    """The section most like it: of its file, if there is such a file."""
    path = gold.partition("#")[0]
    inside = [section for section in sections if section[0] == path]
    names = [f"{path}#{anchor}" for path, anchor in inside or sections]
    close = difflib.get_close_matches(gold, names, 1, cutoff=0.0)
    return f"; the nearest: {printable(close[0])}" if close else ""
