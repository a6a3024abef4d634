"""`install` for a folder and a command of any name: what systemd and a shell read back is exactly that."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as some

from fuzz.amount import examples
from fuzz.nasty import NAMES, WORDS
from install.conftest import Desk, desk
from training_watch import places, units
from training_watch.config import Config, Job, read_config
from training_watch.installing import InstallError, Wanted
from training_watch.installing.configuration import configuration
from training_watch.installing.template import config_text
from units.examples import HERE, TRAINING
from units.reading import Setting, argv, expanded, settings, words

__all__ = ["desk"]

# What `install` may write into a unit; a name that brings a line of its own would add to them.
SECTIONS = {"Unit", "Service", "Install", units.SECTION}
SETTINGS = {
    setting.name
    for text in (
        units.watcher_unit(HERE),
        units.training_unit(HERE, TRAINING),
        units.drop_in(HERE, TRAINING),
    )
    for setting in settings(text)
}

texts = (
    some.sampled_from(WORDS)
    | some.text(alphabet=some.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
    | some.text(alphabet="\"'\\%$ \t\n#;=[]{}~*\x1b\x7f\u2028é", max_size=12)
)
components = texts.map(lambda text: text.replace("/", "")).filter(
    lambda name: name not in ("", ".", "..") and len(name.encode()) < 200
)


def nothing_of_its_own(text: str) -> list[Setting]:
    """The settings, which are those that every unit of ours has."""
    found = settings(text)
    assert {setting.section for setting in found} <= SECTIONS
    assert {setting.name for setting in found} <= SETTINGS
    return found


def values(found: list[Setting], name: str) -> list[str]:
    return [setting.value for setting in found if setting.name == name and setting.section == "Service"]


@given(components, some.lists(texts, max_size=4))
@example("two\nlines", ['"', "'", "\\", "%h", "$HOME", "\n"])
@example("#", ["# no comment"])
@example(" ; ", [";", " ; "])
@example("[job.x]\npaths = []", ["]", '"""'])
@examples(400)
def test_what_install_writes_is_read_back_as_it_was_given(
    tmp_path_factory: pytest.TempPathFactory, name: str, given_words: list[str]
) -> None:
    assume(not any(word.startswith("~/") for word in given_words))  # that is the home, in a command
    folder = Path("/srv") / name
    command = ("/usr/bin/env", *given_words)
    file = tmp_path_factory.mktemp("config") / "config.toml"
    wanted = Job("docs", (folder,), places.marker(places.TRAINING_UNIT), tuple(given_words), command=command)
    file.write_text(config_text([wanted]), encoding="utf-8", newline="")
    (job,) = read_config(file).jobs
    assert job == wanted
    training = units.Training(job, (*command, str(folder)), TRAINING.status_file)
    found = nothing_of_its_own(units.training_unit(HERE, training))
    assert argv(values(found, "ExecStart")[0]) == [os.fsencode(word) for word in (*command, str(folder))]


@given(some.lists(texts, min_size=1, max_size=4))
@examples(300)
def test_exec_is_split_as_a_shell_would(
    tmp_path_factory: pytest.TempPathFactory, given_words: list[str]
) -> None:
    # Unquoted or not, a word that begins with ~/ is a path below the home; a shell's own words are refused.
    assume(given_words[0] and not any(word.startswith("~/") for word in given_words))
    path = tmp_path_factory.mktemp("none") / "config.toml"
    try:
        config = configuration(path, Wanted((path.parent,), shlex.join(given_words))).config
    except InstallError as error:
        told = str(error)
    else:
        assert config.jobs[0].command == tuple(given_words)
        return
    assert "no shell reads" in told


@given(components, components)
@examples(300)
def test_a_home_of_any_name_adds_nothing_to_the_watchers_unit(home: str, state: str) -> None:
    folders = (Path("/home") / home / "state", Path("/var") / state)
    here = units.Installation(
        python=Path("/home") / home / "bin/python",
        config=Path("/home") / home / "config.toml",
        home=Path("/home") / home,
        environment_file=Path("/home") / home / "train.env",
        writable=folders,
        systemd=HERE.systemd,
        environment=(("XDG_STATE_HOME", str(folders[0])),),
    )
    try:
        text = units.watcher_unit(here)
    except units.UnitError as error:
        told = str(error)
        assert "\n" not in told
        return
    found = nothing_of_its_own(text)
    assert argv(values(found, "ExecStart")[0])[-3:] == [b"--config", os.fsencode(here.config), b"run"]
    assert [expanded(word) for word in words(values(found, "ReadWritePaths")[0], c_escapes=False)] == [
        b"-" + os.fsencode(folder) for folder in folders
    ]
    assert values(found, "Environment")
    assert units.ours(text)
    assert not units.edited(text)


def utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


@pytest.mark.parametrize("name", [name for name in NAMES if utf8(name)], ids=ascii)
def test_a_folder_of_any_name_is_installed_as_it_is(desk: Desk, name: bytes) -> None:
    folder = desk.home / os.fsdecode(name)
    folder.mkdir()
    command = ["/bin/echo", *(word for word in WORDS if not word.startswith("~/")), os.fsdecode(name)]
    config: Config = desk.install(folder, exec_command=shlex.join(command))
    assert config.jobs[0].paths == (folder,)
    nothing_of_its_own(desk.watcher.read_text(encoding="utf-8"))
    training = nothing_of_its_own(desk.unit().read_text(encoding="utf-8"))
    assert argv(values(training, "ExecStart")[0]) == [os.fsencode(word) for word in command]
    desk.install(folder, exec_command=shlex.join(command))
    assert f"{desk.unit()} is unchanged" in desk.told()


@pytest.mark.parametrize("name", [name for name in NAMES if not utf8(name)], ids=ascii)
def test_a_folder_whose_name_is_no_text_is_refused_and_nothing_is_written(desk: Desk, name: bytes) -> None:
    folder = desk.home / os.fsdecode(name)
    folder.mkdir()
    with pytest.raises(InstallError, match="not UTF-8"):
        desk.install(folder)
    assert not desk.config.exists()
    assert not desk.unit().exists()
