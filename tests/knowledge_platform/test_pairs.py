"""What is trained on, and what the gate asks: never the same sections, and never other ones because of another document."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from invented import corpus, database_of, docs
from knowledge_platform.documents.plain import plain
from knowledge_platform.feedback.verdicts import Lesson
from knowledge_platform.meaning.corpus import HELD_OUT, Corpus, corpus_of
from knowledge_platform.meaning.pairs import Material, held_out_question, material
from knowledge_platform.settings import GATE_QUERIES, TRAINED_PIECES

BODY = (
    "The first thing to know is this. The second thing is known to few people. A third thing ends the text."
)


def headings(held_out: bool, count: int) -> list[str]:
    """Some that are held out, or are not."""
    found = []
    for number in range(1000):
        title = f"Heading {number}"
        if corpus({"a.md": f"# {title}\n\n{BODY}\n"}).held_out(0) is held_out:
            found.append(title)
    return found[:count]


KEPT, LEARNED = headings(True, 3), headings(False, 3)


def taught(query: str, path: str, anchor: str, verdict: str = "good", weight: float = 1.0) -> Lesson:
    return Lesson(query, path, anchor, "good" if verdict == "good" else "bad", weight, (), ())


def anchor(heading: str) -> str:
    return heading.lower().replace(" ", "-")


def page(*titles: str, body: str = BODY) -> str:
    return "\n".join(f"# {title}\n\n{body} It is about {title[::-1]}.\n" for title in titles)


# The corpus


def test_pieces_and_sections_are_numbered_in_the_order_of_the_docs_without_gaps() -> None:
    found = corpus(
        {"a.md": "before\n\n# One\n\n" + "a paragraph\n\n" * 300 + "# Two\n\ntext\n", "b.md": "# One\n\nx\n"}
    )
    assert found.sections[0] == 0
    assert [b - a for a, b in zip(found.sections, found.sections[1:], strict=False) if b != a] == [1, 1, 1]
    assert [found.sections.index(n) for n in range(4)] == [members[0] for members in found.members]
    assert sorted(n for members in found.members for n in members) == list(range(len(found.pieces)))
    assert found.by_name == {
        ("a.md", ""): [0],
        ("a.md", "one"): [1],
        ("a.md", "two"): [2],
        ("b.md", "one"): [3],
    }


def test_a_path_in_two_folders_is_two_sections_of_one_name() -> None:
    database = database_of({"a.md": "# One\n\nx\n", "b.md": "# One\n\ny\n"})
    database.execute("UPDATE files SET path = ?", (b"a.md",))
    found = corpus_of(database)
    assert found.sections == [0, 1]
    assert found.by_name == {("a.md", "one"): [0, 1]}


def test_rows_that_are_not_numbered_through_are_refused() -> None:
    database = database_of({"a.md": page("One", "Two")})
    database.execute("DELETE FROM chunks WHERE id = 1")
    with pytest.raises(ValueError, match="chunk 2 follows 0"):
        corpus_of(database)


def test_a_heading_is_lone_until_another_section_has_it_in_any_case() -> None:
    found = corpus({"a.md": page("One", "Two"), "b.md": page("TWO", "Three")})
    assert [found.is_lone(members[0]) for members in found.members] == [True, False, False, True]


def test_a_long_section_is_lone_though_it_has_many_pieces() -> None:
    found = corpus({"a.md": "# One\n\n" + "a paragraph\n\n" * 300})
    assert len(found.pieces) > 1
    assert found.is_lone(1)


@pytest.mark.parametrize("title", [*KEPT, *LEARNED])
def test_a_section_stays_on_its_side_when_it_is_edited_or_moves(title: str) -> None:
    sides = {
        corpus(pages).held_out(row)
        for pages, row in (
            ({"a.md": f"# {title}\n\n{BODY}\n"}, 0),
            ({"a.md": f"# {title.upper()}\n\nEdited.\n"}, 0),
            ({"b/c.md": f"# Other\n\nx\n\n## {title}\n\n{BODY}\n"}, 1),
            ({"a.md": f"# Above\n\nx\n\n## {title}\n\n" + "a paragraph\n\n" * 300}, 3),
        )
    }
    assert sides == {title in KEPT}


def test_all_pieces_of_a_section_are_on_one_side() -> None:
    """What has no letter has no anchor, so it is one section with the text before the first heading."""

    def side(text: str) -> bool:
        return corpus({"a.md": text}).held_out(0)

    title = next(
        title for n in range(1, 99) if side(f"# {(title := '!' * n)}\n\nx\n") != side("text before\n")
    )
    found = corpus({"a.md": f"text before\n\n# {title}\n\n{BODY}\n"})
    assert found.sections == [0, 0]
    assert found.held_out(0) == found.held_out(1)


def test_two_headings_of_one_name_are_two_sections() -> None:
    assert corpus({"a.md": page("One", "One")}).sections == [0, 1]


def test_about_one_section_in_five_is_held_out() -> None:
    found = corpus(docs(1, files=100))
    share = sum(found.held_out(members[0]) for members in found.members) / len(found.members)
    assert share == pytest.approx(1 / HELD_OUT, abs=0.04)


# What is asked and what is learned


def sections_of(found: Corpus, made: Material) -> set[str]:
    return {found.pieces[pair.piece].chunk.heading for pair in made.pairs}


def test_headings_and_sentences_are_learned_and_their_answers_have_lost_them() -> None:
    found = corpus({"a.md": page(*LEARNED)})
    made = material(found, [])
    assert sections_of(found, made) == set(LEARNED)
    assert len(made.pairs) == 2 * len(LEARNED)
    for pair in made.pairs:
        assert pair.masked is not None
        assert pair.query not in pair.masked
        assert found.pieces[pair.piece].chunk.heading not in pair.masked
        assert len(pair.masked) > 40
    assert made.headings == made.links == made.verdicts == ()


def test_held_out_headings_are_asked_of_passages_without_them() -> None:
    found = corpus({"a.md": page(*KEPT, *LEARNED)})
    made = material(found, [])
    assert {query.text for query in made.headings} == set(KEPT)
    assert made.masked == {query.golds[0] for query in made.headings} == {0, 1, 2}


@pytest.mark.parametrize(
    ("pages", "why"),
    [
        ({"a.md": page(KEPT[0]), "b.md": page(KEPT[0])}, "two sections have it"),
        ({"a.md": f"# {KEPT[0]}\n\nToo short.\n"}, "too little is left"),
        ({"a.md": "# !!!\n\n" + BODY}, "it has no word"),
        ({"a.md": "# ___\n\n" + BODY}, "an underscore is none"),
    ],
)
def test_a_heading_is_no_question_when(pages: dict[str, str], why: str) -> None:
    assert material(corpus(pages), []).headings == (), why


def linking(text: str, title: str, *, name: str = "a.md") -> str:
    return f"# {LEARNED[0]}\n\n{BODY} See [{text}]({name}#{anchor(title)}).\n"


def test_a_link_to_a_held_out_section_is_asked_and_its_own_section_is_no_answer() -> None:
    found = corpus({"a.md": page(*KEPT), "b.md": linking("what few people know", KEPT[1])})
    made = material(found, [])
    (query,) = made.links
    assert (query.text, query.golds, query.besides) == ("what few people know", (1,), 3)
    assert not any(pair.masked is None for pair in made.pairs)


def test_a_link_to_another_section_is_learned_and_not_asked() -> None:
    found = corpus({"a.md": page(LEARNED[1]), "b.md": linking("what few people know", LEARNED[1])})
    made = material(found, [])
    assert made.links == ()
    (pair,) = [pair for pair in made.pairs if pair.masked is None]
    assert (pair.query, found.pieces[pair.piece].chunk.heading) == ("what few people know", LEARNED[1])


@pytest.mark.parametrize(
    ("text", "name", "why"),
    [
        (KEPT[0], "a.md", "it is the heading"),
        (KEPT[0].upper(), "a.md", "it is the heading in other letters"),
        ("here", "a.md", "one word says nothing"),
        ("what few people know", "gone.md", "it leads nowhere"),
    ],
)
def test_a_link_is_no_question_when(text: str, name: str, why: str) -> None:
    found = corpus({"a.md": page(*KEPT), "b.md": linking(text, KEPT[0], name=name)})
    assert material(found, []).links == (), why


def test_a_link_text_that_leads_to_two_sections_is_no_question() -> None:
    text = linking("read all about it", KEPT[0]) + linking("Read all about it", KEPT[1]).replace(
        LEARNED[0], LEARNED[1]
    )
    assert material(corpus({"a.md": page(*KEPT), "b.md": text}), []).links == ()


def questions(held_out: bool) -> str:
    return next(text for n in range(99) if held_out_question(text := f"question {n}") is held_out)


def test_one_question_in_five_that_people_judged_is_asked_and_none_is_trained_on() -> None:
    found = corpus({"a.md": page(*LEARNED)})
    asked, kept_in_mind = questions(True), questions(False)
    made = material(
        found,
        [
            taught(asked, "a.md", anchor(LEARNED[0])),
            taught(asked, "a.md", anchor(LEARNED[1])),
            taught(kept_in_mind, "a.md", anchor(LEARNED[2])),
            taught(asked, "gone.md", "x"),
        ],
    )
    (query,) = made.verdicts
    assert (query.text, query.golds) == (asked, (0, 1))
    assert made.pairs == material(found, []).pairs


def test_a_question_to_many_is_chosen_the_same_way_whatever_comes_along() -> None:
    pages = docs(2, files=200)
    few = material(corpus(pages), [])
    assert len(few.headings) == len(few.links) == GATE_QUERIES
    more = material(corpus({**pages, "zz.md": page(*LEARNED), "a.md": page(*KEPT)}), [])
    texts = [{query.text for query in made.headings} for made in (few, more)]
    assert len(texts[0] - texts[1]) <= len(KEPT)


def test_of_more_passages_than_are_learned_from_some_are_taken_from_everywhere() -> None:
    found = corpus(docs(2, files=200))
    taken = {pair.piece for pair in material(found, []).pairs if pair.masked is not None}
    assert len(taken) == TRAINED_PIECES
    halves = [sum(piece * 2 // len(found.pieces) == half for piece in taken) for half in (0, 1)]
    assert halves == [pytest.approx(TRAINED_PIECES / 2, rel=0.1)] * 2


TITLES = st.sampled_from([*KEPT, *LEARNED, "Heading", "!!!", "Heading 1 2"])
TEXTS = st.sampled_from(
    [
        BODY,
        "Short.",
        "```\ncode\n```\n\n" + BODY,
        "See [what few people know](b.md#heading-1) and [a b](a.md).",
        "x " * 900,
    ]
)
PAGES = st.dictionaries(
    st.sampled_from(["a.md", "b.md", "c/d.md"]),
    st.lists(st.tuples(st.integers(1, 3), TITLES, TEXTS, TEXTS), min_size=1, max_size=6).map(
        lambda parts: "\n\n".join(
            f"{'#' * level} {title}\n\n{one}\n\n{two}" for level, title, one, two in parts
        )
    ),
    min_size=1,
)
LESSONS = st.lists(
    st.builds(
        taught,
        st.integers(0, 20).map("question {}".format),
        st.sampled_from(["a.md", "b.md"]),
        st.sampled_from([anchor(title) for title in (*KEPT, *LEARNED)]),
        st.sampled_from(["good", "bad"]),
    ),
    max_size=6,
)


@given(PAGES, LESSONS)
def test_what_the_gate_asks_for_by_headings_and_links_is_in_no_pair(
    pages: dict[str, str], lessons: Sequence[Lesson]
) -> None:
    found = corpus(pages)
    made = material(found, lessons)
    trained = {found.pieces[pair.piece].section for pair in made.pairs}
    asked = {gold for query in (*made.headings, *made.links) for gold in query.golds}
    assert not trained & asked
    assert not {pair.query for pair in made.pairs if pair.weight > 1} & {
        query.text for query in made.verdicts
    }
    for pair in made.pairs:
        if pair.masked is not None and pair.query != found.pieces[pair.piece].chunk.heading:
            assert pair.query not in pair.masked
    for query in made.links:
        assert query.besides not in query.golds
    assert made == material(corpus(pages), lessons), "the same docs are asked the same"


@given(PAGES, st.sampled_from([page("Entirely new", "Also new"), page("Third new", body="x " * 50)]))
def test_another_document_changes_no_question_and_no_pair_about_those_that_were_there(
    pages: dict[str, str], new: str
) -> None:
    def told(pages: dict[str, str]) -> tuple[set[tuple[str, str]], set[tuple[str, str, str]]]:
        found = corpus(pages)
        made = material(found, [])

        def name(section: int) -> str:
            chunk = found.pieces[found.members[section][0]]
            return f"{chunk.path}#{chunk.chunk.anchor}"

        asked = {(query.text, name(query.golds[0])) for query in (*made.headings, *made.links)}
        learned = {
            (pair.query, pair.masked or "", name(found.pieces[pair.piece].section)) for pair in made.pairs
        }
        return asked, learned

    before, after = told(pages), told({**pages, "zz/new.md": new})
    assert before[0] <= after[0]
    assert before[1] <= after[1]
    assert all("zz/new.md" in one[-1] for one in (*(after[0] - before[0]), *(after[1] - before[1])))


def test_every_text_that_a_vector_is_needed_of_is_named() -> None:
    found = corpus({"a.md": page(*KEPT, *LEARNED), "b.md": linking("what few people know", KEPT[1])})
    made = material(found, [taught(questions(held), "a.md", anchor(LEARNED[1])) for held in (True, False)])
    texts = set(made.texts())
    assert {query.text for kind in (made.headings, made.links, made.verdicts) for query in kind} <= texts
    assert {pair.query for pair in made.pairs} | {pair.masked for pair in made.pairs if pair.masked} <= texts
    assert all(text == plain(text) for text in texts if text.startswith("The "))
