"""Every message of trouble, walked: each is provoked here for real, or named with the test that provokes it.

A line says what happened, where, and what to do now; `messages.lacks` holds it to that. Who adds a message adds the
world in which a person gets it, and finds out here whether it says enough.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout, suppress
from datetime import UTC, datetime
from pathlib import Path

import click
import pytest

from acts.conftest import PROGRAM, TRAINING
from fuzz.commands import called, furnished
from install.conftest import JOURNALCTL, LOGINCTL, SYSTEMCTL
from knowledge_platform import cli as crystal_cli
from machine.waiting import eventually
from messages import TOP, Message, lacks, messages
from training_watch import cli, clock, files
from unwalked import ELSEWHERE, NEWS, PARTS

World = Callable[[Path], Iterable[str]]
WORLDS: dict[str, World] = {}


def world(act: World) -> World:
    WORLDS[act.__name__.removeprefix("_").replace("_", " ")] = act
    return act


# ---- training-watch -----------------------------------------------------------------------------


def told(stderr: str) -> list[str]:
    """The messages: a usage error with its hint is one, and what is indented is quoted from elsewhere."""
    lines = [line.removeprefix("training-watch: ") for line in stderr.splitlines() if line.strip()]
    hints = [line for line in lines if line.startswith("Try ")]
    kept = [line for line in lines if not line.startswith(("Usage: ", "Try ", " ", *NEWS))]
    return [f"{line} ({hints[0]})" if hints and line.startswith("Error: ") else line for line in kept]


def watch(home: Path, *words: str, **env: str | None) -> list[str]:
    """What `training-watch WORDS…` says on standard error."""
    return told(called(home, *words, env=env).stderr)


def configured(home: Path, text: str | bytes) -> Path:
    config = furnished(home) / ".config/training-watch/config.toml"
    config.write_bytes(text if isinstance(text, bytes) else text.encode())
    return home


def job(**keys: str) -> str:
    return "[job.docs]\n" + "".join(
        f"{key} = {value}\n" for key, value in {"paths": '["/docs"]', **keys}.items()
    )


MISTAKES: dict[str, str | bytes] = {
    "not TOML": "[job.docs]\npaths = /docs\n",
    "not TOML to its end": "[job.docs]\npaths = ['/docs'\n",
    "not UTF-8": b"[job.d\xffcs]\n",
    "too large": "#" * (1 << 19),
    "a line of points": "a" + ".a" * 2000 + " = 1\n",
    "no table": "job = 3\n",
    "no job": "\n",
    "a job without a name": '[job."d ocs"]\npaths = ["/docs"]\n',
    "no paths": "[job.docs]\n",
    "one unit for two": '[job.a]\npaths = ["/a"]\n[job.b]\npaths = ["/b"]\n',
    "a key mistyped": job(debounse='"5min"'),
    "a table mistyped": "[jobs.docs]\n",
    "two hundred mistakes": job(**{f"key{number}": "1" for number in range(200)}),
    "a mode mistyped": job(mode='"inotfy"'),
    "no time": job(debounce="true"),
    "no unit of time": job(debounce='"5 parsecs"'),
    "nonsense for a time": job(debounce='"soon"'),
    "no length": job(debounce="0"),
    "a negative time": job(cooldown="-1"),
    "a long time": job(cooldown='"20y"'),
    "a long number": job(cooldown="9" * 400),
    "impatience": job(max_wait='"1s"'),
    "no count": job(retries="-1"),
    "no flag": job(gitignore="1"),
    "no list": job(ignore='"*.tmp"'),
    "no list of paths": job(paths='"/docs"'),
    "no folder": job(paths="[]"),
    "no path": job(marker='""'),
    "a relative path": job(marker='"last-run"'),
    "a file": job(paths='["/etc/passwd"]'),
    "a long path": job(paths=f'["/{"d" * 300}"]'),
    "no command": job(command="[]"),
    "no unit": job(service='"train"'),
}


@world
def _a_configuration_with_a_mistake(home: Path) -> Iterable[str]:
    for number, text in enumerate(MISTAKES.values()):
        yield from watch(configured(home / str(number), text), "check")


@world
def _a_configuration_that_is_none(home: Path) -> Iterable[str]:
    yield from watch(home, "check")
    yield from watch(home, "check", "--exit-code")
    yield from watch(home, "--config", str(home), "status")
    yield from watch(home, "--config", "/dev/null/config.toml", "check")


@world
def _a_job_that_is_none(home: Path) -> Iterable[str]:
    configured(home, job() + job(service='"b.service"').replace("docs]", "blog]", 1))
    yield from watch(home, "check")
    yield from watch(home, "check", "dosc")
    yield from watch(home, "mark", "crystal-trian.service")


@world
def _words_that_are_none(home: Path) -> Iterable[str]:
    furnished(home)
    for words in (["stauts"], ["xyzzy"], ["status", "--jsno"], ["begin"], ["trigger", "--wait", "--no-watch"],
                  ["watch", str(home / "none")], ["install", "--launcher", "cron"], ["check", "a", "b"]):  # fmt: skip
        yield from watch(home, *words)


@world
def _a_marker_of_no_use(home: Path) -> Iterable[str]:
    furnished(home)
    marker = home / ".cache/crystal/last-training-run"
    marker.mkdir(parents=True)
    yield from watch(home, "mark", "crystal-train.service", SERVICE_RESULT="success", INVOCATION_ID="x")
    marker.rmdir()
    marker.write_text("yesterday\n")
    yield from watch(home, "check")
    marker.unlink()
    marker.parent.rmdir()
    marker.parent.write_text("in its place")
    yield from watch(home, "check")


@world
def _a_history_of_no_use(home: Path) -> Iterable[str]:
    database = furnished(home) / ".local/state/training-watch/state.db"
    database.parent.mkdir(parents=True)
    ended = {"SERVICE_RESULT": "success", "INVOCATION_ID": "x"}
    yield from watch(home, "mark", "crystal-train.service", **ended)
    for junk in (b"junk" * 999, None):
        database.unlink()
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA user_version = 99")
        if junk:
            database.write_bytes(junk)
        yield from watch(home, "begin", "crystal-train.service", INVOCATION_ID="y")
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("UPDATE runs SET began_at = 'never'")
        connection.commit()
    yield from watch(home, "status")
    shutil.rmtree(database.parent)
    database.mkdir(parents=True)
    yield from watch(home, "begin", "crystal-train.service")
    yield from watch(home, "mark", "crystal-train.service", **ended)
    yield from watch(home, "check")
    yield from watch(home, "trigger", "--dry-run")
    shutil.rmtree(database.parent)
    database.parent.write_text("in its place")
    yield from watch(home, "status")


@world
def _an_end_that_nobody_recorded(home: Path) -> Iterable[str]:
    furnished(home)
    ended = {"SERVICE_RESULT": "success", "EXIT_CODE": "exited", "EXIT_STATUS": "75"}
    yield from told(called(home, "mark", "crystal-train.service", env=ended).stdout)
    called(home, "begin", "crystal-train.service", env={"INVOCATION_ID": "a" * 32})
    yield from watch(home, "check")
    called(home, "begin", "crystal-train.service", env={"INVOCATION_ID": "b" * 32})
    (home / ".cache/crystal/last-training-run").write_text(datetime.now(UTC).isoformat() + "\n")
    yield from watch(home, "check")


@world
def _a_history_that_a_training_can_not_write(home: Path) -> Iterable[str]:
    training(home, "exit 0")
    (home / ".local/state/training-watch/state.db").mkdir(parents=True)
    yield from watch(home, "trigger", "--wait")
    (log,) = home.rglob("crystal-train*.log")
    yield from (line for line in told(log.read_text()) if line.startswith("The history"))


@world
def _a_past_that_was_not(home: Path) -> Iterable[str]:
    training(home, "exit 0")
    for words in (["logs", "--run", "abc"], ["trigger", "--wait"], ["logs", "--run", "zzz"],
                  ["logs", "--follow", "--run", "a"], ["history", "--since", "5"], ["history", "--since", "soon"]):  # fmt: skip
        yield from processed(home, *words)


@world
def _outputs_that_are_not_written(home: Path) -> Iterable[str]:
    yield from watch(furnished(home), "check", GITHUB_OUTPUT="/proc/none/output")


def training(home: Path, script: str) -> Path:
    furnished(home)
    train = home / "train"
    train.write_text(TRAINING)
    train.chmod(0o755)
    (home / "mode").write_text(script)
    return home


@world
def _a_training_that_goes_wrong(home: Path) -> Iterable[str]:
    yield from watch(furnished(home / "a"), "trigger")
    yield from watch(training(home / "b", "exit 75"), "trigger")
    yield from watch(training(home / "c", "sleep 1; exit 3"), "trigger", "--wait", "--force")
    yield from watch(training(home / "d", "exit 0"), "supervise", "docs")
    lock = home / "d/.local/state/training-watch/crystal-train.service.run"
    locks = [each for each in lock.parent.iterdir() if "run" in each.name]
    with files.lock(locks[0], within=0, pause=clock.pause):
        yield from watch(home / "d", "supervise", "docs")


@world
def _an_installation_that_is_asked_for_wrongly(home: Path) -> Iterable[str]:
    with pytest.MonkeyPatch.context() as patch:
        (home / "empty").mkdir()
        patch.chdir(home / "empty")
        yield from watch(home, "install")
        yield from watch(home, "install", "--watch", str(home / "none"))
        yield from watch(home, "install", "--watch", "/etc/passwd")
        there = ["--watch", str(home / "empty"), "--launcher", "process"]
        yield from watch(home, "install", *there, "--exec", "")
        yield from watch(home, "install", *there, "--exec", "make 'docs")
        yield from watch(home, "install", *there, "--exec", "make docs && make train")
        yield from watch(home, "install", *there, "--exec", "no-such-program")
        yield from watch(home, "install", *there, "--exec", "./train")
        yield from watch(home, "install", *there, "--exec", "sh /nowhere/train.sh")
        yield from watch(home, "install", *there, "--job", "my site")
        yield from watch(home, "install", "--job", "site")
        yield from watch(home, "install", *there, "--cooldown", "soon")
        odd = os.fsdecode(os.fsencode(home) + b"/\xff")
        Path(odd).mkdir()
        yield from watch(home, "install", "--watch", odd, "--launcher", "process")
        furnished(home / "a")
        yield from watch(home / "a", "install", "--watch", str(home))
        yield from watch(home / "a", "install", "--exec", "make")
        configured(home / "b", job())
        yield from watch(home / "b", "install", "--launcher", "process")
        configured(home / "c", job() + '[job.site]\npaths = ["/nowhere"]\nservice = "site.service"\n')
        yield from watch(home / "c", "install", "--debounce", "20s")
        (home / ".cache").write_text("in its place")
        yield from watch(home, "install", *there, "--exec", "true")


def managed(home: Path, systemctl: str = SYSTEMCTL) -> dict[str, str | None]:
    """An environment in which three programs answer as systemd's do."""
    fake = home.with_name(f"{home.name}-fake")
    for name, text in (("systemctl", systemctl), ("loginctl", LOGINCTL), ("journalctl", JOURNALCTL)):
        program = fake / "bin" / name
        program.parent.mkdir(parents=True, exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)
    (fake / "show").mkdir(exist_ok=True)
    (fake / "fails").mkdir(exist_ok=True)
    return {"FAKE": str(fake), "PATH": f"{fake / 'bin'}:/usr/bin:/bin"}


@world
def _no_manager(home: Path) -> Iterable[str]:
    configured(home, job())
    env = managed(home)
    (Path(str(env["FAKE"])) / "gone").touch()
    nobody: dict[str, str | None] = {"PATH": str(home)}
    for each in (env, nobody):
        for words in ("check", "trigger", "install"):
            yield from watch(home, words, **each)
    (home / "systemctl").mkdir()
    (home / "systemctl").rmdir()
    (home / "systemctl").write_text("no program")
    yield from watch(home, "trigger", **nobody)
    for nonsense in ("echo nonsense", "echo systemd 252", "exit 1"):
        yield from watch(home, "install", **managed(home / "b", f"#!/bin/sh\n{nonsense}\n"))


@world
def _a_unit_that_can_not_be_started(home: Path) -> Iterable[str]:
    configured(home, job())
    env = managed(home)
    show = Path(str(env["FAKE"])) / "show/crystal-train.service"
    yield from watch(home, "trigger", **env)
    for state in ("masked", "bad-setting", "loaded"):
        show.write_text(f'LoadState={state}\nActiveState=inactive\nLoadError=x "It has a mistake."\n')
        yield from watch(home, "trigger", "--force", **env)


@world
def _units_that_are_somebody_elses(home: Path) -> Iterable[str]:
    configured(home, job(paths=f'["{home}/docs"]'))
    env = managed(home)
    units = home / ".config/systemd/user"
    units.mkdir(parents=True)
    fake = Path(str(env["FAKE"]))
    (units / "training-watch.service").write_text("[Service]\nExecStart=/bin/true\n")
    yield from watch(home, "install", **env)
    (units / "training-watch.service").unlink()
    (units / "crystal-train.service").symlink_to("/dev/null")
    yield from watch(home, "install", **env)
    (units / "crystal-train.service").unlink()
    (fake / "fails/enable").write_text("Failed to enable unit: it has a mistake.\n")
    yield from watch(home, "install", **env)
    (units / "crystal-train.service").unlink()
    (units / "crystal-train.service").mkdir()
    yield from watch(home, "install", **env)
    odd = home / "a\nb"
    odd.mkdir()
    (home / ".config/training-watch/config.toml").unlink()
    yield from watch(home, "install", "--watch", str(home / "docs"), **{**env, "XDG_STATE_HOME": str(odd)})


@contextmanager
def daemon(home: Path) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], str]]]:
    """A daemon of this home, and what it has said so far."""
    errors = home / "errors"
    environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
    with (
        errors.open("wb") as stream,
        subprocess.Popen([PROGRAM, "run"], env=environment, stderr=stream) as child,
    ):
        try:
            yield child, errors.read_text
        finally:
            child.terminate()


def processed(home: Path, *words: str) -> list[str]:
    """As `watch`, of a process."""
    environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [PROGRAM, *words], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    return told(done.stderr)


@world
def _a_daemon_in_trouble(home: Path) -> Iterable[str]:
    """One that starts with a folder that isn't there and no place for its log, fails to train, and is told nonsense."""
    training(home, "echo its last words; exit 3")
    config = home / ".config/training-watch/config.toml"
    config.write_text(config.read_text().replace('/docs"]', f'/docs", "{home}/none"]'))
    (home / ".cache/crystal/training-watch.log").mkdir(parents=True)
    with daemon(home) as (child, said):
        eventually(lambda: "its last words" in said(), 30, "it says how the training ended")
        yield from processed(home, "run")
        config.write_text("nonsense\n")
        child.send_signal(signal.SIGHUP)
        eventually(lambda: "from before" in said(), 30, "it goes on with what it had")
    ordinary = re.compile(
        r"docs:   |watching|starting|training began|cooldown until|Stopped|comparing|files? changed"
    )
    yield from (line for line in told(said()) if not ordinary.search(line))


@world
def _a_daemon_whose_start_comes_to_nothing(home: Path) -> Iterable[str]:
    training(home, "exit 0")
    config = home / ".config/training-watch/config.toml"
    config.write_text(config.read_text().replace('"6h"', '"0"'))
    with daemon(home) as (_, said):
        eventually(lambda: "succeeded" in said(), 30, "it trains")
        log = home / ".local/state/training-watch/crystal-train.service.log"
        log.unlink()
        log.mkdir()
        (home / "docs/more.md").write_text("# More\n")
        eventually(lambda: "was not started" in said(), 30, "its supervisor can't write its log")
    yield from (line for line in told(said()) if "was not started" in line)


@world
def _a_daemon_whose_configuration_is_broken_meanwhile(home: Path) -> Iterable[str]:
    training(home, "exit 0")
    config = home / ".config/training-watch/config.toml"
    config.write_text(config.read_text().replace('"6h"', '"0"'))
    with daemon(home) as (_, said):
        eventually(lambda: "succeeded" in said(), 30, "it trains")
        config.write_text(config.read_text() + 'rescan_interval = "2h"\n')
        (home / "docs/more.md").write_text("# More\n")
        eventually(
            lambda: said().count("succeeded") > 1, 30, "it has taken in the new text, and trains", also=said
        )
        config.write_text("nonsense\n")
        (home / "docs/still-more.md").write_text("# Still more\n")
        eventually(lambda: "not TOML" in said(), 30, "it says that it starts nothing")
    yield from (line for line in told(said()) if "not training: " in line)


@world
def _a_daemon_whose_training_writes_into_its_own_docs(home: Path) -> Iterable[str]:
    training(home, "date +%N >>docs/own.md")
    config = home / ".config/training-watch/config.toml"
    config.write_text(config.read_text().replace('"6h"', '"0"'))
    with daemon(home) as (_, said):
        eventually(lambda: "to go on" in said(), 30, "it rests after two of them")
    yield from (line for line in told(said()) if "to go on" in line)


@world
def _a_daemon_that_can_not_begin(home: Path) -> Iterable[str]:
    configured(home, "nonsense\n")
    yield from processed(home, "run")
    state = home / ".local/state"
    shutil.rmtree(state)
    state.mkdir()
    (state / "training-watch").write_text("in its place")
    yield from processed(home, "run")


# ---- crystal ------------------------------------------------------------------------------------


def crystal(folder: Path, *words: str, code: int | None = None, **env: str) -> list[str]:
    """What `crystal WORDS…` says on standard error, from a folder with docs/ and store/; by words, unless told otherwise."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        for name in ("CRYSTAL_DOCS", "TRAINING_STATUS_FILE", "INVOCATION_ID"):
            patch.delenv(name, raising=False)
        encoder = {"CRYSTAL_ENCODER_PATH": "/nowhere/model.onnx"}
        for name, value in {"CRYSTAL_STORE": str(folder / "store"), **encoder, **env}.items():
            patch.setenv(name, value)
        patch.chdir(folder)
        patch.setattr(sys, "argv", ["crystal", *words])
        before = {
            number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        try:
            with pytest.raises(SystemExit) as ended:
                crystal_cli.main()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    assert "Traceback" not in err.getvalue(), err.getvalue()
    assert code is None or ended.value.code == code, err.getvalue()
    progress = re.compile(
        r"^\[\d/\d\]|^(infra|validation|ingest|training|evaluation|deployment)\b|^by words, while"
    )
    return [line.removeprefix("crystal: ") for line in told(err.getvalue()) if not progress.search(line)]


def written(folder: Path, path: str, text: str | bytes) -> None:
    file = folder / "docs" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(text if isinstance(text, bytes) else text.encode())


def trained(folder: Path) -> Path:
    for number in range(4):
        written(folder, f"{number}.md", f"# Page {number}\n\nThe text of page {number}.\n")
    written(
        folder,
        "logs.md",
        "# Logs\n\n## Rotation\n\nThe journal rotates by itself.\n\n## Place\n\nBelow /var/log.\n",
    )
    crystal(folder, "train", code=0)
    return folder


def release(folder: Path) -> Path:
    return (folder / "store/current").resolve()


def damage(path: Path, content: bytes) -> None:
    path.chmod(0o600)
    path.write_bytes(content)


@world
def _no_model_yet(folder: Path) -> Iterable[str]:
    for words in (["ask", "what?"], ["report"], ["eval"], ["rollback"], ["golden", "remove", "1"], ["train"],
                  ["train", "--docs", "none"], ["train", "--docs", "/etc/passwd"],
                  ["feedback", "abc", "good"], ["golden", "add", "what?", "a.md"]):  # fmt: skip
        yield from crystal(folder, *words)
    (folder / "docs").mkdir()
    yield from crystal(folder, "train", code=78)
    written(folder, "empty.md", "")
    yield from crystal(folder, "train", code=3)
    yield from crystal(folder, "train", "--require-dense", code=78)


@world
def _words_that_are_none_for_crystal(folder: Path) -> Iterable[str]:
    for words in (
        ["stauts"],
        ["golden", "ad"],
        ["xyzzy"],
        ["train", "--dosc"],
        ["ask"],
        ["ask", "-k", "0", "what?"],
    ):
        yield from crystal(folder, *words, code=2)


@world
def _files_that_can_not_be_trained_on(folder: Path) -> Iterable[str]:
    trained(folder)
    written(folder, "utf16.md", "# Text\n".encode("utf-16"))
    written(folder, "latin1.md", b"# \xe4\n")
    written(folder, "nul.md", b"# \0\n")
    written(folder, "large.md", b"# Large\n" + b"text\n" * 5_000_000)
    written(folder, "long.md", b"\n" * 300_000)
    (folder / "docs/link.md").symlink_to("/etc/passwd")
    (folder / "docs/gone.md").symlink_to("/nowhere")
    (folder / "docs/a-folder.md").mkdir()
    os.mkfifo(folder / "docs/fifo.md")
    yield from crystal(folder, "train", TRAINING_STATUS_FILE="/nowhere/status.json")
    for path in (folder / "docs").glob("?.md"):
        path.unlink()
    yield from crystal(folder, "train", code=3)


@world
def _a_question_of_no_use(folder: Path) -> Iterable[str]:
    trained(folder)
    yield from crystal(folder, "ask", "?!")
    yield from crystal(folder, "ask", "word " * 2000)
    yield from crystal(folder, "ask", "how does the journal rotate?")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        (folder / "store/answers.jsonl").unlink()
        (folder / "store/answers.jsonl").mkdir()
        yield from crystal(folder, "ask", "how does the journal rotate?")


@world
def _verdicts_of_no_use(folder: Path) -> Iterable[str]:
    trained(folder)
    crystal(folder, "ask", "how does the journal rotate?")
    crystal(folder, "ask", "zebra quagga")
    answers = [json.loads(line) for line in (folder / "store/answers.jsonl").read_text().splitlines()]
    good, nothing = answers[0]["id"], answers[1]["id"]
    twin = {**answers[0], "id": good[:8] + "f" * 8}
    with (folder / "store/answers.jsonl").open("a") as log:
        log.write(json.dumps(twin) + "\n")
    for words in (
        ["feedback", "nosuch", "good"], ["feedback", good[:8], "good"], ["feedback", nothing, "good"],
        ["feedback", good, "fine"], ["feedback", good, "bad", "--correct", "nowhere.md#x"],
        ["feedback", good, "bad", "--correct", "logs.md#rotatoin"],
        ["feedback", good, "bad", "--correct", f"{answers[0]['passages'][0]['path']}#{answers[0]['passages'][0]['anchor']}"],
        ["golden", "add", "?!", "logs.md"], ["golden", "add", "what?", "none.md"], ["golden", "add", "what?", "#"],
        ["golden", "remove", "9"],
    ):  # fmt: skip
        yield from crystal(folder, *words)
    yield from crystal(folder, "golden", "add", "zebra quagga", "logs.md#rotation", code=0)
    yield from crystal(folder, "golden", "add", "how does the journal rotate?", "logs.md#rotation", code=0)
    written(folder, "logs.md", "# Logs\n\nNothing of interest.\n")
    yield from crystal(folder, "train", "--full")
    written(folder, "sub/index.md", "# Index\n\nHere, too.\n")
    written(folder, "other/index.md", "# Index\n\nAnd here.\n")
    crystal(folder, "train", code=0)
    yield from crystal(folder, "golden", "add", "where?", "index.md")
    (folder / "store/golden.json").write_text("{}")
    yield from crystal(folder, "golden", "list")
    (folder / "store/golden.json").write_text('{"schema": 99}')
    yield from crystal(folder, "golden", "list")
    (folder / "store/golden.json").write_text('{"schema": 1, "golden": [{"query": 1}]}')
    yield from crystal(folder, "golden", "list")


@world
def _a_golden_query_that_is_lost(folder: Path) -> Iterable[str]:
    trained(folder)
    yield from crystal(folder, "golden", "add", "zebra quagga", "logs.md#rotation", code=0)
    written(folder, "0.md", "# Page 0\n\nAnother text.\n")
    yield from crystal(folder, "train", code=3)


@world
def _questions_of_no_use(folder: Path) -> Iterable[str]:
    trained(folder)
    yield from crystal(folder, "eval", code=78)
    questions = folder / "questions.txt"
    for text in (b"", b"logs.md#rotatoin ;; how?\n", b"logs.md\n", b"\xff\xfe"):
        questions.write_bytes(text)
        yield from crystal(folder, "eval", "--queries", str(questions), code=2)
    questions.write_text("logs.md#rotation ;; how does it rotate?\n")
    yield from crystal(folder, "eval", "--queries", str(questions), code=0)


@world
def _releases_of_no_use(folder: Path) -> Iterable[str]:
    trained(folder)
    yield from crystal(folder, "rollback")
    yield from crystal(folder, "rollback", "1999")
    yield from crystal(folder, "rollback", "2")
    here = release(folder)
    kept = {name: (here / name).read_bytes() for name in ("report.json", "chunks.sqlite", "manifest.json")}
    for report in (b"{}", b'{"schema": 1}', b"[]"):
        damage(here / "report.json", report)
        yield from crystal(folder, "report", code=1)
    damage(here / "report.json", kept["report.json"])
    damage(here / "chunks.sqlite", b"junk" * 999)
    for words in (["ask", "what?"], ["report"], ["eval"]):
        yield from crystal(folder, *words)
    yield from crystal(folder, "train", code=0)
    damage(here / "chunks.sqlite", kept["chunks.sqlite"])
    current = release(folder)
    for manifest in (b"junk", b'{"schema": 99}'):
        damage(current / "manifest.json", manifest)
        yield from crystal(folder, "eval", code=1)


@world
def _a_store_of_no_use(folder: Path) -> Iterable[str]:
    (folder / "store").write_text("in its place")
    written(folder, "a.md", "# A\n\nText.\n")
    for words in (["train"], ["ask", "what?"], ["releases"], ["golden", "list"], ["golden", "remove", "1"]):
        yield from crystal(folder, *words)
    (folder / "store").unlink()
    (folder / "store").mkdir()
    (folder / "store/lock").write_text("1234 5678\n")
    with files.lock(folder / "store/lock", within=0, pause=clock.pause):
        yield from crystal(folder, "train", code=75)
    (folder / "store/lock").unlink()
    (folder / "store/lock").mkdir()
    yield from crystal(folder, "train")
    (folder / "store/lock").rmdir()
    (folder / "store/current").mkdir()
    yield from crystal(folder, "train")


@world
def _an_encoder_that_is_none(folder: Path) -> Iterable[str]:
    trained(folder)
    model = folder / "model.onnx"
    model.write_bytes(b"\0")
    (folder / "a-folder").mkdir()
    for path in (model, folder / "a-folder", "/dev/null", "/nowhere/model.onnx"):
        yield from crystal(folder, "train", "--require-dense", CRYSTAL_ENCODER_PATH=str(path), code=78)
    with model.open("wb") as sparse:
        sparse.truncate(22_928_619)
    yield from crystal(folder, "train", "--require-dense", CRYSTAL_ENCODER_PATH=str(model), code=78)
    questions = folder / "questions.txt"
    questions.write_text("logs.md#rotation ;; how does it rotate?\n")
    for encoder in ("", "another"):
        (release(folder) / "chunks.sqlite").chmod(0o600)
        with closing(sqlite3.connect(release(folder) / "chunks.sqlite")) as database:
            database.execute("CREATE TABLE IF NOT EXISTS model (name TEXT PRIMARY KEY, value)")
            database.execute("INSERT OR REPLACE INTO model VALUES ('encoder_id', ?)", [encoder])
            database.commit()
        yield from crystal(folder, "ask", "how does the journal rotate?")
        yield from crystal(folder, "eval", "--queries", str(questions))


# ---- scripts ------------------------------------------------------------------------------------


@world
def _scripts_where_nothing_is_installed(folder: Path) -> Iterable[str]:
    clone = folder / "clone"
    shutil.copytree(TOP / "scripts", clone / "scripts")
    tools = folder / "bin"
    tools.mkdir()
    for name in ("bash", "dirname", "readlink", "id", "getent", "cut", "env"):
        (tools / name).symlink_to(shutil.which(name) or name)

    def said(script: str, *words: str) -> list[str]:
        done = subprocess.run(
            ["bash", clone / "scripts" / script, *words], capture_output=True, text=True, check=False, timeout=60,
            env={"PATH": str(tools), "HOME": str(folder)},
        )  # fmt: skip
        assert done.returncode != 0, done.stdout
        return [line for line in done.stderr.splitlines() if "command not found" not in line]

    yield from said("check-training-needed.sh")
    yield from said("trigger-training-vps.sh")
    yield from said("install.sh", "--exec")
    yield from said("install.sh", "--exec", "make")
    yield from said("install.sh", "--frobnicate")
    yield from said("install.sh")
    yield from said("prepare-machine.sh")
    yield from said("test.sh")
    (tools / "python3").symlink_to(sys.executable)
    venv = folder / ".local/share/training-watch/venv"
    venv.mkdir(parents=True)
    yield from said("install.sh")


# ---- the walk -----------------------------------------------------------------------------------

Walked = Callable[[str], list[str]]


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Walked:
    """The lines that a person gets in a world; each world is entered once."""
    known: dict[str, list[str]] = {}

    def enter(name: str) -> list[str]:
        if name not in known:
            known[name] = list(WORLDS[name](tmp_path_factory.mktemp("world")))
        return known[name]

    return enter


@pytest.mark.parametrize("name", WORLDS)
def test_each_line_says_what_happened_where_and_what_to_do(walked: Walked, name: str) -> None:
    lines = walked(name)
    assert lines, "it is a world of trouble"
    assert {line: lacks(line) for line in lines if lacks(line)} == {}


@pytest.fixture(scope="module")
def known() -> list[Message]:
    return messages()


def test_each_message_is_provoked_or_named_with_the_test_that_does(
    walked: Walked, known: list[Message]
) -> None:
    lines = [line for name in WORLDS for line in walked(name)]
    unknown = [
        each
        for each in known
        if each.template not in {*ELSEWHERE, *PARTS}
        and not each.template.startswith(NEWS)
        and not any(map(each.made, lines))
    ]
    assert not unknown, "\n".join(f"{each.place}: {each.template}" for each in unknown)


def test_what_is_not_provoked_here_says_enough_too() -> None:
    lacking = {template: lacks(template.replace("{}", "/…")) for template in ELSEWHERE}
    assert {template: missing for template, missing in lacking.items() if missing} == {}


def test_the_table_names_messages_and_tests_that_there_are(known: list[Message]) -> None:
    templates = {each.template for each in known}
    assert [template for template in (*ELSEWHERE, *PARTS) if template not in templates] == []
    for where in {*ELSEWHERE.values(), *PARTS.values()}:
        if "::" in where:
            file, test = where.split("::")
            assert re.search(rf"^def {test}\(", (TOP / "tests" / file).read_text(), re.MULTILINE), where


# ---- usage, and interrupts ----------------------------------------------------------------------


def commands(group: click.Group, *names: str) -> Iterable[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        yield (*names, name)
        if isinstance(command, click.Group):
            yield from commands(command, *names, name)


@pytest.mark.parametrize("words", [*commands(cli.main)], ids=" ".join)
def test_a_wrong_option_ends_with_the_way_to_the_help(tmp_path: Path, words: tuple[str, ...]) -> None:
    (line,) = watch(tmp_path, *words, "--helq")
    assert (
        f"Try 'training-watch {' '.join(words)} --help'" in line or f"Try 'main {' '.join(words)} -" in line
    )
    assert "Did you mean" in line
    assert "'--help'" in line


@pytest.mark.parametrize("words", [*commands(crystal_cli.crystal)], ids=" ".join)
def test_a_wrong_option_of_crystal_ends_with_the_way_to_the_help(
    tmp_path: Path, words: tuple[str, ...]
) -> None:
    (line,) = crystal(tmp_path, *words, "--helq", code=2)
    assert f"{' '.join(words)} --help' for help." in line
    assert "Did you mean" in line
    assert "'--help'" in line


def test_an_interrupt_is_130_and_no_traceback(tmp_path: Path) -> None:
    training(tmp_path, "touch begun; while [ ! -e go ]; do sleep 0.1; done")
    environment = {"HOME": str(tmp_path), "PATH": f"{PROGRAM.parent}:{os.environ['PATH']}"}
    for words, begun in (
        (["trigger", "--wait"], tmp_path / "begun"),
        (["watch", str(tmp_path / "docs")], None),
    ):
        with subprocess.Popen(
            [PROGRAM, *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as child:
            if begun is not None:
                eventually(begun.exists, 20, "the training begins")
                assert child.stdout is not None
                assert any(
                    "Training started successfully!" in line for line in iter(child.stdout.readline, "")
                )
            else:
                eventually(lambda: "inotify" in "".join(_open(child.pid)), 20, "it watches")
            child.send_signal(signal.SIGINT)
            _, stderr = child.communicate(timeout=20)
        (tmp_path / "go").touch()
        assert child.returncode == 130, stderr
        assert "Traceback" not in stderr
        if begun is not None:
            assert "crystal-train.service goes on: `training-watch status` tells how" in stderr


def _open(pid: int) -> Iterator[str]:
    """What a process has open, of which some may be closed meanwhile."""
    for each in os.listdir(f"/proc/{pid}/fd"):
        with suppress(FileNotFoundError):
            yield os.readlink(f"/proc/{pid}/fd/{each}")
