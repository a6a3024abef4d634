"""The whole chain under test on a host: a docs folder, a training command that we control, short times.

The training is a script: it appends a line to `runs` when it begins, and does what the file `mode` says. So the count
of trainings is told by somebody who isn't under test.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from machine.host import Host
from machine.waiting import eventually

DEBOUNCE, MAX_WAIT, COOLDOWN = 1, 5, 6
# How long systemd 252 waits before it starts a killed daemon again (RestartSec= in our unit), and some more.
RESTART = 45

TRAINING = """\
#!/bin/sh
cd "$(dirname "$0")" || exit 1
echo "$(cat docs/* 2>/dev/null | cksum)" >>runs
read -r mode <mode
case $mode in
  ok) exit 0 ;;
  fail) echo "cannot train: out of luck" >&2; exit 7 ;;
  slow) while [ ! -e go ]; do sleep 0.1; done; rm go; exit 0 ;;
  later) exit 75 ;;
  mute) exit 9 ;;
esac
"""

CONFIG = """\
[job.docs]
paths = ["{home}/docs"]
debounce = "{debounce}s"
max_wait = "{max_wait}s"
cooldown = "{cooldown}s"
retries = 1
service = "{training}"
marker = "{home}/marker"
command = ["{home}/train"]
"""


class Chain:
    """One installation on one host, and questions to it."""

    def __init__(self, host: Host, program: str, *, isolated: bool) -> None:
        """`isolated`: state and cache lie below the host's home, because the manager is somebody's own."""
        self.host = host
        self._program = program
        places = {"XDG_STATE_HOME": f"{host.home}/state", "XDG_CACHE_HOME": f"{host.home}/cache"}
        self._env = {"TRAINING_WATCH_CONFIG": f"{host.home}/config.toml", **(places if isolated else {})}

    # ---- doing ----------------------------------------------------------------------------------

    def set_up(self) -> None:
        """A fresh installation: nothing known, nothing trained, the daemon running."""
        self.host.write("docs/guide.md", "# Guide\n")
        self.host.write("train", TRAINING)
        self.host.user("chmod +x train")
        self.mode("ok")
        self.configure()
        self.tw("install", "--unit", self.host.names.watcher)

    def tear_down(self) -> None:
        """Remove units, files and state, but not the program."""
        self.host.write("go", "")
        for unit in (self.host.names.watcher, self.host.names.training):
            self.host.user(
                f"""systemctl --user disable --now {unit}; systemctl --user stop {unit}
                file=$(systemctl --user show --property=FragmentPath --value {unit})
                rm -rf "$file" "$file.d"
                systemctl --user daemon-reload; systemctl --user reset-failed {unit}; true"""
            )
        self.host.user(
            "rm -rf docs more train mode runs go marker config.toml state cache .local/state/training-watch"
        )

    def configure(self, **other: object) -> None:
        known = {"debounce": DEBOUNCE, "max_wait": MAX_WAIT, "cooldown": COOLDOWN, **other}
        names = self.host.names
        self.host.write("config.toml", CONFIG.format(home=self.host.home, training=names.training, **known))

    def reload(self) -> None:
        self.host.user(["systemctl", "--user", "reload", self.host.names.watcher])

    def mode(self, word: str) -> None:
        self.host.write("mode", f"{word}\n")

    def edit(self, text: str, name: str = "docs/guide.md") -> None:
        self.host.write(name, text)

    def go(self) -> None:
        """Let a slow training end."""
        self.host.write("go", "")

    def tw(self, *words: str, check: bool = True, timeout: float = 60) -> Any:
        return self.host.user([self._program, *words], check=check, env=self._env, timeout=timeout)

    def systemctl(self, *words: str, check: bool = True) -> str:
        return self.host.user(["systemctl", "--user", *words], check=check).stdout.strip()

    def kill_daemon(self) -> None:
        self.systemctl("kill", "--kill-whom=main", "-s", "KILL", self.host.names.watcher)

    # ---- asking ---------------------------------------------------------------------------------

    def runs(self) -> int:
        """How many trainings have begun, told by the training."""
        return len(self.host.read("runs").splitlines()) if self.host.exists("runs") else 0

    def marker(self) -> str:
        return self.host.read("marker") if self.host.exists("marker") else ""

    def status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.tw("status", "--json").stdout)
        return found

    def job(self) -> dict[str, Any]:
        found: dict[str, Any] = self.status()["jobs"]["docs"]
        return found

    def waiting_for(self) -> str:
        return str(self.job()["waiting_for"])

    def active(self) -> bool:
        state = self.systemctl("show", "-p", "ActiveState", "--value", self.host.names.training)
        return state not in ("inactive", "failed")

    def journal(self) -> str:
        return self.host.journal(self.host.names.training)

    # ---- waiting --------------------------------------------------------------------------------

    def until(self, claim: Callable[[], object], saying: str, within: float = 30) -> None:
        eventually(lambda: bool(claim()), within, saying, also=self._told)

    def until_runs(self, count: int, within: float = 30) -> None:
        """Wait for the run of that number to begin, and for it and all before it to be over."""
        self.until(lambda: self.runs() >= count, f"training {count} has begun", within)
        assert self.runs() == count, "more trainings than expected"

    def until_ended(self, count: int, within: float = 30) -> None:
        self.until_runs(count, within)
        self.until(lambda: not self.active(), f"training {count} has ended", within)

    def until_waiting(self, reason: str, within: float = 30) -> None:
        self.until(lambda: self.waiting_for() == reason, f"it waits for {reason}", within)

    def until_cooldown_over(self) -> None:
        self.until(lambda: self.job()["check"]["seconds_left"] == 0, "the cooldown is over")

    def until_seen_and_settled(self) -> None:
        """Wait until the daemon has seen a change and compared the tree after it."""
        self.until(lambda: self.waiting_for() == "settling", "a change is seen", 10)
        self.until(lambda: self.waiting_for() != "settling", "the burst has settled", 10)

    def until_quiet(self, count: int, within: float = 30) -> None:
        """Wait until nothing is pending after exactly `count` trainings."""
        self.until_ended(count, within)
        self.until(
            lambda: (job := self.job())["waiting_for"] == "nothing_pending" and job["watching"],
            "nothing is pending, and the daemon says so",
            within,
        )
        assert self.runs() == count

    def _told(self) -> str:
        return str(self.tw("status", check=False).stdout)
