"""WordPiece: HuggingFace's `tokenizers` is asked the same, from the same vocabulary, and must say the same."""

import hashlib
import unicodedata
from pathlib import Path
from typing import SupportsIndex

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer
from tokenizers.models import WordPiece as Model
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer
from tokenizers.processors import BertProcessing

from knowledge_platform.meaning import wordpiece
from knowledge_platform.meaning.wordpiece import FIRST, LAST, SLICE, UNKNOWN, WORD_LIMIT, WordPiece

VOCABULARY = Path(wordpiece.__file__).with_name("vocab.txt")
DOCS = sorted(Path(__file__).parents[2].glob("docs/**/*.md"))
NO_LIMIT = 1 << 40
HARD = [
    "", " ", "\t\n\r", "\x00", "a\x00b", "\ufffd", "a\ufffdb", "\x1b[31mred\x1b[0m", "\x85\x1c\x1f", "a\u2028b\u2029c", "a\u3000b\u00a0c",
    "soft\u00adhyphen", "zero\u200bwidth\u200djoiner", "\ufeffmark", "\u202eright to left\u202c",
    "Café naïve Ångström ǅ ﬁ Ⅷ ½ ª", "cafe\u0301 a\u0328\u0301 \u0301", "Ǖ ǖ ự Ệ", "i\u0307 İstanbul ıspanak", "Straße GROẞE ſ", "ΟΔΥΣΣΕΥΣ Σ ς",
    "日本語とかなカナ", "가나다 \u1112\u1161\u11ab", "中文,标点。（括号）", "㐀𠀀𫜴𫝀𫠠𫤠𬺰豈丽", "हिन्दी ಕನ್ನಡ ไทย العربية עִבְרִית", "\u0600\u06dd\u070f\u110bd",
    "🚀", "👩‍👩‍👧‍👦 🇩🇪 ☺️", "a🚀b", "\U0001f9ff\U0001fae8", "\ue000\U000f0000\U0010fffd", "\u0378\U000e0080",
    "x" * WORD_LIMIT, "x" * (WORD_LIMIT + 1), "é" * WORD_LIMIT, "\u0301" * 300 + "a", "ㅏ" * 101, "unaffable embeddings", "##ing [SEP] [CLS] [UNK] [MASK] [PAD]",
    "def f(x: int) -> None:\n\treturn x ** 2  # ok", "https://example.org/a_b?c=d&e=%20#f", "!!!...---", "$^`~|<=>+", "C:\\path\\to", "don't “quote” it’s — yes…",
    "x" * (SLICE - 1) + " y", "x" * SLICE + " y", "ab " * SLICE, "a" + " " * (3 * SLICE) + "b", "a" + "\x00" * (3 * SLICE) + "b", "wörter " * SLICE,
    "\u09fe\u1ace\u2e5d\U00011fff\U0001e94a", "\ua7cb\u1c89\ua7dc", "\u302e\u302f\u1baa\U0001d165\u0315\u0300",
]  # fmt: skip
# Marks, marks that Unicode 8 didn't have, letters of two parts, what is removed, what is set apart, what is neither.
ODD = "\u0301\u0328\u05b0\u09fe\u302e\u1baa\U0001d165éÅǅİıßΣς가ᄒ中豈丽\u00ad\u200b\x00\x1b\ufffd \t\n\u00a0\u3000!.'_-#$¡\u2e5dA9🚀𠀀\u0378"


class Reference:
    """The same vocabulary in `tokenizers`."""

    def __init__(self) -> None:
        pieces = VOCABULARY.read_text("utf-8").split("\n")[:-1]
        vocabulary = {piece: number for number, piece in enumerate(pieces)}
        self._tokenizer = Tokenizer(
            Model(vocabulary, unk_token="[UNK]", max_input_chars_per_word=WORD_LIMIT)  # noqa: S106 - no password
        )
        self._tokenizer.normalizer = BertNormalizer(
            clean_text=True, handle_chinese_chars=True, strip_accents=True, lowercase=True
        )
        self._tokenizer.pre_tokenizer = BertPreTokenizer()
        self._tokenizer.post_processor = BertProcessing(("[SEP]", LAST), ("[CLS]", FIRST))

    def ids(self, text: str, limit: int) -> list[int]:
        self._tokenizer.enable_truncation(limit)
        ids: list[int] = self._tokenizer.encode(text).ids
        return ids


OURS = WordPiece()
THEIRS = Reference()


class Book(str):
    """A text that knows how far it was read."""

    __slots__ = ("read",)
    read: int

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        assert isinstance(key, slice)
        self.read = key.stop
        return super().__getitem__(key)


def test_the_vocabulary_is_googles() -> None:
    digest = hashlib.sha256(VOCABULARY.read_bytes()).hexdigest()
    assert digest == "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.name)
def test_a_page_of_the_manual_is_read_as_the_reference_does(page: Path) -> None:
    text = page.read_text("utf-8")
    assert OURS.ids(text, NO_LIMIT) == THEIRS.ids(text, NO_LIMIT)


@pytest.mark.parametrize("text", HARD, ids=ascii)
def test_a_hard_text_is_read_as_the_reference_does(text: str) -> None:
    for limit in (2, 3, 128, NO_LIMIT):
        assert OURS.ids(text, limit) == THEIRS.ids(text, limit)


@settings(max_examples=500, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"])), st.integers(2, 40))
def test_any_text_is_read_as_the_reference_does(text: str, limit: int) -> None:
    assert OURS.ids(text, limit) == THEIRS.ids(text, limit)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(ODD), max_size=60).map("".join), st.integers(1, 20))
def test_odd_characters_in_any_company_are_read_as_the_reference_does(text: str, times: int) -> None:
    assert OURS.ids(text * times, NO_LIMIT) == THEIRS.ids(text * times, NO_LIMIT)


def test_every_character_alone_and_within_a_word_is_read_as_the_reference_does() -> None:
    """Planes 4 to 13 have none (their code points were compared once: all are unknown letters)."""
    for first in [*range(0, 0xD800, 256), *range(0xE000, 0x40000, 256), *range(0xE0000, 0x110000, 256)]:
        text = " ".join(f"{chr(code)} a{chr(code)}b" for code in range(first, first + 256))
        assert OURS.ids(text, NO_LIMIT) == THEIRS.ids(text, NO_LIMIT), f"U+{first:04X} and the 255 after it"


def test_no_piece_has_a_mark_whose_order_among_others_could_matter() -> None:
    """`wordpiece._read` relies on it."""
    assert not [letter for letter in VOCABULARY.read_text("utf-8") if unicodedata.combining(letter)]


def test_lone_surrogates_are_as_good_as_absent() -> None:
    assert OURS.ids("\ud800", 8) == [FIRST, LAST]
    assert OURS.ids("rot\udc80ate \udfff logs", 8) == OURS.ids("rotate logs", 8)


@pytest.mark.parametrize("text", ["hello world " * 100_000, "a-" * 500_000, "日" * 1_000_000], ids=ascii)
def test_of_a_long_text_only_the_beginning_is_read(text: str) -> None:
    book = Book(text)
    assert OURS.ids(book, 128) == OURS.ids(text[:2000], 128)
    assert book.read <= 2 * SLICE


def test_a_word_of_a_million_letters_is_one_unknown_word() -> None:
    assert OURS.ids("x" * 1_000_000, 128) == [FIRST, UNKNOWN, LAST]
