"""The launcher for machines without a user manager: real supervisors, real trainings, real signals."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from machine.waiting import eventually
from training_watch.launching import LaunchError, NotStarted, Started, UnitState, runlog
from training_watch.launching.process import BUSY, Process, read_record

UNIT = "t-train.service"
SUPERVISOR = Path(__file__).with_name("supervisor.py")
TIMELY = 20.0  # seconds that a step may take on a busy machine


class Job:
    """One job in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.lock = folder / "run"
        self.command: list[str] = []

    def launcher(self, script: str) -> Process:
        """For a training that is this shell script."""
        self.command = ["sh", "-c", script]
        return self.launcher_of(*self.command)

    def launcher_of(self, *command: str) -> Process:
        home = [
            f"HOME={self.folder}",
            f"XDG_CONFIG_HOME={self.folder}/config",
            f"XDG_CACHE_HOME={self.folder}/cache",
        ]
        supervisor = ["env", *home, sys.executable, str(SUPERVISOR), str(self.folder), UNIT, *command]
        return Process(UNIT, command, supervisor, log=self.log, lock=self.lock)

    def set(self, **knobs: object) -> None:
        (self.folder / "knobs.json").write_text(json.dumps(knobs))

    def told(self, name: str) -> list[list[str]]:
        """What the callable of that name was told, each time."""
        try:
            lines = (self.folder / "told").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [words[1:] for words in map(json.loads, lines) if words[0] == name]

    def pid(self, name: str = "pid") -> int:
        """The process that wrote its number into the file `name`."""
        file = self.folder / name
        return eventually(lambda: number(file), TIMELY, f"{name} is written", every=0.01)

    def supervisor(self) -> int:
        return read_record(self.lock).pid


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    made = Job(tmp_path)
    yield made
    if alive(made.supervisor()):
        os.kill(made.supervisor(), signal.SIGKILL)


def number(file: Path) -> int:
    """The number in a file; 0 while there is none."""
    return int(file.read_text().strip() or "0") if file.exists() else 0


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return pid > 0 and state != "Z"


def started(launcher: Process) -> str:
    outcome = launcher.start(within=TIMELY)
    assert isinstance(outcome, Started), outcome
    return outcome.invocation


def opened(pid: int) -> set[str]:
    """The files that a process has open."""
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed while we look
            found.add(os.readlink(link))
    return found


def ended(launcher: Process) -> UnitState:
    def state() -> UnitState | None:
        now = launcher.state()
        return None if now.active else now

    return eventually(state, TIMELY, "the run is over", every=0.02)


def soon(claim: Callable[[], object], saying: str) -> None:
    eventually(claim, TIMELY, saying, every=0.02)


@pytest.mark.parametrize(
    ("script", "how"),
    [
        pytest.param("true", ("success", "exited", "0"), id="a training that succeeds"),
        pytest.param("exit 7", ("exit-code", "exited", "7"), id="a training that fails"),
        pytest.param("exit 75", ("exit-code", "exited", "75"), id="a training that says not now"),
        pytest.param("kill -SEGV $$", ("signal", "killed", "SEGV"), id="a training that crashes"),
        pytest.param("kill -KILL $$", ("signal", "killed", "KILL"), id="a training that is killed"),
        pytest.param("kill -TERM $$", ("signal", "killed", "TERM"), id="a training that is asked to end"),
    ],
)
def test_an_end_is_told_in_the_words_of_systemd(job: Job, script: str, how: tuple[str, str, str]) -> None:
    launcher = job.launcher(script)
    invocation = started(launcher)
    assert ended(launcher) == UnitState(active=False, invocation=invocation, result=how[0], status=how[2])
    assert job.told("begin") == [[invocation]]
    assert job.told("mark") == [[invocation, *how]]


def test_a_missing_program_is_status_203_and_one_line_in_the_log(job: Job) -> None:
    launcher = job.launcher_of("/nowhere/at-all")
    invocation = started(launcher)
    assert ended(launcher).status == "203"
    assert job.told("mark") == [[invocation, "exit-code", "exited", "203"]]
    said, end = launcher.lines(invocation, last=9)
    assert said == "Unable to execute /nowhere/at-all: No such file or directory"
    assert end.startswith(f"=== run {invocation} ended: exit-code, exited, status=203, 20")


def test_before_the_first_run_the_unit_is_inactive_and_nameless(job: Job) -> None:
    assert job.launcher("true").state() == UnitState(active=False)
    assert job.launcher("true").lines("0" * 32, last=5) == []


def test_a_run_is_active_until_its_end_is_marked(job: Job) -> None:
    launcher = job.launcher("echo $$ > pid; read x < go")
    os.mkfifo(job.folder / "go")
    invocation = started(launcher)
    job.pid()
    assert launcher.state() == UnitState(active=True, invocation=invocation)
    assert job.told("mark") == []
    (job.folder / "go").write_text("\n")
    ended(launcher)
    assert len(job.told("mark")) == 1


def test_when_the_supervisor_is_killed_the_training_and_its_children_die(job: Job) -> None:
    launcher = job.launcher("sleep 1000 & echo $! > worker; echo $$ > pid; wait")
    invocation = started(launcher)
    training, worker = job.pid(), job.pid("worker")
    os.kill(job.supervisor(), signal.SIGKILL)
    soon(lambda: not alive(training) and not alive(worker), "nothing of the training is left")
    # Nobody recorded how it ended: that is for the daemon to find out.
    assert ended(launcher) == UnitState(active=False, invocation=invocation)
    assert job.told("mark") == []


def test_when_the_leash_is_killed_the_training_dies_and_that_is_marked(job: Job) -> None:
    launcher = job.launcher("echo $PPID > leash; sleep 1000 & echo $! > pid; wait")
    invocation = started(launcher)
    training = job.pid()
    os.kill(job.pid("leash"), signal.SIGKILL)
    ended(launcher)
    soon(lambda: not alive(training), "the training is dead")
    assert job.told("mark") == [[invocation, "signal", "killed", "KILL"]]


def test_what_a_training_leaves_behind_is_killed_before_the_lock_is_free(job: Job) -> None:
    launcher = job.launcher("sleep 1000 & echo $! > pid")
    started(launcher)
    left = job.pid()
    ended(launcher)
    soon(lambda: not alive(left), "the child that was left behind is dead")


def test_a_training_that_slipped_the_leash_does_not_hold_the_lock(job: Job) -> None:
    launcher = job.launcher("setsid sh -c 'echo $$ > pid; exec sleep 1000' & until [ -s pid ]; do :; done")
    started(launcher)
    slipped = job.pid()
    try:
        assert ended(launcher).result == "success"
    finally:
        os.kill(slipped, signal.SIGKILL)


def test_a_second_supervisor_is_refused_while_one_runs(job: Job) -> None:
    launcher = job.launcher("echo $$ > pid; exec sleep 1000")
    started(launcher)
    job.pid()
    second = subprocess.run(
        [sys.executable, SUPERVISOR, job.folder, UNIT, "true"], capture_output=True, check=False
    )
    assert second.returncode == BUSY
    assert second.stderr == f"{UNIT} is running already: wait for its end\n".encode()
    assert launcher.start(within=TIMELY) == NotStarted(f"{UNIT} is running already: wait for its end")
    assert len(job.told("begin")) == 1


def test_two_starts_at_once_make_one_run(job: Job) -> None:
    job.launcher("echo $$ > pid; exec sleep 1000")
    command = [sys.executable, str(SUPERVISOR), str(job.folder), UNIT, *job.command]
    with (
        subprocess.Popen(command, stderr=subprocess.DEVNULL) as one,
        subprocess.Popen(command, stderr=subprocess.DEVNULL) as two,
    ):
        soon(lambda: one.poll() is not None or two.poll() is not None, "one of the two gives up")
        loser, winner = (one, two) if one.poll() is not None else (two, one)
        assert loser.returncode == BUSY
        assert winner.poll() is None
        winner.terminate()
    assert len(job.told("begin")) == 1


def test_asking_for_the_state_never_turns_a_supervisor_away(job: Job) -> None:
    launcher = job.launcher("true")
    with job.lock.open("w") as probe:
        fcntl.flock(probe, fcntl.LOCK_SH)
        # Somebody else who asks at the same time sees no run.
        assert not launcher.state().active
        with subprocess.Popen([sys.executable, str(SUPERVISOR), str(job.folder), UNIT, "true"]) as supervisor:
            soon(lambda: str(job.lock) in opened(supervisor.pid), "the supervisor tries the lock")
            fcntl.flock(probe, fcntl.LOCK_UN)
            assert supervisor.wait(TIMELY) == 0


def test_between_the_lock_and_the_name_a_run_is_active_and_nameless(job: Job) -> None:
    launcher = job.launcher("true")
    started(launcher)
    ended(launcher)
    with job.lock.open("rb") as supervisor:
        fcntl.flock(supervisor, fcntl.LOCK_EX)
        assert launcher.state() == UnitState(active=True, queued=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_to_the_supervisor_stops_the_training_and_is_marked(
    job: Job, number: signal.Signals
) -> None:
    launcher = job.launcher("echo $$ > pid; exec sleep 1000")
    invocation = started(launcher)
    training = job.pid()
    os.kill(job.supervisor(), number)
    ended(launcher)
    assert not alive(training)
    assert job.told("mark") == [[invocation, "signal", "killed", number.name.removeprefix("SIG")]]


def test_only_the_training_itself_is_asked_to_stop_and_has_time_to_save(job: Job) -> None:
    worker = "(trap 'echo worker stopped' TERM; while :; do sleep 0.02; done) & "
    launcher = job.launcher(
        f"trap 'touch asked; read x < go; echo saved; exit 0' TERM; {worker} echo $$ > pid; while :; do sleep 0.02; done"
    )
    os.mkfifo(job.folder / "go")
    invocation = started(launcher)
    job.pid()
    os.kill(job.supervisor(), signal.SIGTERM)
    soon((job.folder / "asked").exists, "the training hears it")
    assert launcher.state() == UnitState(active=True, stopping=True, invocation=invocation)
    (job.folder / "go").write_text("\n")
    assert ended(launcher).result == "success"
    assert launcher.lines(invocation, last=9)[:-1] == ["saved"]


def test_a_training_that_does_not_stop_in_time_is_killed(job: Job) -> None:
    job.set(stops_within=0.2)
    launcher = job.launcher("trap '' TERM; echo $$ > pid; while :; do sleep 0.02; done")
    invocation = started(launcher)
    job.pid()
    os.kill(job.supervisor(), signal.SIGTERM)
    ended(launcher)
    assert job.told("mark") == [[invocation, "timeout", "killed", "KILL"]]


def test_a_run_outlives_the_process_that_started_it(job: Job) -> None:
    launcher = job.launcher("echo $$ > pid; read x < go; echo done")
    os.mkfifo(job.folder / "go")
    starting = (
        "import sys, json; from pathlib import Path; from training_watch.launching.process import Process\n"
        "folder, supervisor = Path(sys.argv[1]), json.loads(sys.argv[2])\n"
        "p = Process('t-train.service', (), supervisor, log=folder / 'log', lock=folder / 'run')\n"
        "print(p.start(within=20), flush=True); sys.stdin.read()"
    )
    words = [sys.executable, "-c", starting, str(job.folder), json.dumps(launcher._supervisor)]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as starter:
        assert starter.stdout is not None
        assert b"Started" in starter.stdout.readline()
        job.pid()
        os.killpg(starter.pid, signal.SIGKILL)
    (job.folder / "go").write_text("\n")
    assert ended(launcher).result == "success"
    assert len(job.told("mark")) == 1


def test_a_run_is_signed_alive_and_a_sign_that_fails_does_not_end_it(job: Job) -> None:
    job.set(alive_every=0.05, failing=["alive"])
    launcher = job.launcher("read x < go")
    os.mkfifo(job.folder / "go")
    invocation = started(launcher)
    soon(lambda: len(job.told("alive")) >= 3, "three signs of life")
    (job.folder / "go").write_text("\n")
    assert ended(launcher).result == "success"
    assert job.told("alive")[0] == [invocation]
    assert "alive is out of order" in job.log.read_text()


def test_a_beginning_that_fails_is_a_failed_run_without_the_command(job: Job) -> None:
    job.set(failing=["begin"])
    launcher = job.launcher("touch ran")
    invocation = started(launcher)
    assert ended(launcher) == UnitState(active=False, invocation=invocation, result="exit-code")
    assert job.told("mark") == [[invocation, "exit-code", "", ""]]
    assert not (job.folder / "ran").exists()


def test_a_mark_that_fails_is_in_the_log_and_the_lock_is_free(job: Job) -> None:
    job.set(failing=["mark"])
    launcher = job.launcher("true")
    started(launcher)
    assert ended(launcher).result == "success"
    assert "mark is out of order" in job.log.read_text()


def test_the_training_gets_its_name_its_status_file_and_the_environment_file(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = job.folder / "config/training-watch/train.env"
    file.parent.mkdir(parents=True)
    file.write_text("# which GPU\nCUDA_VISIBLE_DEVICES=1\nGREETING='two  words'\n")
    monkeypatch.setenv("NOTIFY_SOCKET", "/nowhere")
    launcher = job.launcher("env; pwd; cat")
    invocation = started(launcher)
    ended(launcher)
    lines = launcher.lines(invocation, last=1000)
    assert f"INVOCATION_ID={invocation}" in lines
    assert f"TRAINING_STATUS_FILE={job.folder}/cache/crystal/{UNIT}.status.json" in lines
    assert {"CUDA_VISIBLE_DEVICES=1", "GREETING=two  words", str(job.folder)} <= set(lines)
    assert not [line for line in lines if line.startswith("NOTIFY_SOCKET")]


def test_each_run_has_its_own_lines_and_only_the_last_ones_when_asked(job: Job) -> None:
    launcher = job.launcher("for i in 1 2 3; do echo $INVOCATION_ID $i; done; printf '10%%\\r99%%'")
    first = started(launcher)
    ended(launcher)
    second = started(launcher)
    ended(launcher)
    for each in (first, second):
        *said, end = launcher.lines(each, last=9)
        assert said == [f"{each} 1", f"{each} 2", f"{each} 3", "99%"]
        assert end.startswith(f"=== run {each} ended: success, exited, status=0, 20")
        assert launcher.lines(each, last=2) == ["99%", end]
        assert list(launcher.follow(each)) == launcher.lines(each, last=9)
    assert launcher.lines(first, last=0) == []


def test_a_follower_sees_every_line_up_to_the_end(job: Job) -> None:
    launcher = job.launcher("echo one; read x < go; echo two")
    os.mkfifo(job.folder / "go")
    lines = launcher.follow(started(launcher))
    assert next(lines) == "one"
    (job.folder / "go").write_text("\n")
    assert next(lines) == "two"
    assert next(lines).rpartition(", ")[0].endswith("ended: success, exited, status=0")
    assert list(lines) == []


def test_a_follower_of_a_killed_supervisor_comes_to_an_end(job: Job) -> None:
    launcher = job.launcher("echo one; exec sleep 1000")
    lines = launcher.follow(started(launcher))
    assert next(lines) == "one"
    os.kill(job.supervisor(), signal.SIGKILL)
    assert list(lines) == []


def test_a_run_keeps_a_bounded_rest_of_the_earlier_ones(job: Job) -> None:
    old = b"".join(b"line %d of long ago\n" % number for number in range(100_000))
    job.log.write_bytes(old)
    launcher = job.launcher("echo new")
    invocation = started(launcher)
    ended(launcher)
    kept = job.log.read_bytes()
    assert runlog.KEPT // 2 < len(kept) < runlog.KEPT + 1000
    assert kept.startswith(b"line ")
    assert kept.splitlines()[-4:-2] == [
        f"=== run {invocation} of {UNIT}, {read_record(job.lock).began}".encode(), b"new"
    ]  # fmt: skip


@pytest.mark.parametrize("rest", ["", '{"invocation": "ab', "\0" * 80, "[]", '{"unknown": 1}'])
def test_a_torn_record_is_no_record_and_the_next_run_goes_on(job: Job, rest: str) -> None:
    job.lock.write_text(rest)
    launcher = job.launcher("true")
    assert launcher.state() == UnitState(active=False)
    invocation = started(launcher)
    assert ended(launcher).invocation == invocation


def test_a_supervisor_that_fails_before_its_run_says_why(job: Job) -> None:
    supervisor = ["sh", "-c", "echo config.toml:3: no such key >&2; exit 78"]
    launcher = Process(UNIT, ["true"], supervisor, log=job.log, lock=job.lock)
    assert launcher.start(within=TIMELY) == NotStarted("config.toml:3: no such key")
    silent = Process(UNIT, ["true"], ["false"], log=job.log, lock=job.lock)
    assert silent.start(within=TIMELY) == NotStarted(
        f"its supervisor ended with status 1: see `tail {job.log}`"
    )


def test_a_supervisor_that_does_not_begin_in_time_is_no_start(job: Job) -> None:
    launcher = Process(UNIT, ["true"], ["sleep", "1000"], log=job.log, lock=job.lock)
    assert launcher.start(within=0.1) == NotStarted(
        f"its supervisor has not begun within 0.1 s: see `tail {job.log}`"
    )
    (child,) = launcher._children
    os.kill(child, signal.SIGKILL)
    soon(lambda: not launcher.state().active and not launcher._children, "it is reaped")


def test_a_missing_supervisor_is_the_systems_fault(job: Job) -> None:
    launcher = Process(UNIT, ["true"], ["/nowhere/python"], log=job.log, lock=job.lock)
    with pytest.raises(LaunchError, match="/nowhere/python: No such file or directory"):
        launcher.start(within=TIMELY)


def test_a_supervisor_that_ended_is_no_zombie_of_whoever_started_it(job: Job) -> None:
    launcher = job.launcher("true")
    started(launcher)
    (child,) = launcher._children
    soon(lambda: launcher.state() and not launcher._children, "it is reaped")
    assert not Path(f"/proc/{child}").exists()


def test_a_person_is_told_how_to_follow(job: Job) -> None:
    assert job.launcher("true").hints() == ["training-watch logs --follow", "training-watch status"]
