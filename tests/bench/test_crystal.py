"""The crystal rows measure what they say: each once on a tiny corpus. Neither times nor answers are judged here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from bench.__main__ import CRYSTAL
from bench.crystal.corpus import CorpusError, corpus_at, section_of
from bench.crystal.quality import FEEDBACK
from bench.crystal.rankers import DENSE, FTS5, FUSION, RRF, TRAINED, ByRank, systems_in
from bench.crystal.remaining import Remaining
from bench.crystal.store import fresh
from bench.ground import Ground, Scale
from bench.ours import MODULE
from bench.peers import Peers
from bench.processes import finished
from bench.report import Line, table
from bench.report import Section as Chapter

from knowledge_platform.gate.measures import Section

TINY = Scale(
    sizes=(), small=0, burst=0, new_folders=0, changes=(), samples=0, idle=0.0, huge=0, repeat=1, questions=1
)  # fmt: skip
PAGES = {
    "logs.md": "# Logs\n\nWhere they are.\n\n## Rotation\n\nOld lines are thrown away each night by logrotate.\n",
    "install/first.md": "# First steps\n\nUnpack the archive and run the script in it.\n",
}
QUESTIONS = """\
logs.md#rot ;; how do I get rid of ancient lines ;; logrotate
install/first.md|logs.md#logs ;; unpack it ;; what to run after the download
"""


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corpora") / "tiny"
    for name, text in PAGES.items():
        path = folder / "docs" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "questions.txt").write_text(QUESTIONS)
    return folder


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Ground:
    place, scratch = tmp_path_factory.mktemp("trees"), tmp_path_factory.mktemp("homes")
    return Ground(TINY, (sys.executable, *MODULE), place, scratch, Peers((), ()), corpus)


@pytest.mark.parametrize("name", CRYSTAL)
def test_each_row_gives_a_figure_of_ours_in_each_line(ground: Ground, name: str) -> None:
    section = CRYSTAL[name](ground)
    assert section.name == name
    assert section.title.endswith(", tiny")
    assert section.lines
    for each in section.lines:
        assert each.median(each.ours) is not None, each.what
    assert len({len(row) for row in table(section)}) == 1
    assert not list(ground.place.iterdir())


def test_a_corpus_is_its_documents_and_what_is_asked_of_them(corpus: Path) -> None:
    found = corpus_at(corpus)
    assert [need.golds for need in found.needs] == [("logs.md#rot",), ("install/first.md", "logs.md#logs")]
    assert found.needs[0].phrasings == ("how do I get rid of ancient lines", "logrotate")
    assert section_of(found.docs, "logs.md#rot") == ("logs.md", "rotation")
    with pytest.raises(CorpusError, match=r"logs\.md#nowhere"):
        section_of(found.docs, "logs.md#nowhere")


def test_the_page_of_figures_is_no_part_of_our_own_corpus(tmp_path: Path) -> None:
    own = corpus_at()
    own.copy_to(tmp_path / "docs")
    copied = {path.name for path in (tmp_path / "docs").rglob("*.md")}
    assert copied == {path.name for path in own.docs.rglob("*.md")} - {"benchmarks.md"}
    assert len(copied) == own.files


def test_another_corpus_is_asked_of_our_questions_only_what_no_software_answers(corpus: Path) -> None:
    assert list(corpus_at(corpus).unanswerable) == ["far"]
    assert {distance: len(asked) for distance, asked in corpus_at().unanswerable.items()} == {
        "far": 30,
        "near": 30,
    }


def test_a_line_that_is_no_need_is_named(tmp_path: Path) -> None:
    (tmp_path / "questions.txt").write_text("logs.md ;; only one phrasing\n")
    with pytest.raises(CorpusError, match="only one phrasing"):
        corpus_at(tmp_path)


def test_a_command_that_fails_is_no_figure_but_its_last_words() -> None:
    with pytest.raises(RuntimeError, match="ended with 3: no model"):
        finished(
            [sys.executable, "-I", "-c", "import sys; print('no model', file=sys.stderr); sys.exit(3)"], {}
        )


def test_a_release_is_as_many_systems_as_it_has_parts(ground: Ground, corpus: Path) -> None:
    with fresh(ground, corpus_at(corpus)) as store:
        _, facts = store.train()
        assert facts["embedded"] == facts["chunks"]
        with systems_in(store.path) as systems:
            assert list(systems.rankers) == [FTS5, DENSE, RRF, FUSION, TRAINED]
            assert systems.deployed == TRAINED
            for name, ranker in systems.rankers.items():
                assert ranker.sections("logrotate", 2)[0] == ("logs.md", "rotation"), name
            assert systems.gates[TRAINED]("when are old lines thrown away?")
            assert not systems.gates[TRAINED]("sourdough bread")
        assert store.edit(0) == 1


def test_what_was_said_is_in_the_chapter_beside_what_the_gate_took(ground: Ground) -> None:
    chapter = CRYSTAL["crystal-quality"](ground)
    assert any(FEEDBACK in line.values for line in chapter.lines)
    assert [note.partition(",")[0] for note in chapter.notes] == [
        "Without feedback", "With half of the verdicts", "With all verdicts",
    ]  # fmt: skip


def test_the_time_that_is_left_is_compared_with_what_it_was(tmp_path: Path) -> None:
    remaining = Remaining(tmp_path / "status.json")
    remaining.look()
    assert remaining.error(ended=100.0) is None
    # 10 s, 12 s and 9 s were said when 10 s, 8 s and 6 s were left: wrong by 0, 1/2 and 1/2; then too little is left to count.
    remaining.said += [(90.0, 10), (92.0, 12), (94.0, 9), (99.0, 40)]
    assert remaining.error(ended=100.0) == 0.5


class Fixed:
    def __init__(self, *names: str) -> None:
        self.names = names

    def sections(self, question: str, count: int) -> list[Section]:  # noqa: ARG002 - a Ranker
        return [(name, "") for name in self.names][:count]


def test_fusion_by_rank_adds_reciprocal_ranks() -> None:
    # b: 1/62 + 1/61, a: 1/61 + 1/63, c: 1/63 + 1/62
    fused = ByRank((Fixed("a", "b", "c"), Fixed("b", "c", "a"))).sections("?", 3)
    assert [path for path, _ in fused] == ["b", "a", "c"]


def test_a_gain_is_shown_with_its_interval() -> None:
    gain = Line("nDCG@10 over FTS5", "gain", {"fusion": (-0.005, 0.013, 0.032)}, "fusion")
    share = Line("nDCG@10", "share", {"fusion": (0.61,)}, "fusion")
    rows = table(Chapter("row", "A row", "How.", (share, gain)))[2:]
    assert [row.split("|")[2].strip() for row in rows] == ["0.610", "+0.013 [-0.005, +0.032]"]
