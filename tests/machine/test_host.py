"""What a scenario may rely on wherever it runs: on a machine of ours, or on the user manager that is here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from machine.host import CommandError
from machine.waiting import eventually

if TYPE_CHECKING:
    from machine.host import Host


def test_relative_paths_start_at_the_hosts_home(host: Host) -> None:
    host.write("docs/page.md", "text")
    assert host.read(host.home / "docs/page.md") == "text"
    assert host.user("pwd").stdout == f"{host.home}\n"
    assert host.user("cat page.md", cwd="docs").stdout == "text"
    host.remove("docs")
    assert not host.exists("docs/page.md")


def test_a_unit_runs_under_the_given_name_and_is_heard(host: Host) -> None:
    unit = host.names.training
    host.user(["systemd-run", "--user", f"--unit={unit}", "--wait", "--quiet", "echo", "phase 1"])
    eventually(lambda: "phase 1" in host.journal(unit), 5, "the unit is heard in the journal")


def test_an_environment_reaches_the_command(host: Host) -> None:
    assert host.user("echo $WHAT", env={"WHAT": "a word"}).stdout == "a word\n"
    assert host.user("cat", stdin="through and through").stdout == "through and through"


def test_a_late_command_is_ended_and_says_what_it_had_said(host: Host) -> None:
    with pytest.raises(CommandError, match=r"(?s)not done after 0.5 s.*so far"):
        host.user("echo so far; exec sleep 4321", timeout=0.5)


def test_a_started_command_gets_its_signals(host: Host) -> None:
    with host.start("trap 'exit 5' TERM; echo up; while :; do sleep 0.01; done") as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "up\n"
        started.terminate()
        assert started.wait(5) == 5
