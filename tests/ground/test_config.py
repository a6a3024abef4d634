"""The configuration: what is right is read, and all that is wrong is said at once."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training_watch.config import ConfigError, Job, NoConfig, read_config


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(text)
    return file


def mistakes(tmp_path: Path, text: str) -> list[str]:
    file = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_config(file)
    return [line.replace(f"{file}", "config.toml") for line in caught.value.mistakes]


def only_job(tmp_path: Path, text: str) -> Job:
    return read_config(written(tmp_path, text)).job(None)


def test_paths_alone_are_enough_and_all_else_has_the_documented_default(tmp_path: Path) -> None:
    job = only_job(tmp_path, '[job.docs]\npaths = ["/srv/docs"]\n')
    assert job.paths == (Path("/srv/docs"),)
    settings = job.settings
    assert (settings.debounce, settings.max_wait, settings.cooldown, settings.retries) == (
        300,
        1800,
        21600,
        3,
    )
    assert (job.mode, job.poll_interval, job.rescan_interval) == ("auto", 300, 3600)
    assert (job.service, job.launcher, job.gitignore, job.ignore) == (
        "crystal-train.service",
        "systemd",
        True,
        (),
    )
    assert job.marker == Path.home() / ".cache/crystal/last-training-run"


def test_another_unit_has_a_marker_of_its_own(tmp_path: Path) -> None:
    job = only_job(tmp_path, '[job.site]\npaths = ["/srv/site"]\nservice = "site.service"\n')
    assert job.marker == Path.home() / ".cache/crystal/site.service.last-run"


def test_a_tilde_is_the_home_and_a_folder_inside_another_is_watched_with_it(tmp_path: Path) -> None:
    job = only_job(tmp_path, '[job.docs]\npaths = ["~/docs", "~/docs/guide", "~/docs"]\n')
    assert job.paths == (Path.home() / "docs",)


def test_five_mistakes_are_five_lines_each_with_its_place_and_the_nearest_name(tmp_path: Path) -> None:
    text = """\
[job.docs]
paths = "/srv/docs"
debounse = "5min"
cooldown = "6 fortnights"
mode = "inotfy"
retries = -1
"""
    assert mistakes(tmp_path, text) == [
        'config.toml:2: paths: must be a list: ["/srv/docs"]',
        "config.toml:3: unknown key 'debounse'; did you mean 'debounce'?",
        "config.toml:4: cooldown: 'fortnights' is no unit of time; write it like 5min, 1h 30min or 90",
        "config.toml:5: mode: must be one of auto, inotify, poll, not 'inotfy'; did you mean 'inotify'?",
        "config.toml:6: retries: must be a whole number from 0 up, not -1",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "config.toml: no job: write a table [job.NAME] with its paths"),
        ("[job.docs]\n", "config.toml:1: job 'docs' has no paths: say which folders it watches"),
        ("[jobs.docs]\npaths=['/x']\n", "config.toml:1: unknown key 'jobs'; did you mean 'job'?"),
        ("[job.docs]\npaths=[]\n", "config.toml:2: paths: must name at least one folder"),
        ("[job.docs]\npaths=['docs']\n", "config.toml:2: paths: 'docs' must begin with / or ~/"),
        (
            "[job.docs]\npaths=['/etc/passwd']\n",
            "config.toml:2: paths: /etc/passwd is a file: name the folder that holds it",
        ),
        ("[job.docs]\npaths=['/x']\ndebounce=0\n", "config.toml:3: debounce: must be longer than 0"),
        (
            "[job.docs]\npaths=['/x']\ncooldown=true\n",
            'config.toml:3: cooldown: must be a time span, like "5min", not a flag',
        ),
        (
            "[job.docs]\npaths=['/x']\nmax_wait='1min'\n",
            "config.toml:3: max_wait is shorter than debounce: make it longer, it is the greater patience of the two",
        ),
        (
            "[job.a]\npaths=['/x']\n[job.b]\npaths=['/y']\n",
            "config.toml:3: crystal-train.service belongs to job 'a' already: name another, a unit has one job",
        ),
        (
            "[job.docs]\npaths=['/x']\nservice='train'\n",
            "config.toml:3: service: must be a unit's name like crystal-train.service, not 'train'",
        ),
        (
            "[job.docs]\npaths=['/x'\n",
            "config.toml: not TOML: Unclosed array (at end of document); mend it there",
        ),
    ],
)
def test_each_mistake_is_told_with_its_line(tmp_path: Path, text: str, told: str) -> None:
    assert told in mistakes(tmp_path, text)


def test_no_configuration_says_what_writes_one(tmp_path: Path) -> None:
    with pytest.raises(NoConfig, match=r"`training-watch --config \S+ install` writes one"):
        read_config(tmp_path / "none.toml")


def test_bytes_that_are_no_text_are_told_with_their_place(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(b"[job.docs]\n\xff")
    with pytest.raises(ConfigError, match="not UTF-8 at byte 11"):
        read_config(file)


def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    file = written(tmp_path, "")
    file.chmod(0)
    with pytest.raises(ConfigError, match="Permission denied"):
        read_config(file)


def test_of_several_jobs_one_must_be_named(tmp_path: Path) -> None:
    text = "[job.docs]\npaths=['/x']\n[job.site]\npaths=['/y']\nservice='site.service'\n"
    config = read_config(written(tmp_path, text))
    assert config.job("site").service == "site.service"
    assert config.job_of("site.service").name == "site"
    with pytest.raises(ConfigError, match="docs, site"):
        config.job(None)
    with pytest.raises(ConfigError, match="did you mean 'docs'"):
        config.job("doc")


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_but_a_configuration_error(
    tmp_path_factory: pytest.TempPathFactory, junk: bytes
) -> None:
    file = tmp_path_factory.mktemp("junk") / "config.toml"
    file.write_bytes(b"[job.docs]\npaths = ['/x']\n" + junk)
    try:
        read_config(file)
    except ConfigError as error:
        told = error.mistakes
    else:
        return
    assert told
    assert all("\n" not in line for line in told)


def test_the_home_of_a_commands_words_is_found_though_no_shell_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/you")
    (tmp_path / "config.toml").write_text(
        '[job.docs]\npaths = ["/x"]\ncommand = ["python3", "~/a.py", "--to=~/b", "~"]\n'
    )
    assert read_config(tmp_path / "config.toml").jobs[0].command == (
        "python3",
        "/home/you/a.py",
        "--to=~/b",
        "~",
    )
