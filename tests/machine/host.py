"""Where an end-to-end test runs: something with a user, a home and a user manager.

Two kinds keep the same promises: a machine of our own (machine.py), which can reboot and lose power, and the user
manager that is already here, which can't, and where every unit name must therefore be unique and every file lie in a
temporary folder. A test takes a `Host` and asks `can_reboot` before it needs the difference.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

Command = str | list[str]
"""A string goes through bash, a list doesn't."""

Place = str | PurePosixPath
"""A path on the host. A relative one starts at the host's `home`."""

TAIL = 4000  # characters of each stream in an error: enough for a traceback, still readable in a CI log


@dataclass(frozen=True, slots=True)
class Names:
    """The units a test may create, start and stop."""

    watcher: str = "training-watch.service"
    training: str = "crystal-train.service"


class CommandError(Exception):
    """A command ended with another exit status than 0, or didn't end in time."""

    def __init__(self, cmd: Command, how: str, stdout: str, stderr: str) -> None:
        """Take the tails here, so that the message is whole wherever it is printed."""
        shown = cmd if isinstance(cmd, str) else shlex.join(cmd)
        parts = [f"{how}: {shown}"]
        parts += [
            f"--- {name}\n{text[-TAIL:].rstrip()}"
            for name, text in (("stdout", stdout), ("stderr", stderr))
            if text.strip()
        ]
        super().__init__("\n".join(parts))


class Host(Protocol):
    """What the scenarios need. Relative paths start at `home`; files and commands are the user's."""

    @property
    def home(self) -> PurePosixPath:
        """Where the scenario keeps everything; the user's real home on a Machine, a temporary folder elsewhere."""

    @property
    def names(self) -> Names: ...

    @property
    def can_reboot(self) -> bool:
        """Whether this is a Machine, with reboot() and power_cut()."""

    def user(
        self,
        cmd: Command,
        *,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        timeout: float = 60,
        cwd: Place | None = None,
        stdin: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run as the user. With check, a status other than 0 raises CommandError; a timeout always does."""

    def start(
        self, cmd: Command, *, env: Mapping[str, str] | None = None, cwd: Place | None = None
    ) -> subprocess.Popen[str]:
        """Start as the user, stdout and stderr piped. Signals sent to the Popen reach the command."""

    def write(self, path: Place, text: str) -> None: ...
    def read(self, path: Place) -> str: ...
    def exists(self, path: Place) -> bool: ...
    def remove(self, path: Place) -> None: ...

    def journal(self, unit: str) -> str:
        """All that the unit, and systemd about the unit, has logged, over all boots."""

    def cleanup(self) -> None: ...


class Files:
    """Files through the user's own commands: the right owner, umask and mounts, and no symlink leads out of a guest."""

    def user(
        self,
        cmd: Command,
        *,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        timeout: float = 60,
        cwd: Place | None = None,
        stdin: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        raise NotImplementedError

    def write(self, path: Place, text: str) -> None:
        """Open, truncate, write, close, as a simple editor does; missing folders are made."""
        self.user(["sh", "-c", 'mkdir -p -- "$(dirname -- "$1")" && cat >"$1"', "sh", str(path)], stdin=text)

    def read(self, path: Place) -> str:
        return self.user(["cat", "--", str(path)]).stdout

    def exists(self, path: Place) -> bool:
        """True for a dangling symlink too: its name is there."""
        return (
            self.user(["sh", "-c", '[ -e "$1" ] || [ -L "$1" ]', "sh", str(path)], check=False).returncode
            == 0
        )

    def remove(self, path: Place) -> None:
        """Remove a file or a whole tree; that it is missing is no error."""
        self.user(["rm", "-rf", "--", str(path)])

    def journal(self, unit: str) -> str:
        # --sync is root's; what a unit wrote before it ended is in the journal within milliseconds, so a test that
        # looks for a line asks with eventually().
        return self.user(
            ["journalctl", "--user", "--no-pager", "--quiet", "-o", "short-precise", "-u", unit]
        ).stdout


def words(cmd: Command) -> list[str]:
    return ["/bin/bash", "-c", cmd] if isinstance(cmd, str) else cmd


def launch(
    kind: type[subprocess.Popen[str]],
    argv: list[str],
    *,
    stdin: int = subprocess.DEVNULL,
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
) -> subprocess.Popen[str]:
    return kind(
        argv,
        text=True,
        encoding="utf-8",
        errors="replace",
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=env,
        cwd=cwd,
        umask=0o022,
    )


def finish(
    process: subprocess.Popen[str], cmd: Command, *, check: bool, timeout: float, stdin: str | None
) -> subprocess.CompletedProcess[str]:
    """Feed it, wait for it, and judge it; in errors it is called `cmd`, the words that the test wrote."""
    with process:
        try:
            stdout, stderr = process.communicate(stdin or "", timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            stdout, stderr = _rest(process)
            raise CommandError(cmd, f"not done after {timeout:g} s", stdout, stderr) from None
        except BaseException:  # Ctrl-C, or pytest's own timeout
            process.kill()
            raise
    if check and process.returncode != 0:
        raise CommandError(cmd, f"exit status {process.returncode}", stdout, stderr)
    return subprocess.CompletedProcess(words(cmd), process.returncode, stdout, stderr)


def _rest(process: subprocess.Popen[str]) -> tuple[str, str]:
    """Return what a killed command had said. Its children may live on and hold the pipes: those are not waited for."""
    try:
        return process.communicate(timeout=2)
    except subprocess.TimeoutExpired as late:
        said = [
            part.decode(errors="replace") if isinstance(part, bytes) else ""
            for part in (late.stdout, late.stderr)
        ]
        return said[0], said[1]


class OwnManager(Files):
    """The user manager that runs the tests' own user.

    HOME stays as it is, because the manager has it too; a scenario says with --config, and in its config, that all
    it reads and writes lies under `home`.
    """

    can_reboot = False

    def __init__(self) -> None:
        tag = uuid.uuid4().hex[:8]
        self.names = Names(f"training-watch-test-{tag}.service", f"crystal-train-test-{tag}.service")
        # Not under /tmp: the watcher's unit has PrivateTmp=, and wouldn't see it.
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        cache.mkdir(parents=True, exist_ok=True)
        self.home = PurePosixPath(tempfile.mkdtemp(prefix="training-watch-test-", dir=cache))
        self._env = {**os.environ, "LANG": "C.UTF-8"}
        # ssh, cron and CI often lack it, and then systemctl says only "Failed to connect to bus".
        self._env.setdefault("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")

    @staticmethod
    def missing() -> str | None:
        """Say why it can't be used, or nothing."""
        if os.getuid() == 0:
            return "root's own user manager is no place for tests"
        runtime = os.environ.get("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
        if shutil.which("systemctl") is None:
            return "no systemctl"
        asked = subprocess.run(
            ["systemctl", "--user", "is-system-running"],
            check=False,
            capture_output=True,
            text=True,
            env={**os.environ, "XDG_RUNTIME_DIR": runtime},
        )
        state = asked.stdout.strip()
        return (
            None if state in {"running", "degraded"} else f"no user manager ({asked.stderr.strip() or state})"
        )

    def user(
        self,
        cmd: Command,
        *,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        timeout: float = 60,
        cwd: Place | None = None,
        stdin: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        process = self._launch(cmd, env, cwd, subprocess.PIPE)
        return finish(process, cmd, check=check, timeout=timeout, stdin=stdin)

    def start(
        self, cmd: Command, *, env: Mapping[str, str] | None = None, cwd: Place | None = None
    ) -> subprocess.Popen[str]:
        return self._launch(cmd, env, cwd, subprocess.DEVNULL)

    def _launch(
        self, cmd: Command, env: Mapping[str, str] | None, cwd: Place | None, stdin: int
    ) -> subprocess.Popen[str]:
        where = str(self.home / (cwd or "."))
        return launch(subprocess.Popen, words(cmd), stdin=stdin, env={**self._env, **(env or {})}, cwd=where)

    def cleanup(self) -> None:
        """Stop and forget our two units, and remove all files."""
        units = [self.names.watcher, self.names.training]
        config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        self.user(["systemctl", "--user", "disable", "--now", *units], check=False)
        self.user(["systemctl", "--user", "stop", *units], check=False)
        self.user(["systemctl", "--user", "reset-failed", *units], check=False)
        for unit in units:
            (config / "systemd/user" / unit).unlink(missing_ok=True)
            shutil.rmtree(config / "systemd/user" / f"{unit}.d", ignore_errors=True)
        self.user(["systemctl", "--user", "daemon-reload"], check=False)
        shutil.rmtree(self.home, ignore_errors=True)
