"""Any words on the command line, in any environment: a documented exit code, never a traceback, nothing forged."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from acts.conftest import PROGRAM, Home
from fuzz.amount import examples
from fuzz.commands import called, furnished, keeps_its_promises
from fuzz.nasty import NAMES, WORDS
from training_watch.notify import Notify

COMMANDS = (
    "check",
    "trigger",
    "begin",
    "mark",
    "status",
    "watch",
    "install",
    "uninstall",
    "supervise",
    "run",
)
OPTIONS = (
    "--json", "--exit-code", "--dry-run", "--force", "--no-watch", "--config", "--help", "-h", "--version", "--all",
    "-0", "--exec", "--unit", "--launcher", "--watch", "--purge", "--replace", "--wait", "--", "-", "--nonsense",
)  # fmt: skip
# What acts, waits or never ends is not called here with words that it would accept.
HARMLESS = ("check", "status", "trigger", "begin", "mark")
VERDICT = "should_train=true\nreason=no_previous_training\n"


@pytest.fixture(scope="module")
def home_here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return furnished(tmp_path_factory.mktemp("home"))


odd = some.sampled_from(WORDS) | some.sampled_from(OPTIONS) | some.binary(max_size=8).map(os.fsdecode)
words = some.lists(odd | some.sampled_from(["docs", "crystal-train.service", "/nowhere"]), max_size=4)


@given(some.sampled_from(HARMLESS) | odd, words)
@example("status", ["\udcff"])
@example("mark", ["\udcff\n::error::forged"])
@example("-\x1b[2J", [])
@examples(300)
def test_any_words_end_with_a_documented_exit_code(home_here: Path, first: str, rest: list[str]) -> None:
    arguments = [word.replace("\0", "") for word in (first, *rest)]
    if first == "trigger":
        arguments = ["trigger", "--dry-run", *arguments[1:]]
    if first in (*COMMANDS, "--", "--config") and first not in HARMLESS:
        return
    called(home_here, *arguments)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("word", [b"\xff\xfe", b"--\x1b[31m\n::error::forged", "\u202e".encode() * 1000])
def test_a_real_process_takes_words_that_are_no_text(home: Home, command: str, word: bytes) -> None:
    done = subprocess.run(
        [PROGRAM, command, word, word, word],
        env=home.environment(),
        capture_output=True,
        timeout=30,
        check=False,
    )
    keeps_its_promises(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert done.returncode != 0
    assert not any(line.startswith("::") for line in done.stderr.decode().splitlines())


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("words", [["--help"], ["status"], ["trigger", "--help"], ["check", "dócs\u202e"]])
def test_an_output_that_lacks_the_characters_gets_others(home: Home, encoding: str, words: list[str]) -> None:
    home.config.write_text(f'[job.docs]\npaths = ["{home.path}/dócs ☂"]\nlauncher = "process"\n')
    strict = home.environment(PYTHONIOENCODING=f"{encoding}:strict")
    # What click itself prints is UTF-8 wherever the stream says ASCII.
    read_as = "utf-8" if encoding == "ascii" else encoding
    done = subprocess.run(
        [PROGRAM, *words], env=strict, capture_output=True, encoding=read_as, timeout=30, check=False
    )
    keeps_its_promises(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("command", [[], *([each] for each in COMMANDS if each != "supervise")])
def test_help_keeps_the_lines_of_its_examples(home_here: Path, command: list[str]) -> None:
    lines = called(home_here, *command, "--help").stdout.splitlines()
    after = next(place for place, line in enumerate(lines) if line.strip().startswith("Example"))
    assert lines[after] in ("Example:", "Examples:", "Example, in a unit file:")
    assert lines[after + 1].startswith("  ")


@pytest.mark.parametrize(
    ("typed", "meant"), [("start", "trigger"), ("version", "--version"), ("stauts", "status")]
)
def test_who_knows_other_programs_is_led_to_ours(home_here: Path, typed: str, meant: str) -> None:
    assert f"did you mean {meant!r}?" in called(home_here, typed).stderr


# ---- the environment ---------------------------------------------------------------------------

ODD_VALUES = ("", "relative/path", "/", "/dev/null", "/nowhere/at all", "/proc/self", "\udcff", "/\udcff", "/a\nb=c", "~",
              "/tmp/\x1b[31m", "/" + "x" * 5000, "0", "-1", "true")  # fmt: skip
VARIABLES = (
    "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR", "TRAINING_WATCH_CONFIG",
    "PATH", "LANG", "LC_ALL", "TZ", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "INVOCATION_ID", "SERVICE_RESULT",
    "EXIT_CODE", "EXIT_STATUS", "JOURNAL_STREAM", "CRYSTAL_STORE", "DBUS_SESSION_BUS_ADDRESS",
)  # fmt: skip


@given(
    some.dictionaries(some.sampled_from(VARIABLES), some.sampled_from(ODD_VALUES), max_size=4),
    some.sampled_from([["check"], ["status"], ["status", "--json"], ["trigger", "--dry-run"],
                       ["begin", "crystal-train.service"], ["mark", "crystal-train.service"]]),
)  # fmt: skip
@example({"INVOCATION_ID": "\udcff"}, ["begin", "crystal-train.service"])
@example({"INVOCATION_ID": "\udcff", "EXIT_STATUS": "\udcff"}, ["mark", "crystal-train.service"])
@examples(200)
def test_any_environment_ends_with_a_documented_exit_code(
    home_here: Path, variables: dict[str, str], command: list[str]
) -> None:
    # Written to for real, these would be made outside of the test's own folder.
    outside = {"/nowhere/at all", "/a\nb=c", "/\udcff", "/tmp/\x1b[31m"}
    kept = {name: value for name, value in variables.items() if value not in outside or "XDG" not in name}
    config = {"TRAINING_WATCH_CONFIG": str(home_here / ".config/training-watch/config.toml")}
    called(home_here, *command, env={**config, **kept})


@pytest.mark.parametrize("value", ["", "relative", "/nowhere/at all", "/dev/null", "/proc"])
@pytest.mark.parametrize("command", ["check", "status", "run"])
def test_a_home_that_is_none_is_told(home: Home, value: str, command: str) -> None:
    named = home.environment(TRAINING_WATCH_CONFIG=str(home.config), XDG_STATE_HOME=str(home.path / "state"))
    if command == "run":
        named |= {"TRAINING_WATCH_CONFIG": "/nowhere/config.toml", "XDG_CACHE_HOME": str(home.path / "cache")}
    done = home.run(command, env={**named, "HOME": value})
    keeps_its_promises(done.returncode, done.stdout, done.stderr)


def test_without_a_path_everything_that_needs_none_works(home: Home) -> None:
    for path in ("", "/nowhere"):
        done = home.run("check", env={**home.environment(), "PATH": path})
        assert (done.returncode, done.stdout) == (0, VERDICT)
    home.config.write_text(f'[job.docs]\npaths = ["{home.path}/docs"]\n')
    done = home.run("check", env={**home.environment(), "PATH": "/nowhere"})
    assert (done.returncode, done.stdout) == (0, VERDICT)
    assert "systemctl" in done.stderr


def test_in_a_folder_that_is_gone_a_command_is_told_so_or_works(home: Home) -> None:
    for words in (["check"], ["--config", "config.toml", "check"], ["watch", "."], ["run", "-v", "x"]):
        gone = home.path / "gone"
        gone.mkdir()
        done = subprocess.run(
            ["sh", "-c", 'cd gone && rmdir ../gone && exec "$0" "$@"', PROGRAM, *words],
            cwd=home.path,
            env=home.environment(),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        keeps_its_promises(done.returncode, done.stdout, done.stderr)


# ---- the outputs of a CI step --------------------------------------------------------------------


@pytest.mark.parametrize(
    "place", ["a folder", "two\nlines=here", "not UTF-8 \udcff", "\x1b[31m", "none/such", "x" * 300]
)
def test_outputs_in_an_odd_place_are_written_or_said(home: Home, place: str) -> None:
    (home.path / "a folder").mkdir()
    outputs = home.path / place
    done = home.run("check", env=home.environment(GITHUB_OUTPUT=str(outputs)))
    keeps_its_promises(done.returncode, done.stdout, done.stderr)
    assert (done.returncode, done.stdout) == (0, VERDICT)
    if "not written" not in done.stderr:
        assert outputs.read_text() == VERDICT
    else:
        assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("before", ["", "a=1\n", "a=1", "a<<E\nx\nE", "\n", "\xff"])
def test_outputs_that_another_left_without_an_end_do_not_swallow_ours(home: Home, before: str) -> None:
    outputs = home.path / "outputs"
    outputs.write_bytes(before.encode("latin-1"))
    home.run("check", env=home.environment(GITHUB_OUTPUT=str(outputs)))
    kept = before if before.endswith("\n") or not before else f"{before}\n"
    assert outputs.read_bytes() == kept.encode("latin-1") + VERDICT.encode()


def test_no_name_of_a_file_reaches_the_outputs(home: Home) -> None:
    for name in NAMES:
        (Path(os.fsdecode(os.fsencode(home.path / "docs") + b"/" + name))).write_text("x")
    outputs = home.path / "outputs"
    done = home.run("check", env=home.environment(GITHUB_OUTPUT=str(outputs)))
    assert (done.stdout, outputs.read_text(), done.stderr) == (VERDICT, VERDICT, "")


# ---- the service manager ---------------------------------------------------------------------------


@given(
    some.sampled_from(WORDS)
    | some.text(max_size=30)
    | some.sampled_from(["9" * 5000, "²", "٣", "1" * 18, "0x1", "1e9"])
)
@example("9" * 400)
@examples(300)
def test_any_watchdog_time_is_one_or_none(usec: str) -> None:
    interval = Notify("/nowhere", usec).ping_interval
    assert interval is None or 0 < interval < 10**12


@pytest.mark.parametrize(
    "address", ["/" + "x" * 200, "@" + "x" * 200, "/\udcff", "@", "/", "@\udcff", "vsock:2:1"]
)
def test_a_manager_at_an_odd_address_is_told_nothing(address: str) -> None:
    notify = Notify(address, "1000000")
    notify.ready()
    notify.status("\udcff\x1b[31m\u202e")


def test_the_daemon_runs_in_an_odd_environment(home: Home, tmp_path: Path) -> None:
    names = ("WATCHDOG_USEC", "WATCHDOG_PID", "INVOCATION_ID", "JOURNAL_STREAM", "LANG")
    odd_ones = dict.fromkeys(names, "\udcff²\x1b")
    home.marker.parent.mkdir(parents=True)
    home.marker.write_text("2999-01-01T00:00:00Z\n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "manager"))
        manager.settimeout(30)
        environment = home.environment(**{**odd_ones, "NOTIFY_SOCKET": str(tmp_path / "manager")})
        with subprocess.Popen(
            [PROGRAM, "run"], env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL
        ) as daemon:
            while manager.recv(4096) != b"READY=1":
                pass
            daemon.send_signal(signal.SIGTERM)
            assert daemon.stderr is not None
            said = daemon.stderr.read().decode()
            assert daemon.wait(30) == 0, said
    keeps_its_promises(0, "", said)
