"""Markdown -> the words that an encoder reads. PURE.

Markup costs tokens, of which an encoder has 128, and says nothing: without it nDCG@10 on FastAPI's docs is .513, with it .493 (score
fusion, 120 questions). The headings above a section are left out, so that a section that moves below another one is the same text; with
them it is .519, and the interval of the difference includes 0.
"""

import re
from collections.abc import Callable

LIMIT = 8192  # characters that are looked at: no passage is longer

# Bounded repetitions: an opening bracket that nothing closes must not be searched for to the end, again and again.
_IMAGE_OR_LINK = re.compile(
    r"!?\[([^\[\]]{0,300})\]\([^()\s]{0,500}(?:\s[^()]{0,200})?\)(?:\{[^{}]{0,100}\})?"
)
_INCLUDED = re.compile(r"\{[*%][^{}]{0,300}[*%]\}")  # MkDocs' and Jinja's include of another file
_TAG = re.compile(r"<[/!?A-Za-z][^<>]{0,300}>")  # not what stands between "a < b" and "c > d"
_MARKS = re.compile(r"[*`#{}|]+|^///.*$|^:::.*$|-{3,}|={3,}", re.MULTILINE)
_FENCED = re.compile(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1|\Z)", re.MULTILINE | re.DOTALL)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")
_WORDS_OF_SENTENCE = range(
    4, 41
)  # fewer are a remark, more are a list that was taken for a sentence; arbitrary


def passage_text(heading: str, words: str) -> str:
    """What is encoded of a passage, or of a window of it: its heading, and words without markup."""
    return ". ".join(part for part in (heading, words) if part) or "."


def windows(words: str, length: Callable[[str], int], limit: int) -> list[str]:
    """Words cut into windows of at most `limit` tokens, of which `length` tells how many a word has. At least one, maybe empty."""
    found: list[list[str]] = [[]]
    left = limit
    for word in words.split():
        tokens = length(word)
        if tokens > left and found[-1]:
            found.append([])
            left = limit
        found[-1].append(word)
        left -= tokens
    return [" ".join(window) for window in found]


def plain(markdown: str) -> str:
    """The text as a reader sees it, in one line."""
    text = _IMAGE_OR_LINK.sub(
        r"\1", _IMAGE_OR_LINK.sub(r"\1", markdown[:LIMIT])
    )  # a picture may be in a link
    text = _TAG.sub(" ", _INCLUDED.sub("", text))
    return " ".join(_MARKS.sub(" ", text).split())


def sentences(markdown: str) -> list[str]:
    """The sentences of its prose, code left out."""
    prose = plain(_FENCED.sub(" ", markdown[:LIMIT]))
    return [one for one in _SENTENCE_END.split(prose) if len(one.split()) in _WORDS_OF_SENTENCE]
