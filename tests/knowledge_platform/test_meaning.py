"""From documents to answers by meaning, with the real encoder; what people say of them; and what happens where something is missing."""

import contextlib
import json
import shutil
import sqlite3
import warnings
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from knowledge_platform.asking.ask import Answer, ask
from knowledge_platform.errors import CrystalError, one_line
from knowledge_platform.feedback.lessons import Resolved, store_lessons
from knowledge_platform.feedback.log import FeedbackLogger
from knowledge_platform.feedback.verdicts import Lesson
from knowledge_platform.meaning.encoder import DIMENSIONS, MODEL_SIZE, locate
from knowledge_platform.meaning.model import remembered_lessons, store_remembered
from knowledge_platform.store.releases import Release

if TYPE_CHECKING:
    from knowledge_platform.conftest import Crystal

MANUAL = """# The machine

What it is and how to live with it.

## Power

Press the button for four seconds to switch the machine off.

## Display

The lamp on the front is green while the motor runs and amber while it cools.

## Storage

The journal is vacuumed when it exceeds its maximum size.

## Network

An address is obtained from the router by DHCP; a static one is set in a file.

## Accounts

Each person has a name and a secret phrase, changed with the command passwd.
"""
HANGS = "the computer hangs, how do I turn it off?"


@pytest.fixture
def machine(crystal: "Crystal") -> "Crystal":
    """Its manual beside the two small documents, trained."""
    crystal.write("manual.md", MANUAL)
    crystal.train()
    return crystal


def asked(crystal: "Crystal", question: str, *words: str) -> Any:
    return crystal.json("ask", *words, question)


def anchors(crystal: "Crystal", question: str, *words: str) -> list[str]:
    return [passage["anchor"] for passage in asked(crystal, question, *words)["passages"]]


def score(crystal: "Crystal", question: str, anchor: str) -> float:
    found = asked(crystal, question, "-k", "100")["passages"]
    return next(float(passage["score"]) for passage in found if passage["anchor"] == anchor)


# Asked in other words


@pytest.mark.parametrize(
    ("question", "anchor"),
    [
        (HANGS, "power"),
        ("I forgot my login credentials", "accounts"),
        ("what does the colour of the light tell me?", "display"),
    ],
)
def test_a_question_in_other_words_than_the_texts_finds_its_section(
    machine: "Crystal", question: str, anchor: str
) -> None:
    assert anchors(machine, question)[:1] == [anchor]
    assert anchors(machine, question, "--lexical")[:1] != [anchor], (
        "words find it too: no question for this test"
    )


def test_what_the_docs_say_nothing_of_has_no_match(machine: "Crystal") -> None:
    assert anchors(machine, "bake sourdough bread") == []
    assert machine.run("ask", "bake sourdough bread").stdout == "no good match\n"


def test_a_name_that_no_encoder_knows_is_found_by_its_word(machine: "Crystal") -> None:
    assert anchors(machine, "frobnicator")[:1] == ["steps"]


# What people say


def say(crystal: "Crystal", question: str, *verdict: str) -> None:
    crystal.run("feedback", asked(crystal, question)["answer_id"], *verdict)


def test_a_correction_is_learned_for_the_question_and_for_other_words(machine: "Crystal") -> None:
    question, other = "where do I set how it goes to sleep?", "where can one choose how it falls asleep"
    before = [score(machine, each, "display") for each in (question, other)]
    assert anchors(machine, question)[:1] != ["display"]
    say(machine, question, "good", "--correct", "manual.md#display")
    machine.train()
    best, *_ = asked(machine, question)["passages"]
    assert (best["anchor"], best["lifted"]) == ("display", True)
    after = [score(machine, each, "display") for each in (question, other)]
    assert after[0] > before[0] + 0.2
    assert after[1] > before[1] + 0.02
    shown = machine.run("ask", question).stdout.splitlines()[0]
    assert shown.startswith("docs/manual.md:9-11 (here because of feedback)")
    assert asked(machine, "frobnicator")["passages"][0]["lifted"] is False


def test_what_was_called_wrong_falls_and_the_right_one_is_first(machine: "Crystal") -> None:
    assert anchors(machine, HANGS)[0] == "power"
    before = score(machine, HANGS, "power")
    say(machine, HANGS, "bad", "--correct", "install.md#steps")
    machine.train()
    found = anchors(machine, HANGS)
    assert found[0] == "steps"
    assert found[-1] == "power" or "power" not in found
    assert score(machine, HANGS, "power") < before


def test_feedback_counts_by_words_too(machine: "Crystal") -> None:
    machine.environ["CRYSTAL_ENCODER_PATH"] = "/nowhere"
    machine.train()
    question = "does the machine rotate the journal?"
    first, *_ = anchors(machine, question)
    say(machine, question, "bad", "--correct", "manual.md#network")
    machine.train()
    found = asked(machine, question, "-k", "100")["passages"]
    assert found[0]["anchor"] == "network"
    assert [one["lifted"] for one in found] == [True] + [False] * (len(found) - 1)
    assert found[-1]["anchor"] == first
    assert "(here because of feedback)" in machine.run("ask", question).stdout.splitlines()[0]


def test_to_be_called_wrong_brings_no_section_into_an_answer_by_words(machine: "Crystal") -> None:
    FeedbackLogger(machine.folder).log(query="frobnicator", section="manual.md#network", verdict="bad")
    machine.environ["CRYSTAL_ENCODER_PATH"] = "/nowhere"
    machine.train()
    assert anchors(machine, "frobnicator") == ["steps"]


def test_a_long_section_that_was_called_wrong_falls_with_all_its_passages(machine: "Crystal") -> None:
    machine.write("long.md", "# Valves\n\n" + "A valve is opened by hand, and closed by hand.\n\n" * 90)
    machine.write("short.md", "# Taps\n\nA valve is no tap.\n")
    machine.environ["CRYSTAL_ENCODER_PATH"] = "/nowhere"
    machine.train()
    question = "valve closed by hand"
    assert anchors(machine, question) == ["valves", "taps"]
    say(machine, question, "bad")
    machine.train()
    assert anchors(machine, question) == ["taps", "valves"]
    assert not any(one["lifted"] for one in asked(machine, question)["passages"]), "nobody praised the taps"


# Golden queries


def test_a_lost_golden_query_refuses_the_release_and_a_gone_one_is_noted(machine: "Crystal") -> None:
    before = machine.current().id
    machine.run("golden", "add", HANGS, "manual.md#power")
    machine.write(
        "manual.md", MANUAL.replace("Press the button for four seconds to switch the machine off.", "Zzz.")
    )
    for n in range(6):
        machine.write(f"off{n}.md", f"# How {n}\n\nThe computer hangs: turn it off in way number {n}.\n")
    said = machine.run("train", code=3).stderr.splitlines()[-1]
    assert said.startswith("crystal: the gate refused")
    assert HANGS in said
    assert machine.current().id == before
    assert anchors(machine, HANGS)[0] == "power"
    machine.write("manual.md", MANUAL.partition("## Power")[0])
    done = machine.run("train")
    assert f"golden query: its section is gone, so it decides nothing: {HANGS}" in done.stderr
    assert machine.current().id != before


# Without an encoder


@pytest.fixture
def flipped(tmp_path: Path) -> Path:
    """The model with one bit of 180 million changed."""
    there = tmp_path / "flipped.onnx"
    shutil.copyfile(locate(None), there)
    with there.open("r+b") as file:
        file.seek(MODEL_SIZE // 2)
        (byte,) = file.read(1)
        file.seek(MODEL_SIZE // 2)
        file.write(bytes([byte ^ 1]))
    return there


@pytest.mark.parametrize("kind", ["missing", "flipped"])
def test_without_the_encoder_answers_go_by_words_and_everyone_is_told(
    crystal: "Crystal", tmp_path: Path, flipped: Path, kind: str
) -> None:
    why = {"missing": "/nowhere: No such file", "flipped": f"{flipped} is not the model"}[kind]
    status = tmp_path / "status.json"
    crystal.environ |= {
        "CRYSTAL_ENCODER_PATH": "/nowhere" if kind == "missing" else str(flipped),
        "TRAINING_STATUS_FILE": str(status),
    }
    done = crystal.run("train")
    assert f"by words only: {why}" in done.stderr
    assert "by words only" in done.stdout.splitlines()[-1]
    assert "by words only" in json.loads(status.read_text())["message"]
    again = crystal.train()
    assert again["result"] == "up-to-date"
    assert again["lexical"].startswith(why)
    assert again["embedded"] is None
    assert crystal.current().manifest()["encoder_id"] is None
    assert asked(crystal, "journal rotates")["passages"]


def test_who_must_have_the_encoder_says_so(crystal: "Crystal") -> None:
    crystal.environ["CRYSTAL_ENCODER_PATH"] = "/nowhere"
    said = crystal.run("train", "--require-dense", code=78).stderr.splitlines()
    assert "/nowhere: No such file" in said[-1]
    assert crystal.store.current() is None
    del crystal.environ["CRYSTAL_ENCODER_PATH"]
    assert crystal.json("train", "--require-dense")["lexical"] is None


def test_when_the_encoder_comes_back_everything_is_made_with_it(crystal: "Crystal") -> None:
    crystal.environ["CRYSTAL_ENCODER_PATH"] = "/nowhere"
    crystal.train()
    del crystal.environ["CRYSTAL_ENCODER_PATH"]
    outcome = crystal.train()
    assert (outcome["result"], outcome["lexical"], outcome["embedded"]) == ("succeeded", None, 5)
    assert "lexical" in asked(crystal, "how does the journal rotate?")
    assert asked(crystal, "how does the journal rotate?")["lexical"] is None
    assert crystal.train()["result"] == "up-to-date"


def test_a_release_with_vectors_is_asked_by_words_where_there_is_no_encoder(
    machine: "Crystal", flipped: Path
) -> None:
    for path in ("/nowhere", str(flipped)):
        machine.environ["CRYSTAL_ENCODER_PATH"] = path
        done = machine.run("ask", "journal rotates")
        assert done.stderr.startswith(f"by words only: {path}")
        assert "docs/ops/logs.md:5-7" in done.stdout
        assert asked(machine, "journal rotates")["lexical"].startswith(path)


def test_a_release_of_another_encoder_is_asked_by_words(machine: "Crystal") -> None:
    with (
        altered(machine.current(), "chunks.sqlite") as path,
        contextlib.closing(sqlite3.connect(path)) as database,
    ):
        database.execute("UPDATE model SET value = 'another' WHERE name = 'encoder_id'")
        database.commit()
    done = machine.run("ask", "journal rotates")
    assert done.stderr == "by words only: the release was trained with another encoder: crystal train\n"
    assert "docs/ops/logs.md:5-7" in done.stdout


# Damage


class altered:  # noqa: N801 - reads as what it does
    """A file of a release, writable for a moment."""

    def __init__(self, release: Release, name: str) -> None:
        self._path = release.folder / name

    def __enter__(self) -> Path:
        self._path.chmod(0o600)
        return self._path

    def __exit__(self, *_: object) -> None:
        if self._path.exists():
            self._path.chmod(0o400)


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])


def garbage(path: Path) -> None:
    path.write_bytes(b"neither numbers nor passages, but long enough to be looked at" * 100)


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def pickled(path: Path) -> None:
    """What would run code if it were unpickled."""
    harm = np.asarray([Harm()], object)
    if path.suffix == ".npz":
        np.savez(path, queries=harm, sections=harm, weights=harm, allow_pickle=True)
    else:
        np.save(path, harm, allow_pickle=True)


class Harm:
    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return print, ("pickled code ran",)


def of_another_shape(path: Path) -> None:
    other = np.zeros((3, 7), np.float32)
    if path.suffix == ".npz":
        np.savez(path, queries=other, sections=other, weights=other)
    else:
        np.save(path, other)


def of_another_kind(path: Path) -> None:
    if path.suffix == ".npz":
        with zipfile.ZipFile(path, "w") as made:
            made.writestr("queries.npy", b"nothing")
    else:
        buffer = BytesIO()
        np.save(buffer, np.load(path).astype("S8"))
        path.write_bytes(buffer.getvalue())


HARMS = [Path.unlink, cut, garbage, emptied, pickled, of_another_shape, of_another_kind]
ARRAYS = ["vectors.npy", "sections.npy", "adapter.npy", "memory.npz"]


def by_meaning(crystal: "Crystal", question: str = "how does the journal rotate?") -> Answer:
    """Asked in this process, with any vector: what is of interest is whether the files are taken."""
    return ask(crystal.store, question, 5, lambda: np.full(DIMENSIONS, DIMENSIONS**-0.5, np.float32))


def test_a_complete_release_is_asked(copy: "Crystal") -> None:
    assert {file.name for file in copy.current().folder.iterdir()} >= {*ARRAYS, "chunks.sqlite"}
    assert by_meaning(copy).lexical is None


@pytest.mark.parametrize("harm", HARMS, ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("name", ARRAYS)
def test_a_damaged_file_is_one_error_that_says_what_to_do(
    copy: "Crystal", capsys: pytest.CaptureFixture[str], name: str, harm: Callable[[Path], None]
) -> None:
    with altered(copy.current(), name) as path:
        harm(path)
    with pytest.raises(CrystalError) as caught:
        by_meaning(copy)
    said = one_line(caught.value)
    assert said.startswith(f"release {copy.current().id} is damaged: ")
    assert said.endswith("Go back with: crystal rollback")
    assert "pickled code ran" not in capsys.readouterr().out


def test_bytes_of_the_small_files_may_be_wrong(copy: "Crystal") -> None:
    """It answers all the same, or says that the release is damaged: never anything else."""
    random = Random(0)  # noqa: S311 - always the same
    for name in ("sections.npy", "memory.npz", "adapter.npy"):
        path = copy.current().folder / name
        path.chmod(0o600)
        content = path.read_bytes()
        places = {*range(0, 130, 2), *(random.randrange(len(content)) for _ in range(20))}
        if path.suffix == ".npz":
            places |= set(range(len(content) - 400, len(content), 5))
        for place in sorted(places):
            harmed = bytearray(content)
            harmed[place] ^= 1 << random.randrange(8)
            path.write_bytes(harmed)
            with contextlib.suppress(CrystalError), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # numbers that are none, and numpy's word on old headers
                by_meaning(copy)
        path.write_bytes(content)


@pytest.mark.parametrize("name", ["vectors.npy", "memory.npz", "chunks.sqlite"])
def test_a_damaged_release_is_one_line_and_the_next_training_makes_a_new_one(
    copy: "Crystal", name: str
) -> None:
    with altered(copy.current(), name) as path:
        cut(path)
    done = copy.run("ask", "how does the journal rotate?", code=1)
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.endswith("Go back with: crystal rollback\n")
    done = copy.run("train")
    assert "is damaged: everything is made anew" in done.stderr
    assert copy.current().intact()
    assert asked(copy, "how does the journal rotate?")["passages"][0]["anchor"] == "rotation"


def test_a_byte_that_was_flipped_is_noticed_by_the_next_training(copy: "Crystal") -> None:
    """Asking checks no digests of what may be gigabytes."""
    with altered(copy.current(), "vectors.npy") as path:
        content = bytearray(path.read_bytes())
        content[2000] ^= 1
        path.write_bytes(content)
    assert asked(copy, "how does the journal rotate?")["passages"]
    outcome = copy.run("train")
    assert "is damaged: everything is made anew" in outcome.stderr
    assert copy.current().intact()


def test_a_memory_of_sections_that_are_not_there_is_damage(copy: "Crystal") -> None:
    for section in (-1, 10_000):
        with altered(copy.current(), "memory.npz") as path:
            kept = dict(np.load(path))
            np.savez(path, **{**kept, "sections": np.full_like(kept["sections"], section)})
        with pytest.raises(CrystalError, match=r"memory\.npz: it names a section that isn't there"):
            by_meaning(copy)


@pytest.mark.parametrize("statement", ["DELETE FROM roots", "DELETE FROM files", "DROP TABLE passages"])
def test_a_database_that_lacks_something_is_one_line(copy: "Crystal", statement: str) -> None:
    with (
        altered(copy.current(), "chunks.sqlite") as path,
        contextlib.closing(sqlite3.connect(path)) as database,
    ):
        database.execute(statement)
        database.commit()
    for words in ((), ("--lexical",)):
        said = copy.run("ask", *words, "how does the journal rotate?", code=1).stderr
        assert len(said.splitlines()) == 1
        assert "crystal rollback" in said


# What the gate kept back


def test_lessons_that_the_gate_kept_back_are_not_taken_for_deployed_ones() -> None:
    old, new = (Lesson(query, "ops/logs.md", "rotation", "good", 1.0, (), ()) for query in ("old", "new"))
    database = sqlite3.connect(":memory:")
    assert remembered_lessons(database) == []
    store_lessons(database, Resolved((new,), (), (), {}))
    assert remembered_lessons(database) == [new]
    store_remembered(database, [old])
    assert remembered_lessons(database) == [old]
    database.close()
