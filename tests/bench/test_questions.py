"""The questions that measure the answers: each names sections that are there, and asks in words of its own."""

from __future__ import annotations

from bench.crystal.corpus import corpus_at

from knowledge_platform.documents.chunks import chunks_of


def test_each_section_that_is_to_be_found_exists() -> None:
    corpus = corpus_at()
    there = {
        f"{path.relative_to(corpus.docs)}#{chunk.anchor}"
        for path in corpus.docs.rglob("*.md")
        for chunk in chunks_of(path.read_text(encoding="utf-8"))
    }
    gone = {gold: need.phrasings[0] for need in corpus.needs for gold in need.golds if gold not in there}
    assert not gone, (
        "bench/questions.txt names sections that docs/ doesn't have any more. Name the section that answers the question now, "
        "or remove the question with its line if none does:\n"
        + "\n".join(f"  {gold} ({question})" for gold, question in gone.items())
    )


def test_the_questions_are_asked_of_every_document_but_the_figures() -> None:
    corpus = corpus_at()
    asked = {gold.partition("#")[0] for need in corpus.needs for gold in need.golds}
    silent = {path.name for path in corpus.docs.glob("*.md")} - asked - {"benchmarks.md"}
    assert not silent, (
        f"bench/questions.txt asks nothing of {', '.join(sorted(silent))}: write some needs for it"
    )
