"""The manual's own lines, as somebody runs them who reads it: each block of a page, from its top to its bottom."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from examples import DOCS, Block, agrees, blocks, questions
from machine.machine import Machine
from machine.waiting import eventually

# A busy machine of two cores may take its time over a training, and a start that was deferred a minute.
ANSWERED_WITHIN = 90


@pytest.fixture(scope="module")
def reader(suite: str) -> Iterator[Machine]:
    """A user named as the manual has it, with the clone where the manual has it, and a quiet dvc."""
    with Machine(suite, user="you", home="/home/you") as booted:
        booted.copy_project("training-watch")
        yield booted


@pytest.mark.parametrize("page", ["first-training.md", "own-command.md"])
def test_a_reader_gets_what_the_page_shows(reader: Machine, page: str) -> None:
    for block in blocks(DOCS / page):
        match block.kind:
            case "sh":
                reader.user(["bash", "-euc", block.text], env={"DVC_NO_ANALYTICS": "1"}, timeout=600)
            case "console":
                _ask(reader, block)


def _ask(reader: Machine, block: Block) -> None:
    for question in questions(block):
        printed = ""

        def answered(command: str = question.command, shown: str = question.answer) -> bool:
            nonlocal printed
            printed = reader.user(command, check=False).stdout
            return agrees(shown, printed)

        eventually(
            answered,
            ANSWERED_WITHIN,
            f"{block.place}: `{question.command}` prints what the page shows",
            every=0.5,
            also=lambda: f"it printed:\n{printed}",  # noqa: B023 - of this round
        )


@pytest.fixture(scope="module")
def shells(suite: str) -> Iterator[Machine]:
    """Somebody with three shells, whose home has a blank in its name; installed, with two jobs."""
    with Machine(suite, home="/home/two words") as booted:
        booted.root("apt-get -q update && apt-get -q -y --no-install-recommends install man-db bash-completion fish zsh",
                    env={"DEBIAN_FRONTEND": "noninteractive"}, timeout=300)  # fmt: skip
        project = booted.copy_project("clone")
        booted.user(["bash", "scripts/install.sh"], cwd=project, timeout=600)
        table = '\n[job.drafts]\npaths = ["~/drafts"]\nservice = "drafts.service"\n'
        booted.user("cat >>.config/training-watch/config.toml", stdin=table)
        yield booted


def test_man_finds_the_pages_of_what_was_installed(shells: Machine) -> None:
    for page in ("1 training-watch", "1 crystal", "5 training-watch"):
        assert "SEE ALSO" in shells.user(f"man {page}").stdout


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("training-watch uni", "uninstall"),
        ("training-watch trigger --", "--no-watch"),
        ("training-watch status d", "drafts"),
        ("crystal fee", "feedback"),
    ],
)
def test_tab_completes_in_a_real_shell(shells: Machine, shell: str, line: str, expected: str) -> None:
    script = (Path(__file__).parent / "tab.py").read_text()
    shells.user(
        ["python3", "-", shell, line, expected.removeprefix(line.rsplit(maxsplit=1)[-1])],
        stdin=script,
        timeout=90,
    )
