"""`doctor` on a real systemd: what would stop a training is planted, named with its mend, and gone when that is done.

Three jobs on one machine: `docs`, the default training as scripts/install.sh leaves it; `own`, somebody's own command,
with short times; `theirs`, a unit that somebody else wrote. Where the mend is a command, the test types it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

from machine.machine import Machine
from machine.waiting import eventually

CONFIG = "~/.config/training-watch/config.toml"
UNITS = "~/.config/systemd/user"
STATE = "~/.local/state/training-watch"
# Of a job whose cooldown lasts hours: nothing writes it meanwhile.
MARKER = "/home/dev/.cache/crystal/last-training-run"
VENV = "~/.local/share/training-watch/venv"
SITE = f"{VENV}/lib/python3*/site-packages"

JOBS = """
[job.own]
paths = ["~/own docs"]
debounce = "1s"
max_wait = "2s"
cooldown = "0s"
retries = 0
service = "own.service"
marker = "~/marker/own"
command = ["{home}/own-train", "--from", "{home}/own docs"]

[job.theirs]
paths = ["~/their-docs"]
service = "theirs.service"
"""
TRAINING = """\
#!/bin/sh
read -r status <~/status
exit $status
"""
THEIRS = """\
[Service]
Type=oneshot
ExecStart=/bin/true
"""


class Patient:
    """One installation, its faults, and what its doctor says."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def do(self, script: str) -> None:
        """As the user, or as root where the script begins so."""
        as_root = script.startswith("root: ")
        (self.machine.root if as_root else self.machine.user)(script.removeprefix("root: "))

    def type(self, mend: str) -> None:
        """What a person types. There is no sudo on the machine: who types that is root."""
        sudo = mend.startswith("sudo ")
        run = self.machine.root if sudo else self.machine.user
        run(mend.removeprefix("sudo "), timeout=300, env={"PATH": self.path()})

    def path(self, *before: str) -> str:
        return ":".join((*before, f"{self.machine.home}/.local/bin:/usr/bin:/bin"))

    def examine(self, *words: str, env: dict[str, str] | None = None) -> list[dict[str, Any]]:
        command = ["training-watch", "doctor", "--json", *words]
        done = self.machine.user(command, env={"PATH": self.path(), **(env or {})}, check=False)
        assert done.stderr == ""
        told: dict[str, Any] = json.loads(done.stdout)
        found: list[dict[str, Any]] = told["findings"]
        faults = [each for each in found if each["verdict"] == "fault"]
        assert done.returncode == (1 if faults else 0)
        assert told["faults"] == len(faults)
        return found

    def until_well(self) -> None:
        """Until a daemon that a mend has started again has said what it watches."""
        eventually(
            lambda: not [each for each in self.examine() if is_fault(each)],
            30,
            "no fault is left",
            also=lambda: "\n".join(map(str, filter(is_fault, self.examine()))),
        )

    def until_waiting(self, job: str, reason: str) -> None:
        def waits() -> bool:
            told = json.loads(self.machine.user(["training-watch", "status", "--json"]).stdout)
            return bool(told["jobs"][job]["waiting_for"] == reason)

        eventually(waits, 30, f"{job} waits for {reason}")


def is_fault(finding: dict[str, Any]) -> bool:
    return bool(finding["verdict"] == "fault")


@pytest.fixture(scope="module")
def patient(machine: Machine) -> Iterator[Patient]:
    """A healthy installation, each job trained once."""
    project = machine.copy_project()
    machine.user("bash scripts/install.sh", cwd=project, timeout=600)
    patient = Patient(machine)
    patient.do("mkdir 'own docs' their-docs marker tools; echo text >'own docs/a.md'; echo 0 >status")
    machine.write("own-train", TRAINING)
    machine.write(f"{machine.home}/.config/systemd/user/theirs.service", THEIRS)
    patient.do("chmod +x own-train")
    patient.do(f"cat >>{CONFIG} <<'END'\n{JOBS.format(home=machine.home)}END")
    patient.do("training-watch install && cp -a own-train .own-train && cp -a .config .config.good")
    for job in ("docs", "own", "theirs"):
        patient.until_waiting(job, "nothing_pending")
    yield patient
    with suppress(OSError):
        machine.down()


@dataclass(frozen=True)
class Fault:
    """Planted by `plant`; told by `check` with these words and this mend; undone by `undo`, else by typing the mend."""

    claim: str
    plant: str
    check: str
    words: str
    mend: str
    undo: str | None = None
    verdict: str = "fault"
    job: str | None = None
    # Other checks that it is a fault to, too.
    also: Sequence[str] = ()
    env: dict[str, str] = field(default_factory=dict)
    after: str = ""


FAULTS = [
    # ---- the manager and the units --------------------------------------------------------------
    Fault(
        "the watcher is stopped", "systemctl --user stop training-watch",
        "running", "is stopped: nobody watches", "systemctl --user start training-watch.service",
    ),
    Fault(
        "the watcher was killed once",
        "systemctl --user kill -s KILL training-watch;"
        "until [ $(systemctl --user show -p SubState --value training-watch) = auto-restart ]; do sleep 0.1; done",
        "running", "(signal, signal KILL); systemd is about to start it again", "journalctl --user -u training-watch",
        undo="systemctl --user start training-watch", verdict="note",
    ),
    Fault(
        "the watcher is disabled", "systemctl --user disable training-watch",
        "enabled", "is not enabled", "systemctl --user enable training-watch.service",
    ),
    Fault(
        "the watcher's unit was removed", f"rm {UNITS}/training-watch.service && systemctl --user daemon-reload",
        "watcher", "training-watch.service is not installed", "training-watch install",
    ),
    Fault(
        "the watcher is masked",
        f"systemctl --user stop training-watch; ln -sf /dev/null {UNITS}/training-watch.service;"
        "systemctl --user daemon-reload",
        "watcher", "is masked", "systemctl --user unmask training-watch.service && training-watch install",
    ),
    Fault(
        "a training's unit was removed", f"rm {UNITS}/own.service && systemctl --user daemon-reload",
        "unit", "own.service is not installed", "training-watch install", job="own",
    ),
    Fault(
        "a training's unit is masked", f"ln -sf /dev/null {UNITS}/own.service; systemctl --user daemon-reload",
        "unit", "own.service is masked", "systemctl --user unmask own.service && training-watch install", job="own",
    ),
    Fault(
        "a unit was edited by hand",
        f"sed -i 's/^Nice=10/Nice=11/' {UNITS}/own.service; systemctl --user daemon-reload",
        "unit files", "was edited by hand", "training-watch install --replace", verdict="note",
        after=f"rm {UNITS}/own.service.bak",
    ),
    Fault(
        "a unit changed since systemd read it", f"touch {UNITS}/training-watch.service",
        "loaded", "the files of training-watch.service have changed", "systemctl --user daemon-reload",
    ),
    Fault(
        "the configuration has another command than the unit", f"sed -i 's/own-train/bin-train/' {CONFIG}",
        "unit", "was installed with the command", "training-watch install", job="own", also=("command",),
        undo=f"cp .config.good/training-watch/config.toml {CONFIG}",
    ),
    Fault(
        "the configuration has a command with a slip of the pen, which install would refuse",
        f"sed -i 's,\"/home/dev/own-train\",\"pyhton3\",' {CONFIG}",
        "command", "the command 'pyhton3' is not there",
        f"correct `command` in {CONFIG.replace('~', '/home/dev')}, then: training-watch install", job="own",
        also=("unit",), undo=f"cp .config.good/training-watch/config.toml {CONFIG}",
    ),
    Fault(
        "somebody else's unit is to be installed anew, and the command that the configuration has beside it is not used",
        f"sed -i 's,^service = \"theirs.service\",&\\ncommand = [\"pyhton3\"]\\nmarker = \"~/marker/theirs\",' {CONFIG}",
        "unit", "was installed with the marker", "training-watch install", job="theirs",
        undo=f"cp .config.good/training-watch/config.toml {CONFIG}",
    ),
    Fault(
        "the configuration has another folder than unit and daemon", f"mkdir new; sed -i 's,~/own docs,~/new,' {CONFIG}",
        "daemon", "doesn't keep /home/dev/new for own.service: the configuration has changed", "training-watch install", job="own",
        also=("unit",), undo=f"cp .config.good/training-watch/config.toml {CONFIG}; rmdir new",
    ),
    Fault(
        "somebody else's unit has an interpreter run a script that is not there",
        f"sed -i 's,/bin/true,/bin/sh /home/dev/biuld.sh,' {UNITS}/theirs.service; systemctl --user daemon-reload",
        "command", "runs /home/dev/biuld.sh, which is not there",
        f"correct ExecStart= in {UNITS.replace('~', '/home/dev')}/theirs.service, then: systemctl --user daemon-reload",
        job="theirs", undo=f"cp .config.good/systemd/user/theirs.service {UNITS}; systemctl --user daemon-reload",
    ),
    Fault(
        "a drop-in drops what writes the marker",
        f"mkdir {UNITS}/own.service.d; printf '[Service]\\nExecStopPost=\\n' >{UNITS}/own.service.d/mine.conf;"
        "systemctl --user daemon-reload",
        "recording", "has lost `training-watch mark`", "sed -i '/^ *ExecStopPost *= *$/d'", job="own",
        after=f"rm -r {UNITS}/own.service.d; systemctl --user daemon-reload",
    ),
    Fault(
        "our drop-in of somebody else's unit is gone", f"rm -r {UNITS}/theirs.service.d; systemctl --user daemon-reload",
        "recording", "has lost `training-watch begin`", "training-watch install", job="theirs",
    ),
    Fault(
        "a second watcher is installed",
        f"cp {UNITS}/training-watch.service {UNITS}/second.service; systemctl --user daemon-reload",
        "other watchers", "second.service is a second watcher", "systemctl --user disable --now second.service",
    ),
    Fault(
        "lingering is off", "root: rm /var/lib/systemd/linger/dev",
        "linger", "lingering is off", "loginctl enable-linger || sudo loginctl enable-linger dev",
        undo="root: loginctl enable-linger dev",
    ),
    Fault(
        "it is a toolbox", "root: touch /run/.toolboxenv",
        "container", "/run/.toolboxenv is there", "run it on the host", undo="root: rm /run/.toolboxenv",
    ),
    Fault(
        "the shell means other folders than the units", "true",
        "variables", "XDG_STATE_HOME leads this shell to /elsewhere", "unset XDG_STATE_HOME",
        env={"XDG_STATE_HOME": "/elsewhere"}, undo="true", also=("daemon", "state.db"),
    ),
    Fault(
        "the shell has another configuration folder than the manager", "true",
        "variables", "XDG_CONFIG_HOME leads this shell to /elsewhere", "unset XDG_CONFIG_HOME",
        env={"XDG_CONFIG_HOME": "/elsewhere", "TRAINING_WATCH_CONFIG": "/home/dev/.config/training-watch/config.toml"},
        undo="true",
    ),
    Fault(
        "the default training's store is another one here than in its unit", "true",
        "unit files", "is not what `install` would write today (it differs in Environment)", "training-watch install",
        env={"CRYSTAL_STORE": "/elsewhere"}, undo="true", verdict="note", also=("variables",),
    ),
    Fault(
        "a unit's environment file is gone",
        f"mkdir {UNITS}/own.service.d; printf '[Service]\\nEnvironmentFile=/gone.env\\n' >{UNITS}/own.service.d/mine.conf;"
        "systemctl --user daemon-reload",
        "unit", "has EnvironmentFile=/gone.env, which is not there", "EnvironmentFile=-/gone.env", job="own",
        undo=f"rm -r {UNITS}/own.service.d; systemctl --user daemon-reload",
    ),
    # ---- the configuration ----------------------------------------------------------------------
    Fault(
        "the watcher has ended over a mistake that is mended by now",
        f"echo 'debounse = 3' >>{CONFIG}; systemctl --user restart training-watch ||"
        f" cp .config.good/training-watch/config.toml {CONFIG}",
        "running", "has ended because of mistakes in the configuration", "systemctl --user restart training-watch.service",
    ),
    Fault(
        "the configuration has a mistake", f"echo 'debounse = 3' >>{CONFIG}",
        "configuration", "did you mean 'debounce'?", "correct /home/dev/.config/training-watch/config.toml",
        undo=f"cp .config.good/training-watch/config.toml {CONFIG}",
    ),
    Fault(
        "there is no configuration", f"rm {CONFIG}",
        "configuration", "no configuration yet", "training-watch install --watch DIR",
        undo=f"cp .config.good/training-watch/config.toml {CONFIG}",
    ),
    # ---- the programs ---------------------------------------------------------------------------
    Fault(
        "a library of the training can't be imported", f"mv {SITE}/mdurl {SITE}/mdurl-*.dist-info .",
        "start", "No module named 'mdurl'", "-m pip install --force-reinstall '.[crystal]'", job="docs",
        after="rm -r mdurl*",
    ),
    Fault(
        "the training's interpreter has moved", f"sed -i '1s,.*,#!/gone/bin/python,' {VENV}/bin/crystal",
        "command", "is a script for /gone/bin/python, which is not there", "-m pip install --force-reinstall",
        job="docs", also=("start",), undo=f'sed -i "1s,.*,#!$(echo {VENV})/bin/python," {VENV}/bin/crystal',
    ),
    Fault(
        "the training command is gone", "rm own-train",
        "command", "/home/dev/own-train, which is not there", "put it back, or correct `command` in", job="own",
        undo="cp -a .own-train own-train",
    ),
    Fault(
        "the training command can't be executed", "chmod a-x own-train",
        "command", "/home/dev/own-train, which can't be executed", "chmod u+x /home/dev/own-train", job="own",
    ),
    Fault(
        "the training's first line names a program that only the shell finds",
        "ln -s /bin/sh tools/mysh; sed -i '1s,.*,#!/usr/bin/env mysh,' own-train",
        "command", "is a script for mysh, which own.service doesn't find on its PATH", "echo PATH=/home/dev/tools:",
        job="own", env={"PATH": "/home/dev/tools:/home/dev/.local/bin:/usr/bin:/bin"},
        after="cp -a .own-train own-train; rm .config/training-watch/train.env",
    ),
    # ---- the folders ----------------------------------------------------------------------------
    Fault(
        "the folder is gone", "mv 'own docs' away",
        "folders", "/home/dev/own docs is not there", "put it back or mount it", job="own", undo="mv away 'own docs'",
    ),
    Fault(
        "the folder can't be read", "chmod u-rx 'own docs'",
        "folders", "can't be read by dev", "chmod u+rx '/home/dev/own docs'", job="own",
    ),
    Fault(
        "a mount in the folder has vanished",
        "root: cd /home/dev/own*docs && mkdir part && echo 'tmpfs /home/dev/own\\040docs/part tmpfs rw 0 0' >>/etc/fstab"
        " && mount /home/dev/own*docs/part && echo more >part/b.md && chown -R dev: part && cd /"
        " && setpriv --reuid=dev --regid=dev --init-groups env -i HOME=/home/dev XDG_RUNTIME_DIR=/run/user/$(id -u dev)"
        "    /home/dev/.local/bin/training-watch trigger own --force --wait && umount /home/dev/own*docs/part",
        "folders", "lay on a mount of its own", "sudo mount '/home/dev/own docs/part'", job="own",
        after="root: sed -i /own/d /etc/fstab; umount /home/dev/own*docs/part; rmdir /home/dev/own*docs/part",
    ),
    # ---- what is remembered ---------------------------------------------------------------------
    Fault(
        "the marker is from the future", f"date -d tomorrow -Is >{MARKER}",
        "marker", "which is yet to come", f"rm {MARKER}", job="docs", verdict="note", after=f"date -Is >{MARKER}",
    ),
    Fault(
        "the marker makes no sense", f"echo garbage >{MARKER}",
        "marker", "holds no time that can be read", f"rm {MARKER}", job="docs", verdict="note", after=f"date -Is >{MARKER}",
    ),
    Fault(
        "the marker's folder is read-only", "chmod u-w marker",
        "marker", "can't be written by dev", "chmod u+rwx /home/dev/marker", job="own",
    ),
    Fault(
        "state.db is damaged",
        f"systemctl --user stop training-watch; dd if=/dev/urandom of={STATE}/state.db bs=4096 seek=2 count=9"
        " conv=notrunc status=none",
        "state.db", "is damaged", "systemctl --user stop training-watch.service; (cd ", also=("running",),
    ),
    Fault(
        "the state's folder is read-only", f"chmod u-w {STATE}",
        "state.db", "can't be written by dev", "chmod u+rwx /home/dev/.local/state/training-watch",
    ),
    Fault(
        "the state is on a read-only file system",
        "root: cd /home/dev/.local/state/training-watch && mount --bind . . && mount -o remount,bind,ro $PWD",
        "state.db", "is on a read-only file system", "findmnt -T /home/dev/.local/state/training-watch",
        undo="root: umount --lazy /home/dev/.local/state/training-watch",
    ),
    Fault(
        "a disk is full",
        "root: mount -t tmpfs -o size=1m,mode=777 tmpfs /home/dev/.cache/crystal; "
        "dd if=/dev/zero of=/home/dev/.cache/crystal/filler status=none || true",
        "disk", "/home/dev/.cache/crystal has 0 MiB free", "df -h /home/dev/.cache/crystal",
        undo="root: umount --lazy /home/dev/.cache/crystal",
    ),
    # ---- the daemon -----------------------------------------------------------------------------
    Fault(
        "the daemon is of another version", f"sed -i 's/\"version\": \".*\"/\"version\": \"0.0.1\"/' {STATE}/daemon.json",
        "daemon", "the running daemon is version 0.0.1", "systemctl --user restart training-watch.service",
        verdict="note",
    ),
    Fault(
        "the daemon is of another configuration",
        f"systemctl --user stop training-watch; cp {CONFIG} other.toml;"
        "setsid training-watch --config other.toml run </dev/null >/dev/null 2>&1 &"
        f"until grep -q other.toml {STATE}/daemon.json; do sleep 0.1; done",
        "daemon", "keeps another configuration, /home/dev/other.toml", "kill ", also=("running",),
        after="rm other.toml; systemctl --user restart training-watch",
    ),
    Fault(
        "the configuration has a job that the daemon hasn't read",
        f"mkdir new; printf '[job.new]\\npaths = [\"~/new\"]\\nservice = \"new.service\"\\ncommand = [\"/bin/true\"]\\n' >>{CONFIG}",
        "daemon", "the running daemon doesn't know new", "training-watch install",
        also=("unit",), undo=f"cp .config.good/training-watch/config.toml {CONFIG}; rmdir new",
    ),
    Fault(
        "the configuration is newer than the daemon", f"sed -i 's/^cooldown = \"0s\"/cooldown = \"9min\"/' {CONFIG}",
        "daemon", "goes by an older text of /home/dev/.config/training-watch/config.toml",
        "training-watch install", verdict="note",
        after=f"cp .config.good/training-watch/config.toml {CONFIG}; training-watch install",
    ),
]  # fmt: skip


def test_a_healthy_installation_has_no_fault(patient: Patient) -> None:
    found = patient.examine()
    assert list(filter(is_fault, found)) == []
    assert {"manager", "linger", "start", "recording", "waiting", "state.db"} <= {
        each["check"] for each in found
    }
    screen = patient.machine.user(["training-watch", "doctor"]).stdout
    assert (
        "the daemon runs, starts at boot and outlives your sessions; each training can be executed; "
        in screen
    )
    assert screen.splitlines()[-1].endswith("a training can start")
    assert "\x1b" not in screen


def test_what_is_typed_because_the_daemon_goes_by_an_older_text_makes_it_go_by_the_new_one(
    patient: Patient,
) -> None:
    def daemon() -> dict[str, Any]:
        (found,) = (each for each in patient.examine() if each["check"] == "daemon")
        return found

    patient.do(f'sed -i \'s/^debounce = "1s"/debounce = "2s"/\' {CONFIG}')
    assert daemon()["verdict"] == "note"
    patient.type(daemon()["mend"])
    eventually(lambda: daemon()["verdict"] == "fine", 30, "the daemon goes by the new text")
    patient.do(f"cp .config.good/training-watch/config.toml {CONFIG}")
    patient.type(daemon()["mend"])
    patient.until_well()


def test_that_systemd_starts_a_killed_daemon_again_is_told_by_status_and_why(patient: Patient) -> None:
    folder = f"{UNITS}/training-watch.service.d"
    patient.do(f"mkdir {folder}; printf '[Service]\\nRestartSec=1min\\n' >{folder}/late.conf")
    patient.do("systemctl --user daemon-reload; systemctl --user kill -s KILL training-watch")
    told = patient.machine.user(
        "until [ $(systemctl --user show -p SubState --value training-watch) = auto-restart ]; do sleep 0.1; done;"
        " training-watch status; training-watch why docs"
    ).stdout
    patient.do(
        f"rm -r {folder}; systemctl --user daemon-reload; systemctl --user stop training-watch;"
        " systemctl --user reset-failed training-watch; systemctl --user start training-watch"
    )
    patient.until_well()
    assert told.startswith("daemon    not running: systemd starts it again by itself, within 1min\n")
    assert "  ✗ no daemon runs: systemd starts it again by itself, within 1min\n" in told


def test_a_sandbox_that_this_systemd_skips_is_no_reproach(patient: Patient) -> None:
    (found,) = (each for each in patient.examine() if each["check"] == "sandbox")
    assert (found["verdict"], found["mend"]) == ("fine", None)
    if patient.machine.suite == "bookworm":
        assert "isn't active: systemd before 254 skips this in user units" in found["text"]


@pytest.mark.parametrize("planted", FAULTS, ids=lambda fault: fault.claim)
def test_it_is_named_with_its_mend_when(patient: Patient, planted: Fault) -> None:
    patient.do(planted.plant)
    found = patient.examine(*([planted.job] if planted.job else []), env=planted.env)
    named = [each for each in found if each["check"] == planted.check and each["verdict"] == planted.verdict]
    told = "\n".join(f"{each['verdict']} {each['check']}: {each['text']}" for each in found)
    named = [each for each in named if planted.words in each["text"]]
    assert named, told
    assert planted.mend in named[0]["mend"], named[0]
    # Nothing that isn't broken is called so.
    assert {each["check"] for each in found if is_fault(each)} - set(planted.also) <= {planted.check}, told
    if planted.undo is None:
        patient.type(named[0]["mend"])
    else:
        patient.do(planted.undo)
    if planted.after:
        patient.do(planted.after)
    patient.until_well()


@pytest.mark.parametrize(
    ("status", "reason", "words"),
    [("7", "retries_used", "failed 1 times on the same content"), ("3", "refused_for_good", "exit status 3")],
)
def test_a_training_that_rests_until_a_person_acts_is_a_fault_and_a_forced_one_ends_it(
    patient: Patient, status: str, reason: str, words: str
) -> None:
    patient.do(f"echo {status} >status; echo {reason} >'own docs/a.md'")
    patient.until_waiting("own", reason)
    (fault,) = (each for each in patient.examine("own") if is_fault(each))
    assert fault["check"] == "waiting"
    assert words in fault["text"]
    patient.do("echo 0 >status")
    patient.type(fault["mend"])
    patient.until_waiting("own", "nothing_pending")
    patient.until_well()


def test_a_program_that_install_found_on_another_path_is_not_looked_for_again(patient: Patient) -> None:
    patient.do("ln -s ~/own-train tools/only-here")
    patient.do(f"sed -i 's,/home/dev/own-train,only-here,' {CONFIG}")
    patient.machine.user(
        ["training-watch", "install"], env={"PATH": patient.path(f"{patient.machine.home}/tools")}
    )
    patient.until_well()
    assert ("command", "fine") in {(each["check"], each["verdict"]) for each in patient.examine("own")}
    patient.do(
        f"cp .config.good/training-watch/config.toml {CONFIG}; training-watch install; rm tools/only-here"
    )
    patient.until_well()


def test_an_own_command_is_never_executed_to_see_whether_it_starts(patient: Patient) -> None:
    patient.machine.write("own-train", "#!/bin/sh\ntouch ~/executed\n")
    patient.examine()
    patient.do("cp -a .own-train own-train")
    assert not patient.machine.exists("executed")
