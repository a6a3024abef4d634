"""What systemctl and journalctl say, understood: tables, and two programs in PATH that say what they are told to."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from training_watch.launching import LaunchError, NoManager, NotStarted, NoUnit, Started, UnitState
from training_watch.launching.exits import ending, exit_status, signal_name
from training_watch.launching.journalctl import Entry, entry
from training_watch.launching.systemctl import systemctl, unit_folder, user_unit_folder, version
from training_watch.launching.systemd import Systemd, job_type, properties, unit_state, verdict

UNIT = "crystal-train.service"
A, B = "a" * 32, "b" * 32


# ---- understanding ------------------------------------------------------------------------------


def shown(**changes: str) -> dict[str, str]:
    loaded = {"LoadState": "loaded", "ActiveState": "inactive", "SubState": "dead", "Result": "success"}
    return {**properties(""), **loaded, **changes}


def test_properties_are_read_in_whatever_order_they_come() -> None:
    told = properties("Result=success\nJob=110\nActiveState=activating\n\nLoadError=a=b\n")
    assert (told["Job"], told["ActiveState"], told["LoadError"]) == ("110", "activating", "a=b")
    assert told["InvocationID"] == ""


@pytest.mark.parametrize(
    ("given", "job", "meant"),
    [
        pytest.param(shown(), "", UnitState(active=False), id="a unit that never ran"),
        pytest.param(
            shown(ActiveState="activating", SubState="start", InvocationID=A, Job="119"),
            "start",
            UnitState(active=True, queued=True, invocation=A, result="success"),
            id="a oneshot at work is activating",
        ),
        pytest.param(
            shown(ActiveState="deactivating", InvocationID=A, Job="137"),
            "stop",
            UnitState(active=True, queued=True, stopping=True, invocation=A, result="success"),
            id="a unit that is being stopped",
        ),
        pytest.param(
            shown(ActiveState="deactivating", SubState="stop-post", InvocationID=A, ExecMainCode="1", ExecMainStatus="0"),
            "",
            UnitState(active=True, invocation=A, result="success", status="0"),
            id="a unit at its ExecStopPost is still active",
        ),
        pytest.param(
            shown(ActiveState="failed", InvocationID=A, Result="exit-code", ExecMainCode="1", ExecMainStatus="7"),
            "",
            UnitState(active=False, invocation=A, result="exit-code", status="7"),
            id="a unit that failed",
        ),
        pytest.param(
            shown(ActiveState="failed", InvocationID=A, Result="timeout", ExecMainCode="2", ExecMainStatus="9"),
            "",
            UnitState(active=False, invocation=A, result="timeout", status="KILL"),
            id="a unit that was killed",
        ),
        pytest.param(shown(Job="148"), "start", UnitState(active=False, queued=True), id="a start that waits for others"),
        pytest.param(shown(ActiveState="refreshing"), "", UnitState(active=True), id="257 knows a state more"),
    ],
)  # fmt: skip
def test_a_units_properties_mean(given: dict[str, str], job: str, meant: UnitState) -> None:
    assert unit_state(given, job=job) == meant


@pytest.mark.parametrize(
    ("code", "status", "meant"),
    [
        ("1", "7", "7"),
        ("2", "15", "TERM"),
        ("3", "11", "SEGV"),
        ("2", "40", "40"),
        ("0", "0", ""),
        ("", "", ""),
    ],
)
def test_an_exit_status_is_a_number_or_a_signals_name(code: str, status: str, meant: str) -> None:
    assert exit_status(code, status) == meant


def test_a_returncode_is_told_in_the_words_of_systemd() -> None:
    assert ending(0) == ("success", "exited", "0")
    assert ending(203) == ("exit-code", "exited", "203")
    assert ending(-15) == ("signal", "killed", "TERM")
    assert ending(-9, late=True) == ("timeout", "killed", "KILL")
    assert signal_name(63) == "63"


def test_a_jobs_type_is_found_by_its_number() -> None:
    listed = f"137 other.service stop running\n138 {UNIT} start waiting\n"
    assert job_type(listed, "138") == "start"
    assert job_type(listed, "139") == ""
    assert job_type("No jobs running.\n", "1") == ""


@pytest.mark.parametrize(
    ("path", "folder"),
    [
        (
            "/home/dev/.config/systemd/user.control /run/user/1000/systemd/user.control",
            "/home/dev/.config/systemd/user",
        ),
        ("/home/my self/config/systemd/user.control /run/x", "/home/my self/config/systemd/user"),
        ("/c/systemd/user.control", "/c/systemd/user"),
    ],
)
def test_the_users_unit_folder_is_found_in_the_managers_path(path: str, folder: str) -> None:
    assert unit_folder(f"UnitPath={path}\n") == Path(folder)


def test_a_path_without_the_users_folder_is_an_error() -> None:
    with pytest.raises(LaunchError, match="says no unit path"):
        unit_folder("UnitPath=/etc/systemd/user\n")


def test_an_entry_is_read_whatever_its_message_is_made_of() -> None:
    line = {
        "MESSAGE": [98, 97, 255, 100],
        "_BOOT_ID": "c",
        "__MONOTONIC_TIMESTAMP": "12",
        "_SYSTEMD_INVOCATION_ID": A,
    }
    assert entry(json.dumps(line)) == Entry(
        "ba\N{REPLACEMENT CHARACTER}d", boot_id="c", monotonic=12, speaker=A
    )
    assert entry('{"MESSAGE": null}') == Entry("")
    assert entry('{"MESSAGE": ["one", "two"]}').message == "two"


def starting(invocation: str) -> Entry:
    return Entry(
        "Starting…", invocation=invocation, message_id="7d4958e842da4a758f6c1cdc7b36dcc5", job_type="start"
    )


def job_over(message: str, result: str, invocation: str = "", job_type: str = "start") -> Entry:
    return Entry(message, invocation=invocation, job_type=job_type, job_result=result)


@pytest.mark.parametrize(
    ("entries", "meant"),
    [
        pytest.param([], None, id="nothing yet"),
        pytest.param([starting(B)], None, id="begun, and not yet past its conditions"),
        pytest.param([starting(B), job_over("Finished", "done", B)], Started(B), id="a run that is over already"),
        pytest.param([starting(B), job_over("Failed to start", "failed", B)], Started(B), id="a run that failed"),
        pytest.param(
            [starting(B), Entry("Skipped due to…", invocation=B, unit_result="exec-condition"), job_over("…", "done", B)],
            NotStarted("skipped: one of its ExecCondition= lines said no"),
            id="a run that its ExecCondition refused",
        ),
        pytest.param(
            [job_over("t was skipped because of an unmet condition check (ConditionACPower=true).", "done")],
            NotStarted("skipped: t was skipped because of an unmet condition check (ConditionACPower=true)."),
            id="a start that a Condition refused has no name",
        ),
        pytest.param(
            [Entry("t: Start request repeated too quickly.", invocation=A), job_over("Failed to start", "failed", A)],
            NotStarted("refused by its start limit (StartLimitBurst=)"),
            id="the start limit speaks under the old name",
        ),
        pytest.param(
            [job_over("Dependency failed for t.", "dependency")],
            NotStarted("Dependency failed for t."),
            id="a dependency that failed",
        ),
        pytest.param([job_over("Stopped", "done", job_type="stop")], None, id="somebody's stop is no answer"),
    ],
)  # fmt: skip
def test_the_journal_tells_how_a_start_went(entries: list[Entry], meant: Started | NotStarted | None) -> None:
    assert verdict(entries) == meant


# ---- with programs that say what they are told to -------------------------------------------------


class Programs:
    """systemctl and journalctl: `says` gives the shell lines for a verb; the arguments are kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        for name in ("systemctl", "journalctl"):
            program = folder / name
            program.write_text(
                "#!/bin/sh\n"
                f'echo "{name} $*" >> {folder}/calls\n'
                f"env > {folder}/environment\n"
                f'for word in {name} "$@"; do [ -f {folder}/$word.sh ] && said={folder}/$word.sh; done\n'
                '[ -z "$said" ] || . "$said"\n'
            )
            program.chmod(0o755)

    def says(self, verb: str, script: str) -> None:
        (self._folder / f"{verb}.sh").write_text(script + "\n")

    def shows(self, **properties: str) -> None:
        lines = "\n".join(f"{name}={value}" for name, value in shown(**properties).items())
        self.says("show", f"cat <<'END'\n{lines}\nEND")

    @property
    def calls(self) -> list[str]:
        return (self._folder / "calls").read_text().splitlines()

    @property
    def environment(self) -> set[str]:
        return set((self._folder / "environment").read_text().splitlines())


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return Programs(tmp_path)


def test_systemctl_is_asked_in_plain_words_and_never_for_a_password(programs: Programs) -> None:
    assert systemctl("is-enabled", UNIT).returncode == 0
    assert programs.calls == [f"systemctl --user --no-ask-password is-enabled {UNIT}"]
    assert {"LC_ALL=C", "SYSTEMD_PAGER=", "SYSTEMD_COLORS=0"} <= programs.environment


def test_the_runtime_folder_is_found_where_the_environment_lacks_it(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    systemctl("show")
    assert f"XDG_RUNTIME_DIR={tmp_path}" in programs.environment
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    systemctl("show")
    usual = f"/run/user/{os.getuid()}"
    assert (f"XDG_RUNTIME_DIR={usual}" in programs.environment) == Path(usual).is_dir()


@pytest.mark.parametrize(
    "words",
    [
        "Failed to connect to bus: No medium found",
        "Failed to connect to bus: No such file or directory",
        "Failed to connect to user scope bus via local transport: Permission denied",
        "System has not been booted with systemd as init system (PID 1). Can't operate.",
    ],
)
def test_no_manager_is_said_with_its_mends(programs: Programs, words: str) -> None:
    programs.says("systemctl", f'echo "{words}" >&2; exit 1')
    for ask in (Systemd(UNIT).state, user_unit_folder, lambda: Systemd(UNIT).start(within=1)):
        with pytest.raises(NoManager) as told:
            ask()
        for part in (words, "XDG_RUNTIME_DIR", "loginctl enable-linger", 'launcher = "process"'):
            assert part in str(told.value)


def test_no_systemctl_is_no_manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoManager, match=r'no systemctl on this machine: .*launcher = "process"'):
        Systemd(UNIT).state()
    with pytest.raises(LaunchError, match="no journalctl"):
        Systemd(UNIT).lines(A, last=5)
    with pytest.raises(LaunchError, match="no journalctl"):
        list(Systemd(UNIT).follow(A))


def test_a_manager_that_does_not_answer_is_no_manager(programs: Programs) -> None:
    programs.says("show", "exec sleep 1000")
    with pytest.raises(NoManager, match=r"did not answer within 0\.2 s: see `systemctl status user@"):
        systemctl("show", timeout=0.2)


def test_an_unknown_unit_says_to_install_it(programs: Programs) -> None:
    programs.shows(LoadState="not-found")
    with pytest.raises(NoUnit, match=f"knows no {UNIT}: run `training-watch install`"):
        Systemd(UNIT).state()
    with pytest.raises(NoUnit):
        Systemd(UNIT).start(within=1)


def test_a_unit_whose_file_was_removed_while_it_runs_is_running(programs: Programs) -> None:
    programs.shows(LoadState="not-found", ActiveState="activating", InvocationID=A)
    assert Systemd(UNIT).state().active


@pytest.mark.parametrize(
    ("properties", "why"),
    [
        ({"LoadState": "masked"}, f"{UNIT} is masked: `systemctl --user unmask {UNIT}`"),
        (
            {"LoadState": "bad-setting", "LoadError": f'x.BadUnitSetting "Unit {UNIT} has a bad unit file setting."'},
            f"Unit {UNIT} has a bad unit file setting. See `systemctl --user status {UNIT}`",
        ),
        ({"LoadState": "error"}, f"{UNIT} can't be loaded. See `systemctl --user status {UNIT}`"),
        ({"ActiveState": "activating", "InvocationID": A}, f"{UNIT} is running already: wait for its end"),
        ({"ActiveState": "deactivating", "InvocationID": A}, f"{UNIT} is running already: wait for its end"),
        ({"Job": "12"}, f"a job is queued for {UNIT} already: `systemctl --user list-jobs`"),
    ],
)  # fmt: skip
def test_a_unit_that_can_not_start_now_is_not_ordered_to(
    programs: Programs, properties: dict[str, str], why: str
) -> None:
    programs.shows(**properties)
    assert Systemd(UNIT).start(within=1) == NotStarted(why)
    assert not [call for call in programs.calls if " start " in call]


def test_a_refusal_is_told_in_systemctls_words(programs: Programs) -> None:
    programs.shows()
    programs.says("start", "echo 'Failed to start t: Refusing.' >&2; echo See... >&2; exit 1")
    assert Systemd(UNIT).start(within=1) == NotStarted("Failed to start t: Refusing.")


def test_a_start_that_nobody_saw_says_so(programs: Programs) -> None:
    programs.shows()
    outcome = Systemd(UNIT).start(within=0.2)
    assert isinstance(outcome, NotStarted)
    assert "neither the manager nor the journal shows a run" in outcome.why


def children() -> str:
    """Those of this process, zombies included."""
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text()


def test_a_start_that_waits_for_other_units_is_reported_in_time_and_leaves_no_child(
    programs: Programs,
) -> None:
    programs.shows()
    programs.says("start", "exec sleep 1000")
    before = children()
    outcome = Systemd(UNIT).start(within=0.2)
    assert isinstance(outcome, NotStarted)
    assert "still queued after 0.2 s" in outcome.why
    assert children() == before


def test_the_version_is_a_number(programs: Programs) -> None:
    programs.says("--version", "echo 'systemd 252 (252.39-1~deb12u2)'; echo +PAM")
    assert version() == 252
    programs.says("--version", "echo nonsense")
    with pytest.raises(LaunchError, match="says no version, but 'nonsense"):
        version()


def test_a_follower_whose_journal_ends_before_the_run_says_so(programs: Programs) -> None:
    programs.shows(ActiveState="activating", InvocationID=A)
    with pytest.raises(LaunchError, match="journalctl ended before the run did"):
        list(Systemd(UNIT).follow(A))


def test_lines_of_a_run_without_a_journal_are_none(programs: Programs) -> None:
    programs.says("journalctl", "echo 'No journal files were found.' >&2; exit 1")
    assert Systemd(UNIT).lines(A, last=5) == []


def test_a_person_is_told_how_to_follow() -> None:
    assert Systemd(UNIT).hints() == [f"journalctl --user -u {UNIT} -f", f"systemctl --user status {UNIT}"]
