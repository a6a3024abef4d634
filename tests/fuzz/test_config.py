"""config.toml, whatever is in its place: a configuration, or mistakes of one line each; never a traceback, never a wait."""

from __future__ import annotations

import math
import os
import socket
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from acts.conftest import Home
from fuzz.amount import examples
from fuzz.nasty import WORDS, harmless
from training_watch.config import KEYS, LARGEST, MOST_MISTAKES, Config, ConfigError, Job, read_config
from training_watch.timespan import seconds, spoken

JOB = '[job.docs]\npaths = ["/srv/docs"]\n'


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("config") / "config.toml"


def read(file: Path, content: bytes) -> Config | list[str]:
    """The configuration, or its mistakes: one line each, which begins with the file."""
    file.write_bytes(content)
    try:
        config = read_config(file)
    except ConfigError as error:
        mistakes = error.mistakes
    else:
        for job in config.jobs:
            sound(job)
        return config
    assert 1 <= len(mistakes) <= MOST_MISTAKES + 1
    for line in mistakes:
        assert line.startswith(f"{file}:"), line
        assert harmless(line), line
        assert "\n" not in line
        assert len(line) < 1000, "nobody reads that"
    return mistakes


def sound(job: Job) -> None:
    """What the rest of the program may rely on."""
    settings = job.settings
    for length in (settings.debounce, settings.max_wait, job.poll_interval, job.rescan_interval):
        assert 0 < length < math.inf
    assert 0 <= settings.cooldown < math.inf
    assert settings.debounce <= settings.max_wait
    assert settings.retries >= 0
    assert job.paths
    assert all(path.is_absolute() and b"\0" not in os.fsencode(path) for path in (*job.paths, job.marker))
    assert job.command
    assert job.command[0]


# ---- handpicked --------------------------------------------------------------------------------

NASTY = {
    "nothing at all": "",
    "a byte order mark": "\ufeff",
    "a NUL byte": f"{JOB}\0",
    "a whole number of 5,000 digits": f"{JOB}retries = {'9' * 5000}",
    "a hexadecimal number of 5,000 digits": f"{JOB}retries = -0x{'f' * 5000}\ncooldown = 0x{'f' * 5000}",
    "numbers that are none": f"{JOB}cooldown = nan\nmax_wait = inf\ndebounce = -inf\nretries = nan",
    "numbers past the largest": f"{JOB}cooldown = 1e400\nmax_wait = 1e308\npoll_interval = 1e-300",
    "times for numbers": f"{JOB}retries = 2026-02-16T06:00:58Z\ncooldown = 06:00:58\nmode = 2026-02-16",
    "lists in lists": f"{JOB}ignore = {'[' * 100_000}",
    "lists in lists that are closed": f"{JOB}ignore = {'[' * 900}{']' * 900}",
    "tables in tables": f"{JOB}x = {'{a=' * 10_000}",
    "a key of 20,000 parts": f"{JOB}{'.'.join('a' * 20_000)} = 1",
    "a table's name of 100,000 parts": f"[{'.'.join('a' * 100_000)}]",
    "200,000 blanks": f"{JOB}{' ' * 200_000}",
    "blanks where a key ends": f"{JOB}a{' ' * 50_000}b",
    "a key of 200,000 letters": f"{JOB}{'a' * 200_000} = 1",
    "20,000 unknown keys": JOB + "".join(f"k{number} = 1\n" for number in range(20_000)),
    "3,000 jobs for one unit": "".join(f"[job.j{n}]\npaths = ['/x']\n" for n in range(3000)),
    "5,000 folders": f"[job.docs]\npaths = {[f'/{number}' for number in range(5000)]}",
    "a folder whose name is too long": f"[job.docs]\npaths = ['/{'a' * 5000}']",
    "a folder below a file": '[job.docs]\npaths = ["/etc/passwd/docs"]',
    "a folder with a NUL byte": '[job.docs]\npaths = ["/\\u0000"]',
    "jobs as a list": "[[job]]\npaths = ['/x']",
    "a job as a list": "[[job.docs]]\npaths = ['/x']",
    "a job as a number": "job = 1",
    "a table within a job": f"{JOB}[job.docs.paths]\nx = 1",
    "a lone surrogate": f'{JOB}ignore = ["\\ud800"]',
    "only returns at the ends of lines": JOB.replace("\n", "\r"),
    "a job whose name turns the writing": '[job."\\u202e\\n::error::x"]\npaths = ["/x"]',
    "a key that clears the screen": f'{JOB}"\\u001b[2J\\nforged" = 1',
    "values that clear the screen": f'{JOB}mode = "\\u001b[2J"\nservice = "\\u009b"\nmarker = "\\u202e"',
}


@pytest.mark.parametrize("text", NASTY.values(), ids=NASTY)
def test_it_is_read_or_its_mistakes_are_told(file: Path, text: str) -> None:
    read(file, text.encode("utf-8", "surrogatepass"))


def test_a_byte_order_mark_is_no_mistake(file: Path) -> None:
    assert isinstance(read(file, b"\xef\xbb\xbf" + JOB.encode()), Config)


def test_of_thousands_of_mistakes_the_first_are_told_and_the_rest_counted(file: Path) -> None:
    told = read(file, NASTY["20,000 unknown keys"].encode())
    assert isinstance(told, list)
    assert "k0" in told[0]
    assert told[-1].endswith(f"and {20_000 - MOST_MISTAKES} more mistakes: mend these first")


def test_ten_megabytes_are_refused_unread(file: Path) -> None:
    assert read(file, JOB.encode() + b"#" * 10_000_000) == [
        f"{file}: larger than {LARGEST >> 10} KiB, no configuration of ours: name the right one with --config"
    ]


@pytest.mark.parametrize("kind", ["folder", "fifo", "socket", "loop", "dangling"])
def test_what_is_no_file_is_told_at_once(home: Home, kind: str) -> None:
    home.config.unlink()
    match kind:
        case "folder":
            home.config.mkdir()
        case "fifo":
            os.mkfifo(home.config)
        case "socket":
            with socket.socket(socket.AF_UNIX) as listening:
                listening.bind(str(home.config))
        case "loop":
            home.config.symlink_to(home.config)
        case _:
            home.config.symlink_to("nowhere")
    for command in ("check", "status", "trigger", "run"):
        done = home.run(command, timeout=20)
        assert (done.returncode, done.stdout) == (78, ""), done.stderr
        assert str(home.config) in done.stderr
        assert len(done.stderr.splitlines()) == 1


# ---- drawn -------------------------------------------------------------------------------------

texts = some.sampled_from(WORDS) | some.text(max_size=30)
numbers = some.integers(-(10**30), 10**30) | some.floats() | some.integers(-3, 3)
scalars = (
    texts | numbers | some.booleans() | some.sampled_from(["5min", "0", "-1", "1y", "auto", "/srv/docs"])
)
values = some.recursive(
    scalars,
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


def toml(value: object) -> str:
    """The value as TOML has it."""
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case str():
            escaped = "".join(
                each if each.isprintable() and each not in '"\\' else f"\\U{ord(each):08x}" for each in value
            )
            return f'"{escaped}"'
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case dict():
            return f"{{{', '.join(f'{toml(key)} = {toml(each)}' for key, each in value.items())}}}"
    raise AssertionError(value)


@given(
    some.dictionaries(some.sampled_from(KEYS) | texts, values, max_size=6),
    some.sampled_from(["docs", "a b", "é", "x" * 65, "\x1b", "job"]),
)
@examples(300)
def test_keys_with_any_values_are_read_or_told(file: Path, table: dict[str, object], name: str) -> None:
    lines = [f"[job.{toml(name)}]", *(f"{toml(key)} = {toml(value)}" for key, value in table.items())]
    read(file, "\n".join(lines).encode("utf-8", "surrogatepass"))


GOOD = (
    b'# a configuration\n[job.docs]\npaths = ["~/docs", "/srv"]\nignore = ["*.tmp"]\ndebounce = "5min"\nretries = 3\n'
    b'mode = "poll"\nservice = "x.service"\n[job.site]\npaths = ["/site"]\nlauncher = "process"\ncommand = ["a", "b"]\n'
)
edits = some.lists(
    some.tuples(some.integers(0, len(GOOD)), some.integers(0, 12), some.binary(max_size=4)),
    min_size=1,
    max_size=4,
)


@given(edits)
@example([(0, 0, b"\xff")])
@examples(400)
def test_a_good_one_with_anything_changed_is_read_or_told(
    file: Path, changes: list[tuple[int, int, bytes]]
) -> None:
    content = GOOD
    for place, cut, put in changes:
        content = content[:place] + put + content[place + cut :]
    read(file, content)


@given(some.binary(max_size=300) | some.text(max_size=300).map(str.encode))
@examples(300)
def test_any_bytes_are_read_or_told(file: Path, content: bytes) -> None:
    read(file, content)


# ---- time spans ----------------------------------------------------------------------------------


@given(
    some.text(alphabet="0123456789. \t\n-+eEminhsµμdwMyuc٣²", max_size=20)
    | some.text(max_size=20)
    | some.sampled_from(["9" * 400, "9" * 100_000, "1" + "m" * 100_000, "." * 100_000, " " * 100_000, "1 " * 5000])
)  # fmt: skip
@examples(1000)
def test_any_text_is_a_length_of_time_or_refused(text: str) -> None:
    try:
        length = seconds(text)
    except ValueError:
        return
    assert 0 <= length < math.inf
    assert spoken(length)
