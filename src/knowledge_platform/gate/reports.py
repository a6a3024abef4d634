"""What a training measured of its release, read back from report.json, and put into words for people.

    report.json ──▶ measured (checked: a file may be damaged, or of an older version) ──▶ sentence, quality, lines

nDCG@10 is the one measure here: 1 when the right section comes first, less the further down it stands, 0 beyond the tenth.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from knowledge_platform.errors import CrystalError
from knowledge_platform.settings import GOLDEN_TOP
from knowledge_platform.store.releases import Release
from knowledge_platform.text import printable

NDCG = (
    "nDCG@10: 1 when the right section comes first, less the further down it stands, 0 beyond the tenth place"
)
# The kinds of questions that the gate asks, none of which the release was trained on: for one of them, and for several.
KINDS = {
    "headings": ("held-out heading", "held-out headings"),
    "links": ("held-out link text", "held-out link texts"),
    "verdicts": ("held-out verdict", "held-out verdicts"),
}
RANKERS = {
    "trained": "words and meaning, with what it learned from the docs and from people",
    "adapter off": "words and meaning, with what people said; what it learned from the docs is left out",
    "memory off": "words and meaning, with what it learned from the docs; what people said is left out",
    "untrained": "words and meaning, nothing learned",
    "as deployed": "the ranker of the release before, on the new documents",
}
BY_WORDS = "by words"
SEVERAL = 30  # as gate.ENOUGH, which needs numpy to be read: fewer questions of a kind decide nothing
_IN_SPITE = "no better ranker keeps the golden queries"


@dataclass(frozen=True, slots=True)
class Compared:
    """One kind of question, asked of two rankers: mean nDCG@10 `before` and `now`, their mean difference with its 95 % interval."""

    kind: str
    questions: int
    before: float
    now: float
    difference: float
    low: float
    high: float

    @property
    def name(self) -> str:
        """With the number in front: `178 held-out headings`."""
        one, several = KINDS.get(self.kind, (self.kind, self.kind))
        return f"{self.questions} {one if self.questions == 1 else several}"


@dataclass(frozen=True, slots=True)
class Tried:
    """One ranker of the ladder; `problems` say why it was refused, if it was."""

    name: str
    compared: tuple[Compared, ...]
    problems: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Placed:
    """A golden query with its section (None: it is gone) and its place (None: not among the first)."""

    query: str
    section: str | None
    place: int | None


@dataclass(frozen=True, slots=True)
class Measured:
    """`tried` is empty for a release by words; the last of it was taken. `against`: the release that it was compared with, if any."""

    checked: int
    passed_over: int
    headings: int
    found: int
    found_before: int | None
    top: int
    golden: tuple[Placed, ...]
    against: str | None
    tried: tuple[Tried, ...]

    @property
    def ranker(self) -> str:
        """The name of the one that answers."""
        return self.tried[-1].name if self.tried else BY_WORDS

    @property
    def before(self) -> str:
        """What the figures called `before` are of."""
        return "untrained" if self.against is None else "release before"

    @property
    def asked(self) -> list[Compared]:
        """What the ranker that was taken was asked."""
        return [one for one in self.tried[-1].compared if one.questions] if self.tried else []


def measured(content: object) -> Measured:
    """The report, from what json.loads or Report.as_json made.

    Raises:
        ValueError: it isn't one.
    """
    report = _mapping(content)
    if report.get("schema") != 1:
        raise ValueError(f"schema {report.get('schema')!r}")
    ranking = report.get("ranking")
    before = report.get("found_deployed")
    return Measured(
        checked=_count(report["chunks_checked"]),
        passed_over=_count(report["chunks_passed_over"]),
        headings=_count(report["queries"]),
        found=_count(report["found"]),
        found_before=None if before is None else _count(before),
        top=_count(report["top"]),
        golden=tuple(map(_placed, _list(report.get("golden", [])))),
        against=None if ranking is None else _optional_text(_mapping(ranking)["against"]),
        tried=() if ranking is None else _rungs(_mapping(ranking)),
    )


def report_of(release: Release) -> Measured:
    """What was measured of a release.

    Raises:
        CrystalError: its report is missing or damaged.
    """
    path = release.folder / "report.json"
    try:
        return measured(json.loads(path.read_bytes()))
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        problem = (
            error.strerror if isinstance(error, OSError) else None
        ) or f"{type(error).__name__}: {error}"
        raise CrystalError(
            f"the report of release {release.id} is damaged: {printable(problem)}. "
            "The release may be sound all the same; the next training writes a new one"
        ) from error


def quality(report: Measured) -> str | None:
    """How good the ranker is, in a line: on the kind of question of which there are most."""
    most = max(report.asked, key=lambda one: one.questions, default=None)
    return None if most is None else f"nDCG@10 {_figures(most, report)}"


def sentence(report: Measured) -> str:
    """Which ranker was taken, by what, and which were refused: one line."""
    if not report.tried:
        return "answers go by words"
    asked = ", ".join(_figures(one, report) for one in report.asked)
    refused = [f"{tried.name} refused: {', '.join(tried.problems)}" for tried in report.tried[:-1]]
    if report.tried[-1].problems:
        refused.append(f"taken all the same, {_IN_SPITE}: {', '.join(report.tried[-1].problems)}")
    return "; ".join(
        [
            f"ranker {report.ranker}: {f'nDCG@10 {asked}' if asked else 'no question to measure it by'}",
            *refused,
        ]
    )


def _figures(one: Compared, report: Measured) -> str:
    return f"{one.now:.3f} on {one.name} ({report.before}: {one.before:.3f})"


def lines(report: Measured, *, encoder: str | None, lessons: int) -> Iterator[str]:
    """The report for a person; `lessons` is how many the release was trained with."""
    if report.tried:
        yield f"ranker      {report.ranker}: {RANKERS.get(report.ranker, 'of another version')}"
        yield from _refused(report)
    else:
        why = "trained without an encoder" if encoder is None else "its version trained nothing else"
        yield f"ranker      {BY_WORDS}: {why}"
    yield f"lessons     {lessons} from feedback"
    yield from _compared(report)
    yield from _golden(report)
    passed = f", {report.passed_over} passed over: edited meanwhile" if report.passed_over else ""
    yield f"integrity   {report.checked} passages are what their lines say{passed}"
    before = "" if report.found_before is None else f"; the release before finds {report.found_before}"
    yield (
        f"index       {report.found} of {report.headings} headings are found by their own words "
        f"among the first {report.top}{before}"
        if report.headings
        else "index       no heading to search for"
    )


def _refused(report: Measured) -> Iterator[str]:
    for tried in report.tried[:-1]:
        for problem in tried.problems:
            yield f"refused     {tried.name}: {printable(problem)}"
    for problem in report.tried[-1].problems:
        yield f"although    {printable(problem)}; {_IN_SPITE}"


def _compared(report: Measured) -> Iterator[str]:
    if not report.tried:
        yield "compared    nothing: without an encoder there is one way to answer"
        return
    if not report.asked:
        yield "compared    nothing: the documents have too few headings and links to ask for"
        return
    width = max(len(one.name) for one in report.asked)
    yield ""
    yield f"questions with a known answer, asked of it and {_beside(report)}:"
    yield f"  {'':{width}}  {report.before:>14}    now  difference  95 % interval"
    for one in report.asked:
        few = "  too few to decide" if one.questions < SEVERAL else ""
        interval = f"{one.low:+.3f} to {one.high:+.3f}"
        yield (
            f"  {one.name:{width}}  {one.before:14.3f}  {one.now:.3f}  {one.difference:+10.3f}  {interval}{few}"
        )
    yield f"  ({NDCG}.)"
    yield ""


def _beside(report: Measured) -> str:
    return (
        "of itself untrained"
        if report.against is None
        else f"of {printable(report.against)}, the release before"
    )


def _golden(report: Measured) -> Iterator[str]:
    for one in report.golden:
        if one.section is None:
            place = "its section is gone: it decides nothing"
        elif one.place is None:
            place = f"not among the first {GOLDEN_TOP}: {printable(one.section)}"
        else:
            place = f"place {one.place}: {printable(one.section)}"
        yield f'golden      "{printable(one.query)}"  {place}'
    if not report.golden:
        yield "golden      no query is pinned"


def _rungs(ranking: Mapping[str, Any]) -> tuple[Tried, ...]:
    rungs = [_mapping(rung) for rung in _list(ranking["rungs"])]
    if not rungs:
        raise ValueError("no ranker was tried")
    return tuple(
        Tried(
            _text(rung["name"]),
            tuple(_comparison(_mapping(one)) for one in _list(rung["comparisons"])),
            tuple(map(_text, _list(rung["problems"]))),
        )
        for rung in rungs
    )


def _comparison(one: Mapping[str, Any]) -> Compared:
    figures = (_number(one[name]) for name in ("deployed", "candidate", "difference", "low", "high"))
    return Compared(_text(one["name"]), _count(one["questions"]), *figures)


def _placed(value: object) -> Placed:
    one = _mapping(value)
    place = one["place"]
    return Placed(
        _text(one["query"]), _optional_text(one["section"]), None if place is None else _count(place)
    )


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"no object: {value!r:.40}")
    return value


def _list(value: object) -> Sequence[object]:
    if not isinstance(value, list | tuple):
        raise TypeError(f"no list: {value!r:.40}")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"no text: {value!r:.40}")
    return value


def _optional_text(value: object) -> str | None:
    return None if value is None else _text(value)


def _count(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise TypeError(f"no number of things: {value!r:.40}")
    return value


def _number(value: object) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"no number: {value!r:.40}")
    return float(value)
