"""The cache of vectors: nothing is encoded twice, and nothing wrong is ever taken from it."""

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from invented import DIMENSIONS, Knowing, docs
from knowledge_platform.errors import ConfigError
from knowledge_platform.meaning.embeddings import BATCH, SURPLUS, Embeddings

if TYPE_CHECKING:
    from knowledge_platform.conftest import Crystal

NAME = "embeddings.sqlite"


def silent(text: str) -> None:
    raise AssertionError(text)


def vectors(folder: Path, texts: Sequence[str], encoder: Knowing) -> np.ndarray:
    with Embeddings.kept(folder, encoder, silent) as embeddings:
        return embeddings.vectors(texts)


def change(folder: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(folder / NAME)) as database:
        database.execute(statement, values)
        database.commit()


def test_a_text_is_encoded_once_in_its_life(tmp_path: Path) -> None:
    encoder = Knowing()
    first = vectors(tmp_path, ["a", "b", "a"], encoder)
    assert np.array_equal(first[0], first[2])
    again = vectors(tmp_path, ["b", "c", "a", "a"], encoder)
    assert sorted(encoder.asked) == ["a", "b", "c"]
    assert np.array_equal(again[[2, 0]], first[:2])
    assert again.dtype == np.float32


def test_no_texts_are_no_rows(tmp_path: Path) -> None:
    assert vectors(tmp_path, [], Knowing()).shape == (0, 0)


def test_any_text_has_a_vector(tmp_path: Path) -> None:
    texts = ["", "\ud800", "\x00", "é", "e\u0301", "x" * 100_000]
    encoder = Knowing()
    assert len(vectors(tmp_path, texts, encoder)) == len(texts)
    vectors(tmp_path, texts, encoder)
    assert len(encoder.asked) == len(texts)


def test_more_than_a_batch_comes_in_the_order_of_the_texts(tmp_path: Path) -> None:
    texts = [f"text {n}" for n in range(2 * BATCH + 3)]
    encoder = Knowing()
    assert np.array_equal(vectors(tmp_path, texts, encoder), Knowing().encode(texts))
    assert np.array_equal(vectors(tmp_path, texts[::-1], encoder), Knowing().encode(texts[::-1]))
    assert encoder.asked == texts


def test_what_was_encoded_before_the_end_is_kept(tmp_path: Path) -> None:
    texts = [f"text {n}" for n in range(2 * BATCH + 3)]
    dying = Knowing(ends_after=2 * BATCH)
    with pytest.raises(KeyboardInterrupt):
        vectors(tmp_path, texts, dying)
    rest = Knowing()
    assert len(vectors(tmp_path, texts, rest)) == len(texts)
    assert rest.asked == texts[2 * BATCH :]


def test_another_encoder_has_vectors_of_its_own(tmp_path: Path) -> None:
    vectors(tmp_path, ["a"], Knowing("one"))
    other = Knowing("two")
    vectors(tmp_path, ["a"], other)
    assert other.asked == ["a"]
    back = Knowing("one")
    vectors(tmp_path, ["a"], back)
    assert back.asked == []


def test_what_was_not_used_goes_when_it_is_much_and_what_was_used_stays(tmp_path: Path) -> None:
    many = [f"text {n}" for n in range(SURPLUS * 3 + 1)]
    vectors(tmp_path, many, Knowing())
    vectors(tmp_path, many[:1], Knowing("of another"))
    encoder = Knowing()
    with Embeddings.kept(tmp_path, encoder, silent) as embeddings:
        embeddings.vectors(many[: len(many) // 2])
        assert embeddings.forget() == 0, "twice as many are no surplus"
    with Embeddings.kept(tmp_path, encoder, silent) as embeddings:
        embeddings.vectors(many[:3])
        assert embeddings.forget() == len(many) - 3 + 1
        embeddings.vectors(many[:3])
    assert encoder.asked == []
    vectors(tmp_path, many[:4], encoder)
    assert encoder.asked == [many[3]]


def flipped(vector: bytes) -> bytes:
    return bytes([vector[0] ^ 0x40]) + vector[1:]


@pytest.mark.parametrize(
    "harm",
    [flipped, lambda vector: vector[:-4], lambda vector: vector + b"\0\0\0\0", lambda _: b"", lambda _: b"\xff\xff\xff\x7f" * DIMENSIONS],
    ids=["a bit flipped", "too short", "too long", "empty", "no numbers"],
)  # fmt: skip
def test_a_vector_that_is_not_the_one_that_was_kept_is_made_anew(
    tmp_path: Path, harm: Callable[[bytes], bytes]
) -> None:
    encoder = Knowing()
    right = vectors(tmp_path, ["a", "b"], encoder)
    with closing(sqlite3.connect(tmp_path / NAME)) as database:
        (digest, vector), _ = database.execute("SELECT digest, vector FROM vectors").fetchall()
    change(tmp_path, "UPDATE vectors SET vector = ? WHERE digest = ?", harm(vector), digest)
    assert np.array_equal(vectors(tmp_path, ["a", "b"], encoder), right)
    assert len(encoder.asked) == 3
    vectors(tmp_path, ["a", "b"], encoder)
    assert len(encoder.asked) == 3, "the new one is kept"


def test_two_vectors_that_were_exchanged_are_made_anew(tmp_path: Path) -> None:
    encoder = Knowing()
    right = vectors(tmp_path, ["a", "b"], encoder)
    with closing(sqlite3.connect(tmp_path / NAME)) as database:
        (one, first, first_sum), (two, second, second_sum) = database.execute(
            "SELECT digest, vector, sum FROM vectors"
        )
    change(tmp_path, "UPDATE vectors SET vector = ?, sum = ? WHERE digest = ?", second, second_sum, one)
    change(tmp_path, "UPDATE vectors SET vector = ?, sum = ? WHERE digest = ?", first, first_sum, two)
    assert np.array_equal(vectors(tmp_path, ["a", "b"], encoder), right)


def torn(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def garbage(path: Path) -> None:
    path.write_bytes(b"no database at all, but long enough to be looked at" * 100)


def scribbled(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:8192] = b"\xa5" * 4096
    path.write_bytes(content)


def of_another_schema(path: Path) -> None:
    path.unlink()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE vectors (encoder TEXT, digest BLOB, vector BLOB)")


def a_page_of_zeros(path: Path) -> None:
    path.write_bytes(b"\0" * 4096)


@pytest.mark.parametrize("harm", [torn, garbage, scribbled, of_another_schema, a_page_of_zeros], ids=lambda harm: harm.__name__)  # fmt: skip
def test_a_damaged_file_is_made_anew_and_said(tmp_path: Path, harm: Callable[[Path], None]) -> None:
    texts = [f"text {n}" for n in range(400)]
    right = vectors(tmp_path, texts, Knowing())
    harm(tmp_path / NAME)
    said: list[str] = []
    encoder = Knowing()
    with Embeddings.kept(tmp_path, encoder, said.append) as embeddings:
        assert np.array_equal(embeddings.vectors(texts), right)
    assert len(said) == 1
    assert "embeddings.sqlite is damaged" in said[0]
    assert encoder.asked == texts
    vectors(tmp_path, texts, encoder)
    assert encoder.asked == texts, "what was made anew is kept"


def test_an_empty_file_is_an_empty_cache(tmp_path: Path) -> None:
    (tmp_path / NAME).touch()
    assert len(vectors(tmp_path, ["a"], Knowing())) == 1


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo], ids=["directory", "FIFO"])
@pytest.mark.timeout(20)
def test_what_is_no_file_in_its_place_is_left_to_a_person(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path / NAME)
    with pytest.raises(ConfigError, match=r"embeddings\.sqlite is no regular file: remove it"):
        vectors(tmp_path, ["a"], Knowing())
    assert (tmp_path / NAME).exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write what nobody may")
def test_a_file_that_can_not_be_written_is_made_anew(tmp_path: Path) -> None:
    vectors(tmp_path, ["a"], Knowing())
    (tmp_path / NAME).chmod(0o400)
    said: list[str] = []
    with Embeddings.kept(tmp_path, Knowing(), said.append) as embeddings:
        embeddings.vectors(["a", "b"])
    assert "can't be written" in said[0]


# Through a whole training


@pytest.fixture
def big(crystal: "Crystal") -> "Crystal":
    """Ten documents that are trained on."""
    for path, text in docs(9, files=10, sections=4).items():
        crystal.write(path, text)
    outcome = crystal.train()
    assert outcome["embedded"] == outcome["chunks"] == 55
    assert outcome["encoded"] > 55
    return crystal


def test_training_again_encodes_nothing(big: "Crystal") -> None:
    outcome = big.train("--full")
    assert (outcome["embedded"], outcome["encoded"]) == (0, 0)


def test_a_file_that_moves_costs_nothing(big: "Crystal") -> None:
    (big.docs / "deep").mkdir()
    (big.docs / "page3.md").rename(big.docs / "deep/renamed.md")
    assert big.train()["embedded"] == 0


def test_sections_that_change_places_or_files_cost_nothing(big: "Crystal") -> None:
    top, *sections = (big.docs / "page1.md").read_text().split("\n## ")
    other = (big.docs / "page2.md").read_text()
    big.write("page1.md", "\n## ".join([top, *sections[:0:-1]]))
    big.write("page2.md", f"{other.rstrip()}\n\n## {sections[0]}")
    outcome = big.train()
    assert outcome["changes"]["changed"]
    assert outcome["embedded"] == 0


def test_what_comes_back_costs_nothing(big: "Crystal") -> None:
    text = (big.docs / "page1.md").read_text()
    (big.docs / "page1.md").unlink()
    assert big.train()["embedded"] == 0
    big.write("page1.md", text)
    assert big.train()["embedded"] == 0


def test_of_a_file_that_is_edited_only_the_edited_section_is_encoded(big: "Crystal") -> None:
    text = (big.docs / "page1.md").read_text()
    big.write("page1.md", text.replace("See [", "At last there is something new. See [", 1))
    assert big.train()["embedded"] == 1


def test_a_damaged_cache_costs_a_training_its_time_and_no_more(big: "Crystal") -> None:
    path = big.folder / "cache" / NAME
    torn(path)
    done = big.run("train", "--full")
    assert "embeddings.sqlite is damaged" in done.stderr
    assert "55 passages encoded" in done.stderr
    assert big.train("--full")["embedded"] == 0


def test_a_directory_in_the_caches_place_is_one_line_and_exit_78(big: "Crystal") -> None:
    path = big.folder / "cache" / NAME
    before = big.current().id
    for part in path.parent.iterdir():
        part.unlink()
    path.mkdir()
    said = big.run("train", "--full", code=78).stderr.splitlines()
    assert said[-1].startswith("crystal: ")
    assert "is no regular file: remove it" in said[-1]
    assert big.current().id == before
    path.rmdir()
    assert big.train("--full")["embedded"] == 55
