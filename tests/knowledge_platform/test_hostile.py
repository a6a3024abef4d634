"""Files as nobody would write them: each is cut in seconds, loses no line, or is set aside with its reason."""

import contextlib
import os
import subprocess
import sys
from itertools import groupby
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING

import pytest

from knowledge_platform.documents.chunks import chunks_of
from knowledge_platform.documents.links import links_of
from knowledge_platform.documents.validation import GoneError, UnusableError, content_of
from knowledge_platform.settings import FILE_LIMIT, LINE_LIMIT

if TYPE_CHECKING:
    from knowledge_platform.conftest import Crystal

SIZE = 2**17
SECONDS = 10  # of the processor; the slowest takes a quarter of that here

UNITS = [
    "[", "![", "[a](", "[[", "]", "*", "*a **b ", "_*", "`a``b", "<", "<a ", "<!--", "&", "\\", "{", "{#a} ", "|", "~", "(", "x", " ", "\t",
    "> ", ">", "- ", "1. ", "- > ", "# ", "\x0c", "\u2028", "é",
]  # fmt: skip
LINES = [
    "a", "# h", "## {#a}", "a\n---", "=", "-", ">", "> a", "> a\nb", "- a", "- a\n", "1. a", "- > a", "- > - > - > - > a\n", "* a\n  - b\n    + c",
    "|a|b|\n|-|-|", "|", "-|-", "[a]: /b", "[a]: b \"", "[a]:", "[a", "```", "~~~\n```", "    a", "    a\n", "\t", "<div>", "<!--", "<?\n", "---",
    "[![a](b)](c) " * 9, "- " * 20, "> " * 20, "  " * 20 + "- a", "&amp; " * 20,
]  # fmt: skip


def in_time(text: str) -> None:
    began = process_time()
    chunks = chunks_of(text)
    links_of(text)
    assert process_time() - began < SECONDS
    lines = text.split("\n")
    held = 0
    for chunk in chunks:
        assert "\n".join(lines[chunk.start - 1 : chunk.end]) == chunk.text
        held += sum(1 for line in chunk.text.split("\n") if line.strip())
    assert held == sum(1 for line in lines if line.strip())


@pytest.mark.parametrize("unit", UNITS, ids=ascii)
def test_a_line_of_nothing_but_one_sign_is_cut_in_time(unit: str) -> None:
    for before in ("x", "x# ", "# ", "x\n\n[a]: b\n\n[a] "):
        in_time(before + unit * (SIZE // len(unit)))


@pytest.mark.parametrize("unit", LINES, ids=ascii)
def test_lines_of_one_kind_are_cut_in_time(unit: str) -> None:
    in_time("x\n\n" + f"{unit}\n" * min(SIZE // (len(unit) + 1), 15_000))


@pytest.mark.parametrize(
    "text",
    [
        "".join("  " * depth + "- a\n" for depth in range(1000)),
        "".join(">" * depth + "\n" for depth in range(1000)),
        "|a" * 10_000 + "|\n" + "|-" * 10_000 + "|\n" + "|a" * 10_000 + "|\n",
        "| a | b |\n|---|---|\n" + "| one | two |\n" * 10_000,
        "".join(f"[a{number}]: /b\n" for number in range(20_000)),
        "".join(f"# Heading {number}\n" for number in range(LINE_LIMIT)),
        "x\n" + "a\n" * (LINE_LIMIT - 1),
        "\n".join("`" * (number % 100 + 3) for number in range(5_000)),
        "x" * (FILE_LIMIT - 1),
    ],
    ids=["stairs of lists", "stairs of quotes", "a wide table", "a long table", "link definitions", "headings", "lines", "fences", "one line"],
)  # fmt: skip
def test_the_largest_of_their_kind_are_cut_in_time(text: str) -> None:
    in_time(text)


@pytest.mark.parametrize("depth", [6, 7, 10, 11, 13, 50, 1_000, 100_000])
@pytest.mark.parametrize("unit", ["- ", "> ", "1. ", "- > ", "> > - "])
def test_what_follows_the_deepest_list_or_quote_is_read_as_ever(unit: str, depth: int) -> None:
    chunks = chunks_of(f"# Before\n\n{unit * depth}a\n\n# After\n\ntext\n")
    assert [chunks[0].heading, chunks[-1].heading] == ["Before", "After"]


def test_a_document_after_a_deep_staircase_is_read_as_ever() -> None:
    stairs = "".join("  " * depth + f"- a {depth}\n" for depth in range(40))
    assert chunks_of(f"# Before\n\n{stairs}\nlazy\n\n# After\n")[-1].heading == "After"


def test_a_line_too_long_to_read_is_still_what_its_ends_say() -> None:
    long = "y" * 50_000
    text = f"# A\n\n<!-- {long} -->\n# B\n\n[c]: <data:image/png;{long}>\n\n# [c]\n\n```{long}\n# no\n```\n\n# {long}\n"
    headings = [heading[:9] for heading, _ in groupby(chunk.heading for chunk in chunks_of(text))]
    assert headings == ["A", "B", "c", "y" * 9]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "page.md"


def unusable(file: Path) -> str:
    with pytest.raises(UnusableError) as caught:
        content_of(file.parent, file.name)
    return str(caught.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"caf\xe9", "not UTF-8 (byte 3)"),
        (b"\xed\xa0\x80", "not UTF-8 (byte 0)"),
        ("# A\n".encode("utf-16"), "UTF-16, not UTF-8"),
        ("日本".encode("utf-16"), "UTF-16, not UTF-8"),
        ("# A\n".encode("utf-16-le"), "has NUL bytes, so it is no text"),
        (b"\x7fELF\x02\x01\x01\x00", "has NUL bytes, so it is no text"),
        (b"\x89PNG\r\n\x1a\n", "not UTF-8 (byte 0)"),
        (b"a\n" * (FILE_LIMIT // 2), "more than 100 000 lines"),
        (b"a\r" * (LINE_LIMIT + 1), "more than 100 000 lines"),
        (b"x" * (FILE_LIMIT + 1), "larger than 16 MiB"),
    ],
    ids=["Latin-1", "a surrogate", "UTF-16", "UTF-16 without ASCII", "UTF-16 unmarked", "a program", "a picture", "LF", "CR", "size"],
)  # fmt: skip
def test_content_that_is_no_document_has_its_reason(file: Path, content: bytes, reason: str) -> None:
    file.write_bytes(content)
    assert unusable(file) == reason


def test_a_sparse_file_of_a_terabyte_is_refused_in_no_time(file: Path) -> None:
    file.touch()
    os.truncate(file, 2**40)
    began = process_time()
    assert unusable(file) == "larger than 16 MiB"
    assert process_time() - began < SECONDS


def test_a_file_that_grows_while_it_is_read_is_read_up_to_some_point(file: Path) -> None:
    grow = "import sys\nwith open(sys.argv[1], 'ab', buffering=0) as file:\n  for _ in range(900): file.write(b'x' * 40_000)"
    file.touch()
    with subprocess.Popen([sys.executable, "-c", grow, file]) as writer:
        while writer.poll() is None:
            with contextlib.suppress(UnusableError):
                assert set(content_of(file.parent, file.name)) <= {ord("x")}
    assert unusable(file) == "larger than 16 MiB"


def test_a_file_that_is_deleted_before_it_is_read_is_gone(file: Path) -> None:
    with pytest.raises(GoneError, match="vanished"):
        content_of(file.parent, file.name)
    file.touch()
    with pytest.raises(GoneError, match="vanished"):
        content_of(file, "below.md")


def test_a_link_in_the_way_to_a_file_leads_no_further_than_the_docs(tmp_path: Path) -> None:
    docs, outside = tmp_path / "docs", tmp_path / "outside"
    for folder in (docs / "inside", outside):
        folder.mkdir(parents=True)
        (folder / "page.md").write_text("text")
    (docs / "away").symlink_to(outside)
    (docs / "near").symlink_to("inside")
    assert content_of(docs, "near/page.md") == b"text"
    with pytest.raises(UnusableError, match="outside the docs folder"):
        content_of(docs, "away/page.md")


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf# A\n\nquixotic zephyr\n",
        b"\xef\xbb\xbf---\ntitle: x\n---\nquixotic zephyr\n",
        b"# A\r\rquixotic zephyr\r",
        b"# A\r\n\r\nquixotic zephyr\n\nb\r\n",
        b"a\rb\n\nquixotic zephyr\n",
        "a\x0cb\u2028c\u2029d\x85e\x0bf\x1cg\n\n# A\n\nquixotic zephyr\n".encode(),
        b"---\nquixotic zephyr: [\n",
        b"---\n: : {\n\n# A\n\nquixotic zephyr\n",
        b"---\n---\n---\nquixotic zephyr\n",
    ],
)
def test_a_passage_is_found_on_the_lines_that_an_editor_shows(crystal: "Crystal", content: bytes) -> None:
    crystal.write("odd.md", content)
    crystal.train()
    best = crystal.ask("quixotic zephyr")[0]
    text = content.decode().removeprefix("\ufeff").replace("\r\n", "\n")
    lines = text.split("\n" if "\n" in text else "\r")
    assert "\n".join(lines[best["start"] - 1 : best["end"]]).replace("\r", " ") == best["text"]


@pytest.mark.parametrize(
    "name",
    ["a\nb.md", "\x1b[2J.md", "\x07\x08\x7f.md", os.fsdecode(b"\xff\xfe.md"), "\u202egpj.md"],
    ids=ascii,
)
def test_a_name_that_would_drive_a_terminal_is_shown_escaped(crystal: "Crystal", name: str) -> None:
    crystal.write(name, b"\xff")
    noted = next(line for line in crystal.run("train").stderr.splitlines() if line.startswith("skipped "))
    assert noted.isprintable()
    assert noted.endswith(": not UTF-8 (byte 0)")
