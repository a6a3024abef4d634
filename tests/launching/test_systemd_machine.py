"""The systemd launcher against a real user manager: what a start comes to, and what is heard of it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest

from machine.machine import Machine
from machine.waiting import eventually
from training_watch.launching import UnitState

pytestmark = [pytest.mark.machine, pytest.mark.each_systemd, pytest.mark.timeout(900)]

TIMELY = 20.0
_names = itertools.count(1)


class Guest:
    """The launcher in the machine, and units to start with it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        project = machine.copy_project()
        # Standard library only: the package needs no installing, but wants to read its version.
        machine.user("mkdir -p site/training_watch-0.dist-info")
        metadata = "Metadata-Version: 2.1\nName: training-watch\nVersion: 0\n"
        machine.user("cat > site/training_watch-0.dist-info/METADATA", stdin=metadata)
        self._path = f"{project}/src:{machine.home}/site"
        self._script = f"{project}/tests/launching/guest.py"

    def ask(self, verb: str, unit: str, word: str = "", **env: str) -> Any:
        environment = {"PYTHONPATH": self._path, **env}
        answer = self.machine.user(["python3", self._script, verb, unit, word], env=environment).stdout
        return json.loads(answer)

    def unit(self, service: str, unit: str = "") -> str:
        """A new oneshot of these lines; its name. It logs under its own name, as the one that `install` writes."""
        stem = f"t-{next(_names)}"
        name = f"{stem}.service"
        text = f"[Unit]\n{unit}\n[Service]\nType=oneshot\nSyslogIdentifier={stem}\n{service}\n"
        self.machine.user(f"mkdir -p .config/systemd/user && cat > .config/systemd/user/{name}", stdin=text)
        self.systemctl("daemon-reload")
        return name

    def systemctl(self, *words: str) -> str:
        return self.machine.user(["systemctl", "--user", *words], check=False).stdout

    def started(self, unit: str) -> str:
        outcome = self.ask("start", unit)
        assert outcome["outcome"] == "Started", outcome
        invocation = outcome["invocation"]
        assert isinstance(invocation, str)
        return invocation

    def state(self, unit: str) -> UnitState:
        return UnitState(**self.ask("state", unit))

    def refused(self, unit: str, within: str = "") -> str:
        outcome = self.ask("start", unit, within)
        assert outcome["outcome"] == "NotStarted", outcome
        return str(outcome["why"])

    def until(self, claim: Callable[[], object], saying: str) -> None:
        eventually(claim, TIMELY, saying)


@pytest.fixture(scope="module")
def guest(machine: Machine) -> Guest:
    return Guest(machine)


def test_a_start_is_seen_while_the_training_runs_and_the_run_goes_on_alone(guest: Guest) -> None:
    unit = guest.unit(
        "ExecStart=/bin/sh -c 'echo one; while ! [ -e go-1 ]; do sleep 0.1; done; echo two'\nExecStopPost=/bin/echo post"
    )
    invocation = guest.started(unit)
    assert guest.state(unit) == UnitState(active=True, queued=True, invocation=invocation, result="success")
    # Its one order was a child that is gone, and the job is not.
    assert f"{unit} start running" in " ".join(guest.systemctl("list-jobs", "--no-legend").split())
    assert guest.refused(unit) == f"{unit} is running already: wait for its end"
    guest.machine.user("touch go-1")
    followed = guest.ask("follow", unit, invocation)
    assert sorted(line for line in followed if line in {"one", "two", "post"}) == ["one", "post", "two"]
    assert any("Finished" in line for line in followed)
    assert sorted(guest.ask("lines", unit, invocation)) == ["one", "post", "two"], "not the manager's words"


def test_a_run_that_is_over_and_unloaded_at_once_is_still_a_start(guest: Guest) -> None:
    unit = guest.unit("ExecStart=/bin/true")
    runs = {guest.started(unit) for _ in range(5)}
    assert len(runs) == 5
    assert guest.state(unit) == UnitState(active=False)


def test_a_training_that_fails_at_once_is_a_start_with_its_last_words(guest: Guest) -> None:
    unit = guest.unit("ExecStart=/bin/sh -c 'echo last words; exit 7'")
    invocation = guest.started(unit)
    guest.until(lambda: guest.state(unit).result == "exit-code", "it failed")
    assert guest.state(unit) == UnitState(active=False, invocation=invocation, result="exit-code", status="7")
    guest.until(lambda: "last words" in guest.ask("lines", unit, invocation), "its words are in the journal")


def test_a_missing_program_is_a_start_that_failed_with_203(guest: Guest) -> None:
    unit = guest.unit("ExecStart=/nowhere/at-all")
    invocation = guest.started(unit)
    guest.until(lambda: guest.state(unit).status == "203", "it failed")
    guest.until(
        lambda: any("No such file" in line for line in guest.ask("lines", unit, invocation)),
        "the journal says why",
    )


@pytest.mark.parametrize("condition", ["/bin/false", "/bin/sh -c 'sleep 1; exit 1'"])
def test_a_start_that_an_exec_condition_refuses_is_skipped(guest: Guest, condition: str) -> None:
    unit = guest.unit(f"ExecCondition={condition}\nExecStart=/bin/true")
    assert (
        guest.refused(unit)
        == f"{unit}: skipped: one of its ExecCondition= lines said no: `systemctl --user status {unit}`"
    )


def test_a_start_that_a_condition_refuses_is_skipped_and_names_it(guest: Guest) -> None:
    unit = guest.unit("ExecStart=/bin/true", "ConditionPathExists=/nowhere")
    why = guest.refused(unit)
    assert why.startswith(f"{unit}: skipped: ")
    assert "ConditionPathExists=/nowhere" in why


def test_a_start_past_the_limit_says_how_to_reset_it(guest: Guest) -> None:
    unit = guest.unit("ExecStart=/bin/false", "StartLimitIntervalSec=1h\nStartLimitBurst=2")
    for _ in range(2):
        guest.started(unit)
        guest.until(lambda: not guest.state(unit).active, "it failed")
    assert "start limit" in guest.refused(unit)
    assert f"systemctl --user reset-failed {unit}" in guest.refused(unit)


def test_a_dependency_that_fails_is_a_refusal_in_systemds_words(guest: Guest) -> None:
    needed = guest.unit("ExecStart=/bin/false")
    unit = guest.unit("ExecStart=/bin/true", f"Requires={needed}\nAfter={needed}")
    assert guest.refused(unit).startswith(f"A dependency job for {unit} failed.")


def test_a_start_behind_another_unit_is_queued_and_says_so(guest: Guest) -> None:
    slow = guest.unit("ExecStart=/bin/sleep 1000")
    unit = guest.unit("ExecStart=/bin/true", f"Wants={slow}\nAfter={slow}")
    assert "still queued after 0.5 s" in guest.refused(unit, "0.5")
    assert guest.state(unit) == UnitState(active=False, queued=True)
    assert "a job is queued" in guest.refused(unit)
    guest.systemctl("stop", slow, unit)


def test_a_unit_that_is_being_stopped_is_active_and_stopping_and_not_started_again(guest: Guest) -> None:
    unit = guest.unit("ExecStart=/bin/sh -c \"trap '' TERM; while :; do sleep 0.1; done\"\nTimeoutStopSec=2")
    invocation = guest.started(unit)
    guest.systemctl("stop", "--no-block", unit)
    guest.until(lambda: guest.state(unit).stopping, "the stop job is seen")
    assert guest.state(unit).active
    assert guest.refused(unit) == f"{unit} is running already: wait for its end"
    assert any("timeout" in line for line in guest.ask("follow", unit, invocation))
    assert guest.state(unit) == UnitState(
        active=False, invocation=invocation, result="timeout", status="KILL"
    )


def test_a_start_by_hand_is_seen_like_any_other(guest: Guest) -> None:
    unit = guest.unit("ExecStart=/bin/sleep 1000")
    guest.systemctl("start", "--no-block", unit)
    guest.until(lambda: guest.state(unit).active, "it runs")
    assert guest.state(unit).invocation
    guest.systemctl("stop", unit)
    assert guest.state(unit).status == "TERM"


def test_masked_broken_and_unknown_units_say_what_to_do(guest: Guest) -> None:
    unit = guest.unit("ExecStart=/bin/true")
    guest.machine.user(f"ln -sf /dev/null .config/systemd/user/{unit}")
    guest.systemctl("daemon-reload")
    assert guest.refused(unit) == f"{unit} is masked: `systemctl --user unmask {unit}`"
    assert "bad unit file setting" in guest.refused(guest.unit(""))
    unknown = guest.ask("start", "t-nowhere.service")
    assert (unknown["error"], "training-watch install" in unknown["why"]) == ("NoUnit", True)


def test_a_follower_of_a_run_long_over_reads_it_and_ends(guest: Guest) -> None:
    unit = guest.unit("ExecStart=/bin/sh -c 'seq 500; sleep 0.3'")
    invocation = guest.started(unit)
    guest.until(lambda: not guest.state(unit).active, "it is over")
    followed = guest.ask("follow", unit, invocation)
    assert [int(line) for line in followed if line.isdecimal()] == list(range(1, 501))
    assert len(guest.ask("lines", unit, invocation)) == 100


def test_the_last_lines_of_children_that_are_gone_already_are_the_last_ones(guest: Guest) -> None:
    unit = guest.unit("ExecStart=/bin/sh -c 'for i in $(seq 300); do sh -c \"echo $i\"; done'")
    invocation = guest.started(unit)
    guest.until(lambda: not guest.state(unit).active, "it is over")
    guest.until(lambda: "300" in guest.ask("lines", unit, invocation), "its last word is in the journal")
    last = [int(line) for line in guest.ask("lines", unit, invocation) if line.isdecimal()]
    assert last == list(range(301 - len(last), 301))
    assert len(last) > 90


def test_the_manager_is_found_without_its_variables_and_named_when_it_is_gone(guest: Guest) -> None:
    unit = guest.unit("ExecStart=/bin/true")
    bare = {"XDG_RUNTIME_DIR": "", "DBUS_SESSION_BUS_ADDRESS": ""}
    assert guest.ask("start", unit, **bare)["outcome"] == "Started"
    elsewhere = {"XDG_RUNTIME_DIR": "/tmp", "DBUS_SESSION_BUS_ADDRESS": ""}
    assert guest.ask("start", unit, **elsewhere)["error"] == "NoManager"


def test_the_version_and_the_users_unit_folder_are_the_managers(guest: Guest) -> None:
    about = guest.ask("about", "-")
    assert about == {
        "version": guest.machine.systemd_version, "folder": f"{guest.machine.home}/.config/systemd/user"
    }  # fmt: skip
