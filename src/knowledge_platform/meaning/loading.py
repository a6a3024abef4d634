"""A question's vector, made while something else is done: the encoder takes a third of a second to load, an answer by words a tenth."""

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from knowledge_platform.meaning.encoder import Encoder, EncoderUnavailable, locate

if TYPE_CHECKING:
    from knowledge_platform.meaning.embeddings import Vectors


class QuestionVector:
    """Begins to load the encoder at once. A server that keeps one would take this one's place: a call that gives the vector."""

    def __init__(self, question: str, override: Path | None) -> None:
        self._question, self._override = question, override
        self._vector: Vectors | None = None
        self._problem: EncoderUnavailable | None = None
        # A daemon: a question that was interrupted doesn't wait for the encoder.
        self._thread = threading.Thread(target=self._make, name="encoder", daemon=True)
        self._thread.start()

    def ready(self, seconds: float) -> bool:
        """Whether a call would return at once, or does so within these seconds."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def __call__(self) -> "Vectors":
        """The vector (384).

        Raises:
            EncoderUnavailable: there is no encoder.
        """
        self._thread.join()
        if self._problem is not None:
            raise self._problem
        if self._vector is None:
            raise EncoderUnavailable("the encoder ended without an answer: ask again")
        return self._vector

    def _make(self) -> None:
        try:
            encoder = Encoder.load(locate(self._override), threads=1)
            self._vector = encoder.encode([self._question])[0]
        except EncoderUnavailable as problem:
            self._problem = problem
