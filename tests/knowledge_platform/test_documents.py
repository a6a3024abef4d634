"""Which files are trained on, which are set aside with a reason, and what counts as a change."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from knowledge_platform.settings import FILE_LIMIT

if TYPE_CHECKING:
    from knowledge_platform.conftest import Crystal


def reasons(outcome: Any) -> dict[str, str]:
    return {skipped["path"]: skipped["reason"] for skipped in outcome["skipped"]}


def paths(crystal: "Crystal") -> set[str]:
    return {document["path"] for document in crystal.current().manifest()["documents"]}


def test_a_file_that_cannot_be_used_is_set_aside_with_its_reason(crystal: "Crystal", tmp_path: Path) -> None:
    outside = tmp_path / "outside.md"
    outside.write_text("# Secret\n")
    crystal.write("latin.md", b"# Caf\xe9\n")
    crystal.write("utf16.md", "# A\n".encode("utf-16-le"))
    with crystal.write("huge.md", "# Huge\n").open("r+b") as huge:
        huge.truncate(FILE_LIMIT + 1)
    os.mkfifo(crystal.docs / "pipe.md")
    (crystal.docs / "out.md").symlink_to(outside)
    (crystal.docs / "nowhere.md").symlink_to("missing.md")
    (crystal.docs / "loop.md").symlink_to("loop.md")
    outcome = crystal.train()
    assert outcome["files"] == 2
    assert reasons(outcome) == {
        "latin.md": "not UTF-8 (byte 5)",
        "utf16.md": "has NUL bytes, so it is no text",
        "huge.md": "larger than 16 MiB",
        "pipe.md": "not a regular file",
        "out.md": "a symbolic link to outside the docs folder",
        "nowhere.md": "a symbolic link to nothing",
        "loop.md": "can't be read: Too many levels of symbolic links",
    }
    assert "Secret" not in crystal.run("ask", "secret").stdout


def test_hidden_names_other_kinds_of_file_and_linked_folders_are_passed_over(
    crystal: "Crystal", tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "linked.md").write_text("# Linked\n")
    (crystal.docs / "link").symlink_to(elsewhere)
    (crystal.docs / "link.md").symlink_to(elsewhere)
    (crystal.docs / "folder.md").mkdir()
    for name in (".git/config.md", ".hidden.md", "page.mdx", "notes.txt", "md"):
        crystal.write(name, "# Not this\n")
    crystal.write("B.MARKDOWN", "# This too\n")
    outcome = crystal.train()
    assert (outcome["files"], outcome["skipped"]) == (3, [])


@pytest.mark.parametrize(
    "name",
    [
        b"a\nb.md",
        b"\xff\xfe.md",
        b"-rf.md",
        b" .md",
        b"a b'\"$(x).md",
        "日本.md".encode(),
        b"%41?#.md",
        b"x" * 252 + b".md",
    ],
)
def test_any_file_name_is_trained_on_and_found_again(crystal: "Crystal", name: bytes) -> None:
    with open(os.path.join(os.fsencode(crystal.docs), name), "wb") as file:
        file.write(b"# Odd\n\nquixotic zephyr\n")
    crystal.train()
    assert os.fsencode(crystal.ask("quixotic zephyr")[0]["path"]) == name
    shown = crystal.run("ask", "quixotic zephyr").stdout.splitlines()[0]
    assert shown.endswith(":1-3  Odd")
    assert crystal.train()["result"] == "up-to-date"


def test_line_ends_and_byte_order_marks_keep_the_line_numbers(crystal: "Crystal") -> None:
    crystal.write("dos.md", b"\xef\xbb\xbf# Dos\r\n\r\ntext\r\n\r\n## Quokka\r\n\r\nmarsupial\r\n")
    crystal.train()
    best = crystal.ask("quokka")[0]
    assert (best["start"], best["end"], best["text"]) == (5, 7, "## Quokka\n\nmarsupial")


def test_an_empty_file_is_a_document_without_passages(crystal: "Crystal") -> None:
    crystal.write("empty.md", "")
    assert crystal.train()["files"] == 3
    assert crystal.train()["result"] == "up-to-date"


def test_every_passage_is_exactly_the_lines_it_names(crystal: "Crystal") -> None:
    crystal.write(
        "long.md",
        "# Long\n\n" + "\n\n".join(f"## Part {n}\n\n" + f"words of part {n}\n" * n for n in range(1, 60)),
    )
    crystal.train()
    for question in ("part", "words", "machine", "journal", "install"):
        for passage in crystal.json("ask", "-k", "100", question)["passages"]:
            lines = (crystal.docs / passage["path"]).read_text().split("\n")
            assert "\n".join(lines[passage["start"] - 1 : passage["end"]]) == passage["text"]


def test_nothing_changed_means_no_release(trained: "Crystal") -> None:
    before = trained.current().id
    for file in trained.docs.rglob("*.md"):
        os.utime(file, (0, 0))
    outcome = trained.train()
    assert (outcome["result"], outcome["release"]) == ("up-to-date", before)
    assert len(trained.store.all()) == 1
    assert trained.run("train").stdout.startswith("up to date")


def test_a_same_size_edit_with_the_old_time_stamp_is_a_change(trained: "Crystal") -> None:
    file = trained.docs / "install.md"
    times = file.stat()
    file.write_text(file.read_text().replace("tarball", "tarbull"))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    outcome = trained.train()
    assert (outcome["result"], outcome["changes"]["changed"]) == ("succeeded", 1)
    assert "tarbull" in trained.ask("tarbull")[0]["text"]


def test_full_makes_a_release_of_unchanged_documents(trained: "Crystal") -> None:
    before = trained.current().id
    assert trained.train("--full")["release"] == trained.current().id != before


def test_changes_are_counted_by_kind_and_removed_text_is_gone(trained: "Crystal") -> None:
    trained.write("more.md", "# More\n")
    (trained.docs / "ops/logs.md").rename(trained.docs / "logbook.md")
    (trained.docs / "install.md").write_text("# Install\n\nDifferent now.\n")
    outcome = trained.train()
    assert {kind: count for kind, count in outcome["changes"].items() if count} == {
        "added": 1,
        "changed": 1,
        "moved": 1,
        "known": 2,
    }
    assert trained.ask("journal rotates")[0]["path"] == "logbook.md"
    assert trained.ask("frobnicator") == []
    (trained.docs / "more.md").unlink()
    assert trained.train("--allow-mass-delete")["changes"]["removed"] == 1
    assert paths(trained) == {"install.md", "logbook.md"}


def test_chunks_of_unchanged_files_are_copied_and_answer_the_same(trained: "Crystal") -> None:
    trained.write("more.md", "# More\n\nxylophone\n")
    lines = trained.run("train").stderr
    assert "2 files as in the release before" in lines
    copied = trained.ask("frobnicator")
    trained.train("--full")
    assert trained.ask("frobnicator") == copied


def test_files_that_vanish_in_numbers_stop_the_training_until_it_is_allowed(trained: "Crystal") -> None:
    (trained.docs / "ops/logs.md").unlink()
    done = trained.run("train", code=3)
    assert "1 of the 2 deployed files are gone" in done.stderr
    assert "--allow-mass-delete" in done.stderr
    assert trained.ask("journal rotates"), "the deployed release goes on answering"
    assert trained.train("--allow-mass-delete")["changes"]["removed"] == 1


def test_files_that_became_unusable_in_numbers_have_not_vanished(trained: "Crystal") -> None:
    trained.write("ops/logs.md", b"\xff\xff")
    assert trained.train()["changes"]["removed"] == 0


def test_a_docs_folder_that_moved_is_no_mass_deletion(trained: "Crystal") -> None:
    trained.docs.rename(trained.docs.with_name("handbook"))
    trained.docs = trained.docs.with_name("handbook")
    changes = trained.train()["changes"]
    assert {kind: count for kind, count in changes.items() if count} == {"moved": 2, "known": 2}


@pytest.mark.parametrize("make", [Path.exists, Path.mkdir, Path.touch])
def test_docs_that_are_missing_or_empty_are_a_matter_of_set_up(crystal: "Crystal", make: Any) -> None:
    crystal.docs = crystal.docs.with_name("other")
    make(crystal.docs)
    done = crystal.run("train", code=78)
    assert len(done.stderr.splitlines()[-1:]) == 1
    assert "--docs" in done.stderr
    assert crystal.store.current() is None


def test_documents_without_any_text_are_refused(crystal: "Crystal") -> None:
    crystal.write("install.md", "")
    crystal.write("ops/logs.md", "\n\n")
    assert "no text" in crystal.run("train", code=3).stderr


def test_two_roots_may_share_a_relative_path(crystal: "Crystal") -> None:
    other = crystal.docs.with_name("api")
    other.mkdir()
    (other / "install.md").write_text("# Install the API\n\nxylophone\n")
    outcome = crystal.json("train", "--docs", str(crystal.docs), "--docs", str(other))
    assert outcome["files"] == 3
    best = crystal.ask("xylophone")[0]
    assert (best["root"], best["path"]) == (str(other), "install.md")
    assert crystal.run("ask", "xylophone").stdout.startswith("api/install.md:1-3")


def test_a_root_inside_another_is_read_once(crystal: "Crystal") -> None:
    outcome = crystal.json(
        "train",
        "--docs",
        str(crystal.docs / "ops"),
        "--docs",
        str(crystal.docs),
        "--docs",
        f"{crystal.docs}/.",
    )
    assert outcome["files"] == 2


def test_without_docs_named_the_folder_docs_is_taken(crystal: "Crystal", tmp_path: Path) -> None:
    crystal.environ["CRYSTAL_DOCS"] = ""
    assert crystal.train()["files"] == 2
    crystal.docs.rename(tmp_path / "texts")
    assert "CRYSTAL_DOCS" in crystal.run("train", code=78).stderr


def test_new_feedback_is_a_reason_to_train(trained: "Crystal") -> None:
    from knowledge_platform import FeedbackLogger

    FeedbackLogger(trained.folder).log(
        query="where are the logs?", section="ops/logs.md#logs", verdict="good"
    )
    assert trained.train()["result"] == "succeeded"
    assert trained.train()["result"] == "up-to-date"
