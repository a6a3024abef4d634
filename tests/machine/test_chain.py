"""Save a document, and the training starts: the whole chain on a real systemd, each awkward timeline once.

Times are short (debounce 1 s, patience 5 s, cooldown 6 s), everything else is as a user has it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import pytest

from machine.chain import COOLDOWN, RESTART, Chain
from machine.host import Host, OwnManager
from machine.machine import Machine

pytestmark = pytest.mark.each_systemd

# What `systemd-analyze --user security` gives the watcher's unit, of 10 (unsafe), by systemd's version. These numbers may
# fall and never rise: a setting that was dropped shows here. They don't reach 0, because much that is counted can't be
# had in a user manager (capabilities, another user), and some of it never may be set (see the unit).
EXPOSURE = {252: 4.6, 257: 4.4}


@pytest.fixture(scope="module")
def program(host: Host) -> str:
    """On a machine, what scripts/install.sh installs, as a newcomer; elsewhere, the program under test."""
    if isinstance(host, OwnManager):
        return f"{sys.prefix}/bin/training-watch"
    assert isinstance(host, Machine)
    project = host.copy_project()
    installed = host.user("bash scripts/install.sh", cwd=project, timeout=600)
    assert "training-watch" in installed.stdout
    return f"{host.home}/.local/bin/training-watch"


@pytest.fixture
def chain(host: Host, program: str) -> Iterator[Chain]:
    """A fresh set-up, after its first training."""
    chain = Chain(host, program, isolated=not host.can_reboot)
    chain.tear_down()
    chain.set_up()
    try:
        chain.until_quiet(1)
        yield chain
    finally:
        chain.tear_down()


def test_install_ends_with_the_daemon_running_and_a_model_that_answers(host: Host, program: str) -> None:
    if not isinstance(host, Machine):
        pytest.skip("install.sh changes a user's home; it is tried on a machine of our own")
    assert host.user("systemctl --user is-active training-watch.service").stdout == "active\n"
    status = host.user([program, "status"]).stdout
    assert "daemon    running" in status
    answer = host.user(["crystal", "ask", "how do I skip the cooldown?"], cwd="project").stdout
    assert ".md:" in answer
    assert host.user("loginctl show-user dev -p Linger --value").stdout == "yes\n"
    again = host.user("bash scripts/install.sh", cwd="project", timeout=600)
    assert again.returncode == 0, "it is idempotent"


def test_another_name_for_the_watcher_stops_the_one_before(chain: Chain) -> None:
    first, other = chain.host.names.watcher, f"other-{chain.host.names.watcher}"
    chain.tw("install", "--unit", other)
    try:
        states = [chain.systemctl("is-active", unit, check=False) for unit in (first, other)]
        assert states == ["inactive", "active"]
        assert chain.systemctl("is-enabled", first, check=False) != "enabled"
    finally:
        chain.tw("install", "--unit", first)
    assert chain.systemctl("is-active", other, check=False) == "inactive"
    chain.until_quiet(1)


def test_an_edit_leads_to_a_training_and_the_marker_and_its_two_lines(chain: Chain) -> None:
    chain.host.remove("marker")
    before = chain.journal()
    chain.edit("# Guide, second edition\n")
    chain.until_quiet(2)
    assert chain.marker().count("\n") == 2
    said = chain.journal().removeprefix(before)
    assert f"Training marker updated: {chain.host.home}/marker" in said
    assert "Next training available: 20" in said


def test_edits_inside_the_cooldown_wait_and_train_once(chain: Chain) -> None:
    chain.until_cooldown_over()
    chain.edit("two")
    chain.until_ended(2)
    for text in ("three", "four", "five"):
        chain.edit(text)
        chain.edit(text, "docs/other.md")
    chain.until_waiting("cooldown")
    assert chain.runs() == 2
    assert chain.job()["pending"]["count"] == 2
    chain.until_quiet(3, within=COOLDOWN + 20)


def test_touch_and_chmod_train_nothing(chain: Chain) -> None:
    chain.host.remove("marker")
    chain.host.user("touch docs/guide.md; chmod 600 docs/guide.md")
    chain.until_seen_and_settled()
    chain.host.user("cp docs/guide.md new && mv new docs/guide.md")
    chain.until_seen_and_settled()
    assert chain.runs() == 1


def test_content_changed_and_changed_back_trains_nothing(chain: Chain) -> None:
    chain.edit("other")
    chain.until_waiting("cooldown")
    chain.edit("# Guide\n")
    chain.until_waiting("nothing_pending")
    chain.until_cooldown_over()
    assert chain.runs() == 1


def test_force_skips_the_cooldown_and_a_plain_trigger_does_not(chain: Chain) -> None:
    chain.edit("again")
    chain.until_waiting("cooldown")
    held = chain.tw("trigger", check=False)
    assert held.returncode == 75
    assert "the cooldown lasts another" in held.stdout
    assert "--force" in held.stdout
    forced = chain.tw("trigger", "--force", "--wait")
    assert "Training started successfully!" in forced.stdout
    assert "Training succeeded." in forced.stdout
    chain.until_quiet(2)


def test_a_second_start_beside_a_running_one_is_refused(chain: Chain) -> None:
    chain.mode("slow")
    chain.tw("trigger", "--force", "--no-watch")
    chain.until_runs(2)
    held = chain.tw("trigger", "--force", check=False)
    assert held.returncode == 75
    assert "is running already" in held.stdout
    assert "reason=already_running" in chain.tw("check").stdout
    assert chain.waiting_for() == "already_running"
    chain.go()
    chain.until_quiet(2)


def test_a_run_started_by_hand_counts(chain: Chain) -> None:
    chain.edit("by hand")
    chain.until_waiting("cooldown")
    chain.systemctl("start", chain.host.names.training)
    chain.until_quiet(2)
    assert chain.job()["last_run"]["started_by"] == "hand"
    assert "reason=cooldown_active_1m" in chain.tw("check").stdout


def test_a_failing_training_updates_the_marker_is_retried_once_and_then_rests(chain: Chain) -> None:
    chain.mode("fail")
    chain.host.remove("marker")
    chain.edit("unlucky")
    chain.until_ended(2)
    assert chain.marker()
    chain.until_ended(3, within=COOLDOWN + 20)
    chain.until_waiting("retries_used")
    chain.until_cooldown_over()
    chain.host.user("touch docs/guide.md")
    chain.until_seen_and_settled()
    assert chain.runs() == 3, "a touch is no new content"
    chain.mode("ok")
    chain.edit("lucky")
    chain.until_quiet(4)


def test_a_run_that_failed_is_remembered_with_its_last_words_if_it_said_any(chain: Chain) -> None:
    chain.mode("fail")
    chain.tw("trigger", "--force", "--wait", check=False)
    chain.until(lambda: chain.job()["last_run"]["outcome"] == "failed", "its end is recorded")
    assert chain.job()["last_run"]["error"] == "cannot train: out of luck"
    chain.mode("mute")
    chain.tw("trigger", "--force", "--wait", check=False)
    chain.until(lambda: chain.job()["last_run"]["status"] == "9", "its end is recorded")
    assert chain.job()["last_run"]["error"] is None


def test_a_broken_command_is_reported_at_once_with_the_end_of_its_journal(chain: Chain) -> None:
    chain.mode("fail")
    failed = chain.tw("trigger", "--force", check=False)
    assert failed.returncode == 1
    assert "started and failed at once" in failed.stderr
    assert "out of luck" in failed.stderr
    chain.host.remove("train")
    gone = chain.tw("trigger", "--force", check=False)
    assert gone.returncode == 1
    assert "203" in gone.stderr


def test_rm_of_the_marker_ends_the_cooldown_at_once(chain: Chain) -> None:
    chain.configure(cooldown=3600)
    chain.reload()
    chain.edit("urgent")
    chain.until_waiting("cooldown")
    chain.host.remove("marker")
    chain.until_ended(2, within=5)


def test_a_change_during_a_training_is_trained_after_it(chain: Chain) -> None:
    chain.mode("slow")
    chain.host.remove("marker")
    chain.edit("first")
    chain.until_runs(2)
    chain.edit("during")
    chain.edit("# Guide\n")
    chain.edit("first")
    chain.mode("ok")
    chain.go()
    chain.until_quiet(3)


def test_a_killed_daemon_comes_back_and_has_lost_nothing(chain: Chain) -> None:
    chain.edit("before the end")
    chain.until_waiting("cooldown")
    chain.kill_daemon()
    chain.until_quiet(2, within=COOLDOWN + RESTART)
    chain.mode("slow")
    chain.host.remove("marker")
    chain.edit("once more")
    chain.until_runs(3)
    chain.kill_daemon()
    chain.go()
    chain.until_quiet(3, within=RESTART)
    assert chain.job()["last_run"]["outcome"] == "succeeded"


def test_what_changed_while_the_daemon_was_down_is_found_when_it_starts(chain: Chain) -> None:
    chain.systemctl("stop", chain.host.names.watcher)
    chain.edit("in its absence")
    assert chain.status()["daemon"] is None
    chain.systemctl("start", chain.host.names.watcher)
    chain.until_quiet(2)


def test_a_start_that_a_condition_skips_is_no_run_and_is_tried_again(chain: Chain) -> None:
    before = chain.marker()
    folder = chain.host.user(
        "systemctl --user show -p FragmentPath --value " + chain.host.names.training
    ).stdout
    drop_in = f"{folder.strip()}.d/condition.conf"
    chain.host.write(drop_in, "[Service]\nExecCondition=/bin/false\n")
    chain.systemctl("daemon-reload")
    try:
        chain.edit("conditional")
        chain.until_waiting("start_refused", within=COOLDOWN + 20)
        assert chain.runs() == 1
        assert chain.marker() == before
    finally:
        chain.host.remove(drop_in)
        chain.systemctl("daemon-reload")


def test_the_watchers_unit_is_no_more_exposed_than_it_was(chain: Chain) -> None:
    unit = chain.systemctl("show", "-p", "FragmentPath", "--value", chain.host.names.watcher)
    analyze = ["systemd-analyze", "--user", "--no-pager", "security", "--offline=true", unit]
    version = int(chain.host.user(["systemd-analyze", "--version"]).stdout.split()[1])
    if version not in EXPOSURE:
        pytest.skip(f"each systemd counts in its own way, and for {version} nobody has written it down")
    told = chain.host.user(analyze).stdout
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", told)
    assert level is not None, told
    assert float(level[1]) <= EXPOSURE[version], told


def test_mistakes_in_the_configuration_change_nothing_at_a_reload_and_stop_a_start(chain: Chain) -> None:
    good = chain.host.read("config.toml")
    chain.host.write("config.toml", good + 'debounse = "1s"\nmode = "polling"\n')
    chain.reload()
    chain.until(
        lambda: "did you mean 'debounce'" in chain.host.journal(chain.host.names.watcher), "it is told"
    )
    assert chain.systemctl("is-active", chain.host.names.watcher) == "active"
    bad = chain.tw("check", check=False)
    assert (bad.returncode, len(bad.stderr.splitlines())) == (78, 3)
    assert "starts nothing until the file is right" in bad.stderr.splitlines()[-1]
    chain.systemctl("restart", chain.host.names.watcher, check=False)
    chain.until(
        lambda: chain.systemctl("show", "-p", "ExecMainStatus", "--value", chain.host.names.watcher) == "78",
        "a start with mistakes ends with 78",
    )
    chain.host.write("config.toml", good)
    chain.systemctl("restart", chain.host.names.watcher)


def test_a_run_of_a_unit_that_the_configuration_has_left_behind_has_read_nothing(chain: Chain) -> None:
    good, home = chain.host.read("config.toml"), chain.host.home
    chain.host.write("more/page.md", "# More\n")
    chain.host.write("config.toml", good.replace(f'["{home}/docs"]', f'["{home}/docs", "{home}/more"]'))
    chain.tw("trigger", "--force", "--wait")
    assert "what this run reads counts as untrained" in chain.host.journal(chain.host.names.training)
    chain.tw("install", "--unit", chain.host.names.watcher)
    chain.until_quiet(3, within=COOLDOWN + 30)


def test_a_reboot_keeps_what_was_waiting(chain: Chain) -> None:
    machine = machine_of(chain)
    chain.edit("before the reboot")
    chain.until_waiting("cooldown")
    machine.reboot()
    chain.until_quiet(2, within=COOLDOWN + 30)


def test_a_power_cut_while_waiting_loses_nothing(chain: Chain) -> None:
    machine = machine_of(chain)
    chain.edit("before the dark")
    chain.until_waiting("cooldown")
    machine.power_cut()
    chain.until_quiet(2, within=COOLDOWN + 30)


def test_a_power_cut_while_training_is_known_afterwards_and_made_up_for(chain: Chain) -> None:
    machine = machine_of(chain)
    chain.mode("slow")
    chain.host.remove("marker")
    chain.edit("in the middle")
    chain.until_runs(2)
    assert not chain.marker()
    machine.power_cut()
    chain.until(chain.marker, "the marker is written for its last sign of life")
    chain.until(lambda: chain.job()["last_run"]["outcome"] == "interrupted", "the history says so")
    chain.mode("ok")
    chain.until_quiet(3, within=COOLDOWN + 30)


def test_uninstall_leaves_nothing_but_configuration_and_state(chain: Chain) -> None:
    names, host = chain.host.names, chain.host
    chain.tw("uninstall", "--unit", names.watcher)
    for unit in (names.watcher, names.training):
        assert chain.systemctl("show", "-p", "LoadState", "--value", unit) == "not-found"
    assert host.exists("config.toml")
    if isinstance(host, Machine):
        kept = (
            "docs",
            ".config/training-watch",
            ".local/state/training-watch",
            ".cache",
            ".local/share/crystal",
            "project",
        )
        left = host.user("find . -mindepth 2 -type f -o -type l").stdout.splitlines()
        assert [path for path in left if not path.startswith(tuple(f"./{folder}/" for folder in kept))] == []


def machine_of(chain: Chain) -> Machine:
    if not isinstance(chain.host, Machine):
        pytest.skip("a user manager of somebody's own isn't rebooted")
    return chain.host
