"""The bench measures what it says: each row once on a tiny tree. Times are never judged here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.__main__ import ROWS, TITLES, ground_at
from bench.ground import Ground, Scale
from bench.peers import DAEMON, OURS, RAW
from bench.report import Circumstances, Line, Section, chapter, merged, table
from bench.trees import plant

TINY = Scale(
    sizes=(1_000,), small=200, burst=200, new_folders=20, changes=(1, 10), samples=4, idle=0.2, huge=400, repeat=1
)  # fmt: skip
HERE = Circumstances("2026-02-16", "a machine", "some software", "ext4", 1)


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    with ground_at(tmp_path_factory.mktemp("trees"), TINY) as ground:
        yield ground


@pytest.mark.parametrize("name", ROWS)
def test_each_row_gives_a_figure_of_ours_in_each_line(ground: Ground, name: str) -> None:
    section = ROWS[name](ground)
    assert section.name == name
    assert section.title in TITLES
    assert section.lines
    for each in section.lines:
        assert each.median(each.ours) is not None, each.what
        if each.what.endswith(("lost", "never reported")):
            assert not any(each.median(who) for who in (OURS, DAEMON)), each.what
    assert len({len(row) for row in table(section)}) == 1


def test_a_table_shows_medians_and_the_ratio_of_medians() -> None:
    figures = {OURS: [3.0, 1.0, 2.0], RAW: [4.0, 4.0, 400.0]}
    section = Section("row", "A row", "How.", (Line("took", "s", figures, OURS, (RAW,), "≤ 1"),))
    cells = [cell.strip() for cell in table(section)[2].strip("|").split("|")]
    assert cells == ["took", "2.00 s", "4.00 s", "0.50 \u00d7 raw loop", "\u2264 1"]


def test_a_page_keeps_the_chapters_that_were_not_measured_again() -> None:
    first = Section("a", "First", "How.", (Line("one", "s", {OURS: [1.0]}, OURS),))
    second = Section("b", "Second", "How.", (Line("two", "s", {OURS: [2.0]}, OURS),))
    page = merged("", "# Page\n", {"Second": chapter(second, HERE)}, ("First", "Second"))
    page = merged(page, "# Page\n", {"First": chapter(first, HERE)}, ("First", "Second"))
    assert page == f"# Page\n\n{chapter(first, HERE)}\n{chapter(second, HERE)}"
    assert merged(page, "# Page\n", {}, ("First", "Second")) == page


def test_a_tree_has_the_files_that_it_says(tmp_path: Path) -> None:
    tree = plant(tmp_path / "tree", 230)
    found = sorted(str(path) for path in (tmp_path / "tree").rglob("*") if path.is_file())
    assert found == sorted(tree.file(number) for number in range(230))
    assert sum(path.is_dir() for path in (tmp_path / "tree").rglob("*")) == tree.folders - 1
