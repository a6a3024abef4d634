"""`history` and `logs` on a real systemd: runs that log from children that are gone before journald looks."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from machine.chain import Chain
from machine.machine import Machine
from machine.waiting import eventually

TRAINING = """\
#!/bin/bash
cd "$(dirname "$0")" || exit 1
. ./mode
"""
FORGET = """
import os, sqlite3, sys
with sqlite3.connect(os.path.expanduser("~/.local/state/training-watch/state.db")) as connection:
    assert connection.execute("DELETE FROM runs WHERE invocation = ?", sys.argv[1:]).rowcount == 1
"""
# More often than its start limit allows.
RESTART = "systemctl reset-failed systemd-journald; systemctl restart systemd-journald"
JOURNALD = "/etc/systemd/journald.conf.d/test.conf"


class Scene:
    """One installation with a training that executes the file `mode`."""

    def __init__(self, machine: Machine, chain: Chain) -> None:
        self.machine = machine
        self.chain = chain

    def train(self, script: str, *words: str) -> str:
        """A run to its end; its invocation."""
        self.chain.mode(script)
        self.chain.tw("trigger", "--force", "--wait", *words, check=False)
        return str(self.history()[0]["invocation"])

    def history(self, *words: str) -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = json.loads(self.chain.tw("history", "--json", *words).stdout)["runs"]
        return runs

    def logs(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        self.machine.root(["journalctl", "--sync"])
        done: subprocess.CompletedProcess[str] = self.chain.tw("logs", *words, check=check)
        return done

    def entries(self, *words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.logs("--json", *words).stdout.splitlines()]

    def words(self, *words: str) -> list[str]:
        """What the training itself said, without what `begin` and `mark` say in its name."""
        ours = re.compile(r"Training begins; |Training marker updated: |Next training available: ")
        return [
            each["message"]
            for each in self.entries(*words)
            if each["by"] == "crystal-train" and not ours.match(each["message"])
        ]


@pytest.fixture(scope="module")
def installed(machine: Machine) -> Iterator[Scene]:
    machine.user("bash scripts/install.sh", cwd=machine.copy_project(), timeout=600)
    chain = Chain(machine, f"{machine.home}/.local/bin/training-watch", isolated=False)
    chain.tear_down()
    chain.set_up()
    chain.until_quiet(1)
    chain.configure(cooldown=3600)
    chain.reload()
    machine.write("train", TRAINING)
    yield Scene(machine, chain)
    chain.tear_down()


@pytest.fixture
def scene(installed: Scene) -> Scene:
    installed.chain.until(lambda: not installed.chain.active(), "no training runs")
    return installed


def test_all_lines_of_children_that_are_gone_already_are_there_each_once(scene: Scene) -> None:
    run = scene.train("for i in $(seq 200); do (echo child $i &); done; sleep 0.2; echo done")
    assert sorted(scene.words("--run", run[:8])) == sorted([*(f"child {i}" for i in range(1, 201)), "done"])
    known = scene.machine.user(["journalctl", "-o", "cat", f"_SYSTEMD_INVOCATION_ID={run}"]).stdout
    assert known.count("child") < 200, "so they weren't found by the run's name alone"


def test_two_runs_right_behind_each_other_do_not_mix(scene: Scene) -> None:
    runs = []
    for name in "ab":
        scene.chain.mode(f"for i in $(seq 100); do sh -c 'echo {name} '$i; done")
        scene.chain.systemctl("start", scene.machine.names.training)
        runs.append(scene.history()[0]["invocation"])
    for name, run in zip("ab", runs, strict=True):
        assert scene.words("--run", run[:8]) == [f"{name} {i}" for i in range(1, 101)]
        told = scene.entries("--run", run)
        assert {each["invocation"] for each in told} == {run}
        assert [each["message"].split()[0] for each in told if each["by"] == "systemd"] == [
            "Starting",
            "Finished",
        ]


def test_a_run_ends_with_what_the_history_has_of_it(scene: Scene) -> None:
    run = scene.train("echo one >&2; exit 7")
    lines = scene.logs("--run", run[:8]).stdout.splitlines()
    assert any(line.endswith(" crystal-train:  one") for line in lines)
    assert any(
        " systemd:        crystal-train.service: Failed with result 'exit-code'." in line for line in lines
    )
    result = next(line for line in lines if line.startswith("run "))
    assert re.match(rf"run {run[:8]}: today \d\d:\d\d(:\d\d)?, failed \(exit status 7\) after ", result)
    unknown = scene.logs("--run", "xyz", check=False)
    assert unknown.returncode == 2
    assert f"the last ones are {run[:8]} (today" in unknown.stderr


def test_the_last_run_is_shown_with_the_watchers_lines_at_their_time(scene: Scene) -> None:
    scene.train("echo of an earlier run")
    scene.chain.mode("echo one; while [ ! -e go ]; do sleep 0.05; done; echo two")
    scene.chain.tw("trigger", "--force")
    scene.chain.until(lambda: "docs: training began" in scene.logs().stdout, "the watcher has seen it")
    scene.machine.write("go", "")
    scene.chain.until(lambda: "docs: training succeeded" in scene.logs().stdout, "and its end")
    scene.machine.remove("go")
    told = scene.entries()
    assert [each["time"] for each in told] == sorted(each["time"] for each in told)
    begin = next(at for at, each in enumerate(told) if each["message"].startswith("Starting "))
    assert [each["unit"] for each in told[:begin]] == [scene.machine.names.watcher] * 3
    # The watcher hears from `mark` of the end, before or after the manager says it.
    wanted = ("Starting ", "one", "docs: training began", "two", "docs: training succeeded")
    found = [word for each in told[begin:] for word in wanted if each["message"].startswith(word)]
    assert found == [*wanted]
    assert "of an earlier run" not in scene.logs().stdout


@contextmanager
def following(scene: Scene) -> Iterator[subprocess.Popen[str]]:
    """`logs --follow`, which writes into the file `heard`."""
    command = "exec ~/.local/bin/training-watch logs --follow -n 2 >heard 2>&1"
    with scene.machine.start(command, env=scene.chain._env) as process:
        try:
            scene.chain.until(lambda: scene.machine.exists("heard"), "it follows")
            yield process
        finally:
            process.kill()


def test_a_follower_sees_runs_that_start_later_and_loses_no_line(scene: Scene) -> None:
    def heard() -> str:
        return scene.machine.read("heard")

    with following(scene) as process:
        scene.chain.until(lambda: heard().count("\n") >= 2, "it has said what was")
        for name in "ab":
            scene.train(f"for i in $(seq 100); do sh -c 'echo {name} '$i; done")
        scene.chain.edit(heard()[-20:])
        scene.chain.until(lambda: heard().count("Finished ") >= 2, "it has told of both ends")
        scene.chain.until(
            lambda: "1 file changed" in heard().rpartition("Finished ")[2], "and of the watcher's words"
        )
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    told = re.findall(r" crystal-train:  ([ab] \d+)$", heard(), re.MULTILINE)
    assert told == [f"{name} {i}" for name in "ab" for i in range(1, 101)]
    assert heard().count("Starting ") == 2, "and nothing of what was before is told again"


def test_a_run_of_which_the_history_knows_nothing_is_shown_all_the_same(scene: Scene) -> None:
    run = scene.train("echo unrecorded")
    scene.machine.user(["python3", "-c", FORGET, run])
    assert "unrecorded" in scene.words()
    last = scene.logs("--run", run[:8]).stdout.splitlines()[-1]
    assert last == f"run {run[:8]}: its beginning was not recorded, so its end is not known"


def test_each_way_to_end_and_to_start_is_in_the_history(scene: Scene) -> None:
    scene.train("exit 0")
    scene.train("exit 75")
    scene.chain.mode("sleep 60")
    scene.chain.tw("trigger", "--force")
    scene.chain.systemctl("stop", scene.machine.names.training)
    scene.chain.mode("exit 0")
    scene.chain.systemctl("start", scene.machine.names.training)
    told = [(each["outcome"], each["started_by"], each["forced"]) for each in scene.history("-n", "4")]
    assert told == [
        ("succeeded", "hand", False), ("stopped", "trigger", True), ("deferred", "trigger", True),
        ("succeeded", "trigger", True),
    ]  # fmt: skip


def test_lines_that_journald_dropped_are_told_as_missing_to_who_may_read_that(scene: Scene) -> None:
    root = scene.machine.root
    root(f"mkdir -p {JOURNALD.rpartition('/')[0]}; usermod -aG systemd-journal dev")
    root(f"printf '[Journal]\\nRateLimitIntervalSec=1s\\nRateLimitBurst=200\\n' >{JOURNALD}")
    root(RESTART)
    try:
        run = scene.train("for i in {1..20000}; do echo $i; done; sleep 1.5; echo end")
        assert len(scene.words("--run", run)) < 20000
        told = scene.logs("--run", run).stdout
        assert re.search(r" systemd:        Suppressed \d+ messages from user@\d+\.service\n", told)
    finally:
        root(f"rm {JOURNALD}; {RESTART}; gpasswd -d dev systemd-journal")


@pytest.mark.parametrize(
    ("storage", "why"),
    [
        ("volatile", "your user may not read the journal: run `sudo usermod -aG systemd-journal"),
        (
            "none",
            "no journal is kept on this machine: put Storage=persistent into /etc/systemd/journald.conf",
        ),
    ],
)
def test_a_journal_that_can_not_be_read_is_said_with_what_mends_it(
    scene: Scene, storage: str, why: str
) -> None:
    root = scene.machine.root
    root(f"mkdir -p {JOURNALD.rpartition('/')[0]}; printf '[Journal]\\nStorage={storage}\\n' >{JOURNALD}")
    root(f"mv /var/log/journal /var/log/set-aside; rm -rf /run/log/journal/*; {RESTART}")
    try:
        told = scene.chain.tw("logs", check=False)
        assert (told.returncode, told.stdout) == (69, "")
        assert why in told.stderr
    finally:
        root(f"rm {JOURNALD}; rm -rf /run/log/journal/*; mv /var/log/set-aside /var/log/journal")
        root(f"{RESTART}; journalctl --flush")
    eventually(lambda: scene.logs(check=False).stdout, 20, "the journal is back")
