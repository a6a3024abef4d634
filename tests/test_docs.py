"""The manual is true: what it names is there, what is there it names, and its commands are commands."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import click
import pytest
from manual.commands import PROGRAMS, Described, described
from manual.pages import PROJECT, files

from examples import DOCS, agrees, blocks, questions
from needs import lacking
from training_watch import terminal
from training_watch.config import KEYS, Job, read_config
from training_watch.events import Reason
from training_watch.progress import read_progress

PAGES = [PROJECT / "README.md", *sorted(DOCS.glob("*.md"))]
SOURCES = "\n".join(path.read_text() for path in sorted((PROJECT / "src").rglob("*.py")))
EVERY = [one for name, program in PROGRAMS.items() for one in described(name, program)]


def named(one: Described) -> str:
    return one.path


def chapter(page: str, title: str) -> str:
    found = re.search(rf"(?ms)^##+ {re.escape(title)}\n(.*?)(?=^## |\Z)", (DOCS / page).read_text())
    assert found is not None, f"{page} has no chapter {title!r}"
    return found[1]


def column(text: str, number: int = 0) -> list[str]:
    """A column of all tables in the text, without their headings."""
    rows = re.findall(r"(?m)^\| .*$", re.sub(r"(?m)^\|.*\n\|-", "|-", text))
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]
    return [row[number] for row in cells]


def spans(text: str) -> list[str]:
    return re.findall(r"`([^`\n]+)`", re.sub(r"(?ms)^```.*?^```$", "", text))


# ---- what is made -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(files()))
def test_what_is_made_from_the_programs_is_what_would_be_made_now(name: str) -> None:
    assert (PROJECT / name).read_text(encoding="utf-8") == files()[name], "run: python -m manual"


@pytest.mark.parametrize("page", sorted((PROJECT / "man").iterdir()), ids=lambda page: page.name)
def test_a_manual_page_is_laid_out_without_a_warning(page: Path) -> None:
    """Wide enough is 80 columns, but for examples, which nobody could copy if they were folded."""
    if shutil.which("man") is None:
        lacking("no man(1) (as root, run scripts/prepare-machine.sh)")
    shown = subprocess.run(
        ["man", "--warnings", "--local-file", str(page)],
        capture_output=True, text=True, check=True, env={**os.environ, "MANWIDTH": "80", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert shown.stderr == ""
    lines = shown.stdout.split("\n")
    assert [line for line in lines if len(line) > 80 and not line.startswith(" " * 11)] == []
    assert lines[0].startswith(page.stem.upper())


# ---- what is there ----------------------------------------------------------------------------


@pytest.mark.parametrize("one", EVERY, ids=named)
def test_the_page_of_commands_has_each_with_its_options_and_arguments(one: Described) -> None:
    found = re.search(rf"(?ms)^##+ {one.path}\n(.*?)(?=^##|\Z)", (DOCS / "commands.md").read_text())
    assert found is not None
    for parameter in one.command.params:
        if isinstance(parameter, click.Option) and parameter.opts != ["--help"]:
            assert all(re.search(rf"(?<![\w-]){name}(?![\w-])", found[1]) for name in parameter.opts)
        elif isinstance(parameter, click.Argument):
            assert parameter.make_metavar(one.context) in found[1]


@pytest.mark.parametrize("one", EVERY, ids=named)
def test_each_help_has_an_example(one: Described) -> None:
    assert f"\n  {one.path}" in (one.command.epilog or "") or "in a unit file" in (one.command.epilog or "")


@pytest.mark.parametrize("one", [one for one in EVERY if one.path not in PROGRAMS], ids=named)
def test_no_line_in_the_list_of_commands_is_cut_off(one: Described) -> None:
    assert not one.command.get_short_help_str(60).endswith("...")


def test_the_reference_has_each_key_and_no_other() -> None:
    assert column(chapter("reference.md", "Configuration")) == [f"`{key}`" for key in KEYS]


def test_the_defaults_that_the_reference_names_are_the_defaults(tmp_path: Path) -> None:
    text = chapter("reference.md", "Configuration")
    defaults = zip(column(text), column(text, 1), strict=True)
    lines = [f"{key.strip('`')} = {value.strip('`')}" for key, value in defaults if value.startswith("`")]
    full, bare = tmp_path / "full.toml", tmp_path / "bare.toml"
    bare.write_text('[job.docs]\npaths = ["~/project/docs"]\n')
    full.write_text("\n".join([bare.read_text(), *lines]))
    assert len(lines) == len(KEYS) - 1
    assert read_config(full).jobs == read_config(bare).jobs
    assert isinstance(read_config(full).jobs[0], Job)


def tables_of_toml() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block in blocks(page):
            if block.kind == "toml":
                yield block.place, block.text
            for written in re.findall(
                r"(?ms)^cat >> ~/\.config/training-watch/config\.toml <<'?END'?\n(.*?)^END$", block.text
            ):
                if "[job." in written:
                    yield block.place, written


TABLES = list(tables_of_toml())


@pytest.mark.parametrize(("place", "text"), TABLES, ids=[place for place, _ in TABLES])
def test_each_configuration_that_is_shown_is_one(place: str, text: str, tmp_path: Path) -> None:
    assert tomllib.loads(text)["job"], place
    (tmp_path / "config.toml").write_text(text)
    read_config(tmp_path / "config.toml")


def test_the_reference_lists_each_exit_code_and_no_other() -> None:
    codes = {value for name, value in vars(terminal).items() if name.isupper() and isinstance(value, int)}
    assert {int(code) for code in column(chapter("reference.md", "Exit codes"))} == {0, 2, *codes}


def test_the_reference_has_each_reason_to_wait_and_no_other() -> None:
    reasons = {f"`{reason.value}`" for reason in Reason}
    assert set(column(chapter("reference.md", "What a job waits for"))) == {*reasons, "`nothing`"}
    decisions = re.search(r"(?ms)^\| it asks.*?\n\n", (DOCS / "decides.md").read_text())
    assert decisions is not None
    assert {f"`{span}`" for cell in column(decisions[0], 2) for span in spans(cell)} == reasons


def test_the_reference_has_each_verdict_of_check() -> None:
    text = (PROJECT / "src/training_watch/check.py").read_text()
    for reason in column(chapter("reference.md", "What check prints")):
        assert re.sub(r"\d.*", "", reason.strip("`")) in text
    for reason in re.findall(r'"((?:no_|already_|cooldown_|marker_)\w+)', text):
        assert f"`{reason}" in chapter("reference.md", "What check prints") or reason == "cooldown_seconds"


def test_the_reference_has_each_variable_that_is_read_and_no_other() -> None:
    text = chapter("reference.md", "Environment")
    told = {word for span in spans(text) for word in re.findall(r"\b[A-Z][A-Z_]{3,}\b", span)} - {"NAME"}
    read = set(
        re.findall(r'environ(?:ment)?\)?(?:\.(?:get|pop|setdefault)\(|\[)\s*"([A-Z_]+)"(?!\] = )', SOURCES)
    )
    read |= set(re.findall(r'_base\("([A-Z_]+)"|CONFIG = "([A-Z_]+)"', SOURCES)[0])
    assert read - told - {""} == set()
    by_python = {"COLUMNS", "LINES"}  # shutil.get_terminal_size
    assert {name for name in told - by_python if not re.search(rf"\b{name}\b", SOURCES)} == set()


# ---- links ------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """As forges make them of headings: small letters, blanks to hyphens, signs away."""
    headings = re.findall(r"(?m)^#+ (.+)$", re.sub(r"(?ms)^```.*?^```$", "", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", sorted({*PAGES, *PROJECT.glob("*.md")}), ids=lambda page: page.name)
def test_each_link_leads_to_a_file_and_to_a_heading_in_it(page: Path) -> None:
    lost = []
    text = re.sub(r"(?ms)^```.*?^```$", "", page.read_text())
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", text):
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            lost.append(target)
    assert lost == []


def test_the_way_in_leads_to_every_page() -> None:
    linked = set(re.findall(r"\]\((\w[\w-]*\.md)", (DOCS / "index.md").read_text()))
    assert linked == {page.name for page in DOCS.glob("*.md")} - {"index.md"}


# ---- commands ---------------------------------------------------------------------------------
#
# Read as a command: what a shell would run in a fenced block, and a span of code that begins with a program's name.
# WORDS in capitals, <…> and … stand for something; a span is a mention, which may lack arguments; a line with [OPTIONS]
# in it is a usage. That a file isn't here is no mistake of the line.

_ENDS = {"|", "||", "&&", ";", "&", ">", ">>", "<", ")", "2>", "2>&1"}
_STANDS_FOR_SOMETHING = re.compile(r"[A-Z#|]{2,}|<.*>|.*…")


def words_of(line: str) -> Iterator[list[str]]:
    """Each command of ours in a line for a shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = "#" if " #" in line else ""
    try:
        words = list(lexer)
    except ValueError:  # the inner half of something quoted
        return
    for at, word in enumerate(words):
        first = (
            at == 0
            or words[at - 1] in _ENDS
            or words[at - 1] in {"then", "do", "$", "("}
            or "=" in words[at - 1]
        )
        if Path(word).name in PROGRAMS and first:
            rest = words[at + 1 :]
            end = next((number for number, each in enumerate(rest) if each in _ENDS), len(rest))
            yield [Path(word).name, *rest[:end]]


def commands_of(text: str, kind: str) -> Iterator[list[str]]:
    for line in text.replace("\\\n", " ").split("\n"):
        shown = line.strip()
        if "[OPTIONS]" in shown or (kind == "console" and not shown.startswith("$ ")):
            continue
        if kind == "yaml":
            shown = shown.partition("run: ")[2]
        yield from words_of(shown.removeprefix("$ "))


def mentions(text: str) -> Iterator[list[str]]:
    for span in spans(text):
        if re.match(rf"({'|'.join(PROGRAMS)}) ", span):
            yield from words_of(span.replace("\\|", "|"))


def written() -> Iterator[tuple[str, list[str], bool]]:
    """Where, which command, and whether it is only mentioned."""
    for page in PAGES:
        for block in blocks(page):
            if block.kind in {"sh", "console", "yaml", ""}:
                yield from ((block.place, words, False) for words in commands_of(block.text, block.kind))
        yield from ((page.name, words, True) for words in mentions(page.read_text()))
    for one in EVERY:
        indented = "\n".join(re.findall(r"(?m)^  .*$", one.command.epilog or ""))
        yield from ((f"{one.path} --help", words, False) for words in commands_of(indented, "sh"))


def understood(words: list[str]) -> None:
    """Raises click.UsageError for words that the program refuses."""
    name, *rest = words
    command, context = PROGRAMS[name], click.Context(PROGRAMS[name], info_name=name)
    while isinstance(command, click.Group):
        _, rest, _ = command.make_parser(context).parse_args(rest)
        if not rest:
            return
        inner = command.get_command(context, rest[0])
        if inner is None:
            raise click.UsageError(f"no command {rest[0]!r}")
        command, context, rest = inner, click.Context(inner, context, info_name=rest[0]), rest[1:]
    try:
        with command.make_context(str(command.name), list(rest), parent=context.parent):
            pass
    except click.exceptions.Exit:  # --help
        pass
    except click.BadParameter as error:
        given = [word for word in rest if not word.startswith("-")]
        if not re.search("does not exist|No such file", error.message) and not any(
            map(_STANDS_FOR_SOMETHING.fullmatch, given)
        ):
            raise


COMMANDS = sorted({(place, tuple(words), mentioned) for place, words, mentioned in written()})


@pytest.mark.parametrize(
    ("words", "mentioned"),
    [each[1:] for each in COMMANDS],
    ids=[f"{place}: {shlex.join(words)}" for place, words, _ in COMMANDS],
)
def test_a_command_that_is_shown_is_one(words: tuple[str, ...], *, mentioned: bool) -> None:
    with contextlib.suppress(*([click.MissingParameter] if mentioned else [])):
        understood(list(words))


def test_the_manual_shows_commands_everywhere() -> None:
    """So that the test above can't pass because nothing was found."""
    places = {place.partition(":")[0] for place, _, _ in COMMANDS}
    assert {"README.md", "index.md", "ci.md", "server.md", "troubles.md", "own-command.md"} <= places
    assert ("training-watch", "trigger", "--wait") in {
        words for place, words, _ in COMMANDS if place.startswith("ci.md:")
    }
    for wrong in (
        ["training-watch", "status", "--jsn"],
        ["crystal", "aks", "x"],
        ["training-watch", "begin"],
    ):
        with pytest.raises(click.UsageError):
            understood(wrong)


# ---- a home without systemd -------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Installed and trained once, as in a container."""
    made = tmp_path_factory.mktemp("home")
    (made / "notes").mkdir()
    (made / "notes/logs.md").write_text("# Logs\n\nThe logs are rotated every night at two.\n")
    run(made, "training-watch install --launcher process --watch ~/notes --wait")
    return made


def run(home: Path, command: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "HOME": str(home),
        "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
        "LANG": "C.UTF-8",
    }
    return subprocess.run(
        ["bash", "-euc", command], cwd=home, env=environment, capture_output=True, text=True, check=True
    )  # fmt: skip


def test_the_page_on_ci_shows_what_happens(home: Path) -> None:
    for block in blocks(DOCS / "ci.md"):
        if block.kind == "sh":
            run(home, block.text)
        if block.kind == "console":
            for question in questions(block):
                printed = run(home, question.command).stdout
                assert agrees(question.answer, printed), f"{block.place}: {question.command}\n{printed}"


@pytest.mark.parametrize("page", ["own-command.md", "status-file.md"])
def test_the_lines_that_say_how_far_a_training_is_are_understood(page: str, tmp_path: Path) -> None:
    (lines,) = [block for block in blocks(DOCS / page) if "TRAINING_STATUS_FILE" in block.text]
    words = {"python": [sys.executable, "-c", lines.text], "sh": ["sh", "-euc", lines.text]}[lines.kind]
    path = tmp_path / "status.json"
    environment = {"PATH": "/usr/bin:/bin", "TRAINING_STATUS_FILE": str(path), "INVOCATION_ID": "17"}
    subprocess.run(words, check=True, env=environment)
    told = read_progress(path)
    assert told is not None
    assert told.invocation == "17"
    assert (told.phase, told.phases) in {("fit", 2), ("train", 2)}
    subprocess.run(words, check=True, env={"PATH": environment["PATH"]})


def test_what_a_page_shows_is_held_against_what_is_printed() -> None:
    assert agrees("now  cooldown until 9:05, in 3min 2s", "now  cooldown until 14:15, in 40s\n")
    assert agrees("first…\n…\nlast", "first of all\nmore\nand more\nlast")
    assert not agrees("first\nlast", "first\nmore\nlast")
    assert not agrees("1 file", "1 folder")
    assert not agrees("…\nlast", "last but one\nlast but")


def test_each_file_that_a_training_leaves_is_in_the_reference(home: Path) -> None:
    table = [span for cell in column(chapter("reference.md", "Files")) for span in spans(cell)]
    text = "\n".join(line for line in chapter("reference.md", "Files").split("\n"))
    known = {
        re.sub(r"\bUNIT\b", "crystal-train.service", span.removeprefix("~/")).rstrip("/")
        for span in spans(text)
    }
    assert table
    left = []
    for folder in (".config/training-watch", ".cache/crystal", ".local/state/training-watch", ".local/share"):
        for path in sorted((home / folder).rglob("*")):
            name = str(path.relative_to(home))
            parts = [name, path.name, *map(str, Path(name).parents)]
            if path.is_file() and not any(fnmatchcase(part, each) for part in parts for each in known):
                left.append(name)
    assert [name for name in left if not name.endswith(("-wal", "-shm"))] == []


def test_each_file_in_the_reference_is_one_that_the_programs_know() -> None:
    install_script = (PROJECT / "scripts/install.sh").read_text()
    for span in (span for cell in column(chapter("reference.md", "Files")) for span in spans(cell)):
        last = re.sub(r"^\*?(UNIT)?\.?", "", Path(span).name)
        assert last.removesuffix(".d") in SOURCES + install_script, span
