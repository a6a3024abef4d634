"""Where a section is now: the rule as a table, then the same through real releases."""

import contextlib
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from knowledge_platform.documents.chunks import chunks_of
from knowledge_platform.feedback.anchors import Section, Whereabouts
from knowledge_platform.feedback.golden import Golden
from knowledge_platform.feedback.lessons import Resolved, known_lessons, resolved, sections, store_lessons
from knowledge_platform.feedback.log import Feedback

NOW = datetime(2026, 11, 25, 20, 0, tzinfo=UTC)
ORIGIN = ("ops/logs.md", "rotation")
SEEN = Section(*ORIGIN, "Logs > Rotation", "d1")


def here(*found: Section) -> dict[tuple[str, str], Section]:
    return {section.key: section for section in found}


EDITED = Section(*ORIGIN, "Logs > Rotation", "d2")
RENAMED = Section("ops/logs.md", "rotating", "Logs > Rotating", "d1")
MOVED = Section("guide/logs.md", "rotation", "Logs > Rotation", "d2")
ELSEWHERE = Section("guide/all.md", "rotation", "Logs > Rotation", "d2")
OTHER = Section("ops/x.md", "x", "X", "d9")

RULES = {
    "its name is there: there, whatever it says now": (here(EDITED, RENAMED), EDITED),
    "its text is elsewhere": (here(RENAMED, OTHER), RENAMED),
    "its text is there twice: the headings decide": (
        here(RENAMED, Section("y.md", "y", "Y", "d1"), MOVED),
        MOVED,
    ),
    "its headings are in a file of the same name": (here(MOVED, ELSEWHERE), MOVED),
    "its headings are in the same file under another anchor": (
        here(Section("ops/logs.md", "own-id", "Logs > Rotation", "d2"), MOVED),
        Section("ops/logs.md", "own-id", "Logs > Rotation", "d2"),
    ),
    "its headings are anywhere, once": (here(ELSEWHERE, OTHER), ELSEWHERE),
    "its headings are in two other files: gone": (
        here(ELSEWHERE, Section("z.md", "rotation", "Logs > Rotation", "d3")),
        None,
    ),
    "nothing is like it: gone": (here(OTHER), None),
}


@pytest.mark.parametrize(("sections_now", "expected"), RULES.values(), ids=RULES)
def test_the_rule(sections_now: dict[tuple[str, str], Section], expected: Section | None) -> None:
    assert Whereabouts(sections_now, {}, {}).place(ORIGIN, [SEEN]) == expected


def test_of_nothing_known_nothing_is_like() -> None:
    blank = Section("a.md", "", "", "")
    assert Whereabouts(here(Section("b.md", "")), {}, {}).place(("a.md", ""), [blank]) is None


def test_what_stood_beside_it_before_is_not_where_it_went() -> None:
    before = here(SEEN, ELSEWHERE)
    assert Whereabouts(here(ELSEWHERE), before, {}).place(ORIGIN, [SEEN]) is None
    assert Whereabouts(here(ELSEWHERE), here(SEEN), {}).place(ORIGIN, [SEEN]) == ELSEWHERE


def test_the_release_before_knows_what_an_event_did_not_say() -> None:
    silent = Section(*ORIGIN)
    assert Whereabouts(here(RENAMED), here(SEEN), {}).place(ORIGIN, [silent]) == RENAMED


def test_where_it_had_gone_outranks_what_it_was() -> None:
    known = {ORIGIN: Section("guide/all.md", "rotation", "Logs > Rotation", "d2")}
    assert Whereabouts(here(ELSEWHERE, RENAMED), {}, known).place(ORIGIN, [SEEN]) == ELSEWHERE
    assert Whereabouts(here(ELSEWHERE, SEEN), {}, known).place(ORIGIN, [SEEN]) == SEEN, "it is back"


class Releases:
    """Releases in memory, each knowing the one before."""

    def __init__(self) -> None:
        self.every: list[sqlite3.Connection] = []
        self.events: list[Feedback] = []
        self.golden: list[Golden] = []

    @property
    def newest(self) -> sqlite3.Connection | None:
        return self.every[-1] if self.every else None

    def say(self, section: str, verdict: str = "good", **more: str) -> None:
        number = str(len(self.events))
        self.events.append(Feedback(1, number, NOW.isoformat(), "q", section, verdict, user="ada", **more))  # type: ignore[arg-type]

    def release(self, documents: dict[str, str], *, lessons: bool = True) -> Resolved:
        candidate = database_of(documents)
        found = resolved(self.events, self.golden, NOW, candidate, self.newest)
        if lessons:
            store_lessons(candidate, found)
        self.every.append(candidate)
        return found

    def words(self, documents: dict[str, str]) -> dict[str, str]:
        found = self.release(documents)
        return {f"{one.path}#{one.anchor}": one.verdict for one in found.kept}


def database_of(documents: dict[str, str]) -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    database.executescript(
        "CREATE TABLE files (id INTEGER PRIMARY KEY, path BLOB NOT NULL);"
        "CREATE TABLE chunks (id INTEGER PRIMARY KEY, file INTEGER, anchor TEXT, crumbs TEXT, heading TEXT, text TEXT);"
    )
    for number, (path, text) in enumerate(documents.items()):
        database.execute("INSERT INTO files VALUES (?, ?)", (number, path.encode("utf-8", "surrogateescape")))
        database.executemany(
            "INSERT INTO chunks (file, anchor, crumbs, heading, text) VALUES (?, ?, ?, ?, ?)",
            [(number, one.anchor, one.crumbs, one.heading, one.text) for one in chunks_of(text)],
        )
    return database


@pytest.fixture
def releases() -> Iterator[Releases]:
    made = Releases()
    yield made
    for database in made.every:
        database.close()


ROTATION = "The journal rotates by itself, and nobody has to look after it."
OTHERS = "# Others\n\nText that is about quite another thing, and long enough too.\n"
LOGS = f"# Logs\n\nWhere they are.\n\n## Rotation\n\n{ROTATION}\n"


def test_a_section_of_a_renamed_file_is_followed_though_the_event_said_nothing_of_it(
    releases: Releases,
) -> None:
    releases.say("ops/logs.md#rotation")
    assert releases.words({"ops/logs.md": LOGS}) == {"ops/logs.md#rotation": "good"}
    found = releases.release({"guide/journal.md": LOGS, "b.md": OTHERS})
    assert [(one.path, one.anchor) for one in found.kept] == [("guide/journal.md", "rotation")]
    assert found.moved == {"ops/logs.md#rotation": "guide/journal.md#rotation"}
    assert str(found) == "1 lessons, 1 sections found elsewhere"


def test_a_section_is_followed_through_one_move_after_another_and_edits_between(releases: Releases) -> None:
    releases.say("ops/logs.md#rotation")
    releases.words({"ops/logs.md": LOGS})
    assert releases.words({"a.md": LOGS}) == {"a.md#rotation": "good"}
    edited = LOGS.replace("by itself", "each night")
    assert releases.words({"a.md": edited}) == {"a.md#rotation": "good"}
    assert releases.words({"b.md": edited}) == {"b.md#rotation": "good"}
    renamed = edited.replace("## Rotation", "## How it rotates")
    assert releases.words({"b.md": renamed}) == {"b.md#how-it-rotates": "good"}


def test_a_section_that_was_gone_for_a_release_is_known_again(releases: Releases) -> None:
    releases.say("ops/logs.md#rotation")
    releases.words({"ops/logs.md": LOGS})
    found = releases.release({"b.md": OTHERS})
    assert (found.kept, found.gone) == ((), ["ops/logs.md#rotation"])
    assert str(found) == "0 lessons, 1 sections gone"
    assert releases.words({"a.md": LOGS}) == {"a.md#rotation": "good"}


def test_a_section_that_comes_back_to_its_name_wins(releases: Releases) -> None:
    releases.say("ops/logs.md#rotation")
    releases.words({"ops/logs.md": LOGS})
    releases.words({"a.md": LOGS})
    assert releases.words({"a.md": LOGS, "ops/logs.md": LOGS}) == {"ops/logs.md#rotation": "good"}


def test_two_words_on_a_section_before_and_after_it_moved_are_two_words_on_one_section(
    releases: Releases,
) -> None:
    releases.say("ops/logs.md#rotation", "good")
    releases.words({"ops/logs.md": LOGS})
    releases.say("a.md#rotation", "bad")
    assert releases.words({"a.md": LOGS}) == {"a.md#rotation": "bad"}


def test_a_release_without_the_tables_knows_nothing_and_stops_nothing(releases: Releases) -> None:
    releases.say("ops/logs.md#rotation")
    releases.release({"ops/logs.md": LOGS}, lessons=False)
    assert releases.newest is not None
    assert known_lessons(releases.newest) == []
    assert releases.words({"a.md": LOGS}) == {"a.md#rotation": "good"}


def test_what_a_release_was_trained_with_can_be_read_from_it(releases: Releases) -> None:
    releases.say("ops/logs.md#rotation", "bad", correct="\udcff.md")
    found = releases.release({"ops/logs.md": LOGS, "\udcff.md": "text\n"})
    assert releases.newest is not None
    stored = known_lessons(releases.newest)
    assert [(one.query, one.path, one.anchor, one.verdict, one.weight) for one in stored] == [
        (one.query, one.path, one.anchor, one.verdict, one.weight) for one in found.kept
    ]
    assert [one.path for one in stored] == ["ops/logs.md", "\udcff.md"]


def test_a_golden_query_is_placed_by_what_it_looked_like_when_it_was_pinned(releases: Releases) -> None:
    with contextlib.closing(database_of({"ops/logs.md": LOGS})) as database:
        pinned = sections(database)[ORIGIN]
    golden = Golden("q", *ORIGIN, pinned.trail, pinned.digest, NOW.isoformat())
    lost = Golden("r", "nowhere.md", "", "", "", NOW.isoformat())
    releases.golden = [golden, lost]
    found = releases.release({"a.md": LOGS})
    assert [(one.query, place and place.name) for one, place in found.golden] == [
        ("q", "a.md#rotation"),
        ("r", None),
    ]
    again = releases.release({"b.md": LOGS.replace("by itself", "each night")})
    assert again.golden[0][1] is not None, "the release before knew where it had gone, and that it was edited"


@pytest.mark.parametrize(
    "name", ["\ud800#\udcff", "#", "#x", "a\x00b#c", " ", "x" * 4000, "'; DROP TABLE chunks; --#"]
)
def test_an_event_may_name_anything(releases: Releases, name: str) -> None:
    releases.say(name, heading="\ud800", digest="\ud800")
    for _ in range(2):
        found = releases.release({"ops/logs.md": LOGS})
        assert (found.kept, len(found.dropped)) == ((), 1)


def test_nothing_said_is_nothing_to_look_for(releases: Releases) -> None:
    assert releases.release({"ops/logs.md": LOGS}) == Resolved((), (), (), {})


def looks(text: str) -> dict[str, tuple[str, str]]:
    with contextlib.closing(database_of({"a.md": text})) as database:
        return {one.anchor: (one.trail, one.digest) for one in sections(database).values()}


def test_a_digest_is_of_what_a_reader_reads() -> None:
    plain = looks(LOGS)
    assert plain["rotation"][0] == "Logs > Rotation"
    assert plain["logs"] == ("Logs", ""), "too little to be known again by"
    digest = plain["rotation"][1]
    assert len(digest) == 64
    for other in (
        LOGS.replace("## Rotation", "Turning round\n---"),
        LOGS.replace("## Rotation\n", "### Rotation #\n\n\n"),
        LOGS.replace("it.", "it.   "),
    ):
        assert [found for _, found in looks(other).values() if found] == [digest]
    assert looks(LOGS.replace("nobody", "no one"))["rotation"][1] != digest


def test_a_digest_does_not_depend_on_where_a_section_was_cut() -> None:
    long = "# Long\n\n" + "A paragraph of some words that fills the page.\n\n" * 100
    with contextlib.closing(database_of({"a.md": long})) as database:
        (section,) = sections(database).values()
        (pieces,) = database.execute("SELECT count(*) FROM chunks").fetchone()
        assert pieces > 2
        database.execute("DELETE FROM chunks WHERE id > 1")
        database.execute("UPDATE chunks SET text = ?", (long,))
        assert sections(database) == {("a.md", "long"): section}
