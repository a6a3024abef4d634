"""The commands as people meet them: help, set-up errors, and a manual that leaves nothing out."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest

from knowledge_platform.asking.ask import Answer
from knowledge_platform.cli import MODULES
from knowledge_platform.cli import crystal as program
from knowledge_platform.errors import CrystalError
from knowledge_platform.meaning.model import FILES
from knowledge_platform.settings import docs_roots, store_folder
from knowledge_platform.status import Status
from knowledge_platform.text import printable
from knowledge_platform.words.search import Passage

if TYPE_CHECKING:
    from knowledge_platform.conftest import Crystal

DOCS = Path(__file__).parents[2] / "docs"


def commands(group: click.Group, *above: str) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with its words, those of groups in groups too."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*above, name), command
        if isinstance(command, click.Group):
            yield from commands(command, *above, name)


COMMANDS = dict(commands(program))


def test_the_commands_are_these() -> None:
    assert sorted(MODULES) == [
        "ask",
        "eval",
        "feedback",
        "golden",
        "releases",
        "report",
        "rollback",
        "status",
        "train",
        "unpin",
    ]


@pytest.mark.parametrize("words", [(), *COMMANDS], ids=" ".join)
def test_every_help_has_an_example(crystal: "Crystal", words: tuple[str, ...]) -> None:
    said = crystal.run(*words, "--help").stdout
    assert f"Examples:\n  crystal {' '.join(words)}" in said


def test_the_version_is_said(crystal: "Crystal") -> None:
    assert re.fullmatch(r"crystal, version \d+\.\d+\S*\n", crystal.run("--version").stdout)


@pytest.mark.parametrize(
    "words", [["nonsense"], ["train", "--nonsense"], ["ask"], ["ask", "a", "b"]], ids=" ".join
)
def test_wrong_usage_is_exit_2(crystal: "Crystal", words: list[str]) -> None:
    crystal.run(*words, code=2)


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_the_manual_names_every_command_and_option(words: tuple[str, ...]) -> None:
    manual = (DOCS / "crystal.md").read_text()
    assert f"crystal {' '.join(words)}" in manual
    for parameter in COMMANDS[words].params:
        if isinstance(parameter, click.Option):
            assert any(option in manual for option in parameter.opts), parameter.opts


def test_the_manual_names_every_field_of_an_answer_and_every_file_of_a_release() -> None:
    manual = (DOCS / "crystal.md").read_text()
    names = [field.name for kind in (Answer, Passage) for field in fields(kind)]
    missing = [name for name in (*names, *FILES, "report.json", "chunks.sqlite") if f"`{name}`" not in manual]
    assert missing == []


def test_the_manual_names_every_exit_code() -> None:
    kinds: list[type[CrystalError]] = [CrystalError, *CrystalError.__subclasses__()]
    codes = [kind.exit_code for kind in kinds]
    table = (DOCS / "crystal.md").read_text().partition("### When it stops")[2].partition("\n## ")[0]
    assert [code for code in (0, 2, *codes) if f"\n| {code} |" not in table] == []


def test_the_status_page_names_every_field() -> None:
    page = (DOCS / "status-file.md").read_text()
    for field in fields(Status):
        assert f"`{field.name}`" in page


def test_the_shell_example_of_the_status_page_writes_a_status(tmp_path: Path) -> None:
    example = re.findall(r"```sh\n(.*?)```", (DOCS / "status-file.md").read_text(), re.DOTALL)[0]
    path = tmp_path / "status.json"
    subprocess.run(
        ["sh", "-euc", example],
        env={"TRAINING_STATUS_FILE": str(path), "PATH": "/usr/bin:/bin"},
        cwd=tmp_path,
        check=True,
        timeout=60,
    )
    status = json.loads(path.read_text())
    assert {field.name for field in fields(Status)} >= set(status)
    assert (status["schema"], status["result"]) == (1, "succeeded")
    subprocess.run(
        ["sh", "-euc", example], env={"PATH": "/usr/bin:/bin"}, cwd=tmp_path, check=True, timeout=60
    )


def test_check_says_what_is_there_and_trains_nothing(crystal: "Crystal") -> None:
    lines = crystal.run("train", "--check").stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "ok    programs",
        "ok    docs",
        "ok    store",
        "ok    space",
        "ok    encoder",
    ]
    assert crystal.store.current() is None
    assert crystal.json("train", "--check")["ok"]


def test_check_names_the_encoder_whose_want_is_no_failure_unless_it_is_required(crystal: "Crystal") -> None:
    assert "minilm" in crystal.json("train", "--check")["checks"]["encoder"]["text"]
    wrong = crystal.docs.parent / "model.onnx"
    wrong.write_text("not the model")
    crystal.environ["CRYSTAL_ENCODER_PATH"] = str(wrong)
    said = crystal.run("train", "--check").stdout
    assert f"ok    encoder: none, so answers will go by words only: {wrong} has 13 bytes" in said
    assert "FAIL  encoder: " in crystal.run("train", "--check", "--require-dense", code=78).stdout
    assert "by words only (crystal train --check says why)" in crystal.run("train").stdout.splitlines()[-1]


def test_check_fails_with_78_and_names_what_is_wrong(crystal: "Crystal") -> None:
    crystal.folder.write_text("a file where the store should be")
    lines = crystal.run("train", "--check", code=78).stdout.splitlines()
    assert [line[:4] for line in lines] == ["ok  ", "ok  ", "FAIL", "FAIL", "ok  "]
    assert "CRYSTAL_STORE" in lines[2]
    assert "CRYSTAL_STORE" in crystal.run("train", code=78).stderr


def test_a_missing_parser_is_exit_78_and_says_what_to_install(crystal: "Crystal") -> None:
    hide = "import sys\nsys.modules['markdown_it'] = None\nfrom knowledge_platform.cli import main\nmain()\n"
    for words in (["train"], ["train", "--check"]):
        done = subprocess.run(
            [sys.executable, "-c", hide, *words],
            env=crystal.environment(),
            text=True,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 78
        assert "pip install 'training-watch[crystal]'" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_a_library_that_lacks_what_it_imports_is_found_by_check_before_a_training_fails(
    crystal: "Crystal",
) -> None:
    """The parser's own dependency is gone: the parser is there by its name, and can't be imported."""
    hide = "import sys\nsys.modules['mdurl'] = None\nfrom knowledge_platform.cli import main\nmain()\n"
    for words in (["train"], ["train", "--check"]):
        done = subprocess.run(
            [sys.executable, "-c", hide, *words],
            env=crystal.environment(),
            text=True,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 78
        assert "mdurl" in done.stdout + done.stderr
        assert "--force-reinstall" in done.stdout + done.stderr
        assert "Traceback" not in done.stderr


def test_with_json_stdout_is_one_object_even_when_it_fails(crystal: "Crystal") -> None:
    assert crystal.json("train")["result"] == "succeeded"
    (crystal.docs / "install.md").unlink()
    outcome = crystal.json("train", code=3)
    assert (outcome["result"], outcome["exit"]) == ("refused", 3)
    assert "gone" in outcome["error"]


def test_an_empty_store_is_a_state_that_every_command_knows(crystal: "Crystal") -> None:
    assert "none yet" in crystal.run("status").stdout
    assert crystal.json("status")["release"] is None
    assert "no release yet" in crystal.run("releases").stdout
    assert crystal.json("releases") == []
    assert "no model yet" in crystal.run("rollback", code=78).stderr


def test_the_store_follows_the_base_directory_specification() -> None:
    assert store_folder({"CRYSTAL_STORE": "/a/b", "XDG_DATA_HOME": "/c"}) == Path("/a/b")
    assert store_folder({"XDG_DATA_HOME": "/c"}) == Path("/c/crystal")
    assert store_folder({"XDG_DATA_HOME": "relative"}) == Path("~/.local/share/crystal").expanduser()


def test_docs_named_on_the_command_line_outrank_the_environment(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    environ = {"CRYSTAL_DOCS": f"{tmp_path}/b:{tmp_path}/c:"}
    assert docs_roots([tmp_path / "a"], environ) == (tmp_path / "a",)
    assert docs_roots([], environ) == (tmp_path / "b", tmp_path / "c")


def test_a_name_is_shown_on_one_line_and_drives_no_terminal() -> None:
    assert printable("a\nb\x1b[2J\udcff\u2028 é") == "a\\nb\\x1b[2J\\xff\\u2028 é"
