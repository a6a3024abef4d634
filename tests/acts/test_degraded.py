"""Degraded is a state: shown with its cause, its extent and its mend wherever a person may look."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from acts.conftest import PROGRAM, Home, Manager
from acts.test_daemon import until
from machine.waiting import eventually
from needs import lacking

# Enough for the folder above docs and four more.
WATCHES = 5


@contextmanager
def limited_daemon(home: Home, manager: Manager) -> Iterator[subprocess.Popen[str]]:
    """The daemon, where the kernel allows a few watches only (namespaces(7), /proc/sys/user)."""
    limit = f'echo {WATCHES} >/proc/sys/user/max_inotify_watches && exec "$@"'
    words = ["unshare", "-Ur", "sh", "-c", limit, "sh", str(PROGRAM), "run"]
    if subprocess.run([*words[:4], limit, "sh", "true"], capture_output=True, check=False).returncode:
        lacking("no user namespace with limits of its own")
    with subprocess.Popen(
        words, env=home.environment(NOTIFY_SOCKET=str(manager.path)), stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


def test_a_watch_limit_in_the_middle_of_the_tree_is_told_everywhere_and_loses_nothing(
    home: Home, manager: Manager
) -> None:
    for number in range(10):
        (home.path / f"docs/part-{number}").mkdir()
        home.edit("text", f"part-{number}/a.md")
    home.config.write_text(home.config.read_text() + 'poll_interval = "1s"\n')
    home.marker.parent.mkdir(parents=True)
    home.run("check")
    home.marker.write_text("2020-01-01T00:00:00Z\n")
    with limited_daemon(home, manager) as process:
        until(lambda: "inotify's limit of 5 watches is reached; polled: " in manager, "STATUS= tells")
        eventually(lambda: home.runs() == 1, 20, "the first training has run")
        until(lambda: "STATUS=nothing to train (inotify: inotify's limit" in manager, "it has ended")
        screen = home.run("status").stdout
        assert "degraded  inotify's limit of 5 watches is reached: looked into every 1s instead: " in screen
        assert "mend      sudo sysctl fs.inotify.max_user_watches=524288" in screen
        (gap,) = json.loads(home.run("status", "--json").stdout)["jobs"]["docs"]["watching"]["gaps"]
        polled = next(name for name in gap["folders"] if "part-" in name)
        (Path(polled) / "a.md").write_text("changed where no event tells")
        until(lambda: "STATUS=cooldown until" in manager, "the change is found all the same")
        process.send_signal(signal.SIGTERM)
        _, journal = process.communicate(timeout=20)
    assert "looking every 1 s in " in journal
    assert "to mend it: sudo sysctl fs.inotify.max_user_watches=524288" in journal
