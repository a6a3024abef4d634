"""A corpus -> questions whose answers are known: what the query side is trained on, and what the gate asks.

    heading        -> its section, with the heading taken out of it: without that the task would be trivial
    sentence       -> the passage that it was taken out of
    link's text    -> the section that it leads to: another person's words for it

Sections that are held out (corpus.py) appear on the gate's side alone. What people said is asked there, too; it is not trained on but
remembered (ranking.py): learned here it gains the same need in other words .023 nDCG@10 [-.004, .055], and costs headings about other
things .012 [.023, .002]. PURE.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from knowledge_platform.documents.links import links_of, resolve
from knowledge_platform.documents.plain import passage_text, sentences
from knowledge_platform.feedback.verdicts import Lesson
from knowledge_platform.meaning.corpus import Corpus, digest_number
from knowledge_platform.settings import (
    GATE_QUERIES,
    HEADING_WEIGHT,
    LINKED_DOCUMENTS,
    TRAINED_PIECES,
)
from knowledge_platform.words.search import words_of

_BODY = 60  # characters: with its heading taken out, less says too little to be found by; arbitrary


@dataclass(frozen=True, slots=True)
class Pair:
    """A question and the piece that answers it; `masked` is that piece's text with the question taken out, None if it isn't in it."""

    query: str
    piece: int
    masked: str | None
    weight: float


@dataclass(frozen=True, slots=True)
class Query:
    """A question and the sections that answer it; `besides` is a section that may not, because the question was taken from it."""

    text: str
    golds: tuple[int, ...]
    besides: int | None = None


@dataclass(frozen=True, slots=True)
class _Link:
    text: str
    piece: int
    section: int


@dataclass(frozen=True, slots=True)
class Material:
    """All that is asked. `headings` are to be asked of an index in which `masked` sections have lost their headings."""

    pairs: tuple[Pair, ...]
    headings: tuple[Query, ...]
    links: tuple[Query, ...]
    verdicts: tuple[Query, ...]
    masked: frozenset[int]

    def texts(self) -> Iterator[str]:
        """Every text of which a vector is needed."""
        yield from (pair.masked for pair in self.pairs if pair.masked is not None)
        yield from (pair.query for pair in self.pairs)
        for queries in (self.headings, self.links, self.verdicts):
            yield from (query.text for query in queries)


def material(corpus: Corpus, lessons: Sequence[Lesson]) -> Material:
    """All of it, chosen by digest: an edit changes the questions about what was edited, and no others."""
    links = list(_links(corpus))
    # "Read more" is no question: it has as many answers as links.
    leads_to: defaultdict[str, set[int]] = defaultdict(set)
    for link in links:
        leads_to[link.text.casefold()].add(link.section)

    headings = _chosen(
        [
            Query(corpus.pieces[piece].chunk.heading, (corpus.pieces[piece].section,))
            for piece in _headed(corpus)
            if corpus.held_out(piece)
        ]
    )
    asked = _chosen(
        [
            Query(link.text, (link.section,), corpus.pieces[link.piece].section)
            for link in links
            if corpus.held_out(corpus.members[link.section][0]) and len(leads_to[link.text.casefold()]) == 1
        ]
    )
    golds: dict[str, list[int]] = {}
    for lesson in lessons:
        if lesson.verdict == "good" and held_out_question(lesson.query):
            golds.setdefault(lesson.query, []).extend(corpus.by_name.get((lesson.path, lesson.anchor), ()))
    return Material(
        pairs=tuple(_synthetic(corpus, links)),
        headings=headings,
        links=asked,
        verdicts=_chosen([Query(text, tuple(found)) for text, found in golds.items() if found]),
        masked=frozenset(query.golds[0] for query in headings),
    )


def held_out_question(query: str) -> bool:
    """Whether what was said of this question (normalised) is kept for the gate: one in five."""
    return digest_number(query) % 5 == 0


def _chosen(queries: Sequence[Query]) -> tuple[Query, ...]:
    """At most GATE_QUERIES, each question once."""
    each = {query.text.casefold(): query for query in queries}
    return tuple(sorted(each.values(), key=lambda query: digest_number(query.text))[:GATE_QUERIES])


def _headed(corpus: Corpus) -> Iterator[int]:
    """The first pieces of sections whose heading is a question of its own."""
    for first, *_ in corpus.members:
        chunk = corpus.pieces[first].chunk
        if (
            any(word.strip("_") for word in words_of(chunk.heading))
            and corpus.is_lone(first)
            and len(corpus.bodies[first]) > _BODY
        ):
            yield first


def _synthetic(corpus: Corpus, links: Sequence[_Link]) -> Iterator[Pair]:
    headed = set(_headed(corpus))
    able = [piece for piece in range(len(corpus.pieces)) if not corpus.held_out(piece)]
    able.sort(key=lambda piece: digest_number(corpus.pieces[piece].chunk.text))
    left = TRAINED_PIECES
    for piece in able:
        sentence = _sentence(corpus, piece)
        if sentence is None and piece not in headed:
            continue
        if not left:
            break
        left -= 1
        body = corpus.words[piece]
        masked = passage_text("", " ".join(body.replace(sentence, " ").split()) if sentence else body)
        if piece in headed:
            yield Pair(corpus.pieces[piece].chunk.heading, piece, masked, HEADING_WEIGHT)
        if sentence is not None:
            yield Pair(sentence, piece, masked, 1.0)
    for link in links:
        piece = corpus.members[link.section][0]
        if not corpus.held_out(piece):
            yield Pair(link.text, piece, None, 1.0)


def _sentence(corpus: Corpus, piece: int) -> str | None:
    """One sentence of the piece, always the same, if enough remains without it.

    Of the first window: what remains around it is what is encoded.
    """
    found = [one for one in sentences(corpus.bodies[piece]) if one in corpus.windows[piece][0]]
    if len(found) < 3:
        return None
    return found[digest_number(corpus.pieces[piece].chunk.text) % len(found)]


def _links(corpus: Corpus) -> Iterator[_Link]:
    """Links to another section whose text is not its heading, each text and target once."""
    pieces: dict[int, list[int]] = {}
    for number, file in enumerate(corpus.files):
        pieces.setdefault(file, []).append(number)
    paths = {corpus.pieces[numbers[0]].path for numbers in pieces.values()}
    first: dict[str, int] = {}
    for section, (member, *_) in enumerate(corpus.members):
        piece = corpus.pieces[member]
        if piece.chunk.heading:
            first.setdefault(piece.path, section)
    seen: set[tuple[str, int]] = set()
    files = sorted(pieces.values(), key=lambda numbers: digest_number(corpus.pieces[numbers[0]].path))
    for numbers in files[:LINKED_DOCUMENTS]:
        path = corpus.pieces[numbers[0]].path
        for link in links_of(_document(corpus, numbers)):
            to = resolve(link.target, path, paths)
            if to is None:
                continue
            found = corpus.by_name.get(to, ()) if to[1] else [first[to[0]]] if to[0] in first else ()
            source = next((n for n in numbers if corpus.pieces[n].chunk.start <= link.line <= corpus.pieces[n].chunk.end), None)  # fmt: skip
            for section in found:
                heading = corpus.pieces[corpus.members[section][0]].chunk.heading
                if (
                    source is None
                    or corpus.pieces[source].section == section
                    or link.text.casefold() == heading.casefold()
                    or len(link.text.split()) < 2
                    or (link.text, section) in seen
                ):
                    continue
                seen.add((link.text, section))
                yield _Link(link.text, source, section)


def _document(corpus: Corpus, numbers: Sequence[int]) -> str:
    """A file's text as it was cut, on its own lines; only what is in no chunk is blank."""
    lines: list[str] = []
    for number in numbers:
        chunk = corpus.pieces[number].chunk
        lines += [""] * (chunk.start - 1 - len(lines))
        lines += chunk.text.split("\n")
    return "\n".join(lines)
