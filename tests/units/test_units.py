"""What the units say, and that systemd reads each word of it as it was meant."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as some

from needs import lacking
from training_watch.units import (
    SECTION,
    Installation,
    Training,
    UnitError,
    _folder,
    _pattern,
    disagreement,
    drop_in,
    edited,
    fact,
    ours,
    quoted,
    training_unit,
    watcher_unit,
)
from units.examples import FOLDER, HERE, HOME, JOB, TRAINING, examples
from units.reading import Setting, argv, expanded, settings, words

ODD = [
    "plain",
    "with space",
    "100%",
    "%h",
    "%%",
    "$HOME",
    "${HOME}",
    "$$",
    'double"quote',
    "single'quote",
    "both'\"quotes",
    "back\\slash",
    "\\x41",
    "\\",
    "trailing\\",
    "tab\there",
    "line\nbreak",
    "ünï©ødé",
    "\u2028 \x85",
    "not \udcff UTF-8",
    ";",
    "#",
    "-",
    "*?[x]",
    "",
]


def texts() -> some.SearchStrategy[str]:
    """Any argument that a process can have: no NUL, and what isn't UTF-8 as PEP 383 writes it."""
    letters = some.characters(exclude_characters="\0", exclude_categories=["Cs"])
    return some.lists(letters | some.sampled_from("\udc80\udcff%$\\\"' \t\n;")).map("".join).map(_as_argument)


def _as_argument(text: str) -> str:
    # Several escaped bytes in a row may happen to be UTF-8; what Python would read is what counts.
    return os.fsdecode(os.fsencode(text))


def odd_home(name: str) -> tuple[Installation, Training]:
    """The example, with all its paths below an odd home."""
    home = Path("/home") / name

    def moved(path: Path) -> Path:
        return home / path.relative_to(HOME)

    here = Installation(
        python=moved(HERE.python),
        config=moved(HERE.config),
        home=home,
        environment_file=moved(HERE.environment_file),
        writable=tuple(map(moved, HERE.writable)),
        systemd=HERE.systemd,
        environment=(("XDG_STATE_HOME", str(home / "state")),),
    )
    job = replace(JOB, paths=tuple(map(moved, JOB.paths)), marker=moved(JOB.marker))
    command = (str(home / "bin/train"), *(str(path) for path in job.paths))
    return here, Training(job, command, moved(TRAINING.status_file))


def values(text: str, name: str) -> list[str]:
    return [each.value for each in settings(text) if each.name == name and not each.section.startswith("X-")]


def environment(text: str) -> dict[str, str]:
    found = [expanded(word) for value in values(text, "Environment") for word in words(value, c_escapes=True)]
    return dict(os.fsdecode(word).split("=", 1) for word in found)


# ---- the examples in systemd/ -----------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(examples()))
def test_the_examples_are_what_is_rendered(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == examples()[name], (
        "write them anew: python tests/units/examples.py"
    )


def test_every_setting_of_the_examples_has_its_reason_nearby() -> None:
    for text in examples().values():
        since = 0
        for line in text.split("\n"):
            since = 0 if line.startswith(("#", "[")) or not line else since + 1
            assert since <= 9, line


# ---- words ------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ODD)
def test_systemd_reads_a_quoted_word_back(word: str) -> None:
    assert [expanded(each) for each in words(quoted(word), c_escapes=True)] == [os.fsencode(word)]


@given(some.lists(texts(), min_size=1))
def test_systemd_reads_any_quoted_words_back(given_words: list[str]) -> None:
    line = " ".join(map(quoted, given_words))
    assert "\n" not in line
    assert "\r" not in line
    line.encode("utf-8")  # systemd ignores a line that isn't UTF-8
    assert [expanded(each) for each in words(line, c_escapes=True)] == [
        os.fsencode(each) for each in given_words
    ]


def test_plain_words_stay_readable() -> None:
    assert quoted("/home/you/.local/bin/crystal") == "/home/you/.local/bin/crystal"
    assert quoted("100%/$x") == '"100%%/$x"'


@given(texts())
def test_a_folder_is_read_back_or_refused(text: str) -> None:
    path = Path(f"/{text}")
    try:
        rendered = _folder(path)
    except UnitError:
        assert re.search(r"[\x00-\x1f\x7f\udc80-\udcff]", text)
        return
    assert [expanded(word) for word in words(rendered, c_escapes=False)] == [b"-" + os.fsencode(path)]


@given(texts())
def test_an_environment_file_is_a_glob_that_matches_itself_alone(text: str) -> None:
    assume(text.strip() == text)
    path = Path(f"/{text}/train.env")
    try:
        rendered = _pattern(path)
    except UnitError:
        return
    pattern = expanded(rendered.encode()).decode()
    assert re.sub(r"\\(.)", r"\1", pattern, flags=re.DOTALL) == str(path)
    assert not re.search(r"(?<!\\)(\\\\)*[*?\[]", pattern)


@pytest.mark.parametrize("path", ["/home/two\nlines", "/home/a\rb", "/home/\x7f", "/home/\udcff"])
def test_a_folder_that_no_line_can_hold_is_named_in_the_refusal(path: str) -> None:
    with pytest.raises(UnitError, match="a unit file can't name a path"):
        watcher_unit(replace(HERE, writable=(Path(path),)))


def test_a_program_must_be_absolute() -> None:
    with pytest.raises(UnitError, match="absolute"):
        training_unit(HERE, replace(TRAINING, command=("crystal", "train")))


# ---- whole units ------------------------------------------------------------------------------

HOMES = [
    "you",
    "a b",
    "100%h",
    "$HOME ${x} $$",
    'say "you"',
    "it's",
    "back\\slash",
    "both'\"",
    "jürgen",
    "[x] *?",
    "_;_",
]


@pytest.mark.parametrize("home", HOMES)
def test_every_command_of_every_unit_reaches_the_program_as_it_was_meant(home: str) -> None:
    here, training = odd_home(home)
    ourselves = [
        os.fsencode(here.python),
        b"-I",
        b"-m",
        b"training_watch",
        b"--config",
        os.fsencode(here.config),
    ]

    def ends(line: str, *expected: bytes) -> bool:
        return argv(line)[-len(expected) :] == list(expected)

    watcher = watcher_unit(here)
    assert ends(values(watcher, "ExecStart")[0], *ourselves, b"run")
    assert ends(values(watcher, "ExecStartPre")[0], b"sh", *map(os.fsencode, here.writable))
    for text in (training_unit(here, training), drop_in(here, training)):
        unit = training.job.service.encode()
        begin, mark = values(text, "ExecStartPre")[0], values(text, "ExecStopPost")[0]
        assert begin.startswith("-")
        assert ends(begin, *ourselves, b"begin", unit)
        assert ends(mark, b"sh", os.fsencode(training.job.marker), *ourselves, b"mark", unit)
        assert environment(text)["TRAINING_STATUS_FILE"] == str(training.status_file)
        assert environment(text)["XDG_STATE_HOME"] == f"/home/{home}/state"
    assert ends(values(training_unit(here, training), "ExecStart")[0], *map(os.fsencode, training.command))


@pytest.mark.parametrize("home", HOMES)
def test_the_daemon_may_write_to_its_folders_wherever_they_are(home: str) -> None:
    here, _ = odd_home(home)
    (line,) = values(watcher_unit(here), "ReadWritePaths")
    assert [expanded(word) for word in words(line, c_escapes=False)] == [
        b"-" + os.fsencode(path) for path in here.writable
    ]


def test_an_older_systemd_gets_what_it_knows() -> None:
    old, new = watcher_unit(replace(HERE, systemd=252)), watcher_unit(replace(HERE, systemd=257))
    assert values(old, "Type") == ["notify"]
    assert values(old, "ExecReload") != []
    assert values(old, "RestartSteps") == []
    assert values(new, "Type") == ["notify-reload"]
    assert values(new, "ExecReload") == []
    assert values(new, "RestartSteps") != []


def test_no_private_tmp_where_something_needed_lies_below_tmp() -> None:
    assert values(watcher_unit(HERE), "PrivateTmp") == ["yes"]
    assert values(watcher_unit(replace(HERE, private_tmp=False)), "PrivateTmp") == []


def test_a_daemon_that_trains_itself_has_no_sandbox() -> None:
    text = watcher_unit(replace(HERE, trains_itself=True))
    for name in ("ProtectSystem", "NoNewPrivileges", "MemoryHigh", "TasksMax", "SystemCallFilter"):
        assert values(watcher_unit(HERE), name) != []
        assert values(text, name) == []


def test_the_training_is_not_sandboxed() -> None:
    names = {setting.name for setting in settings(examples()["crystal-train.service"])}
    assert not [
        name for name in names if re.match("Protect|Private|Restrict|SystemCall|NoNew|ReadWrite", name)
    ]


# ---- what a unit says of itself ---------------------------------------------------------------


def unedited_texts() -> list[str]:
    return [*examples().values(), drop_in(HERE, TRAINING)]


@pytest.mark.parametrize("text", unedited_texts(), ids=["watcher", "training", "drop-in"])
def test_what_install_wrote_is_ours_and_not_edited(text: str) -> None:
    assert ours(text)
    assert not edited(text)


@pytest.mark.parametrize("text", unedited_texts(), ids=["watcher", "training", "drop-in"])
@given(data=some.data())
def test_any_edit_shows(text: str, data: some.DataObject) -> None:
    place = data.draw(some.integers(0, len(text)))
    end = data.draw(some.integers(place, min(len(text), place + 3)))
    changed = text[:place] + data.draw(some.text(max_size=3)) + text[end:]
    assume(changed != text)
    assert edited(changed) or not ours(changed)


def test_somebody_elses_unit_is_neither_ours_nor_edited() -> None:
    text = "[Service]\nExecStart=/bin/true\n"
    assert not ours(text)
    assert not edited(text)
    assert disagreement(text, HERE.config, JOB) is None


def test_the_section_about_itself_is_the_last() -> None:
    for text in unedited_texts():
        assert settings(text)[-1].section == SECTION
        assert Setting(SECTION, "Config", str(HERE.config)) in settings(text)


def test_a_unit_that_was_made_from_this_configuration_agrees() -> None:
    for text in unedited_texts():
        assert disagreement(text, HERE.config, JOB) is None


@pytest.mark.parametrize(
    ("job", "word"),
    [
        (replace(JOB, paths=(HOME / "other",)), "paths /home/you/project/docs"),
        (replace(JOB, paths=(*JOB.paths, HOME / "more")), "paths"),
        (replace(JOB, command=("make", "train")), "command crystal train"),
        (replace(JOB, marker=HOME / "marker"), "marker"),
    ],
    ids=["other paths", "one path more", "another command", "another marker"],
)
def test_a_unit_that_the_configuration_has_left_behind_says_so(job: object, word: str) -> None:
    assert isinstance(job, type(JOB))
    told = disagreement(training_unit(HERE, TRAINING), HERE.config, job)
    assert told is not None
    assert word in told
    assert f"run `training-watch --config {HERE.config} install`" in told, "which is not the usual one here"


def test_a_unit_of_another_configuration_disagrees() -> None:
    told = disagreement(training_unit(HERE, TRAINING), Path("/elsewhere.toml"), JOB)
    assert told is not None
    assert "/elsewhere.toml" in told


def test_a_drop_in_has_no_say_in_what_is_trained() -> None:
    other = replace(JOB, paths=(HOME / "other",), command=("make",))
    assert disagreement(drop_in(HERE, TRAINING), HERE.config, other) is None


def test_limits_are_no_disagreement() -> None:
    other = replace(JOB, ignore=("*.tmp",), poll_interval=1.0)
    assert disagreement(training_unit(HERE, TRAINING), HERE.config, other) is None


def test_facts_are_read_from_our_section_alone() -> None:
    text = training_unit(HERE, replace(TRAINING, note="Job=forged"))
    assert fact(text, "Job") == ["docs"]
    assert fact("[Service]\nJob=x\n", "Job") == []


# ---- the shell that marks in need -------------------------------------------------------------


@pytest.fixture
def odd_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "a b 100%h 'q' \"d\" $HOME \\ ü"
    folder.mkdir()
    return folder


def stopped(folder: Path, our_command: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run the ExecStopPost= of a unit whose python is `our_command`."""
    python = folder / "python"
    python.write_text(our_command)
    python.chmod(0o755)
    job = replace(JOB, marker=folder / "deep/marker")
    (line,) = values(training_unit(replace(HERE, python=python), replace(TRAINING, job=job)), "ExecStopPost")
    return subprocess.run(
        argv(line),
        check=False,
        capture_output=True,
        env={"PATH": "/nonexistent", "EXIT_STATUS": "0", **variables},
    )


def test_the_shell_marks_nothing_when_mark_did(odd_folder: Path) -> None:
    assert stopped(odd_folder, '#!/bin/sh\n[ "$1 $2 $3" = "-I -m training_watch" ]\n').returncode == 0
    assert not (odd_folder / "deep").exists()


@pytest.mark.parametrize("broken", ["#!/bin/sh\nexit 1\n", "#!/nonexistent\n", "#!/bin/sh\nkill -9 $$\n"])
def test_the_shell_writes_the_marker_when_mark_is_broken(odd_folder: Path, broken: str) -> None:
    from training_watch.marker import read_marker

    done = stopped(odd_folder, broken, SERVICE_RESULT="exit-code", EXIT_STATUS="1")
    assert done.returncode == 0, done.stderr
    marker = read_marker(odd_folder / "deep/marker")
    assert marker is not None
    assert marker.readable
    assert marker.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert marker.elapsed is not None
    assert abs((marker.written - marker.ended).total_seconds()) < 2
    assert os.listdir(odd_folder / "deep") == ["marker"]


@pytest.mark.parametrize(
    "variables",
    [
        {"SERVICE_RESULT": "exec-condition", "EXIT_STATUS": ""},
        {"SERVICE_RESULT": "exit-code", "EXIT_STATUS": "75"},
    ],
    ids=["skipped", "put off"],
)
def test_a_start_that_was_no_run_leaves_the_marker_alone(odd_folder: Path, variables: dict[str, str]) -> None:
    assert stopped(odd_folder, "#!/bin/sh\nexit 1\n", **variables).returncode == 0
    assert not (odd_folder / "deep").exists()


def test_a_marker_that_nobody_can_write_is_a_failure(odd_folder: Path) -> None:
    (odd_folder / "deep").write_text("a file where the folder should be")
    assert stopped(odd_folder, "#!/bin/sh\nexit 1\n", SERVICE_RESULT="success").returncode == 1


# ---- systemd's own opinion --------------------------------------------------------------------


def verified(folder: Path, *names: str) -> str:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        if os.environ.get("CI"):
            pytest.fail("systemd-analyze is missing: install systemd")
        lacking("systemd-analyze is missing")
    done = subprocess.run(
        [tool, "--user", "verify", "--man=no", *(str(folder / name) for name in names)],
        check=False,
        capture_output=True,
        text=True,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "XDG_RUNTIME_DIR": str(folder),
            "LC_ALL": "C.UTF-8",
        },
    )
    complaints = [line for line in done.stderr.splitlines() if str(folder) in line or line.startswith(names)]
    return "\n".join([*complaints, *([f"exit status {done.returncode}"] if done.returncode else [])])


def systemd_here() -> int:
    told = subprocess.run(["systemctl", "--version"], check=False, capture_output=True, text=True).stdout
    found = re.match(r"systemd (\d+)", told)
    return int(found[1]) if found else 0


@pytest.mark.parametrize("home", HOMES)
def test_systemd_finds_nothing_to_complain_about(tmp_path: Path, home: str) -> None:
    if shutil.which("systemd-analyze") is None:
        verified(tmp_path)
    here, training = odd_home(home)
    program = tmp_path / home / "program"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    here = replace(here, python=program, systemd=systemd_here())
    training = replace(training, command=(str(program), *training.command[1:]))
    (tmp_path / "training-watch.service").write_text(watcher_unit(here))
    (tmp_path / "crystal-train.service").write_text(training_unit(here, training))
    (tmp_path / "theirs.service").write_text(
        f"[Service]\nType=oneshot\nExecStart=/bin/true\n{drop_in(here, training)}"
    )
    assert verified(tmp_path, "training-watch.service", "crystal-train.service", "theirs.service") == ""


def test_systemds_complaints_are_heard(tmp_path: Path) -> None:
    (tmp_path / "wrong.service").write_text(
        "[Service]\nExecStart=/bin/true\nNoSuchKey=1\nRestart=sometimes\n"
    )
    told = verified(tmp_path, "wrong.service")
    assert "NoSuchKey" in told
    assert "Failed to parse" in told
