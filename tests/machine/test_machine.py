"""The harness keeps its own promises: without these, the scenarios would prove nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from machine.host import CommandError
from machine.machine import OWN_UPTIME, Machine, _hierarchies, _status, _sweep
from machine.waiting import eventually


def uptime(machine: Machine) -> float:
    return float(machine.root(["cat", "/proc/uptime"]).stdout.split()[0])


def test_it_boots_the_systemd_that_was_asked_for(machine: Machine) -> None:
    assert machine.systemd_version == {"bookworm": 252, "trixie": 257}.get(
        machine.suite, machine.systemd_version
    )
    assert machine.root(["systemctl", "is-system-running"]).stdout == "running\n"


def test_the_user_manager_answers_and_lingers(machine: Machine) -> None:
    assert machine.user(["systemctl", "--user", "is-system-running"]).stdout == "running\n"
    assert machine.user("loginctl show-user $USER -P Linger").stdout == "yes\n"


def test_commands_run_in_a_cgroup_of_the_guest(machine: Machine) -> None:
    assert machine.user("grep ^0: /proc/self/cgroup").stdout == "0::/tests\n"
    assert machine.root(["loginctl", "enable-linger", "dev"]).returncode == 0


def test_what_a_unit_prints_is_in_its_journal(machine: Machine) -> None:
    machine.user(
        ["systemd-run", "--user", "--unit=speaker", "--wait", "--quiet", "echo", "hello from a unit"]
    )
    eventually(
        lambda: "hello from a unit" in machine.journal("speaker.service"),
        5,
        "the unit is heard in the journal",
    )


def test_a_failed_command_shows_what_it_said(machine: Machine) -> None:
    with pytest.raises(CommandError, match=r"(?s)exit status 3: echo out.*--- stdout\nout.*--- stderr\nerr"):
        machine.user("echo out; echo err >&2; exit 3")
    assert machine.user(["false"], check=False).returncode == 1


def test_a_command_that_is_late_is_killed_in_the_guest(machine: Machine) -> None:
    with pytest.raises(CommandError, match=r"(?s)not done after 1 s.*started"):
        machine.user("echo started; exec sleep 4321", timeout=1)
    eventually(
        lambda: machine.user("pgrep -f '^sleep 4321'", check=False).returncode == 1, 5, "the sleeper is gone"
    )


def test_a_started_command_runs_until_it_is_killed(machine: Machine) -> None:
    with machine.start("echo up; exec sleep 8765") as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "up\n"
        assert machine.user("pgrep -cf '^sleep 8765'").stdout == "1\n"
        started.kill()
        assert started.wait(5) == -signal.SIGKILL
    assert machine.user("pgrep -f '^sleep 8765'", check=False).returncode == 1


def test_a_started_command_can_end_in_its_own_way(machine: Machine) -> None:
    with machine.start("trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.01; done") as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "up\n"
        started.terminate()
        assert started.wait(5) == 5
        assert started.stdout.read() == "bye\n"


def test_the_zombies_of_killed_commands_do_not_hold_up_a_shutdown(machine: Machine) -> None:
    with pytest.raises(CommandError):
        machine.user(["sleep", "4321"], timeout=0.2)
    asked_at = time.monotonic()
    machine.halt()
    halted_at = time.monotonic()
    machine.boot()
    # systemd-shutdown waits 10 s for what it can't kill. A unit of another test may cost a little, never that.
    assert halted_at - asked_at < 8


def test_files_are_the_users_wherever_they_are(machine: Machine) -> None:
    machine.write("a folder/ä 'name'.md", "first\nsecond")
    assert machine.read("a folder/ä 'name'.md") == "first\nsecond"
    assert machine.user(["stat", "-c", "%U:%G %a", "a folder/ä 'name'.md"]).stdout == "dev:dev 644\n"
    machine.remove("a folder")
    machine.remove("a folder")
    assert not machine.exists("a folder")
    machine.write("/tmp/on-tmpfs", "")  # the guest's own /tmp, which its disk doesn't show
    assert machine.exists("/tmp/on-tmpfs")
    assert not Path("/tmp/on-tmpfs").exists()


def test_inotify_works_inside(machine: Machine) -> None:
    machine.write("watched/page.md", "old")
    # Python's standard library has no inotify, and systemd has: a .path unit is one watch.
    machine.user("systemd-run --user --unit=seen --path-property=PathChanged=$HOME/watched touch $HOME/seen")
    machine.write("watched/page.md", "new")
    eventually(lambda: machine.exists("seen"), 5, "the path unit has seen the change")
    machine.user(["systemctl", "--user", "stop", "seen.path"])
    machine.remove("watched")
    machine.remove("seen")


def test_the_guests_root_has_only_the_capabilities_of_its_own_pid_1(machine: Machine) -> None:
    # Else it could set the clock of the host. Not tested by trying.
    of_root, of_init = (
        machine.root(["sed", "-n", "s/^CapBnd:\t//p", f"/proc/{pid}/status"]).stdout.strip()
        for pid in ("self", "1")
    )
    assert of_root == of_init
    assert machine.root(["sed", "-n", "s/^CapEff:\t//p", "/proc/self/status"]).stdout.strip() == of_init
    sys_time = 1 << 25
    assert not int(of_init, 16) & sys_time


def test_a_reboot_keeps_the_disk_and_starts_time_anew(machine: Machine) -> None:
    # nspawn mounts a random boot id over /proc/sys/kernel/random/boot_id at each boot (MEASURED on 252 and 257), and
    # the harness a time namespace, so that CLOCK_BOOTTIME and /proc/uptime start at 0 with it as on a real machine.
    machine.write("kept", "on disk")
    machine.write("/tmp/lost", "in memory")
    before, machine_id = machine.boot_id, machine.read("/etc/machine-id")
    assert before != Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    machine.reboot()
    assert machine.boot_id != before
    assert machine.read("/etc/machine-id") == machine_id
    assert machine.read("kept") == "on disk"
    assert not machine.exists("/tmp/lost")
    assert machine.user(["systemctl", "--user", "is-system-running"]).stdout == "running\n"
    if OWN_UPTIME:
        assert uptime(machine) < 60


def test_the_journal_reaches_over_a_reboot(machine: Machine) -> None:
    machine.user(
        ["systemd-run", "--user", "--unit=earlier", "--wait", "--quiet", "echo", "before the reboot"]
    )
    eventually(lambda: "before the reboot" in machine.journal("earlier.service"), 5, "the unit is heard")
    machine.reboot()
    assert "before the reboot" in machine.journal("earlier.service")


def run_a_unit_with_last_words(machine: Machine) -> None:
    machine.remove("last-words")
    machine.write(
        ".config/systemd/user/mortal.service",
        "[Service]\nExecStart=sleep infinity\nExecStopPost=touch %h/last-words\n",
    )
    machine.user("systemctl --user daemon-reload && systemctl --user start mortal.service")
    assert machine.user("systemctl --user is-active mortal.service").stdout == "active\n"


def test_a_reboot_lets_a_unit_end_in_order(machine: Machine) -> None:
    run_a_unit_with_last_words(machine)
    machine.reboot()
    assert machine.exists("last-words")


def test_a_power_cut_ends_a_unit_without_its_last_words(machine: Machine) -> None:
    run_a_unit_with_last_words(machine)
    before = machine.boot_id
    machine.power_cut()
    assert machine.boot_id != before
    assert not machine.exists("last-words")
    assert machine.user("systemctl --user is-active mortal.service", check=False).stdout == "inactive\n"


def test_a_halted_machine_boots_again(machine: Machine) -> None:
    machine.write("kept", "over the night")
    machine.halt()
    machine.boot()
    assert machine.read("kept") == "over the night"


def test_the_project_is_there_as_a_clean_checkout_of_its_own(machine: Machine) -> None:
    project = machine.copy_project()
    assert machine.user(["git", "status", "--porcelain"], cwd=project).stdout == ""
    this = Path(__file__)
    inside = project / this.relative_to(this.parents[2])
    assert machine.read(inside) == this.read_text(encoding="utf-8")
    assert machine.user(["stat", "-c", "%U", str(inside)]).stdout == "dev\n"
    assert not machine.exists(project / ".venv")


@pytest.mark.parametrize(
    "home", ["/var/home/dev", "/home/dev of the docs"], ids=["as on Silverblue", "with a space"]
)
def test_the_home_may_be_unusual(suite: str, home: str) -> None:
    with Machine(suite, home=home) as machine:
        assert machine.user("cd; pwd -P; echo $HOME").stdout == f"{home}\n{home}\n"
        units_home = "systemd-run --user --wait --pipe --quiet sh -c 'echo \"$HOME\"'"
        assert machine.user(units_home).stdout == f"{home}\n"
        if home.startswith("/var/home"):
            assert machine.user(["readlink", "/home"]).stdout == "var/home\n"


def leftovers(leader: int) -> list[str]:
    """Say what is left of a machine whose PID 1 had this number here."""
    left = [f"process {leader}"] if Path(f"/proc/{leader}").exists() else []
    return left + [
        line for line in Path("/proc/self/mountinfo").read_text().splitlines() if "/run/root" in line
    ]


def test_two_machines_at_once_do_not_meet_and_down_leaves_nothing(machine: Machine, suite: str) -> None:
    processes = set(os.listdir("/proc"))
    other = Machine(suite)
    leader, groups = other._leader, other._cgroups()
    other.user(["systemd-run", "--user", "--unit=only-there", "--quiet", "sleep", "infinity"])
    assert "only-there" not in machine.user("systemctl --user list-units").stdout
    assert all(group.is_dir() for group in groups)
    other.down()
    other.down()
    assert leftovers(leader) == []
    assert not any(group.exists() for group in groups)
    mine = [pid for pid in set(os.listdir("/proc")) - processes if pid.isdigit() and _child_of_us(int(pid))]
    assert mine == []
    assert machine.user(["systemctl", "--user", "is-system-running"]).stdout == "running\n"


def _child_of_us(pid: int) -> bool:
    try:
        return _status(pid)["PPid"] == str(os.getpid())
    except OSError:
        return False


def test_killed_tests_leave_no_machine_behind(suite: str) -> None:
    boot = (
        f"from machine.machine import Machine\nm = Machine({suite!r})\nprint(m._leader, flush=True)\ninput()"
    )
    tests = Path(__file__).parents[1]
    with subprocess.Popen(
        [sys.executable, "-c", boot],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(tests)},
    ) as killed:
        assert killed.stdout is not None
        leader = int(killed.stdout.readline())
        killed.send_signal(signal.SIGKILL)
    eventually(lambda: leftovers(leader) == [], 10, "the kernel has cleared it away")
    groups = [hierarchy / f"training-watch-{killed.pid}-1" for hierarchy in _hierarchies()]

    def swept() -> bool:
        _sweep()  # as the next machine does
        return not any(group.exists() for group in groups)

    eventually(swept, 10, "its empty cgroups are gone")
