"""A machine of our own: a bare Debian with a real systemd, a user who lingers, a reboot and a power cut.

        holder      unshare --mount --pid: a private /run with the overlay (lower: the base tree, upper: RAM) in it
          └ nspawn  in a cgroup and a time namespace of its own, once per boot
              └ leader   the guest's PID 1; commands enter its namespaces with nsenter

The holder's PID 1 is a `cat` that reads a pipe of ours. When that pipe closes, because of down() or because the tests
were killed with SIGKILL, cat ends, and the kernel kills all that runs in its namespace and forgets its mounts. So this
file can't leave a process or a mount behind, whatever happens to it; at worst some empty cgroups.

It promises never to touch the host's clock, mounts, units or user managers.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Self

from machine import debian
from machine.host import Command, CommandError, Files, Names, Place, finish, launch, words
from machine.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROJECT = Path(__file__).resolve().parents[2]

BOOTS_WITHIN = 60  # seconds; 1 to 3 are usual, a busy CI machine with two cores has been seen to take 15
HALTS_WITHIN = 120  # seconds; a unit that ignores SIGTERM holds a shutdown for DefaultTimeoutStopSec, 90 s

# What says where packages come from. Not all of PIP_*: PIP_TARGET or PIP_REQUIRE_VIRTUALENV, say, would change what
# an install means, and then the tests wouldn't see what a new user sees.
SOURCES = re.compile(
    r"PIP_(?:(?:EXTRA_)?INDEX_URL|FIND_LINKS|NO_INDEX|TRUSTED_HOST|PROXY|CERT|(?:DEFAULT_)?TIMEOUT|RETRIES"
    r"|DISABLE_PIP_VERSION_CHECK)|(?:https?|all|no)_proxy|SSL_CERT_FILE|REQUESTS_CA_BUNDLE",
    re.IGNORECASE,
)
BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")

# Nothing of the host is hidden from the guest but its /run: nspawn keeps locks and sockets there.
HOLD = r"""
set -e
mount -t proc proc /proc
mount --bind "$1" /mnt
mount -t tmpfs -o "size=$2,mode=755" tmpfs /run
mkdir /run/base /run/upper /run/work /run/root
mount --move /mnt /run/base
mount -t overlay -o lowerdir=/run/base,upperdir=/run/upper,workdir=/run/work overlay /run/root
echo held
exec cat
"""


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


# Whether a machine has a time since boot of its own. It takes Linux 5.6 and CAP_SYS_TIME, which a container hasn't.
OWN_UPTIME = Path("/proc/self/ns/time").exists() and bool(
    int(_status(os.getpid())["CapEff"], 16) >> 25 & 1  # CAP_SYS_TIME, capability.h
)
NAMESPACES = ("--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", *(("--time",) if OWN_UPTIME else ()))

_numbers = itertools.count(1)


class Machine(Files):
    """A booted guest. Use it with `with`, or call down()."""

    can_reboot = True
    names = Names()

    def __init__(
        self, suite: str = "bookworm", *, user: str = "dev", home: str = "/home/dev", memory: str = "4g"
    ) -> None:
        """Boot it: bookworm has systemd 252, trixie 257.

        A home in /var/home gets the symlink /home -> var/home, as on Silverblue. `memory` is the limit of its disk,
        which lies in RAM. The first machine of a suite ever takes a minute or two: its base tree is built.
        """
        self.suite = suite
        self.name = f"training-watch-{os.getpid()}-{next(_numbers)}"
        self.username = user
        self.home = PurePosixPath(home)
        _sweep()
        self._console: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 -- closed by down()
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0
        self._holder = subprocess.Popen(
            [
                "unshare",
                "--mount",
                "--pid",
                "--fork",
                "sh",
                "-c",
                HOLD,
                "sh",
                str(debian.base(suite)),
                memory,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._console,
            start_new_session=True,  # Ctrl-C is for the tests; the machine ends when they close the pipe
        )
        atexit.register(self.down)
        try:
            self._furnish()
            self.boot()
            self._add_user()
        except BaseException:
            self.down()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    # --- commands ---------------------------------------------------------------------------------------------------

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
        argv = self._enter(cmd, cwd, env or {}, as_user=True)
        process = launch(_Entered, argv, stdin=subprocess.PIPE)
        return finish(process, cmd, check=check, timeout=timeout, stdin=stdin)

    def root(
        self,
        cmd: Command,
        *,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        timeout: float = 60,
        cwd: Place | None = None,
        stdin: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run as the guest's root, who is weaker than the host's: it can't set the clock, for one."""
        argv = self._enter(cmd, cwd, env or {}, as_user=False)
        process = launch(_Entered, argv, stdin=subprocess.PIPE)
        return finish(process, cmd, check=check, timeout=timeout, stdin=stdin)

    def start(
        self, cmd: Command, *, env: Mapping[str, str] | None = None, cwd: Place | None = None
    ) -> subprocess.Popen[str]:
        return launch(_Entered, self._enter(cmd, cwd, env or {}, as_user=True))

    def journal(self, unit: str) -> str:
        self.root(["journalctl", "--sync"])
        return super().journal(unit)

    # --- the life of the machine --------------------------------------------------------------------------------------

    def boot(self) -> None:
        """Boot what is halted, and wait until the system, and the user's manager if there is one yet, are up."""
        groups = self._cgroups()
        _remove_cgroups(groups)
        for group in groups:
            group.mkdir(exist_ok=True)
        self._nspawn = subprocess.Popen(
            [
                *_in_cgroups(groups),
                *("nsenter", f"--target={_child(self._holder.pid)}", "--mount", "--pid", "--"),
                *_from_zero(),
                *("systemd-nspawn", "--quiet", "--directory=/run/root", f"--machine={self.name}", "--boot"),
                # No registration, no unit: both would ask the host's systemd, which may not be there (a container).
                *("--register=no", "--keep-unit", "--console=pipe"),
                *("--resolv-conf=off", "--timezone=off", "--link-journal=no"),
                *(f"--bind-ro={folder}" for folder in self._binds),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._console,
            stderr=self._console,
            start_new_session=True,
            # 257 refuses cgroup v1, which the host may still have beside v2.
            env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        )
        self._leader = eventually(
            self._find_leader, BOOTS_WITHIN, f"{self.name} has a PID 1", every=0.02, also=self._console_tail
        )
        # Where our commands run. From outside the guest's cgroup namespace logind 257 refuses them: EUNATCH, shown as
        # "Protocol driver not attached".
        self._inside = groups[0] / "payload/tests"
        self._inside.mkdir()
        self._settle(self.root, "system")
        if (self._tree / "var/lib/systemd/linger" / self.username).exists():
            self._settle(self.user, "user manager", "--user")

    def halt(self) -> None:
        """Shut down, as `systemctl poweroff` does; boot() goes on from there."""
        self._shut_down("poweroff")

    def reboot(self) -> None:
        """Shut down and boot again: the disk stays; /tmp, /run, the boot id and the time since boot start anew."""
        self._shut_down("reboot")
        self.boot()

    def power_cut(self) -> None:
        """Kill everything at once, and boot again.

        Kinder than a real one in one way: what was written but not fsynced survives, because the host's kernel goes
        on. That an order of writes is safe must be tested elsewhere.
        """
        os.kill(self._leader, signal.SIGKILL)  # with a PID 1 the kernel kills its whole namespace
        self._await_nspawn(HALTS_WITHIN)
        self.boot()

    def down(self) -> None:
        """Pull the plug and forget the disk. Calling it twice is no error."""
        atexit.unregister(self.down)
        for process in (self._holder, self._nspawn):
            if process is None:
                continue
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:  # never seen
                process.kill()
                process.wait()
        self._console.close()
        if self._nspawn is not None:
            self._nspawn = None
            groups = self._cgroups()
            eventually(
                lambda: _remove_cgroups(groups), 10, f"the cgroups of {self.name} are free", every=0.02
            )

    cleanup = down

    # --- facts --------------------------------------------------------------------------------------------------------

    @property
    def systemd_version(self) -> int:
        return int(self.root(["systemctl", "--version"]).stdout.split()[1])

    @property
    def boot_id(self) -> str:
        return self.root(["cat", "/proc/sys/kernel/random/boot_id"]).stdout.strip()

    def copy_project(self, to: str = "project") -> PurePosixPath:
        """Give the user a checkout of this work tree as it is now, uncommitted work included; return where.

        What git would offer to commit goes over as one commit. Not a clone of HEAD: CI checks out with --depth=1 and
        another owner, and git's refusals of both have nothing to do with what is tested here.
        """
        listed = subprocess.run(
            ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            check=True,
            cwd=PROJECT,
            capture_output=True,
            text=True,
        ).stdout.split("\0")
        there = sorted(
            {name for name in listed if name and os.path.lexists(PROJECT / name)}
        )  # not the deleted ones
        with tempfile.TemporaryFile() as archive:
            subprocess.run(
                ["tar", "-c", "--null", "--files-from=-", "--owner=0", "--group=0"],
                check=True,
                cwd=PROJECT,
                input="\0".join(there).encode(),
                stdout=archive,
            )
            archive.seek(0)
            self.user(["mkdir", "-p", to])
            unpack = self._enter(["tar", "-x", "-C", to], None, {}, as_user=True)
            subprocess.run(unpack, check=True, stdin=archive, stdout=subprocess.DEVNULL)
        who = "-c user.name=dev -c user.email=dev@machine.invalid"
        self.user(
            f"git init -q -b main && git add -A && git {who} commit -q -m 'The work tree under test'", cwd=to
        )
        return self.home / to

    # --- inside -------------------------------------------------------------------------------------------------------

    @property
    def _tree(self) -> Path:
        """The guest's disk, seen from here."""
        return Path(f"/proc/{_child(self._holder.pid)}/root/run/root")

    def _furnish(self) -> None:
        """Write what a guest needs before it boots: a name, and how this machine reaches its package sources."""
        out = self._holder.stdout
        if out is None or out.readline() != b"held\n":
            raise RuntimeError(f"cannot mount the disk of {self.name}:\n{self._console_tail()}")
        tree = self._tree
        (tree / "etc/machine-id").write_text("")  # empty: the first boot makes one up, later ones keep it
        (tree / "etc/hostname").write_text(f"{self.name}\n")
        for setting in ("/etc/resolv.conf", "/etc/hosts", *map(str, Path("/etc/apt/apt.conf.d").glob("99*"))):
            _copy(setting, tree / setting[1:])
        own_bundle = os.environ.get("SSL_CERT_FILE", "")
        bundle = next((file for file in (own_bundle, *BUNDLES) if file and Path(file).is_file()), BUNDLES[0])
        _copy(bundle, tree / "etc/ssl/certs/ca-certificates.crt")
        # Two of the places pip reads, the weaker first, so that the user's own settings win as they do on the host.
        own = os.environ.get("PIP_CONFIG_FILE") or next(
            (
                str(file)
                for file in (Path.home() / ".config/pip/pip.conf", Path.home() / ".pip/pip.conf")
                if file.exists()
            ),
            "/nonexistent",
        )
        _copy("/etc/pip.conf", tree / "etc/xdg/pip/pip.conf")
        _copy(own, tree / "etc/pip.conf")
        self._sources = {key: value for key, value in os.environ.items() if SOURCES.fullmatch(key)}
        # Whatever local path those settings name has to be where they say: a folder of packages, or a certificate.
        said = [_text("/etc/pip.conf"), _text(own), *self._sources.values()]
        self._binds: list[str] = []
        for path in {
            Path(found)
            for found in re.findall(r"(?:(?<=file://)|(?<![\w/.:-]))/[^\s'\",;]+", "\n".join(said))
        }:
            if path.is_file():
                _copy(str(path), tree / str(path)[1:])
            elif path.is_dir():
                # An index's pages link to packages beside "simple", not below it.
                self._binds.append(str(path.parent if path.name == "simple" else path))

    def _add_user(self) -> None:
        if self.home.is_relative_to("/var/home"):
            self.root("mkdir /var/home && rmdir /home && ln -s var/home /home")
        self.root(
            ["useradd", "--create-home", "--home-dir", str(self.home), "--shell", "/bin/bash", self.username]
        )
        self.root(["loginctl", "enable-linger", self.username])
        self._settle(self.user, "user manager", "--user")

    def _enter(self, cmd: Command, cwd: Place | None, env: Mapping[str, str], *, as_user: bool) -> list[str]:
        """Return the command line that runs cmd in the guest."""
        name, home = (self.username, self.home) if as_user else ("root", PurePosixPath("/root"))
        clean = {
            "HOME": str(home),
            "USER": name,
            "LOGNAME": name,
            "SHELL": "/bin/bash",
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            **self._sources,
        }
        become = []
        if as_user:
            uid = self._uid()
            clean |= {
                "PATH": f"{home}/.local/bin:/usr/local/bin:/usr/bin:/bin",
                "XDG_RUNTIME_DIR": f"/run/user/{uid}",
                "DBUS_SESSION_BUS_ADDRESS": f"unix:path=/run/user/{uid}/bus",
            }
            become = [f"--reuid={name}", f"--regid={name}", "--init-groups"]
        variables = [f"{key}={value}" for key, value in {**clean, **env}.items()]
        return [
            *_in_cgroups([self._inside]),
            *("nsenter", f"--target={self._leader}", *NAMESPACES, "--"),
            *("setpriv", *become, *self._weaker(), "--"),
            *("env", "-i", "-C", str(home / (cwd or ".")), *variables),
            *words(cmd),
        ]

    def _weaker(self) -> list[str]:
        """Take away what the guest's own PID 1 hasn't: nsenter alone keeps all the host root's capabilities.

        MEASURED the hard way: `date -s` in a plain nsenter sets the clock of the host.
        """
        bounding = int(_status(self._leader)["CapBnd"], 16)
        last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
        gone = [f"-cap_{number}" for number in range(last + 1) if not bounding >> number & 1]
        return [f"--bounding-set={','.join(gone)}"] if gone else []

    def _uid(self) -> int:
        for line in Path(f"/proc/{self._leader}/root/etc/passwd").read_text().splitlines():
            name, _, uid, *_ = line.split(":")
            if name == self.username:
                return int(uid)
        raise LookupError(f"no user {self.username} in {self.name}")

    def _settle(self, who: object, what: str, *option: str) -> None:
        ask = self.user if who == self.user else self.root

        def state() -> str | None:
            said = ask(["systemctl", *option, "is-system-running"], check=False).stdout.strip()
            return said if said in {"running", "degraded"} else None

        eventually(
            state, BOOTS_WITHIN, f"the {what} of {self.name} is up", every=0.05, also=self._console_tail
        )

    def _shut_down(self, verb: str) -> None:
        # The command's own end is a matter of luck: it is killed with all others.
        self.root(["systemctl", verb], check=False)
        self._await_nspawn(HALTS_WITHIN)

    def _await_nspawn(self, within: float) -> None:
        if self._nspawn is not None:
            try:
                self._nspawn.wait(within)
            except subprocess.TimeoutExpired:
                raise AssertionError(
                    f"{self.name} still runs after {within:g} s:\n{self._console_tail()}"
                ) from None

    def _find_leader(self) -> int | None:
        """Return the guest's PID 1, as numbered here, once it is its systemd.

        Not a moment earlier: before that exec the process still has the host's root, and so would what enters it.
        """
        if self._nspawn is not None and self._nspawn.poll() is not None:
            raise RuntimeError(f"systemd-nspawn ended ({self._nspawn.returncode}):\n{self._console_tail()}")
        for pid in _descendants(self._nspawn.pid if self._nspawn else 0):
            with contextlib.suppress(OSError, KeyError):  # it may end while we look
                if (
                    _status(pid)["NSpid"].split()[-1] == "1"
                    and Path(f"/proc/{pid}/exe").readlink().name == "systemd"
                ):
                    return pid
        return None

    def _console_tail(self) -> str:
        self._console.flush()
        size = os.fstat(self._console.fileno()).st_size
        return os.pread(self._console.fileno(), 3000, max(0, size - 3000)).decode(errors="replace")

    def _cgroups(self) -> list[Path]:
        """Our own folder in each of the hierarchies.

        nspawn makes its `payload` in the cgroup that it is started in: without these, two machines would share one, and
        each systemd would kill the other's units.
        """
        return [hierarchy / self.name for hierarchy in _hierarchies()]


class _Entered(subprocess.Popen[str]):
    """A command in the guest. A signal is for the command, not for the nsenter around it.

    MEASURED: kill nsenter, and the command, dead or alive, is left to the host's PID 1. Where that one doesn't reap (a
    container's may not), the zombie stays in the guest, and its shutdown waits 10 s for it.
    """

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            command = next(_descendants(self.pid), self.pid)  # itself while it hasn't entered yet
            with contextlib.suppress(ProcessLookupError):
                os.kill(command, sig)


def missing() -> str | None:
    """Say why no machine can be booted here, or nothing."""
    if os.getuid() != 0:
        return "booting a machine takes root"
    tools = ("systemd-nspawn", "debootstrap", "unshare", "nsenter", "mount", "git", "tar")
    gone = [tool for tool in tools if shutil.which(tool) is None]
    if gone:
        return f"not installed: {', '.join(gone)}"
    return None if _hierarchies() else "no cgroup v2 is mounted"


def _child(pid: int) -> int:
    return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])


def _descendants(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            yield int(child)
            yield from _descendants(int(child))


def _from_zero() -> list[str]:
    """Start with a time since boot of about 0, as a machine does.

    nspawn gives each boot a new boot id, but no clock of its own: CLOCK_BOOTTIME and /proc/uptime would go on from the
    last boot, and a program that compares them across a reboot would pass its tests by luck. Whole seconds, and
    rounded down: an offset may not make a clock negative.
    """
    if not OWN_UPTIME:
        return []
    monotonic, boottime = (
        int(time.clock_gettime(clock)) for clock in (time.CLOCK_MONOTONIC, time.CLOCK_BOOTTIME)
    )
    return ["unshare", "--time", f"--monotonic=-{monotonic}", f"--boottime=-{boottime}", "--fork", "--"]


def _hierarchies() -> list[Path]:
    """Return where the unified cgroups are, then systemd's named ones, where the host still has v1 beside them."""
    found: dict[str, Path] = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, after = line.split(" - ")
        kind, _, options = after.split()[:3]
        if kind == "cgroup2" or (kind == "cgroup" and "name=systemd" in options.split(",")):
            found.setdefault(kind, Path(before.split()[4]))
    return [found[kind] for kind in ("cgroup2", "cgroup") if kind in found] if "cgroup2" in found else []


def _sweep() -> None:
    """Remove the empty cgroups of tests that were killed; those of tests that still run are left alone."""
    for hierarchy in _hierarchies():
        for group in hierarchy.glob("training-watch-*-*"):
            owner = group.name.split("-")[2]
            if not Path(f"/proc/{owner}").exists():
                _remove_cgroups([group])


def _in_cgroups(groups: list[Path]) -> list[str]:
    """Return the start of a command line that runs the rest of it in these cgroups."""
    enter = 'while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs" || exit; shift; done; shift; exec "$@"'
    return ["sh", "-c", enter, "sh", *map(str, groups), "--"]


def _remove_cgroups(groups: list[Path]) -> bool:
    """Remove the folders, which are all that is left of a machine that ended; False while a zombie holds one."""
    for group in groups:
        for folder, _, _ in os.walk(group, topdown=False):
            try:
                Path(folder).rmdir()
            except OSError:
                return False
    return True


def _copy(source: str, target: Path) -> None:
    if Path(source).is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        target.unlink(missing_ok=True)  # the base may have a symlink there, which would lead out of the tree
        shutil.copyfile(source, target)


def _text(path: str) -> str:
    return Path(path).read_text() if Path(path).is_file() else ""


__all__ = ["CommandError", "Machine", "missing"]
