"""The daemon as the service manager sees it: a real process, a real NOTIFY_SOCKET."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from acts.conftest import PROGRAM, Home, Manager
from machine.waiting import eventually


@contextmanager
def daemon(home: Home, manager: Manager, **more: str) -> Iterator[subprocess.Popen[str]]:
    environment = home.environment(NOTIFY_SOCKET=str(manager.path), **more)
    with subprocess.Popen(
        [PROGRAM, "run"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def until(claim: Callable[[], object], saying: str) -> None:
    eventually(lambda: bool(claim()), 20, saying)


def test_it_is_ready_when_the_watches_stand_and_says_what_it_waits_for(home: Home, manager: Manager) -> None:
    home.mode("while [ ! -e go ]; do sleep 0.05; done")
    with daemon(home, manager) as process:
        until(lambda: "READY=1" in manager, "it is ready")
        until(lambda: "STATUS=training since " in manager, "it says that a training runs")
        (home.path / "go").touch()
        until(lambda: "STATUS=nothing to train" in manager, "it says that nothing is to train")
        home.edit("new")
        until(lambda: "STATUS=1 file changed, " in manager, "it says that a file changed")
        until(lambda: "STATUS=cooldown until " in manager, "it says until when it waits")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    assert "STOPPING=1" in manager
    ready = manager.told.index("READY=1")
    assert not any(each.startswith("STATUS") for each in manager.told[:ready])


def test_the_watchdog_is_pinged_from_the_loop_and_not_while_the_loop_stands(
    home: Home, manager: Manager
) -> None:
    with daemon(home, manager, WATCHDOG_USEC="400000") as process:
        until(lambda: manager.count("WATCHDOG=1") >= 3, "it pings")
        process.send_signal(signal.SIGSTOP)
        stood = manager.count("WATCHDOG=1")
        process.send_signal(signal.SIGCONT)
        until(lambda: manager.count("WATCHDOG=1") > stood, "it pings again")


def test_an_idle_daemon_sleeps(home: Home, manager: Manager) -> None:
    with daemon(home, manager, WATCHDOG_USEC="400000") as process:
        until(lambda: "STATUS=nothing to train" in manager, "the first training is over")
        home.edit("a change that waits, with a countdown")
        until(lambda: "STATUS=cooldown until" in manager, "it waits for the cooldown")
        pings, before = manager.count("WATCHDOG=1"), ticks(process.pid)
        until(lambda: manager.count("WATCHDOG=1") >= pings + 20, "seconds have passed, by its own pings")
        # One wake-up for each ping. A loop that doesn't sleep uses about 200 ticks of 10 ms in that time.
        assert ticks(process.pid) - before < 60


def ticks(pid: int) -> int:
    """CPU time used, user and system (proc_pid_stat(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_children_do_not_inherit_the_managers_socket(home: Home, manager: Manager) -> None:
    home.mode('env >"$HOME/environment"')
    with daemon(home, manager, WATCHDOG_USEC="60000000"):
        until((home.path / "environment").exists, "a training has run")
        until(lambda: "STATUS=nothing to train" in manager, "it has ended")
    told = (home.path / "environment").read_text()
    assert "NOTIFY_SOCKET" not in told
    assert "WATCHDOG" not in told


def test_a_reload_reads_the_configuration_anew_and_one_with_mistakes_changes_nothing(
    home: Home, manager: Manager
) -> None:
    with daemon(home, manager) as process:
        until(lambda: "STATUS=nothing to train" in manager, "the first training is over")
        good = home.config.read_text()
        home.config.write_text(good + 'debounse = "1s"\n')
        process.send_signal(signal.SIGHUP)
        until(lambda: manager.count("READY=1") == 2, "it has reloaded")
        assert "RELOADING=1\nMONOTONIC_USEC=" in manager
        home.configure(cooldown="0")
        process.send_signal(signal.SIGHUP)
        until(lambda: manager.count("READY=1") == 3, "it has reloaded again")
        home.edit("trained at once")
        until(lambda: home.runs() == 2, "the new cooldown counts")
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        said = process.stderr.read()
    assert "did you mean 'debounce'" in said
    assert "going on with the one from before" in said


def test_nothing_starts_by_another_text_than_its_run_is_recorded_by(home: Home, manager: Manager) -> None:
    home.configure(cooldown="0")
    with daemon(home, manager):
        until(lambda: home.runs() == 1 and "STATUS=nothing to train" in manager, "the first training is over")
        good = home.config.read_text()
        home.config.write_text(good + 'debounse = "1s"\n')
        home.edit("while the configuration has a mistake")
        until(lambda: "did you mean 'debounce'?; 1 file waiting" in manager, "it says what stands in the way")
        assert home.runs() == 1
        home.config.write_text(good + 'ignore = ["*.tmp"]\n')
        until(lambda: home.runs() == 2, "it is mended, which the daemon hears of by itself")
        until(lambda: manager.count("READY=1") == 2, "it has taken in the new text")
        until(lambda: "STATUS=nothing to train" in manager, "it is done")
        home.config.write_text(good + 'debounse = "1s"\n')
        home.edit("while there is a mistake again")
        until(lambda: "did you mean 'debounce'" in manager.last, "it says what stands in the way")
        home.config.write_text(good + 'ignore = ["*.tmp"]\n')
        until(lambda: home.runs() == 3, "the text from before is as good")
        assert manager.count("READY=1") == 2


def test_a_forced_run_that_takes_in_an_edit_leaves_no_promise_of_another(
    home: Home, manager: Manager
) -> None:
    home.configure(cooldown="0")
    limits = 'debounce = "20s"\nmax_wait = "1min"\n'
    home.config.write_text(re.sub("debounce = .*\nmax_wait = .*\n", limits, home.config.read_text()))
    home.run("trigger", "--wait")
    with daemon(home, manager):
        until(lambda: "STATUS=nothing to train" in manager, "it has looked at everything")
        home.edit("and at once a run")
        until(lambda: waiting(home)["changed"], "the edit is seen")
        home.run("trigger", "--force", "--wait")
        until(lambda: waiting(home)["running"] is None, "the run is over")
        until(
            lambda: waiting(home)["line"] == "nothing to train", "nothing is promised in the quiet after it"
        )
        told = waiting(home)
    assert (told["waiting_for"], told["changed"], told["next_start"]) == ("settling", [], None)


def waiting(home: Home) -> dict[str, object]:
    told: dict[str, object] = json.loads(home.run("status", "--json").stdout)["jobs"]["docs"]
    return told


def test_a_polled_tree_is_trained_too(home: Home, manager: Manager) -> None:
    home.configure(cooldown="0")
    home.config.write_text(home.config.read_text() + 'mode = "poll"\npoll_interval = "300ms"\n')
    with daemon(home, manager):
        until(lambda: home.runs() == 1 and "STATUS=nothing to train" in manager, "a first training")
        home.edit("seen by looking")
        until(lambda: home.runs() == 2, "the change is trained")
    report = home.run("status").stdout
    assert "not running" in report, "what a stopped daemon has published is not shown as live"


def test_a_folder_that_comes_later_is_waited_for(home: Home, manager: Manager) -> None:
    (home.path / "docs").rename(home.path / "elsewhere")
    with daemon(home, manager):
        until(lambda: "READY=1" in manager, "it is ready without its folder")
        until(lambda: "not there" in manager, "it says so")
        assert home.runs() == 0
        (home.path / "elsewhere").rename(home.path / "docs")
        until(lambda: home.runs() == 1, "it trains when the folder comes")


def test_a_folder_that_goes_is_absent_and_nothing_is_trained_for_it(home: Home, manager: Manager) -> None:
    home.configure(cooldown="0")
    with daemon(home, manager):
        until(lambda: home.runs() == 1 and "STATUS=nothing to train" in manager, "a first training")
        (home.path / "docs").rename(home.path / "elsewhere")
        until(lambda: "absent " in home.run("status").stdout, "status says that it is absent")
        (home.path / "elsewhere").rename(home.path / "docs")
        until(lambda: "absent " not in home.run("status").stdout, "it is there again")
        assert home.runs() == 1


def rewrite(home: Home, before: str, after: str) -> None:
    text = home.config.read_text()
    assert before in text
    home.config.write_text(text.replace(before, after))


def reload(process: subprocess.Popen[str], manager: Manager) -> None:
    ready = manager.count("READY=1")
    process.send_signal(signal.SIGHUP)
    until(lambda: manager.count("READY=1") == ready + 1, "it has reloaded")


def looked(home: Home, job: str) -> bool:
    """Whether the daemon has looked at everything since it was started or reloaded, and waits for nothing but a change."""
    status = json.loads(home.run("status", "--json").stdout)["jobs"][job]
    return (
        bool(status["watching"] and status["watching"]["rescans"])
        and status["waiting_for"] == "nothing_pending"
    )


def test_a_renamed_job_keeps_what_it_was_trained_on(home: Home, manager: Manager) -> None:
    home.configure(cooldown="0")
    with daemon(home, manager) as process:
        until(lambda: home.runs() == 1 and "STATUS=nothing to train" in manager, "a first training")
        rewrite(home, "[job.docs]", "[job.site]")
        reload(process, manager)
        until(lambda: looked(home, "site"), "it has nothing to train by its new name")
        home.edit("an edit")
        until(lambda: home.runs() == 2, "an edit is trained")
        until(lambda: looked(home, "site"), "and then nothing")
    rewrite(home, "[job.site]", "[job.again]")
    with daemon(home, manager):
        until(lambda: looked(home, "again"), "nor is there after a restart")
        assert home.runs() == 2


def test_a_job_that_is_renamed_while_its_training_runs_has_been_trained(home: Home, manager: Manager) -> None:
    home.configure(cooldown="0")
    home.mode("while [ ! -e go ]; do sleep 0.05; done")
    with daemon(home, manager) as process:
        until(lambda: "STATUS=training since " in manager, "a training runs")
        rewrite(home, "[job.docs]", "[job.site]")
        reload(process, manager)
        (home.path / "go").touch()
        until(lambda: looked(home, "site"), "it has nothing to train by its new name")
        assert home.runs() == 1


def test_a_run_that_ends_by_another_name_than_it_began_has_read_what_it_was_given(home: Home) -> None:
    home.edit("as it stays", "other.md")
    unit = home.environment(INVOCATION_ID="0" * 32, SERVICE_RESULT="success")
    assert home.run("begin", "crystal-train.service", env=unit).returncode == 0
    rewrite(home, "[job.docs]", "[job.site]")
    home.edit("while it runs")
    assert home.run("mark", "crystal-train.service", env=unit).returncode == 0
    job = json.loads(home.run("status", "--json").stdout)["jobs"]["site"]
    assert job["last_run"]["outcome"] == "succeeded"
    assert job["pending"]["sample"] == [str(home.path / "docs/guide.md")]


def test_a_slip_in_the_paths_and_its_correction_train_nothing(home: Home, manager: Manager) -> None:
    home.configure(cooldown="0")
    with daemon(home, manager) as process:
        until(lambda: home.runs() == 1 and "STATUS=nothing to train" in manager, "a first training")
        rewrite(home, "/docs", "/dosc")
        reload(process, manager)
        until(lambda: "absent " in home.run("status").stdout, "status says that the folder is absent")
        until(lambda: looked(home, "docs"), "it has looked")
        rewrite(home, "/dosc", "/docs")
        reload(process, manager)
        until(lambda: "absent " not in home.run("status").stdout, "it is there again")
        until(lambda: looked(home, "docs"), "and nothing is to be trained")
        assert home.runs() == 1
        rewrite(home, "/docs", "/dosc")
        reload(process, manager)
        home.edit("an edit meanwhile")
        rewrite(home, "/dosc", "/docs")
        reload(process, manager)
        until(lambda: home.runs() == 2, "what was edited meanwhile is trained")


def test_a_damaged_history_is_set_aside_when_it_starts(home: Home, manager: Manager) -> None:
    home.database.parent.mkdir(parents=True)
    home.database.write_bytes(b"no database at all " * 500)
    with daemon(home, manager):
        until(lambda: home.runs() == 1, "it trains all the same")
    assert home.database.with_name("state.db.damaged-1").exists()


@pytest.mark.parametrize("words", [("run",), ("--config", "config.toml", "run"), ("run", "--verbose")])
def test_mistakes_in_the_configuration_end_a_start_with_78_and_one_line_each(
    home: Home, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.chdir(home.config.parent)
    home.config.write_text('[job.docs]\npaths = "/x"\nretries = -1\n')
    done = home.run(*words)
    assert done.returncode == 78
    assert len(done.stderr.splitlines()) == 2


def test_a_history_that_can_not_be_opened_ends_a_start_with_one_line(home: Home) -> None:
    home.database.mkdir(parents=True)
    done = home.run("run")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "state.db" in done.stderr


@contextmanager
def watching(home: Home, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(
        [PROGRAM, "watch", *words, str(home.path / "docs")],
        env=home.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)


def first_lines(process: subprocess.Popen[bytes], home: Home, name: bytes, count: int = 1) -> list[bytes]:
    """Change a file until it is seen, because nothing says when the watches stand; then its first lines."""
    assert process.stdout is not None
    out = process.stdout
    os.set_blocking(out.fileno(), False)
    path, seen = os.fsencode(home.path / "docs") + b"/" + name, b""

    def asked() -> bool:
        nonlocal seen
        with open(path, "ab") as file:
            file.write(b"x")
        seen += out.read() or b""
        return seen.count(b"\n") + seen.count(b"\0") >= count

    until(asked, "a change is printed")
    return seen.replace(b"\0", b"\n").split(b"\n")[:count]


def test_watch_prints_absolute_paths_one_a_line(home: Home) -> None:
    with watching(home) as process:
        lines = first_lines(process, home, b"page.md")
    assert lines == [os.fsencode(home.path / "docs/page.md")]


def test_watch_escapes_a_newline_in_a_name_and_passes_it_with_nul(home: Home) -> None:
    with watching(home) as process:
        assert first_lines(process, home, b"a\nb.md") == [os.fsencode(home.path / "docs") + rb"/a\nb.md"]
    with watching(home, "--json") as process:
        (line,) = first_lines(process, home, b"\xff.md")
    assert json.loads(line)["path"].endswith(r"\xff.md")


def test_watch_all_names_the_rule_that_ignores_a_file(home: Home) -> None:
    with watching(home, "--all") as process:
        (line,) = first_lines(process, home, b"page.md.swp")
    path, rule = line.split(b"\t")
    assert path == os.fsencode(home.path / "docs/page.md.swp")
    assert b"*.swp (built in)" in rule


def test_a_folder_that_was_elsewhere_for_a_moment_while_a_training_ran_is_trained_again(
    home: Home, manager: Manager
) -> None:
    (home.path / "docs/sub").mkdir()
    home.edit("text", "sub/a.md")
    home.configure(cooldown="0")
    home.mode("while [ ! -e go ]; do sleep 0.05; done")
    with daemon(home, manager):
        until(lambda: "STATUS=training since " in manager, "it knows that a training runs")
        (home.path / "docs/sub").rename(home.path / "out")
        (home.path / "out").rename(home.path / "docs/sub")
        until(
            lambda: json.loads(home.run("status", "--json").stdout)["daemon"]["events"] >= 2, "it has heard"
        )
        (home.path / "go").touch()
        until(lambda: home.runs() == 2, "it is trained again")
        until(lambda: manager.last == "STATUS=nothing to train", "and then no more")
    assert home.runs() == 2
