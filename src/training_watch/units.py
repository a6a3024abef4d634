"""What `install` writes into ~/.config/systemd/user, as pure functions: values in, text out.

    watcher_unit    the daemon: sandboxed as far as user managers allow, started again whatever happens
    training_unit   one job's training: almost unrestricted, it records its own beginning and end
    drop_in         the same two records for a training unit that somebody else wrote

Each text ends with a section [X-TrainingWatch], which systemd ignores (systemd.unit(5)): what the unit was
made from, and a hash of all above it. So the daemon can tell that the configuration has changed since
(`disagreement`), and `install` that a person has edited the file (`edited`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from training_watch import places
from training_watch.config import Job
from training_watch.typed import anywhere

DROP_IN = "10-training-watch.conf"
SECTION = "X-TrainingWatch"
# A user manager's own PATH lacks ~/.local/bin (measured on 252 and 257); the rest is Debian's order.
SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"


class UnitError(Exception):
    """A path can't be written into a unit file; the message names it and why."""


@dataclass(frozen=True, slots=True)
class Installation:
    """What all units of one installation share; each path is absolute.

    `python` is sys.executable as it is called: resolved, it would lead out of its virtual environment.
    `environment` holds what differs from its default and must be the same in a shell and in the units.
    `writable` are the folders that the daemon writes to. `systemd` is the running version.
    `private_tmp` is false where anything that the daemon needs lies under /tmp or /var/tmp.
    `trains_itself`: a job's launcher is "process", so a training runs within the daemon's own unit.
    """

    python: Path
    config: Path
    home: Path
    environment_file: Path
    writable: tuple[Path, ...]
    systemd: int
    environment: tuple[tuple[str, str], ...] = ()
    private_tmp: bool = True
    trains_itself: bool = False
    watcher: str = places.WATCHER_UNIT


@dataclass(frozen=True, slots=True)
class Training:
    """How one job's unit trains: `command` begins with an absolute program; `note` says why that one."""

    job: Job
    command: tuple[str, ...]
    status_file: Path
    note: str = ""


# ---- the units --------------------------------------------------------------------------------


def watcher_unit(here: Installation) -> str:
    """The daemon's unit. Raises UnitError."""
    lines = [
        *_heading(here.watcher),
        "[Unit]",
        "Description=Start the training when files change",
        "# A crash loop slows down (RestartSec=) instead of ending: nobody may be there to start it again.",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        *_notifying(here.systemd),
        *_environment(here.environment),
        "# Outside the sandbox (+): a folder that is missing when the sandbox is made stays read-only in it.",
        "# The colon, here and below: $ in a path means itself.",
        f"ExecStartPre=-+:/bin/sh -c 'mkdir -p -- \"$@\"' sh {' '.join(quoted(str(path)) for path in here.writable)}",
        f"ExecStart={_command(_ourselves(here, 'run'))}",
        *_restarting(here.systemd),
        "# 78: the configuration is wrong. Starting again won't mend it.",
        "RestartPreventExitStatus=78",
        "# The loop that does the work sends the sign of life, so a loop that hangs is killed and started again.",
        "WatchdogSec=60s",
        "TimeoutStartSec=2min",
        "TimeoutStopSec=15s",
        "# Its files say what somebody works on.",
        "UMask=0077",
        "# Its last words are found by this name: of a process that is gone journald can't look up the unit.",
        f"SyslogIdentifier={_stem(here.watcher)}",
        *([_UNBOUNDED] if here.trains_itself else _sandbox(here)),
        "",
        "[Install]",
        "# The user manager's own target; multi-user.target is the system's and doesn't exist here.",
        "WantedBy=default.target",
    ]
    return _sealed(lines, _facts(here))


def training_unit(here: Installation, training: Training) -> str:
    """The unit of a training that we start. Raises UnitError."""
    job = training.job
    lines = [
        *_heading(job.service),
        "[Unit]",
        f"Description=Training for job {job.name}",
        "",
        "[Service]",
        "# It counts as starting until it ends: one run at a time, and `systemctl start` waits for its result.",
        "Type=oneshot",
        "# A user manager's own PATH lacks ~/.local/bin.",
        f"Environment={quoted(f'PATH={here.home}/.local/bin:{SYSTEM_PATH}')}",
        "# Its lines reach the journal as they are written.",
        "Environment=PYTHONUNBUFFERED=1",
        *_environment(here.environment),
        *_recorded(here, training),
        "# Yours, where it exists: PYTHONPATH=, CUDA_VISIBLE_DEVICES=, PATH= for the training alone.",
        f"EnvironmentFile=-{_pattern(here.environment_file)}",
        *([f"# {training.note}"] if training.note else []),
        f"ExecStart={_command(training.command)}",
        "# Hours are normal. A limit belongs in a drop-in: TimeoutStartSec=12h",
        "TimeoutStartSec=infinity",
        "# SIGTERM to the main process alone, which then has 5 min to save and to end its workers.",
        "KillMode=mixed",
        "TimeoutStopSec=5min",
        "# Everything else on this machine goes first. No io weight: user managers aren't given that controller.",
        "Slice=background.slice",
        "Nice=10",
        "CPUWeight=20",
        "IOSchedulingClass=idle",
        "# When memory runs out the training goes, not the desktop.",
        "OOMScoreAdjust=500",
        f"SyslogIdentifier={_stem(job.service)}",
        "# No sandbox: it would hide the GPU, and break podman, JIT compilers and what they share in /tmp.",
    ]
    facts = [
        *_facts(here),
        ("Job", job.name),
        *(("Paths", quoted(str(path))) for path in job.paths),
        ("Command", " ".join(map(quoted, job.command))),
        ("Marker", quoted(str(job.marker))),
    ]
    return _sealed(lines, facts)


def drop_in(here: Installation, training: Training) -> str:
    """What makes somebody else's unit record its beginning and end. Raises UnitError."""
    job = training.job
    lines = [
        "# Written by `training-watch install`, so that this unit's runs are recorded and its cooldown kept.",
        "# The unit itself is yours and stays as it is.",
        "",
        "[Service]",
        *_environment(here.environment),
        *_recorded(here, training),
    ]
    facts = [*_facts(here), ("Job", job.name), ("Marker", quoted(str(job.marker)))]
    return _sealed(lines, facts)


def _heading(unit: str) -> list[str]:
    return [
        "# Written by `training-watch install`. Your own settings belong in a drop-in, which is respected:",
        f"#   systemctl --user edit {unit}",
        "",
    ]


def _notifying(systemd: int) -> list[str]:
    # An older systemd takes the unknown type for Type=simple, and then drops READY and STATUS (measured, 252).
    if systemd >= 253:
        return [
            "# Ready when the watches are set; a reload reads the configuration anew.",
            "Type=notify-reload",
        ]
    return [
        "# Ready when the watches are set; a reload reads the configuration anew (kill(1) may be missing, sh isn't).",
        "Type=notify",
        "ExecReload=:/bin/sh -c 'kill -HUP $MAINPID'",
    ]


def _restarting(systemd: int) -> list[str]:
    lines = ["# Whatever kills it: what it has to remember is on the disk.", "Restart=on-failure"]
    if systemd >= 254:
        return [
            *lines,
            "# From 2 s up to 5 min, in six steps.",
            "RestartSec=2s",
            "RestartSteps=6",
            "RestartMaxDelaySec=5min",
        ]
    return [*lines, "# Growing delays came with systemd 254. 30 s is arbitrary.", "RestartSec=30s"]


_UNBOUNDED = '# No sandbox and no limits: a job has launcher = "process", so its training runs in here.'


def _sandbox(here: Installation) -> list[str]:
    return [
        "# It mostly sleeps. The numbers are arbitrary, and far above what it was seen to use.",
        "Slice=background.slice",
        "Nice=5",
        "MemoryHigh=256M",
        "TasksMax=64",
        "# It may write to the folders below and nowhere else, and reach no network. Systemd before 254, and kernels",
        "# that restrict user namespaces, skip the mount options silently. Never add PrivateUsers=, PrivateDevices=,",
        "# BindPaths= or CapabilityBoundingSet=: where user namespaces are restricted, the unit then doesn't start.",
        "ProtectSystem=strict",
        "ProtectHome=read-only",
        f"ReadWritePaths={' '.join(_folder(path) for path in here.writable)}",
        *(
            ["PrivateTmp=yes"]
            if here.private_tmp
            else ["# No PrivateTmp=: something that it needs lies under /tmp or /var/tmp."]
        ),
        "# Nothing of the kernel's own is a watcher's to change. Where user namespaces are restricted, what these need",
        "# of them is skipped, too (measured, 252 and 257).",
        "ProtectClock=yes",
        "ProtectControlGroups=yes",
        "ProtectHostname=yes",
        "ProtectKernelModules=yes",
        "ProtectKernelTunables=yes",
        "KeyringMode=private",
        "# These work everywhere, and a watcher needs none of what they forbid.",
        "NoNewPrivileges=yes",
        "LockPersonality=yes",
        "RestrictRealtime=yes",
        "RestrictSUIDSGID=yes",
        "RestrictNamespaces=yes",
        "RestrictAddressFamilies=AF_UNIX",
        "SystemCallArchitectures=native",
        "SystemCallFilter=@system-service",
        "SystemCallErrorNumber=EPERM",
    ]


def _recorded(here: Installation, training: Training) -> list[str]:
    unit = training.job.service
    status = quoted(f"TRAINING_STATUS_FILE={training.status_file}")
    mark = [str(training.job.marker), *_ourselves(here, "mark", unit)]
    return [
        "# Where the training may say how far it is.",
        f"Environment={status}",
        "# Records the run and the content it trains on; a failure here (-) is no reason not to train.",
        f"ExecStartPre=-{_command(_ourselves(here, 'begin', unit))}",
        "# Records the end, however the run ended. Should our program be broken, the shell writes the marker, or",
        "# nothing would keep the cooldown; not after a start that was skipped or put off (75): that was no run.",
        f"ExecStopPost=:/bin/sh -c {_folded(_MARK)} sh \\\n    {' '.join(map(quoted, mark))}",
    ]


# "$1" is the marker, the rest our own command. `date -Iseconds` is what GNU, busybox and uutils share;
# /proc/uptime counts a night asleep, as CLOCK_BOOTTIME does. PATH may be anything after the environment file.
_MARK = (
    'm=$1; shift; "$@" && exit;',
    "case $SERVICE_RESULT/$EXIT_STATUS in exec-condition/*|*/75) exit 0;; esac;",
    'PATH=$PATH:/usr/bin:/bin; mkdir -p -- "${m%/*}"; n=$(mktemp -- "$m.XXXXXX") &&',
    "read -r b </proc/sys/kernel/random/boot_id && read -r u rest </proc/uptime &&",
    '{ date -Iseconds && echo "$b $u"; } >"$n" && mv -f -- "$n" "$m" &&',
    'echo "Training marker updated by the shell, because training-watch mark failed" && exit;',
    'rm -f -- "$n"; exit 1',
)


def _ourselves(here: Installation, *words: str) -> list[str]:
    # -I: a PYTHONPATH or PYTHONHOME that is meant for the training must not break the record of it.
    return [str(here.python), "-I", "-m", "training_watch", "--config", str(here.config), *words]


def _environment(variables: Iterable[tuple[str, str]]) -> list[str]:
    lines = [f"Environment={quoted(f'{name}={value}')}" for name, value in variables]
    return ["# As the shell had it when `install` ran.", *lines] if lines else []


def _stem(unit: str) -> str:
    return unit.removesuffix(".service").replace("%", "%%")


# ---- what a unit says of itself ---------------------------------------------------------------


def _facts(here: Installation) -> list[tuple[str, str]]:
    return [("Config", quoted(str(here.config)))]


def _sealed(lines: Sequence[str], facts: Sequence[tuple[str, str]]) -> str:
    body = "\n".join(
        [
            *lines,
            "",
            f"[{SECTION}]",
            "# Systemd ignores this section; training-watch reads it.",
            *(f"{name}={value}" for name, value in facts),
            "",
        ]
    )
    return f"{body}Hash={_hash(body)}\n"


def _hash(body: str) -> str:
    import hashlib  # noqa: PLC0415 - it loads OpenSSL; the daemon reads units, and never asks for this

    return hashlib.sha256(body.encode("utf-8", "surrogateescape")).hexdigest()


def ours(text: str) -> bool:
    """Whether `install` wrote this unit or drop-in, edited since or not."""
    return f"[{SECTION}]" in text.split("\n")


def edited(text: str) -> bool:
    """Whether a person has edited our unit or drop-in since `install` wrote it."""
    body, found, seal = text.rpartition("Hash=")
    return ours(text) and not (found and seal == f"{_hash(body)}\n")


def fact(text: str, name: str) -> list[str]:
    """What the unit says of itself under that name: one value for each such line, in rendered form."""
    lines = text.split("\n")
    if not ours(text):
        return []
    section = lines[lines.index(f"[{SECTION}]") + 1 :]
    return [line.removeprefix(f"{name}=") for line in section if line.startswith(f"{name}=")]


def disagreement(text: str, config: Path, job: Job) -> str | None:
    """How our installed unit or drop-in differs from the configuration, in a sentence; None if it doesn't.

    What only `install` can know, such as where a program was found, isn't compared. A unit that isn't
    ours never disagrees.
    """
    if not ours(text):
        return None
    wanted = {
        "Config": ("configuration", [quoted(str(config))]),
        "Paths": ("paths", [quoted(str(path)) for path in job.paths]),
        "Command": ("command", [" ".join(map(quoted, job.command))]),
        "Marker": ("marker", [quoted(str(job.marker))]),
    }
    for name, (word, values) in wanted.items():
        installed = fact(text, name)
        # A drop-in says nothing of paths and command: they are the other unit's own affair.
        if installed and installed != values:
            return (
                f"{job.service} was installed with the {word} {', '.join(installed)}, and the configuration says "
                f"{', '.join(values)}: run `{anywhere(config)} install`"
            )
    return None


# ---- words ------------------------------------------------------------------------------------


def quoted(word: str) -> str:
    """One word of an Exec*= or Environment= line, such that systemd reads it back as it is.

    Percent signs are specifiers (systemd.unit(5)); quotes and C escapes are systemd.syntax(7)'s. `$` is
    not touched: Environment= takes it literally, and our Exec*= lines begin with a colon
    (systemd.service(5)), because a doubled `$` would stay doubled in the program's own path.
    """
    if _plain(word):
        return word.replace("%", "%%")
    quote = "'" if '"' in word and "'" not in word else '"'
    return f"{quote}{''.join(_escaped(each, quote) for each in word)}{quote}"


def _plain(word: str) -> bool:
    return bool(word) and all(each.isalnum() or each in "_./:=@,+%~-" for each in word)


def _escaped(character: str, quote: str) -> str:
    code = ord(character)
    if code == 0:
        raise UnitError("no word can hold a NUL byte")
    if character in ("\\", quote):
        return f"\\{character}"
    if character == "%":
        return "%%"
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8 (PEP 383)
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x20 or code == 0x7F else character


def _folded(script: Sequence[str]) -> str:
    """A shell script in single quotes, over several lines that systemd joins with a space each."""
    return "'" + " \\\n    ".join("".join(_escaped(each, "'") for each in line) for line in script) + "'"


def _command(words: Sequence[str]) -> str:
    """An Exec*= line: the words as they are, nothing expanded. Raises UnitError."""
    program = words[0]
    if not program.startswith("/"):
        raise UnitError(f"{program!r}: a unit needs its program's absolute path")
    # In the program's own path systemd refuses quotes, backslashes and control characters ("Executable name
    # contains special characters"), however well escaped. A shell takes it as any other word.
    if re.search(r"[\"'\\\x00-\x1f\x7f\udc80-\udcff]", program):
        words = ("/bin/sh", "-c", 'exec "$0" "$@"', *words)
    return f":{' '.join(map(quoted, words))}"


def _folder(path: PurePath) -> str:
    r"""One word of ReadWritePaths=, where a backslash only ever stands for the next character (\t is a t).

    The leading - lets the unit start without the folder. Raises UnitError.
    """
    text = f"-{_whole(path)}"
    escaped = "".join(_escaped(each, '"') for each in text)
    return escaped if _plain(text) else f'"{escaped}"'


def _pattern(path: PurePath) -> str:
    """EnvironmentFile='s value: never unquoted, but a glob(7) pattern. Raises UnitError."""
    return re.sub(r"([\\*?\[])", r"\\\1", _whole(path)).replace("%", "%%")


def _whole(path: PurePath) -> str:
    """The path, if it is text that a line of a unit file can hold as it is. Raises UnitError."""
    text = str(path)
    if re.search(r"[\x00-\x1f\x7f]", text):
        raise UnitError(
            f"{text!r}: a unit file can't name a path with a line break or another control character: rename it"
        )
    try:
        os.fsencode(text).decode("utf-8")
    except UnicodeDecodeError:
        raise UnitError(f"{text!r}: a unit file can't name a path that is not UTF-8: rename it") from None
    return text
