"""`doctor` where there is no user manager: a training that is a process, a home in disorder, and what programs read."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from acts.conftest import PROGRAM, Home
from acts.conftest import Manager as Listener
from acts.test_daemon import until
from acts.test_degraded import limited_daemon
from needs import lacking
from training_watch import clock
from training_watch.doctor import Finding, as_lines
from training_watch.doctor.facts import Facts, Manager, Unit
from training_watch.doctor.findings import fault, fine, note
from training_watch.doctor.units import active
from training_watch.screen import Screen


def examined(home: Home, *words: str, **env: str) -> list[dict[str, Any]]:
    done = home.run("doctor", "--json", *words, env=home.environment(**env))
    assert done.stderr == ""
    told: dict[str, Any] = json.loads(done.stdout)
    found: list[dict[str, Any]] = told["findings"]
    faults = sum(each["verdict"] == "fault" for each in found)
    assert (told["schema"], told["faults"]) == (1, faults)
    assert done.returncode == (1 if faults else 0)
    return found


def of(found: list[dict[str, Any]], check: str) -> dict[str, Any]:
    (one,) = (each for each in found if each["check"] == check)
    return one


def faults(found: list[dict[str, Any]]) -> set[str]:
    return {each["check"] for each in found if each["verdict"] == "fault"}


def type_it(home: Home, mend: str) -> None:
    subprocess.run(["bash", "-euc", mend], env=home.environment(), check=True)


@contextmanager
def daemon(home: Home, manager: Listener) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([PROGRAM, "run"], env=home.environment(NOTIFY_SOCKET=str(manager.path)),
                          stderr=subprocess.DEVNULL) as process:  # fmt: skip
        try:
            until(lambda: "STATUS=nothing to train" in manager or "STATUS=cooldown" in manager, "it watches")
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def test_without_a_manager_a_trained_job_and_a_daemon_are_all_that_it_takes(
    home: Home, manager: Listener
) -> None:
    assert home.run("trigger", "--wait").returncode == 0
    with daemon(home, manager):
        found = examined(home)
        assert faults(found) == set()
        assert {"manager", "linger", "unit", "enabled"}.isdisjoint(each["check"] for each in found)
        assert home.runs() == 1, "the training is somebody's own, and was not executed"
        assert home.run("doctor").stdout.splitlines()[-1].endswith("a training can start")


def test_what_is_well_is_told_in_a_sentence_also_beside_a_fault(home: Home, manager: Listener) -> None:
    with daemon(home, manager):
        told = home.run("doctor").stdout
        assert (
            "\nfine      the daemon runs; the training can be executed; its folders can be read and are watched; "
            in (f"\n{told}")
        )
    assert (
        "\nfine      the training can be executed; its folders can be read; what was trained is remembered; the disk "
        "has room\n" in home.run("doctor").stdout
    )


@pytest.mark.parametrize(
    ("restarts", "lived", "verdict", "told"),
    [
        (0, 5.0, "note", "has ended after 5.0s (signal, signal KILL); systemd is about to start it again"),
        (3, 86400.0, "note", "has ended after 1d (signal, signal KILL); systemd is about to start it again"),
        (1, 5.0, "fault", "ends again and again (signal, signal KILL)"),
    ],
)
def test_one_accident_of_the_daemon_is_no_loop(restarts: int, lived: float, verdict: str, told: str) -> None:
    name = "training-watch.service"
    shown = {
        "LoadState": "loaded", "ActiveState": "activating", "SubState": "auto-restart", "Result": "signal",
        "ExecMainCode": "2", "ExecMainStatus": "9", "NRestarts": str(restarts),
        "ExecMainStartTimestampMonotonic": "1000000", "ExecMainExitTimestampMonotonic": f"{1000000 + lived * 1e6:.0f}",
    }  # fmt: skip
    (found,) = active(
        Facts(
            config_path=Path("/config.toml"), config=None, mistakes=(), jobs=(), watcher=name,
            manager=Manager(257, Path("/units"), {name: Unit(name, shown)}), silence="", report=None, now=clock.now(),
            program="training-watch", trying=print,
        )
    )  # fmt: skip
    assert (found.verdict.value, found.text) == (verdict, f"{name} {told}")


def test_a_claim_is_made_only_where_it_was_shown_of_every_job() -> None:
    def told(*found: Finding) -> str:
        return as_lines(Screen(), found)[0]

    docs, own = fine("docs"), fine("own")
    started = [replace(docs, check="start", job="docs")]
    executable = [replace(docs, check="command", job="docs"), replace(own, check="command", job="own")]
    assert told(*started, executable[0]) == "fine      the training starts"
    assert told(*started, *executable) == "fine      each training can be executed"
    boot = [replace(docs, check="linger"), replace(docs, check="enabled")]
    daemon = [replace(docs, check="daemon"), replace(note("of another version"), check="daemon")]
    assert told(daemon[0], *boot) == "fine      the daemon runs, starts at boot and outlives your sessions"
    assert told(*boot) == "fine      the daemon starts at boot and outlives your sessions"
    assert "runs" not in "\n".join(as_lines(Screen(), [*daemon, *boot]))


def test_all_that_people_worry_about_fits_on_three_lines() -> None:
    checks = (
        "daemon",
        "enabled",
        "linger",
        "start",
        "command",
        "recording",
        "folders",
        "watching",
        "state.db",
        "disk",
    )
    lines = as_lines(Screen(width=80), [replace(fine("well"), check=check) for check in checks])
    assert len(lines) == 4
    assert lines[0].startswith("fine ")
    assert lines[-1].endswith("a training can start")


def test_a_mend_is_never_folded() -> None:
    mend = f"sudo sh -c 'echo 1 >{'/long' * 20}' && sudo systemctl restart it"
    lines = as_lines(Screen(width=40), [fault("it has failed for a reason that takes a line or two", mend)])
    assert f"mend      {mend}" in lines
    assert lines[1].startswith("          ")


def test_a_configuration_that_the_daemon_has_not_read_is_told_with_what_makes_it_read_it(
    home: Home, manager: Listener
) -> None:
    with daemon(home, manager) as process:
        assert of(examined(home), "daemon")["verdict"] == "fine"
        home.configure(cooldown="9min")
        found = of(examined(home), "daemon")
        assert found["verdict"] == "note"
        assert f"goes by an older text of {home.config}" in found["text"]
        assert found["mend"].startswith(f"kill -HUP {process.pid}")
        type_it(home, found["mend"])
        until(lambda: of(examined(home), "daemon")["verdict"] == "fine", "it goes by the new text")


def test_a_folder_that_the_daemon_has_not_read_of_is_a_fault(home: Home, manager: Listener) -> None:
    (home.path / "more").mkdir()
    with daemon(home, manager):
        home.config.write_text(home.config.read_text().replace('/docs"]', f'/docs", "{home.path}/more"]'))
        found = of(examined(home), "daemon")
        assert found["verdict"] == "fault"
        assert f"doesn't keep {home.path}/more for crystal-train.service:" in found["text"]
        type_it(home, found["mend"])
        until(lambda: of(examined(home), "daemon")["verdict"] == "fine", "it watches the folder")


def test_a_job_that_the_daemon_has_not_read_of_is_a_fault(home: Home, manager: Listener) -> None:
    with daemon(home, manager):
        home.config.write_text(
            f"{home.config.read_text()}\n{home.config.read_text().replace('docs]', 'more]')}"
        )
        home.config.write_text(
            f'{home.config.read_text()}service = "more.service"\nmarker = "{home.path}/more"\n'
        )
        found = of(examined(home), "daemon")
        assert (found["verdict"], "doesn't know more" in found["text"]) == ("fault", True)
        type_it(home, found["mend"])
        until(lambda: of(examined(home), "daemon")["verdict"] == "fine", "it knows the job")


def test_without_a_daemon_the_mend_is_to_run_it(home: Home) -> None:
    found = examined(home)
    assert faults(found) == {"daemon"}
    assert "training-watch run   # and leave it running" in of(found, "daemon")["mend"]


def test_it_changes_nothing(home: Home) -> None:
    assert home.run("trigger", "--wait").returncode == 0
    before = {path: path.stat().st_mtime_ns for path in home.path.rglob("*")}
    examined(home)
    assert {path: path.stat().st_mtime_ns for path in home.path.rglob("*")} == before


def test_a_home_that_nothing_has_been_done_in_yet_stays_so(home: Home) -> None:
    before = sorted(home.path.rglob("*"))
    examined(home)
    assert sorted(home.path.rglob("*")) == before


def test_each_finding_has_its_keys_and_a_fault_its_mend(home: Home) -> None:
    (home.path / "train").unlink()
    found = examined(home)
    for each in found:
        assert list(each) == ["check", "job", "verdict", "text", "mend"]
        assert each["verdict"] in ("fault", "note", "fine")
        assert each["text"]
        assert each["mend"] or each["verdict"] != "fault"
    assert {each["mend"] for each in found if each["verdict"] == "fine"} == {None}


def test_a_command_that_is_gone_or_not_executable_or_lacks_its_interpreter_is_a_fault(home: Home) -> None:
    train = home.path / "train"
    train.chmod(0o644)
    assert "command" in faults(examined(home))
    train.chmod(0o755)
    train.write_text("#!/usr/bin/env no-such-interpreter\n")
    assert "no-such-interpreter" in of(examined(home), "command")["text"]
    train.unlink()
    assert "command" in faults(examined(home))


def test_a_command_with_a_slip_of_the_pen_is_a_fault_that_names_the_key(home: Home) -> None:
    home.config.write_text(home.config.read_text().replace(f"{home.path}/train", "pyhton3"))
    found = of(examined(home), "command")
    assert (found["verdict"], "the command 'pyhton3' is not there" in found["text"]) == ("fault", True)
    assert found["mend"] == f"correct `command` in {home.config}"


@pytest.mark.parametrize(
    ("can", "package_manager", "mend"),
    [
        ("yes", True, "sudo timedatectl set-ntp true"),
        ("no", True, "sudo apt-get install systemd-timesyncd   # or chrony"),
        ("no", False, "install chrony, or systemd-timesyncd, with your package manager"),
    ],
)
def test_a_clock_that_nothing_keeps_right_gets_a_client_before_it_is_switched_on(
    home: Home, can: str, package_manager: bool, mend: str
) -> None:
    programs = home.path / "bin"
    programs.mkdir()
    timedatectl = f"#!/bin/sh\ncase $* in *CanNTP*) echo {can};; *NTPSynchronized*) echo no;; esac\n"
    for name, text in {"timedatectl": timedatectl, "apt-get": "#!/bin/sh\n"}.items():
        if name == "timedatectl" or package_manager:
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
    found = of(examined(home, PATH=str(programs)), "clock")
    assert (found["verdict"], found["mend"]) == ("note", mend)


def test_train_env_may_hold_the_path_that_the_interpreter_is_found_on(home: Home) -> None:
    tools = home.path / "tools"
    tools.mkdir()
    (tools / "mysh").symlink_to("/bin/sh")
    (home.path / "train").write_text("#!/usr/bin/env mysh\n")
    assert "command" in faults(examined(home))
    (home.config.parent / "train.env").write_text(f"PATH={tools}:/usr/bin:/bin\n")
    assert "command" not in faults(examined(home))


def test_a_word_that_names_no_file_is_a_note(home: Home) -> None:
    home.config.write_text(home.config.read_text().replace('/train"]', '/train", "/no/such/data"]'))
    found = of(examined(home), "command")
    assert found["verdict"] == "note"
    assert found["text"].endswith(
        "/no/such/data, which is not there; no harm if the training makes it itself"
    )


def test_a_script_that_is_not_there_is_a_fault(home: Home) -> None:
    home.config.write_text(home.config.read_text().replace(f'"{home.path}/train"', '"sh", "/no/such/script"'))
    found = of(examined(home), "command")
    assert (found["verdict"], "/no/such/script" in found["text"]) == ("fault", True)
    assert "correct `command` in" in found["mend"]


def test_a_relative_script_that_is_not_in_the_home_is_a_fault(home: Home) -> None:
    home.config.write_text(home.config.read_text().replace(f'"{home.path}/train"', '"sh", "train.sh"'))
    found = [each["text"] for each in examined(home) if each["check"] == "command"]
    assert any("name the script by its absolute path" in text for text in found)
    (home.path / "train.sh").touch()
    assert "command" not in faults(examined(home))


def test_a_training_that_fails_is_a_note_at_once_and_a_fault_that_says_why_when_it_is_given_up(
    home: Home,
) -> None:
    home.configure(cooldown="0")  # and the configuration's one retry
    home.mode(
        """printf '{"schema": 1, "updated_at": "2999-01-01T00:00:00Z", "error": "the disk is full"}' \\
        >"$TRAINING_STATUS_FILE"; exit 7"""
    )
    assert home.run("trigger", "--wait").returncode == 1
    found = of(examined(home), "waiting")
    assert found["verdict"] == "note"
    assert "the last run failed today " in found["text"]
    assert "(exit status 7: the disk is full); " in found["text"]
    shown = subprocess.run(
        ["bash", "-c", found["mend"]],
        env=home.environment(PATH=f"{PROGRAM.parent}:/usr/bin:/bin"),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "training on 1 files" in shown.stdout
    assert home.run("trigger", "--wait").returncode == 1
    found = of(examined(home), "waiting")
    assert found["verdict"] == "fault"
    assert "failed 2 times on the same content" in found["text"]
    assert "(exit status 7: the disk is full); " in found["text"]
    home.mode("exit 0")
    assert home.run("trigger", "--force", "--wait").returncode == 0
    assert of(examined(home), "waiting")["verdict"] == "fine"


def test_mistakes_in_the_configuration_are_faults_with_exit_1_and_the_machine_is_checked_all_the_same(
    home: Home,
) -> None:
    home.config.write_text('[job.docs]\npaths = ["~/docs"]\ndebounse = "1s"\nmode = "polling"\n')
    environment = {
        "XDG_RUNTIME_DIR": "/nonexistent",
        "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent/bus",
    }
    found = examined(home, **environment)
    assert [each["check"] for each in found].count("configuration") == 2
    assert {"disk", "clock", "state.db"} <= {each["check"] for each in found}


def test_an_unknown_job_is_a_wrong_word_on_the_command_line(home: Home) -> None:
    done = home.run("doctor", "dogs")
    assert done.returncode == 2
    assert done.stderr == f"training-watch: {home.config} has no job 'dogs'; did you mean 'docs'?\n"


def test_without_a_manager_that_is_the_fault_and_no_unit_is_asked_for(home: Home) -> None:
    home.config.write_text(f'[job.docs]\npaths = ["{home.path}/docs"]\n')
    environment = {
        "XDG_RUNTIME_DIR": "/nonexistent",
        "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent/bus",
    }
    found = examined(home, **environment)
    assert faults(found) == {"manager"}
    assert "enable-linger" in of(found, "manager")["mend"] or "launcher" in of(found, "manager")["mend"]


def test_a_watch_limit_is_told_with_the_line_that_raises_it(home: Home, manager: Listener) -> None:
    for number in range(10):
        (home.path / f"docs/part-{number}").mkdir()
        home.edit("text", f"part-{number}/a.md")
    limited = 'echo 5 >/proc/sys/user/max_inotify_watches && exec "$@"'
    words = ["unshare", "-Ur", "sh", "-c", limited, "sh", str(PROGRAM), "doctor", "--json"]
    done = subprocess.run(words, env=home.environment(), capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1) or "Operation not permitted" in done.stderr:
        lacking("no user namespace with limits of its own")
    found = of(json.loads(done.stdout)["findings"], "inotify")
    assert "5 inotify watches are allowed" in found["text"]
    assert "6 needed or more" in found["text"]
    assert "fs.inotify.max_user_watches=524288" in found["mend"]
    with limited_daemon(home, manager):
        until(lambda: "inotify's limit of 5 watches is reached" in manager, "the daemon meets the limit")
        gap = of(examined(home), "watching")
        assert (gap["verdict"], gap["mend"]) == ("note", "sudo sysctl fs.inotify.max_user_watches=524288")


@pytest.mark.parametrize("content", [b"", b"SQLite format 3\0" + b"\xff" * 5000, b"no database at all"])
def test_a_state_db_that_is_none_is_a_fault_and_stays_where_it_is(home: Home, content: bytes) -> None:
    home.database.parent.mkdir(parents=True)
    home.database.write_bytes(content)
    found = of(examined(home), "state.db")
    assert (found["verdict"] == "fault") == bool(content)
    assert home.database.read_bytes() == content
    assert [path.name for path in home.database.parent.iterdir()] == ["state.db"]


def test_a_state_db_of_a_later_version_is_a_note_and_stays_as_it_is(home: Home) -> None:
    home.database.parent.mkdir(parents=True)
    with sqlite3.connect(home.database) as connection:
        connection.execute("PRAGMA user_version = 999")
    connection.close()
    assert of(examined(home), "state.db")["verdict"] == "note"


# As a shell does it, in the home.
HOSTILE = {
    "the configuration is a folder": "rm .config/training-watch/config.toml; mkdir .config/training-watch/config.toml",
    "the state is a file": "mkdir -p .local/state; touch .local/state/training-watch",
    "the marker is a folder": "mkdir -p .cache/crystal/last-training-run",
    "the cache is a file": "touch .cache",
    "the folder is a loop": "rm -r docs; ln -s docs docs",
    "the training is a folder": "rm train; mkdir train",
    "train.env is a folder": "mkdir .config/training-watch/train.env",
    "the training's first line is no text": "printf '#!\\377\\376\\0\\n' >train",
    "the daemon's report is garbage": "cd .local/state && mkdir training-watch && cd training-watch && touch daemon.lock"
    " && printf '\\377{' >daemon.json",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_home_in_disorder_is_told_without_a_traceback(home: Home, what: str) -> None:
    (home.path / ".local/state").mkdir(parents=True)
    subprocess.run(["sh", "-euc", HOSTILE[what]], cwd=home.path, check=True)
    assert faults(examined(home))
    done = home.run("doctor")
    assert done.returncode == 1
    assert "Traceback" not in done.stdout + done.stderr
    assert "would stop a training" in done.stdout.splitlines()[-1]


def test_a_name_can_forge_no_line_and_no_colour(home: Home) -> None:
    odd = home.path / "do\ncs\x1b[31m"
    odd.mkdir()
    odd.chmod(0)
    home.config.write_text(
        home.config.read_text().replace(f'"{home.path}/docs"', json.dumps(str(odd / "in")))
    )
    screen = home.run("doctor").stdout
    assert "\x1b" not in screen
    assert "do\\ncs\\x1b[31m" in screen
    odd.chmod(0o700)
