"""A home of its own, and systemctl and loginctl as programs in PATH that write down what they are asked."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from training_watch import places
from training_watch.config import Config, LauncherName
from training_watch.installing import Wanted, install, uninstall

# `/show/UNIT` holds what `show` says of it, `/fails/VERB` what that verb says when it fails.
SYSTEMCTL = """\
#!/bin/sh
[ "$1" = --user ] && shift
[ "$1" = --no-ask-password ] && shift
echo "systemctl $*" >>"$FAKE/asked"
[ -e "$FAKE/gone" ] && { echo "Failed to connect to bus: No medium found" >&2; exit 1; }
[ -e "$FAKE/fails/$1" ] && { cat "$FAKE/fails/$1" >&2; exit 1; }
case "$*" in
  --version) echo "systemd 252 (252.39-1~deb12u2)";;
  "show --property=UnitPath") echo "UnitPath=$HOME/.config/systemd/user.control $HOME/.config/systemd/user";;
  "show --property=Version") echo "Version=252";;
  show*) for unit; do :; done; cat "$FAKE/show/$unit" 2>/dev/null || echo LoadState=not-found;;
  enable*) mkdir -p "$HOME/.config/systemd/user/default.target.wants"
    ln -sf "../$2" "$HOME/.config/systemd/user/default.target.wants/$2";;
  "disable --now"*) rm -f "$HOME/.config/systemd/user/default.target.wants/$3";;
esac
"""
LOGINCTL = """\
#!/bin/sh
echo "loginctl $*" >>"$FAKE/asked"
case "$*" in
  show-user*) cat "$FAKE/linger" 2>/dev/null;;
  *enable-linger) [ -e "$FAKE/fails/linger" ] && { cat "$FAKE/fails/linger" >&2; exit 1; }; echo yes >"$FAKE/linger";;
esac
exit 0
"""
JOURNALCTL = """\
#!/bin/sh
echo "the daemon's last words"
"""


@dataclass
class Desk:
    """One user at one machine: the home, what was said, and what systemd was asked."""

    home: Path
    fake: Path
    said: list[str] = field(default_factory=list)

    @property
    def config(self) -> Path:
        return self.home / ".config/training-watch/config.toml"

    @property
    def docs(self) -> Path:
        return self.home / "project/docs"

    def unit(self, name: str = places.TRAINING_UNIT) -> Path:
        return self.home / ".config/systemd/user" / name

    @property
    def watcher(self) -> Path:
        return self.unit(places.WATCHER_UNIT)

    @property
    def drop_in(self) -> Path:
        return self.unit(f"{places.TRAINING_UNIT}.d/10-training-watch.conf")

    def install(
        self,
        *watch: Path,
        exec_command: str | None = None,
        job: str | None = None,
        ignore: tuple[str, ...] = (),
        debounce: float | None = None,
        cooldown: float | None = None,
        dry_run: bool = False,
        replace: bool = False,
        launcher: LauncherName | None = None,
        containers: Sequence[str] = (),
    ) -> Config:
        wanted = Wanted(
            watch=watch or (() if self.config.exists() else (self.docs,)),
            exec_command=exec_command,
            job=job,
            ignore=ignore,
            debounce=debounce,
            cooldown=cooldown,
            launcher=launcher,
        )
        return self.ask(wanted, dry_run=dry_run, replace=replace, containers=containers)

    def ask(
        self,
        wanted: Wanted,
        *,
        dry_run: bool = False,
        replace: bool = False,
        containers: Sequence[str] = (),
    ) -> Config:
        self.said.clear()
        return install(
            wanted,
            config_path=self.config,
            dry_run=dry_run,
            replace=replace,
            watcher_unit=places.WATCHER_UNIT,
            say=self.said.append,
            containers=containers,
        )

    def uninstall(self, *, purge: bool = False) -> None:
        self.said.clear()
        uninstall(
            purge=purge, config_path=self.config, watcher_unit=places.WATCHER_UNIT, say=self.said.append
        )

    def told(self) -> str:
        return "\n".join(self.said)

    def asked(self) -> list[str]:
        """What systemctl and loginctl were asked to do; questions are left out."""
        try:
            lines = (self.fake / "asked").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [line for line in lines if " show" not in line and "--version" not in line]

    def forget_asked(self) -> None:
        (self.fake / "asked").unlink(missing_ok=True)

    def show(self, unit: str, **properties: str) -> None:
        (self.fake / "show").mkdir(exist_ok=True)
        (self.fake / "show" / unit).write_text(
            "".join(f"{name}={value}\n" for name, value in properties.items())
        )

    def fail(self, verb: str, saying: str) -> None:
        (self.fake / "fails").mkdir(exist_ok=True)
        (self.fake / "fails" / verb).write_text(saying)

    def tree(self) -> dict[str, str]:
        """Every file and link below the home, with what is in it."""
        found = {}
        for folder, folders, files in os.walk(self.home):
            for name in (*folders, *files):
                path = Path(folder) / name
                inside = os.readlink(path) if path.is_symlink() else "" if path.is_dir() else path.read_text()
                found[str(path.relative_to(self.home))] = inside
        return found


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    # Each of these characters means something to systemd, to a shell or to TOML.
    home, fake = tmp_path / "ho me 100%h $X 'q' \"d\"", tmp_path / "fake"
    (home / "project/docs").mkdir(parents=True)
    (fake / "bin").mkdir(parents=True)
    for name, text in (("systemctl", SYSTEMCTL), ("loginctl", LOGINCTL), ("journalctl", JOURNALCTL)):
        program = fake / "bin" / name
        program.write_text(text)
        program.chmod(0o755)
    for name in ("bash", "fish", "zsh", "man"):
        (fake / "bin" / name).symlink_to("/bin/true")
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "CRYSTAL_STORE"):
        monkeypatch.delenv(name, raising=False)
    (fake / "share/bash-completion").mkdir(parents=True)
    (fake / "share/bash-completion/bash_completion").touch()
    monkeypatch.setenv("XDG_DATA_DIRS", f"/nowhere:{fake}/share")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SHELL", "/bin/bash")
    monkeypatch.setenv("FAKE", str(fake))
    monkeypatch.setenv("PATH", f"{fake}/bin:/usr/bin:/bin")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(fake))
    monkeypatch.chdir(home)
    return Desk(home, fake)


@pytest.fixture
def own_program(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A virtual environment as scripts/install.sh makes it, which this test seems to run from."""
    prefix = desk.home / ".local/share/training-watch/venv"
    (prefix / "bin").mkdir(parents=True)
    for name in ("python", "training-watch", "crystal"):
        (prefix / "bin" / name).write_text("#!/bin/sh\n")
        (prefix / "bin" / name).chmod(0o755)
    for page in ("man1/training-watch.1", "man5/training-watch.5", "man1/crystal.1"):
        (prefix / "share/man" / page).parent.mkdir(parents=True, exist_ok=True)
        (prefix / "share/man" / page).write_text(".TH X\n")
    (prefix / "made-by-install.sh").touch()
    links = desk.home / ".local/bin"
    links.mkdir(parents=True)
    for name in ("training-watch", "crystal"):
        (links / name).symlink_to(prefix / "bin" / name)
    monkeypatch.setattr(sys, "executable", str(prefix / "bin/python"))
    monkeypatch.setattr(sys, "prefix", str(prefix))
    return prefix
