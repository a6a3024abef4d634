"""The crystal rows measure what they say: each once on a tiny corpus. Neither times nor answers are judged here."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from bench.__main__ import CRYSTAL
from bench.crystal.corpus import CorpusError, corpus_at, section_of
from bench.crystal.rankers import ByRank
from bench.ground import Ground, Scale
from bench.metrics import Section
from bench.ours import MODULE
from bench.peers import Peers
from bench.processes import finished
from bench.report import Line, table
from bench.report import Section as Chapter

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
    assert section_of(found.docs, "logs.md#rot") == "logs.md#rotation"
    with pytest.raises(CorpusError, match=r"logs\.md#nowhere"):
        section_of(found.docs, "logs.md#nowhere")


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
