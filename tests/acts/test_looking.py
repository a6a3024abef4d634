"""`status` and `why`: what a person reads, of a real daemon, a real tree and real runs."""

from __future__ import annotations

import fcntl
import html
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
from pathlib import Path
from typing import Any

import pytest

from acts.conftest import PROGRAM, Home, Manager
from acts.test_daemon import daemon, until
from machine.waiting import eventually

MANUAL = Path(__file__).parents[2] / "docs"


def status(home: Home) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(home.run("status", "--json").stdout)
    return found


def job(home: Home) -> dict[str, Any]:
    found: dict[str, Any] = status(home)["jobs"]["docs"]
    return found


def why(home: Home, *words: str) -> dict[str, Any]:
    done = home.run("why", "--json", *words)
    assert (done.returncode, done.stderr) == (0, "")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def type_it(home: Home, line: str) -> str:
    """What a person copies from the screen; what it says."""
    done = subprocess.run(
        ["bash", "-euc", line], env=home.environment(), capture_output=True, text=True, check=True
    )
    return done.stdout


def trained(home: Home, manager: Manager) -> None:
    until(lambda: home.runs() == 1 and "STATUS=nothing to train" in manager, "a first training is over")


# ---- the daemon, alive or not --------------------------------------------------------------------


def test_the_daemons_health_is_told_while_it_lives(home: Home, manager: Manager) -> None:
    with daemon(home, manager) as process:
        trained(home, manager)
        for number in range(3):
            home.edit("text", f"{number}.md")
        eventually(lambda: status(home)["daemon"]["events"] >= 3, 10, "it has seen the changes")
        told = status(home)["daemon"]
        assert told["pid"] == process.pid
        assert (told["overflows"], told["config"]) == (0, str(home.config))
        assert told["rescans"] >= 1
        assert 5e6 < told["memory_bytes"] < 100e6
        first, second = home.run("status").stdout.splitlines()[:2]
    assert re.fullmatch(r"daemon    running since today \d\d:\d\d:\d\d \(\d+s, \d+ MB, pid \d+\)", first)
    assert re.fullmatch(r" {10}\d+ events, no overflow, \d+ rescans?", second)


def test_what_a_killed_daemon_said_is_never_shown(home: Home, manager: Manager) -> None:
    with daemon(home, manager) as process:
        trained(home, manager)
        assert job(home)["watching"]["mode"] == "inotify"
        process.kill()
        process.wait(20)
        report = home.path / ".local/state/training-watch/daemon.json"
        assert report.exists(), "it had no time to take it back"
        found = status(home)
        assert (found["daemon"], found["jobs"]["docs"]["watching"]) == (None, None)
        assert home.run("status").stdout.startswith("daemon    not running: training-watch run\n")


def test_a_report_of_the_one_before_is_not_taken_for_that_of_one_that_begins(
    home: Home, manager: Manager
) -> None:
    """Between taking the lock and the first report there is a moment, held here by a lock of our own."""
    with daemon(home, manager) as process:
        trained(home, manager)
        process.kill()
        process.wait(20)
    state = home.path / ".local/state/training-watch"
    with (state / "daemon.lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = status(home)
        assert found["daemon"]["pid"] is None
        assert found["jobs"]["docs"]["watching"] is None
        assert home.run("status").stdout.startswith("daemon    running: it is starting")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"schema": 2}', '{"schema": 2, "pid": "x"}', ('{"schema": 2, "pid": 1, "version": "1", '
     '"since": "2026-01-01T00:00:00Z", "config": "x", "jobs": {"docs": {"watching": 3}}}'), "[" * 5000, "\0"],
)  # fmt: skip
def test_a_report_that_makes_no_sense_is_as_good_as_none(home: Home, text: str) -> None:
    state = home.path / ".local/state/training-watch"
    state.mkdir(parents=True)
    (state / "daemon.json").write_text(text)
    with (state / "daemon.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert status(home)["jobs"]["docs"]["watching"] is None


def test_before_anything_looked_nothing_is_claimed(home: Home) -> None:
    assert "nothing known yet" in job(home)["line"]
    assert "nothing known yet" in home.run("why").stdout


# ---- the page ------------------------------------------------------------------------------------


def test_pending_files_are_named_first_then_counted(home: Home, manager: Manager) -> None:
    with daemon(home, manager):
        trained(home, manager)
        for number in range(8):
            home.edit("text", f"{number}.md")
        eventually(lambda: job(home)["waiting_for"] == "cooldown", 10, "the burst has settled")
        lines = home.run("status").stdout.splitlines()
        found = job(home)
    at = next(number for number, line in enumerate(lines) if line.startswith("  pending"))
    assert lines[at : at + 6] == [
        "  pending   ~/docs/0.md",
        *(f"            ~/docs/{number}.md" for number in range(1, 5)),
        "            and 3 more",
    ]
    assert found["pending"]["count"] == 8
    assert found["waiting_until"] == found["next_start"]
    (ahead,) = [line for line in lines if line.startswith("  next")]
    assert re.fullmatch(r"  next      (today|tomorrow) \d\d:\d\d, in (5h 59min|6h)", ahead)


def keys(value: object, above: str = "") -> set[str]:
    """Each key of an object with those above it: `jobs.NAME.pending.count`."""
    if isinstance(value, list):
        return {key for each in value for key in keys(each, f"{above}[]")}
    if not isinstance(value, dict):
        return set()
    found = set()
    for name, inner in value.items():
        path = f"{above}.{'NAME' if above == 'jobs' else name}".lstrip(".")
        found |= {path} | keys(inner, path)
    return found


def documented(command: str) -> set[str]:
    """The keys in the tables of that command's chapter."""
    chapter = (MANUAL / "status-json.md").read_text().split(f"\n## {command}\n")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+`) \|", chapter, re.MULTILINE)
    return {key for row in rows for key in re.findall(r"`([^`]+)`", row)}


def test_each_key_of_the_json_is_documented_and_no_other(home: Home, manager: Manager) -> None:
    tell = '{"schema": 1, "invocation": "\'$INVOCATION_ID\'", "phase": "train", "quality": "good"}'
    home.mode(f"echo '{tell}' >$TRAINING_STATUS_FILE; while [ ! -e go ]; do sleep 0.05; done")
    with daemon(home, manager):
        eventually(lambda: job(home)["training"], 20, "a training says how far it is")
        running = status(home)
        (home.path / "go").touch()
        eventually(lambda: job(home)["last_run"] and not job(home)["running"], 20, "it has ended")
        told = keys(running) | keys(status(home))
        asked = keys(why(home))
        path = keys(why(home, str(home.path / "docs/guide.md")))
        for command in ("check", "history", "doctor"):
            assert documented(command) == keys(json.loads(home.run(command, "--json").stdout)), command
        for line in home.run("logs", "--json").stdout.splitlines():
            assert documented("logs") == keys(json.loads(line))
    gap = {f"jobs.NAME.watching.gaps[].{name}" for name in ("cause", "mend", "polled", "count", "folders")}
    assert documented("status") == told | gap
    assert documented("why") == asked
    assert documented("why PATH") == path


# ---- --follow ------------------------------------------------------------------------------------


def test_followed_in_a_pipe_each_news_is_one_object(home: Home, manager: Manager) -> None:
    with daemon(home, manager):
        trained(home, manager)
        with subprocess.Popen(
            [PROGRAM, "status", "--follow", "--json"],
            env=home.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        ) as process:  # fmt: skip
            assert process.stdout is not None
            reasons = [json.loads(process.stdout.readline())["jobs"]["docs"]["waiting_for"]]
            home.edit("news")
            while reasons[-1] != "cooldown":
                reasons.append(json.loads(process.stdout.readline())["jobs"]["docs"]["waiting_for"])
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 130
            assert process.stderr is not None
            assert process.stderr.read() == ""
    assert reasons in (["nothing_pending", "cooldown"], ["nothing_pending", "settling", "cooldown"])


def on_a_terminal(home: Home, *words: str, columns: int, rows: int, **more: str) -> tuple[int, int]:
    """The program on a terminal of that size: its process and the terminal's other end."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(PROGRAM, [str(PROGRAM), *words], home.environment(TERM="xterm", **more))  # noqa: S606
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    return pid, terminal


def read(terminal: int, *, until_seen: str | None = None) -> str:
    """What the program writes, to its end or until something is seen."""
    told = b""
    while select.select([terminal], [], [], 20)[0]:
        try:
            told += os.read(terminal, 65536)
        except OSError:  # the other side is closed
            break
        if until_seen is not None and until_seen in told.decode(errors="replace"):
            break
    return told.decode(errors="replace")


def test_on_a_terminal_it_is_redrawn_in_place_and_the_terminal_is_given_back(
    home: Home, manager: Manager
) -> None:
    with daemon(home, manager):
        trained(home, manager)
        pid, terminal = on_a_terminal(home, "status", "--follow", columns=80, rows=8)
        assert "\x1b[?1049h" in read(terminal, until_seen="more lines")
        home.edit("news")
        read(terminal, until_seen="cooldown")
        os.write(terminal, b"\x03")
        left = read(terminal)
        _, ended = os.waitpid(pid, 0)
        os.close(terminal)
    assert os.waitstatus_to_exitcode(ended) == 130
    after = left.split("\x1b[?1049l")[1]
    assert "cooldown" in after, "what it said last stays to be read"
    assert "last run" in after, "and all of it, as there is room for it now"


def test_on_a_terminal_lines_are_folded_and_coloured_and_no_color_is_obeyed(home: Home) -> None:
    for more, coloured in (({}, True), ({"NO_COLOR": "1"}, False)):
        pid, terminal = on_a_terminal(home, "why", columns=60, rows=40, **more)
        told = read(terminal)
        os.waitpid(pid, 0)
        os.close(terminal)
        assert ("\x1b[" in told) == coloured
        lines = re.sub(r"\x1b\[\d*m", "", told).splitlines()
        assert max(map(len, lines)) <= 60


# ---- why it waits --------------------------------------------------------------------------------


def decisive(home: Home) -> str:
    """The question whose answer decided, by name: the first after the daemon's that wasn't passed."""
    steps = why(home)["jobs"]["docs"]["steps"]
    return next(str(step["question"]) for step in steps[1:] if step["passed"] is False)


def test_the_question_that_decides_is_what_status_waits_for(home: Home, manager: Manager) -> None:
    home.mode("while [ ! -e go ]; do sleep 0.05; done; rm go; exit $(cat code)")
    (home.path / "code").write_text("0")
    with daemon(home, manager):
        until(lambda: home.runs() == 1, "the first training runs")
        assert decisive(home) == job(home)["waiting_for"] == "already_running"
        (home.path / "go").touch()
        eventually(lambda: job(home)["waiting_for"] == "nothing_pending", 20, "it is over")
        assert decisive(home) == "nothing_pending"
        assert "Nothing changed" in home.run("trigger", "--dry-run", "--force").stdout
        assert "Nothing changed" not in home.run("trigger", "--dry-run").stdout, (
            "the cooldown is reason enough"
        )
        home.edit("two")
        eventually(lambda: job(home)["waiting_for"] == "cooldown", 20, "it waits for the cooldown")
        assert decisive(home) == "cooldown"
        passed = [step["question"] for step in why(home)["jobs"]["docs"]["steps"] if step["passed"]]
        assert passed[:5] == ["daemon", "already_running", "settling", "nothing_pending", "obstacle"]
        dry = home.run("trigger", "--dry-run", "--force").stdout
        assert "Nothing changed" not in dry
        commands = [way["command"] for way in why(home)["jobs"]["docs"]["ways"]]
        assert commands == ["training-watch trigger --force", "rm ~/.cache/crystal/last-training-run"]
        (home.path / "code").write_text("3")
        home.marker.unlink()
        until(lambda: home.runs() == 2, "the second training runs")
        (home.path / "go").touch()
        eventually(lambda: job(home)["waiting_for"] == "refused_for_good", 20, "it was refused")
        assert decisive(home) == "refused_for_good"


# ---- why a path ----------------------------------------------------------------------------------


def test_a_path_is_followed_from_unseen_to_trained_and_removed(home: Home, manager: Manager) -> None:
    path = home.path / "docs/guide.md"
    assert why(home, str(path))["fate"] == "unseen"
    with daemon(home, manager):
        trained(home, manager)
        first = why(home, str(path))
        assert (first["fate"], first["run"]["outcome"]) == ("trained", "succeeded")
        assert first["seen_at"] is not None
        home.edit("second")
        eventually(lambda: why(home, str(path))["fate"] == "pending", 20, "it is compared")
        assert why(home, str(path))["run"] == first["run"], "which read an earlier content"
        assert home.run("trigger", "--force", "--wait").returncode == 0
        second = why(home, str(path))
        assert second["fate"] == "trained"
        assert second["run"]["invocation"] != first["run"]["invocation"]
        home.edit("other", "other.md")
        assert home.run("trigger", "--force", "--wait").returncode == 0
        assert why(home, str(path))["run"] == second["run"], "the first run that read it, not the last"
        path.unlink()
        eventually(lambda: why(home, str(path))["fate"] == "pending", 20, "its end is compared")
        assert why(home, str(path))["removed"] is True
        assert "it was removed" in home.run("why", str(path)).stdout


def test_the_rule_that_ignores_is_named_with_its_file_and_line(home: Home) -> None:
    docs = home.path / "docs"
    (docs / "build").mkdir()
    (docs / "build/page.md").write_text("x")
    (docs / ".gitignore").write_text("# made\n\nbuild/\n")
    (docs / "a.swp").write_text("x")
    home.config.write_text(home.config.read_text() + 'ignore = ["drafts"]\n')
    for name, by, rule in (
        ("build/page.md", "build", f"build/ ({docs}/.gitignore:3)"),
        ("a.swp", "a.swp", "*.swp (built in)"),
        ("drafts/new.md", "drafts", "drafts (`ignore` in the configuration)"),
    ):
        found = why(home, str(docs / name))
        assert (found["fate"], found["by"], found["rule"]) == ("ignored", str(docs / by), rule)


def test_what_is_no_file_of_the_tree_is_told_as_what_it_is(home: Home, tmp_path: Path) -> None:
    docs = home.path / "docs"
    (tmp_path / "elsewhere").mkdir()
    (docs / "link").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(docs / "fifo")
    (tmp_path / "other-name").symlink_to(docs)
    for path, fate in (
        (tmp_path / "elsewhere/x.md", "outside"), (docs / "link/x.md", "behind_link"), (docs / "fifo", "no_content"),
        (docs / "never.md", "missing"), (docs, "folder"), (tmp_path / "other-name/guide.md", "unseen"),
    ):  # fmt: skip
        assert why(home, str(path))["fate"] == fate, path
    (docs / "link").unlink()
    (docs / "fifo").unlink()
    docs.rename(tmp_path / "gone")
    assert why(home, str(docs / "guide.md"))["fate"] == "absent"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_told(home: Home) -> None:
    (home.path / "docs/guide.md").chmod(0)
    home.run("trigger", "--wait")
    assert why(home, str(home.path / "docs/guide.md"))["fate"] == "forbidden"


# ---- the picture ---------------------------------------------------------------------------------


def labels(lines: list[str]) -> list[str]:
    """The words in the column of labels, line by line."""
    return [line[:10].strip() for line in lines if line.strip()]


def drawn(picture: str) -> list[str]:
    """The lines of an SVG in which each text has its place; the widest one says how wide a character is."""
    texts = re.findall(
        r'<text class="status-r\d+" x="([\d.]+)" y="([\d.]+)" textLength="([\d.]+)"[^>]*>([^<]*)</text>',
        picture,
    )
    lines: dict[float, str] = {}
    for x, y, length, text in texts:
        words = html.unescape(text).replace("\xa0", " ").removesuffix("\n")
        if words:
            column = round(float(x) * len(words) / float(length))
            lines[float(y)] = lines.get(float(y), "").ljust(column) + words
    return [line for _, line in sorted(lines.items())]


def test_the_readmes_picture_is_the_screen_as_it_is_now(home: Home, manager: Manager) -> None:
    """Its words were a real screen's (manual/picture.py); here a job is in the same state."""
    lines = drawn((MANUAL / "status.svg").read_text())
    began = lines.index("$ training-watch status")
    tell = '{"schema": 1, "invocation": "\'$INVOCATION_ID\'", "quality": "nDCG@10 0.5"}'
    home.mode(f"echo '{tell}' >$TRAINING_STATUS_FILE")
    home.edit("text", "index.md")
    with daemon(home, manager):
        trained(home, manager)
        for name in ("guide.md", "index.md"):
            home.edit("another text", name)
        eventually(lambda: job(home)["waiting_for"] == "cooldown", 20, "it waits for the cooldown")
        screen = home.run("status").stdout.splitlines()
    assert labels(lines[began + 1 :]) == labels(screen)


def test_each_figure_of_the_readme_is_a_measured_one() -> None:
    readme, measured = (MANUAL.parent / "README.md").read_text(), (MANUAL / "benchmarks.md").read_text()
    table = readme.split("\n## Measured\n")[1].split("\n## ")[0]
    rows = [row.strip("|").split("|") for row in table.splitlines() if row.startswith("| ")]
    figures = [cell.strip() for row in rows[1:] for cell in row[1:]]
    assert len(figures) == 5 * 3
    cells = {cell.strip() for row in measured.splitlines() if row.startswith("|") for cell in row.split("|")}
    assert [figure for figure in figures if figure not in cells] == []


# ---- what a stranger stumbled over ---------------------------------------------------------------


def test_a_configuration_that_the_daemon_has_not_read_is_told_as_that(home: Home, manager: Manager) -> None:
    with daemon(home, manager) as process:
        trained(home, manager)
        assert "changed since" not in home.run("status").stdout
        home.configure(cooldown="9min")
        mend = f"kill -HUP {process.pid}"
        assert f"changed since the daemon read it: what is new doesn't count yet: {mend}\n" in (
            home.run("status").stdout
        )
        first = why(home)["jobs"]["docs"]
        assert first["steps"][0]["passed"] is None
        assert first["ways"][0] == {"command": mend, "what": "let the configuration count"}
        found = json.loads(home.run("doctor", "--json").stdout)["findings"]
        assert mend in {each["mend"] for each in found if each["check"] == "daemon"}, "doctor says the same"
        type_it(home, mend)
        eventually(lambda: "changed since" not in home.run("status").stdout, 10, "it has read it")


def test_what_is_watched_is_what_the_daemon_watches_whatever_the_configuration_names_since(
    home: Home, manager: Manager
) -> None:
    with daemon(home, manager):
        trained(home, manager)
        home.config.write_text(home.config.read_text().replace('/docs"]', '/dcos"]'))
        assert "  watching  ~/docs (inotify, 1 folder, 1 file)\n" in home.run("status").stdout
        found = job(home)
        assert found["paths"] == [f"{home.path}/dcos"]
        assert found["watching"]["paths"] == [f"{home.path}/docs"]
        report = home.path / ".local/state/training-watch/daemon.json"
        older = json.loads(report.read_text())
        del older["jobs"]["docs"]["paths"]
        report.write_text(json.dumps(older))
        found = job(home)["watching"]
        assert (found["paths"], found["mode"]) == (None, "inotify"), "what it says else is read all the same"


def test_what_the_daemon_will_do_is_told_by_the_limits_that_it_goes_by(home: Home, manager: Manager) -> None:
    with daemon(home, manager):
        trained(home, manager)
        home.configure(cooldown="1s")
        home.edit("text")
        eventually(lambda: job(home)["pending"]["count"], 10, "the change is compared")
        assert job(home)["waiting_for"] == "cooldown", "the daemon's six hours"
        assert "cooldown until" in home.run("why").stdout
        by_hand = home.run("check")
        assert "was changed since the daemon read it" in by_hand.stderr
        assert "goes by the older one" in home.run("trigger", "--dry-run").stderr


def test_a_failed_run_leads_to_what_it_said(home: Home, manager: Manager) -> None:
    home.mode("echo 'about.md contains BROKEN' >&2; exit 1")
    with daemon(home, manager) as process:
        until(lambda: home.runs() == 1 and "STATUS=cooldown" in manager, "the first training has failed")
        page, found = home.run("status").stdout, job(home)
        ways = why(home)["jobs"]["docs"]["ways"]
        file = home.run("why", str(home.path / "docs/guide.md")).stdout
        process.send_signal(signal.SIGTERM)
        assert process.stderr is not None
        log = process.stderr.read()
    run = found["last_run"]["invocation"][:8]
    assert found["last_run"]["error"] == "about.md contains BROKEN"
    assert "  it said   about.md contains BROKEN\n" in page
    assert f"  more      training-watch logs --run {run}\n" in page
    assert "  tried     1 time on this content; by itself 2 times at most\n" in page
    assert ways[0] == {"command": f"training-watch logs --run {run}", "what": "what the last one said"}
    assert "about.md contains BROKEN" in home.run("logs", "--run", run).stdout
    assert "about.md contains BROKEN" in home.run("history").stdout
    assert "docs:   about.md contains BROKEN" in log
    assert f"  tried     by run {run}: " in file
    assert "  it said   about.md contains BROKEN\n" in file


def test_a_followed_run_that_fails_ends_with_its_result_and_where_to_read_on(home: Home) -> None:
    tell = '{"schema": 1, "invocation": "\'$INVOCATION_ID\'", "phase": "train"}'
    home.mode(f"echo '{tell}' >$TRAINING_STATUS_FILE; sleep 1; exit 4")
    done = home.run("trigger", "--wait")
    run = job(home)["last_run"]["invocation"][:8]
    assert done.returncode == 1
    assert (
        f"training failed (exit status 4): `training-watch logs --run {run}` shows what it said"
        in done.stderr
    )


def test_what_is_asked_only_after_what_decided_is_one_line(home: Home, manager: Manager) -> None:
    with daemon(home, manager):
        trained(home, manager)
        page, steps = home.run("why").stdout, why(home)["jobs"]["docs"]["steps"]
    assert "  → nothing to train\n" in page
    (after,) = re.findall(r"^  · (.*)\n", page, re.MULTILINE)
    assert after == "asked after that: unit, refusal, retries, own changes, cooldown, last start"
    assert [step["passed"] for step in steps].count(None) == 6, "programs have each of them"


def test_an_edit_that_is_not_compared_yet_has_not_been_tried(home: Home, manager: Manager) -> None:
    home.mode("exit 1")
    home.config.write_text(home.config.read_text().replace('"200ms"', '"5s"').replace('"2s"', '"10s"'))
    assert home.run("trigger", "--wait").returncode == 1
    with daemon(home, manager):
        until(lambda: "STATUS=cooldown" in manager, "it has compared")
        assert "1 time on this content" in home.run("status").stdout
        assert "1 of 2 tries on this content are used" in home.run("why").stdout
        home.edit("mended")
        eventually(lambda: job(home)["waiting_for"] == "settling", 10, "the change is seen")
        assert "on this content" not in home.run("status").stdout


def test_while_an_edit_settles_both_waits_are_told(home: Home, manager: Manager) -> None:
    home.config.write_text(home.config.read_text().replace('"200ms"', '"20s"').replace('"2s"', '"40s"'))
    assert home.run("trigger", "--wait").returncode == 0
    with daemon(home, manager):
        until(lambda: "READY=1" in manager, "it watches")
        home.edit("text")
        eventually(lambda: job(home)["waiting_for"] == "settling", 10, "the change is seen")
        page = home.run("status").stdout
        commands = [way["command"] for way in why(home)["jobs"]["docs"]["ways"]]
        forced = home.run("trigger", "--dry-run", "--force").stdout
    assert re.search(r"1 file changed, settling for \d+s, then cooldown until .*\d\d:\d\d", page)
    assert "  changed   ~/docs/guide.md\n" in page
    assert "  next      " in page
    assert commands == ["training-watch trigger --force"], "a plain one would be refused"
    assert "Nothing changed" not in forced, "that is not certain before the change is compared"


def test_what_a_running_training_may_be_reading_is_not_told_as_left_over(
    home: Home, manager: Manager
) -> None:
    home.mode("while [ ! -e go ]; do sleep 0.05; done")
    with daemon(home, manager):
        until(lambda: home.runs() == 1, "the first training runs")
        page = home.run("status").stdout
        assert "waiting" not in page
        assert "pending" not in page
        assert re.search(r"  training  for \d+s\n", page)
        (home.path / "go").touch()
        eventually(lambda: not job(home)["running"], 20, "it has ended")


def test_without_a_daemon_a_trigger_looks_before_it_says_that_nothing_changed(home: Home) -> None:
    assert home.run("trigger", "--wait").returncode == 0
    assert "Nothing changed" in home.run("trigger", "--force", "--wait").stdout
    home.edit("another text")
    assert "Nothing changed" not in home.run("trigger", "--force", "--wait").stdout


def test_what_is_to_be_typed_names_the_configuration_where_it_is_not_the_usual_one(home: Home) -> None:
    other = home.config.rename(home.path / "my config.toml")
    call = f"training-watch --config '{other}'"
    assert f"`{call} status`" in home.run("--config", str(other), "history").stdout
    home.mode("echo out of luck; exit 7")
    with subprocess.Popen(
        [PROGRAM, "--config", other, "run"], env=home.environment(), stderr=subprocess.PIPE, text=True
    ) as process:
        eventually(home.marker.exists, 20, "the first training has failed")
        eventually(
            lambda: "1 file waiting" in home.run("--config", str(other), "status").stdout, 20, "it is told"
        )
        process.terminate()
        log = process.communicate(timeout=20)[1]
    assert f": `{call} logs --run " in log
    forced = home.run("--config", str(other), "trigger", "--force", "--wait")
    assert f": `{call} logs --run " in forced.stderr
    page = home.run("--config", str(other), "status").stdout
    assert page.startswith(f"daemon    not running: {call} run\n")
    (more,) = re.findall(r"  more      (.*)\n", page)
    assert "out of luck" in type_it(home, more)
    ways = json.loads(home.run("--config", str(other), "why", "--json").stdout)["jobs"]["docs"]["ways"]
    assert [way["command"].startswith(f"{call} ") for way in ways] == [True, True, True, False], ways


def test_so_does_what_a_missing_configuration_and_a_missing_unit_take(home: Home) -> None:
    other = home.path / "other.toml"
    asked = ["--config", str(other)]
    told = home.run(*asked, "status").stderr
    assert f"`training-watch --config {other} install` writes one" in told
    found = json.loads(home.run(*asked, "doctor", "--json").stdout)["findings"][0]
    assert (found["text"], found["mend"]) == (
        f"{other}: no configuration yet",
        f"training-watch --config {other} install --watch DIR",
    )
    (home.path / "bin").mkdir()
    (home.path / "bin/systemctl").write_text("#!/bin/sh\necho LoadState=not-found\n")
    (home.path / "bin/systemctl").chmod(0o755)
    other.write_text(f'[job.docs]\npaths = ["{home.path}/docs"]\n')
    path = f"{home.path}/bin:{home.environment()['PATH']}"
    page = home.run(*asked, "status", env=home.environment(PATH=path, XDG_RUNTIME_DIR=str(home.path))).stdout
    assert (
        f"trouble   the user manager knows no crystal-train.service: run `training-watch --config {other} install`"
        in page
    )


def test_what_is_to_be_typed_names_the_job_where_there_are_several(home: Home) -> None:
    text = home.config.read_text()
    home.config.write_text(text + text.replace("[job.docs]", "[job.wiki]") + 'service = "wiki.service"\n')
    home.mode("echo out of luck; exit 7")
    started = home.run("trigger", "wiki", "--wait")
    (named,) = re.findall("`(training-watch logs .*)` shows", started.stderr)
    page = home.run("status").stdout
    (more,) = re.findall(r"  more      (.*)\n", page)
    assert named == more
    assert "out of luck" in type_it(home, more)


def test_a_program_that_the_shell_does_not_find_is_named_by_its_path(home: Home) -> None:
    told = home.run("status", env=home.environment(PATH="/usr/bin:/bin")).stdout
    assert told.startswith(f"daemon    not running: {PROGRAM} run\n")


def test_a_configuration_with_mistakes_is_told_with_what_the_daemon_does_meanwhile(
    home: Home, manager: Manager
) -> None:
    good = home.config.read_text()
    with daemon(home, manager) as process:
        trained(home, manager)
        home.config.write_text(good + 'debounse = "1s"\n')
        for words in (
            ["status"],
            ["why"],
            ["check"],
            ["check", "--exit-code"],
            ["trigger"],
            ["logs"],
            ["history"],
        ):
            told = home.run(*words)
            mistake, meanwhile = told.stderr.splitlines()
            assert (told.returncode, told.stdout) == (78, "")
            assert "did you mean 'debounce'?" in mistake
            assert (
                f"the daemon (pid {process.pid}) watches by what it read before, and starts nothing until "
                in meanwhile
            )
    assert len(home.run("status").stderr.splitlines()) == 1, "nobody goes on by it"


# ---- what another one stumbled over --------------------------------------------------------------


def page_of(home: Home, *words: str) -> str:
    done = home.run(*words)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def first_way(home: Home, name: str = "docs") -> dict[str, str]:
    found: dict[str, str] = why(home)["jobs"][name]["ways"][0]
    return found


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (("activating", "auto-restart", "30s", ""), "systemd starts it again by itself, within 30s"),
        (("activating", "auto-restart", "2s", "1min 12.5s"), "systemd starts it again by itself, within 1min 13s"),
        (("activating", "start", "30s", ""), "it is being started"),
        (("activating", "auto-restart", "infinity", ""), "systemctl --user start training-watch.service"),
        (("failed", "failed", "30s", ""), "systemctl --user start training-watch.service"),
        (("inactive", "dead", "30s", ""), "systemctl --user start training-watch.service"),
    ],
)  # fmt: skip
def test_a_daemon_that_systemd_starts_again_by_itself_is_not_to_be_started(
    home: Home, state: tuple[str, ...], told: str
) -> None:
    home.config.write_text(f'[job.docs]\npaths = ["{home.path}/docs"]\n')
    (home.path / "bin").mkdir()
    names = ("ActiveState", "SubState", "RestartUSec", "RestartUSecNext")
    answer = "\n".join(f"echo '{name}={value}'" for name, value in zip(names, state, strict=True) if value)
    systemctl = home.path / "bin/systemctl"
    # The training's unit is there and does nothing.
    systemctl.write_text(
        f"#!/bin/sh\ncase $* in *training-watch.service) {answer};; *) echo LoadState=loaded;; esac\n"
    )
    systemctl.chmod(0o755)
    path = f"{home.path}/bin:{home.environment()['PATH']}"
    environment = home.environment(PATH=path, XDG_RUNTIME_DIR=str(home.path))
    page = home.run("status", env=environment).stdout
    assert page.startswith(f"daemon    not running: {told}\n")
    by_itself = told.startswith(("systemd", "it is"))
    steps = home.run("why", env=environment).stdout
    assert f"no daemon runs: {told if by_itself else 'nothing starts by itself'}\n" in steps
    assert ("systemctl --user start" in steps) != by_itself


def test_a_job_that_the_daemon_has_not_read_of_is_told_as_that(home: Home, manager: Manager) -> None:
    with daemon(home, manager) as process:
        trained(home, manager)
        home.config.write_text(home.config.read_text().replace("[job.docs]", "[job.posts]"))
        home.edit("text", "new.md")
        page = page_of(home, "why")
        assert (
            "  ✗ the daemon runs, but doesn't know this job yet: the configuration has changed since" in page
        )
        assert first_way(home, "posts")["command"] == f"kill -HUP {process.pid}"
        assert "training-watch run" not in page
        assert "(not watched: the daemon doesn't know this job yet)" in page_of(home, "status")
        type_it(home, first_way(home, "posts")["command"])
        eventually(lambda: why(home)["jobs"]["posts"]["steps"][0]["passed"], 10, "it keeps the job")


def test_what_would_start_without_a_daemon_or_by_another_name_is_not_about_to(
    home: Home, manager: Manager
) -> None:
    home.configure(cooldown="1s")
    home.mode("exit 1")
    home.run("trigger", "--wait")
    eventually(lambda: job(home)["waiting_for"] == "nothing", 20, "the cooldown is over")
    assert "  now       would train, if the daemon ran\n" in page_of(home, "status")
    home.configure(cooldown="6h")
    with daemon(home, manager):
        until(lambda: "STATUS=cooldown" in manager, "it waits")
        home.configure(cooldown="1s")
        home.config.write_text(home.config.read_text().replace("[job.docs]", "[job.posts]"))
        assert "  now       would train, if the daemon knew this job\n" in page_of(home, "status")


def test_a_unit_that_has_never_trained_is_to_be_trained_for_the_first_time(
    home: Home, manager: Manager
) -> None:
    with daemon(home, manager):
        trained(home, manager)
        assert first_way(home)["what"] == "train the same content again"
        home.config.write_text(home.config.read_text() + 'service = "posts-train.service"\n')
        found = why(home)["jobs"]["docs"]
        assert found["line"] == "nothing known yet: nobody has looked into it for posts-train.service"
        assert found["ways"][1:] == [
            {"command": "training-watch trigger", "what": "train it for the first time"}
        ]
        (told,) = (
            each
            for each in json.loads(home.run("doctor", "--json").stdout)["findings"]
            if each["check"] == "daemon"
        )
        assert f"doesn't keep {home.path}/docs for posts-train.service: " in told["text"]
        type_it(home, found["ways"][1]["command"] + " --wait")
    assert home.runs() == 2


def test_where_a_root_is_missing_nothing_is_to_be_trained_again(home: Home, manager: Manager) -> None:
    gone = home.path / "psts"
    home.config.write_text(home.config.read_text().replace('/docs"]', f'/docs", "{gone}"]'))
    absence = "  absent    ~/psts: nothing is pending from it, its files are kept as they were\n"
    with daemon(home, manager):
        trained(home, manager)
        page, found = page_of(home, "why"), why(home)["jobs"]["docs"]
        assert absence in page
        assert absence in page_of(home, "status")
        assert found["absent"] == [str(gone)]
        assert [way["command"] for way in found["ways"]] == ["training-watch doctor"]
        gone.mkdir()
        eventually(lambda: not why(home)["jobs"]["docs"]["absent"], 20, "it is there")
        assert first_way(home)["command"] == "training-watch trigger --force"


def test_of_a_removed_file_that_a_training_has_run_without_nothing_is_claimed(home: Home) -> None:
    home.edit("text", "other.md")
    home.run("trigger", "--wait")
    (home.path / "docs/other.md").unlink()
    home.run("trigger", "--force", "--wait")
    told = page_of(home, "why", str(home.path / "docs/other.md"))
    assert (
        "  missing   nothing is there or remembered: it never was (is it spelled so?), or a training has run"
        in told
    )


def test_what_the_training_itself_writes_is_told_with_the_line_that_leaves_it_out(
    home: Home, manager: Manager
) -> None:
    home.configure(cooldown="0")
    ignoring = 'ignore = ["drafts"]'
    home.config.write_text(f"{home.config.read_text()}{ignoring}\n")
    made = home.path / 'docs/out"1".html'
    home.mode(f"date +%N >'{made}'; sleep 0.5")  # what it wrote has settled when it ends
    asked = ("why", str(made))
    with daemon(home, manager) as process:
        eventually(lambda: job(home)["waiting_for"] == "own_changes", 30, "it rests")
        line = 'ignore = ["drafts", "/out\\"1\\".html"]'
        itself = "  pending   the training itself changes it, so that after each one it differs again"
        eventually(lambda: itself in page_of(home, *asked), 20, "it is told")
        assert f"  to do     leave it out, in the configuration: {line}\n" in page_of(home, *asked)
        done = home.run("doctor", "--json")
        (found,) = (each for each in json.loads(done.stdout)["findings"] if each["check"] == "waiting")
        assert (done.returncode, found["verdict"]) == (0, "note"), "an edit of another file starts a training"
        assert f"write {line} into {home.config}, then: " in found["mend"]
        (asked_first, *_) = why(home)["jobs"]["docs"]["ways"]
        assert asked_first == {"command": "training-watch doctor", "what": "which line leaves them out"}
        runs = home.runs()
        home.edit("another text")
        until(lambda: home.runs() > runs, "it does")
        home.config.write_text(home.config.read_text().replace(ignoring, line))
        process.send_signal(signal.SIGHUP)
        eventually(lambda: why(home, str(made))["fate"] == "ignored", 20, "the line that was pasted holds")
        eventually(lambda: job(home)["waiting_for"] == "nothing_pending", 20, "and that ends it")


def test_what_somebody_wrote_while_a_training_ran_is_not_called_the_trainings(home: Home) -> None:
    home.mode("while [ ! -e go ]; do sleep 0.05; done")
    home.run("trigger", "--no-watch")
    eventually(home.runs, 20, "it trains")
    home.edit("meanwhile")
    (home.path / "go").touch()
    eventually(lambda: (job(home)["last_run"] or {}).get("outcome"), 20, "it is over")
    told = page_of(home, "why", str(home.path / "docs/guide.md"))
    assert "  pending   it changed while a training ran: what that one read of it, nobody knows\n" in told
    assert (
        '  to do     if the training itself writes it, leave it out, in the configuration: ignore = ["/guide.md"]\n'
        in told
    )


@pytest.mark.parametrize("status", [1, 3])
def test_a_job_that_rests_says_what_to_type_when_the_cause_is_mended(home: Home, status: int) -> None:
    text = home.config.read_text().replace("retries = 1", "retries = 0")
    home.config.write_text(text + text.replace("[job.docs]", "[job.wiki]") + 'service = "wiki.service"\n')
    home.mode(f"exit {status}")
    home.run("trigger", "wiki", "--wait")
    (again,) = re.findall(r"  to do     when the cause is mended: (.*)\n", page_of(home, "status"))
    assert again == "training-watch trigger wiki --force"
    home.mode("exit 0")
    type_it(home, f"{again} --wait")
    assert "when the cause is mended" not in page_of(home, "status")


def test_the_name_of_a_job_shows_that_job_alone_unless_a_file_has_it(home: Home) -> None:
    text = home.config.read_text()
    home.config.write_text(text + text.replace("[job.docs]", "[job.wiki]") + 'service = "wiki.service"\n')
    asked = f"cd {home.path}/docs; training-watch why wiki"
    assert list(json.loads(type_it(home, f"{asked} --json"))["jobs"]) == ["wiki"]
    assert type_it(home, asked).startswith("wiki      ")
    home.edit("a file of that name", "wiki")
    assert type_it(home, asked).startswith("~/docs/wiki\n")
