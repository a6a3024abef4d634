"""A file that can't be used any more keeps what the release before had of it; one that is gone is gone."""

import contextlib
import json
import os
import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from knowledge_platform.documents.chunks import Chunk, chunks_of
from knowledge_platform.documents.document import Document, Earlier, Skipped, difference
from knowledge_platform.documents.ingest import ingest
from knowledge_platform.documents.validation import survey
from knowledge_platform.progress import Progress
from knowledge_platform.settings import FILE_LIMIT
from knowledge_platform.store.releases import digest
from needs import lacking

if TYPE_CHECKING:
    from knowledge_platform.conftest import Crystal

LOGS = "ops/logs.md"


def is_latin(file: Path) -> None:
    file.write_bytes(b"# Caf\xe9\n")


def has_a_nul(file: Path) -> None:
    file.write_bytes(b"# A\0\n")


def is_huge(file: Path) -> None:
    os.truncate(file, FILE_LIMIT + 1)


def is_a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def is_a_socket(file: Path) -> None:
    file.unlink()
    os.chdir(file.parent)  # a socket's name has 107 bytes at most (unix(7))
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(file.name)


def is_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def leads_to_a_folder(file: Path) -> None:
    file.unlink()
    file.symlink_to(".")


def leads_out(file: Path) -> None:
    outside = file.parents[2] / "outside.md"
    outside.write_text("# Outside\n")
    file.unlink()
    file.symlink_to(outside)


def leads_to_itself(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.name)


def leads_to_a_device(file: Path) -> None:
    file.unlink()
    file.symlink_to("/dev/zero")


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        (is_latin, "not UTF-8 (byte 5)"),
        (has_a_nul, "has NUL bytes, so it is no text"),
        (is_huge, "larger than 16 MiB"),
        (is_a_pipe, "not a regular file"),
        (is_a_socket, "not a regular file"),
        (is_a_folder, "not a regular file"),
        (leads_to_a_folder, "not a regular file"),
        (leads_out, "a symbolic link to outside the docs folder"),
        (leads_to_itself, "can't be read: Too many levels of symbolic links"),
        (leads_to_a_device, "not a regular file"),
    ],
)
def test_a_file_that_cannot_be_used_any_more_keeps_its_passages_marked_stale(
    trained: "Crystal", monkeypatch: pytest.MonkeyPatch, harm: Callable[[Path], None], reason: str
) -> None:
    monkeypatch.chdir(trained.docs)  # and back again, wherever `harm` goes
    before = trained.ask("journal rotates")[0]
    good = digest(trained.docs / LOGS)
    harm(trained.docs / LOGS)
    done = trained.run("train")
    assert f"kept as it was: {LOGS}: {reason}" in done.stderr.splitlines()
    assert trained.ask("journal rotates")[0] == before | {"stale": reason}
    entry = next(one for one in trained.current().manifest()["documents"] if one["path"] == LOGS)
    assert (entry["sha256"], entry["stale"]) == (good, reason)
    shown = trained.run("ask", "journal rotates").stdout.splitlines()[0]
    assert shown == f"docs/{LOGS}:5-7 (stale: {reason})  Logs > Rotation"
    assert trained.train()["result"] == "up-to-date"


def test_a_stale_file_that_can_be_used_again_is_mended(trained: "Crystal") -> None:
    good = (trained.docs / LOGS).read_bytes()
    trained.write(LOGS, b"\xff")
    outcome = trained.train()
    assert (outcome["changes"]["stale"], outcome["changes"]["changed"]) == (1, 0)
    assert outcome["stale"] == [{"root": str(trained.docs), "path": LOGS, "reason": "not UTF-8 (byte 0)"}]
    trained.write(LOGS, good)
    outcome = trained.train()
    assert (outcome["changes"]["mended"], outcome["changes"]["changed"], outcome["stale"]) == (1, 0, [])
    assert trained.ask("journal rotates")[0]["stale"] is None
    trained.write(LOGS, b"\xff")
    trained.train()
    trained.write(LOGS, "# Logs\n\nquixotic zephyr\n")
    outcome = trained.train()
    assert (outcome["changes"]["mended"], outcome["changes"]["changed"]) == (1, 1)
    assert trained.ask("quixotic zephyr")
    assert trained.ask("journal rotates") == []


def test_a_file_that_was_never_good_is_skipped_and_no_reason_to_train_again(trained: "Crystal") -> None:
    trained.write("latin.md", b"\xff")
    outcome = trained.train()
    assert outcome["result"] == "up-to-date"
    assert [one["path"] for one in outcome["skipped"]] == ["latin.md"]
    assert outcome["stale"] == []


def test_a_stale_file_that_is_deleted_is_gone(trained: "Crystal") -> None:
    trained.write(LOGS, b"\xff")
    trained.train()
    (trained.docs / LOGS).unlink()
    assert trained.train("--allow-mass-delete")["changes"]["removed"] == 1
    assert trained.ask("journal rotates") == []


def test_a_link_whose_target_was_deleted_is_gone(trained: "Crystal") -> None:
    (trained.docs / LOGS).unlink()
    (trained.docs / LOGS).symlink_to("deleted.md")
    trained.run("train", code=3)
    outcome = trained.train("--allow-mass-delete")
    assert [one["reason"] for one in outcome["skipped"]] == ["a symbolic link to nothing"]
    assert trained.ask("journal rotates") == []


def test_a_folder_that_became_a_link_is_passed_over_and_its_files_have_moved(trained: "Crystal") -> None:
    (trained.docs / "ops").rename(trained.docs / "operations")
    (trained.docs / "ops").symlink_to("operations")
    changes = trained.train()["changes"]
    assert (changes["moved"], changes["stale"], changes["removed"]) == (1, 0, 0)


def test_a_stale_file_keeps_its_passages_through_a_full_training(trained: "Crystal") -> None:
    trained.write(LOGS, b"\xff")
    for _ in range(2):
        trained.train("--full")
        assert trained.ask("journal rotates")[0]["stale"] == "not UTF-8 (byte 0)"


def test_when_no_file_at_all_can_be_read_the_deployed_release_goes_on_answering(trained: "Crystal") -> None:
    before = trained.current().id
    trained.write(LOGS, b"\xff")
    trained.write("install.md", b"\xff")
    assert "2 can't be used" in trained.run("train", code=78).stderr
    assert trained.current().id == before


def without_privileges(crystal: "Crystal") -> Any:
    """Trains as a user to whom permissions mean something: root loses what lets it read everything (capabilities(7))."""
    drop: list[str] = []
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            lacking("root needs setpriv to be refused anything")
        drop = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"]
    done = subprocess.run(
        [*drop, *crystal.argv("train", "--json")],
        env=crystal.environment(), text=True, capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("mode", [0o000, 0o400], ids=["unreadable", "not to be entered"])
def test_files_in_a_folder_that_cannot_be_read_are_stale_not_removed(crystal: "Crystal", mode: int) -> None:
    for number in range(9):
        crystal.write(f"secret/deep/{number}.md", f"# Secret {number}\n")
    without_privileges(crystal)
    folder = crystal.docs / "secret"
    folder.chmod(mode)
    try:
        outcome = without_privileges(crystal)
        again = without_privileges(crystal)
    finally:
        folder.chmod(0o700)
    assert (outcome["result"], outcome["changes"]["stale"], outcome["changes"]["removed"]) == (
        "succeeded",
        9,
        0,
    )
    assert {one["reason"] for one in outcome["stale"]} == {"the folder can't be read: Permission denied"}
    assert again["result"] == "up-to-date"
    assert len(crystal.ask("secret")) == 5
    assert without_privileges(crystal)["changes"]["mended"] == 9


def test_files_of_a_docs_folder_that_cannot_be_read_are_stale_beside_another(crystal: "Crystal") -> None:
    other = crystal.docs.with_name("api")
    other.mkdir()
    (other / "api.md").write_text("# Api\n\nquixotic zephyr\n")
    crystal.environ["CRYSTAL_DOCS"] = f"{crystal.docs}:{other}"
    without_privileges(crystal)
    other.chmod(0)
    try:
        outcome = without_privileges(crystal)
    finally:
        other.chmod(0o700)
    assert [(one["root"], one["path"]) for one in outcome["stale"]] == [(str(other), "api.md")]
    assert crystal.ask("quixotic zephyr")[0]["stale"] == "the folder can't be read: Permission denied"


def test_a_file_that_may_not_be_read_is_stale(trained: "Crystal") -> None:
    (trained.docs / LOGS).chmod(0)
    outcome = without_privileges(trained)
    assert [one["reason"] for one in outcome["stale"]] == ["can't be read: Permission denied"]


def test_a_mount_that_vanished_with_its_files_stops_the_training(crystal: "Crystal") -> None:
    for number in range(9):
        crystal.write(f"mounted/{number}.md", f"# Mounted {number}\n")
    crystal.train()
    shutil.rmtree(crystal.docs / "mounted")
    (crystal.docs / "mounted").mkdir()
    assert "9 of the 11 deployed files are gone" in crystal.run("train", code=3).stderr


def of_the_first_schema(crystal: "Crystal") -> None:
    """Makes the deployed release what the first version of crystal made: nothing in it knows of stale files."""
    folder = crystal.current().folder
    for file in folder.iterdir():
        file.chmod(0o600)
    with contextlib.closing(sqlite3.connect(folder / "chunks.sqlite")) as database:
        database.execute("ALTER TABLE files DROP COLUMN stale")
        database.commit()
    manifest = json.loads((folder / "manifest.json").read_text())
    for entry in manifest["documents"]:
        del entry["stale"]
    del manifest["uncut"]
    manifest["files"]["chunks.sqlite"] = digest(folder / "chunks.sqlite")
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_a_release_of_the_first_schema_answers_and_is_trained_on(trained: "Crystal") -> None:
    now = trained.ask("journal rotates")
    of_the_first_schema(trained)
    assert trained.ask("journal rotates") == now
    assert trained.train()["result"] == "up-to-date"
    trained.write(LOGS, b"\xff")
    trained.write("more.md", "# More\n\nxylophone\n")
    assert "2 files as in the release before" in trained.run("train").stderr
    assert trained.ask("journal rotates")[0]["stale"] == "not UTF-8 (byte 0)"
    assert trained.ask("xylophone")


@pytest.fixture
def staged(trained: "Crystal", tmp_path: Path) -> Any:
    """An ingest of the docs as they are, into a database of its own, on the deployed release."""

    def run(
        progress: Progress,
        *,
        alike: bool,
        cut: Callable[[str], list[Chunk]] = chunks_of,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> Any:
        earlier = Earlier.of(trained.current().manifest(), alike=alike)
        surveyed = survey((trained.docs,), earlier, progress)
        meanwhile()
        with contextlib.closing(sqlite3.connect(tmp_path / "new.sqlite", uri=True)) as database:
            base = trained.current().folder / "chunks.sqlite"
            done = ingest(
                database, surveyed, (trained.docs,), earlier, progress, base=base, alike=alike, cut=cut
            )
            stale = dict(database.execute("SELECT path, stale FROM files"))
        (tmp_path / "new.sqlite").unlink()
        return done, {os.fsdecode(path): reason for path, reason in stale.items()}

    return run


def test_a_stale_file_keeps_its_passages_when_files_are_cut_in_another_way(
    trained: "Crystal", progress: Progress, staged: Any
) -> None:
    trained.write(LOGS, b"\xff")
    done, stale = staged(progress, alike=False)
    assert stale == {"install.md": None, LOGS: "not UTF-8 (byte 0)"}
    assert (done.chunks, done.copied_files) == (5, 1)


def test_what_a_release_of_another_schema_had_is_skipped_and_the_reason_says_so(
    trained: "Crystal", progress: Progress, staged: Any
) -> None:
    database = trained.current().folder / "chunks.sqlite"
    database.chmod(0o600)
    with contextlib.closing(sqlite3.connect(database)) as other:
        other.execute("ALTER TABLE chunks RENAME COLUMN crumbs TO trail")
        other.commit()
    trained.write(LOGS, b"\xff")
    done, stale = staged(progress, alike=False)
    assert stale == {"install.md": None}
    assert [one.reason for one in done.survey.skipped] == [
        "not UTF-8 (byte 0). Its earlier passages can't be kept: the release before is of another version"
    ]


def test_passages_that_stayed_as_they_were_are_no_source_for_a_file_of_the_same_content(
    trained: "Crystal", progress: Progress, staged: Any
) -> None:
    trained.write("copy.md", (trained.docs / LOGS).read_bytes())
    (trained.docs / "install.md").write_bytes(b"\xff")
    trained.train()
    trained.write("install.md", "# Install\n")
    done, _ = staged(progress, alike=True)
    assert done.copied_files == 2


def becomes(file: Path, harm: Callable[[Path], None]) -> Callable[[], object]:
    return lambda: harm(file)


def is_longer(file: Path) -> None:
    file.write_text("# Logs\n\nlonger\n\n## Now\n")


@pytest.mark.parametrize(
    ("harm", "reason", "skipped"),
    [
        (Path.unlink, None, ["vanished while it was read"]),
        (is_a_folder, "not a regular file", []),
        (is_latin, "not UTF-8 (byte 5)", []),
        (leads_out, "a symbolic link to outside the docs folder", []),
        (is_longer, None, []),
    ],
)
def test_a_file_that_changes_between_two_phases_is_taken_as_it_is_then(
    trained: "Crystal",
    progress: Progress,
    staged: Any,
    harm: Callable[[Path], None],
    reason: str | None,
    skipped: list[str],
) -> None:
    trained.write(LOGS, "# Logs\n\nedited\n")
    done, stale = staged(progress, alike=True, meanwhile=becomes(trained.docs / LOGS, harm))
    assert stale.get(LOGS) == reason
    assert [one.reason for one in done.survey.skipped] == skipped
    if harm is is_longer:
        assert done.survey.documents[1].sha256 == digest(trained.docs / LOGS)


def breaks(text: str) -> list[Chunk]:
    if "unlucky" in text:
        raise RecursionError("maximum recursion depth exceeded")
    return chunks_of(text)


def test_a_content_that_cannot_be_cut_costs_no_other_file_and_is_not_tried_again(
    trained: "Crystal", progress: Progress, staged: Any
) -> None:
    trained.write(LOGS, "unlucky\n")
    trained.write("new.md", "unlucky\n")
    trained.write("more.md", "# More\n")
    done, stale = staged(progress, alike=True, cut=breaks)
    reason = "can't be cut into passages: maximum recursion depth exceeded"
    assert stale == {"install.md": None, "more.md": None, LOGS: reason}
    assert [(one.path, one.reason) for one in done.survey.skipped] == [("new.md", reason)]

    manifest = {"documents": done.survey.documents_json(), "uncut": dict(done.survey.uncut)}
    again = Earlier.of(manifest, alike=True)
    surveyed = survey((trained.docs,), again, progress)
    assert not difference(surveyed.documents, again)
    assert surveyed == done.survey
    cut_anew = Earlier.of(manifest, alike=False)
    assert not survey((trained.docs,), cut_anew, progress).stale, "another way of cutting may do better"


ROOT = Path("/docs")
KNOWN = Document(ROOT, "a.md", "1" * 64, 5)
EARLIER = Earlier({one.name: one for one in (KNOWN, replace(KNOWN, path="b.md", sha256="2" * 64, stale="x"))})


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        ([], "2 removed"),
        ([KNOWN], "1 removed"),
        ([replace(KNOWN, stale="late")], "1 removed, 1 gone stale"),
        ([*EARLIER.documents.values()], "nothing changed"),
        ([KNOWN, replace(KNOWN, path="b.md", sha256="2" * 64, stale="another reason")], "nothing changed"),
        ([KNOWN, replace(KNOWN, path="b.md", sha256="2" * 64)], "1 mended"),
        ([KNOWN, replace(KNOWN, path="b.md", sha256="3" * 64)], "1 changed, 1 mended"),
        ([KNOWN, replace(KNOWN, path="c.md", sha256="2" * 64)], "1 moved"),
    ],
)
def test_what_counts_as_a_difference(documents: list[Document], said: str) -> None:
    changes = difference(documents, EARLIER)
    assert str(changes) == said
    assert bool(changes) == (said != "nothing changed")


def test_only_what_the_release_before_had_is_kept() -> None:
    assert EARLIER.set_aside(ROOT, "a.md", "why") == replace(KNOWN, stale="why")
    assert EARLIER.set_aside(ROOT, "new.md", "why") == Skipped(ROOT, "new.md", "why")
    assert EARLIER.set_aside(Path("/other"), "a.md", "why") == Skipped(Path("/other"), "a.md", "why")
    assert list(EARLIER.below(ROOT, ".")) == ["a.md", "b.md"]
    assert list(EARLIER.below(ROOT, "a")) == []
