"""Installing and taking away again, in a home of its own."""

from __future__ import annotations

import os
import re
import shlex
import stat
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from install.conftest import Desk
from training_watch import clock, installing
from training_watch.config import ConfigError, Job, LauncherName, read_config
from training_watch.decide import Settings
from training_watch.installing import InstallError, Wanted
from training_watch.installing.template import config_text
from training_watch.launching import LaunchError, NoManager
from training_watch.records import opened_records
from training_watch.units import DROP_IN, disagreement, edited, fact, ours
from units.reading import argv, settings

THEIRS = "[Service]\nType=oneshot\nExecStart=/usr/bin/make train\n"


# ---- the first time ---------------------------------------------------------------------------


def test_everything_is_there_after_it(desk: Desk) -> None:
    config = desk.install()
    assert config == read_config(desk.config)
    assert config.jobs[0].paths == (desk.docs,)
    for unit in (desk.watcher, desk.unit()):
        assert ours(unit.read_text())
        assert not edited(unit.read_text())
    (line,) = [each.value for each in settings(desk.unit().read_text()) if each.name == "ExecStart"]
    assert argv(line)[-3:] == [b"train", b"--docs", os.fsencode(desk.docs)]
    assert stat.S_IMODE((desk.home / ".local/state/training-watch").stat().st_mode) == 0o700
    assert (desk.home / ".cache/crystal").is_dir()
    assert disagreement(desk.unit().read_text(), desk.config, config.jobs[0]) is None


def test_the_daemon_is_enabled_started_and_lingers(desk: Desk) -> None:
    desk.install()
    assert desk.asked() == [
        "systemctl daemon-reload",
        "systemctl enable training-watch.service",
        "systemctl restart training-watch.service",
        "loginctl --no-ask-password enable-linger",
    ]
    assert "Lingering is on" in desk.told()


def test_the_new_configuration_shows_every_default(desk: Desk) -> None:
    from training_watch.config import KEYS

    desk.install()
    text = desk.config.read_text()
    for key in KEYS:
        assert f"{key} = " in text
    uncommented = text.replace("\n# ", "\n").replace("What training-watch", "# What training-watch")
    lines = [line for line in uncommented.split("\n") if " = " in line or line.startswith("[")]
    spelled_out = desk.config.with_name("spelled-out.toml")
    spelled_out.write_text("\n".join(lines))
    assert read_config(spelled_out).jobs == read_config(desk.config).jobs


@pytest.mark.parametrize("name", ['a "b"', "back\\slash", "ünï", "tab\there", "\x7f", "~", "#", "'''"])
def test_any_folder_survives_the_configuration(desk: Desk, name: str) -> None:
    folder = desk.home / name
    folder.mkdir()
    assert desk.install(folder).jobs[0].paths == (folder,)


def test_a_folder_that_no_toml_can_name_is_refused() -> None:
    with pytest.raises(InstallError, match="not UTF-8"):
        config_text([Job("docs", (Path(os.fsdecode(b"/\xff")),), Path("/marker"))])


def test_docs_here_is_the_default(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk.docs.parent)
    config = installing.install(
        Wanted(), config_path=desk.config, dry_run=False, replace=False,
        watcher_unit="training-watch.service", say=desk.said.append,
    )  # fmt: skip
    assert config.jobs[0].paths == (desk.docs,)


def test_without_docs_here_it_asks_which_folder(desk: Desk) -> None:
    with pytest.raises(ConfigError, match="--watch DIR"):
        installing.install(
            Wanted(), config_path=desk.config, dry_run=False, replace=False,
            watcher_unit="training-watch.service", say=desk.said.append,
        )  # fmt: skip
    assert not desk.config.exists()


def test_a_folder_that_is_not_there_is_a_typing_error(desk: Desk) -> None:
    with pytest.raises(ConfigError, match="no such folder"):
        desk.install(desk.home / "dosc")
    assert not desk.config.exists()


# ---- again ------------------------------------------------------------------------------------


def test_installing_twice_changes_nothing(desk: Desk) -> None:
    desk.install()
    before = desk.tree()
    desk.install()
    assert desk.tree() == before
    assert desk.told().count("is unchanged") == 2
    assert "Wrote" not in desk.told()


def test_an_edited_configuration_reaches_the_units(desk: Desk) -> None:
    desk.install()
    more = desk.home / "more"
    more.mkdir()
    desk.config.write_text(f'[job.docs]\npaths = ["~/project/docs", "~/{more.name}"]\n')
    written = desk.config.read_text()
    desk.install()
    assert len(fact(desk.unit().read_text(), "Paths")) == 2
    assert desk.config.read_text() == written
    assert not list(desk.unit().parent.glob("*.bak*"))


EDITS: dict[str, Callable[[str], str]] = {
    "a comment": lambda text: f"{text}# mine\n",
    "a blank": lambda text: text.replace("[job.docs]", "[job.docs] "),
    "a length of time": lambda text: text.replace('# cooldown = "6h"', 'cooldown = "1h"'),
    "another job": lambda text: f'{text}\n[job.more]\npaths = ["~/project"]\nservice = "more.service"\n',
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_configuration_that_somebody_edited_is_never_changed(desk: Desk, edit: str) -> None:
    desk.install()
    desk.config.write_text(EDITS[edit](desk.config.read_text()))
    before = desk.config.read_text()
    (desk.home / "other").mkdir()
    for wanted, line in (
        (Wanted(watch=(desk.home / "other",)), 'paths = ["~/other"]'),
        (Wanted(exec_command="make train"), 'command = ["make", "train"]'),
        (Wanted(launcher="process"), 'launcher = "process"'),
        (Wanted(ignore=("*.tmp",)), 'ignore = ["*.tmp"]'),
        (Wanted(debounce=20), 'debounce = "20s"'),
        (Wanted(cooldown=90), 'cooldown = "1min 30s"'),
    ):
        with pytest.raises(InstallError, match=re.escape(f"write {line} in it, below [job.docs]")):
            desk.ask(replace(wanted, job="docs"))
    assert desk.config.read_text() == before


def test_a_configuration_that_nobody_edited_is_written_anew(desk: Desk) -> None:
    desk.install(exec_command="false", launcher="process")
    assert desk.install(exec_command="true one").jobs[0].command == ("true", "one")
    assert f"{desk.config} was as `install` had written it: it is written anew" in desk.said
    assert desk.install(launcher="systemd").jobs[0].launcher == "systemd"
    assert "ExecStart=:/usr/bin/true one" in desk.unit().read_text().replace('"', "")
    (desk.home / "other").mkdir()
    job = desk.install(desk.home / "other").jobs[0]
    assert (job.paths, job.command, job.launcher) == ((desk.home / "other",), ("true", "one"), "systemd")
    assert read_config(desk.config).jobs == (job,)
    assert stat.S_IMODE(desk.config.stat().st_mode) == 0o600


# ---- a job of one's own -----------------------------------------------------------------------


def test_one_line_sets_up_a_job_of_ones_own(desk: Desk) -> None:
    job = desk.install(
        desk.docs, exec_command="true", job="site", ignore=("drafts/", "*.tmp"), debounce=20, cooldown=120.5
    ).jobs[0]
    assert (job.name, job.paths, job.command, job.ignore) == (
        "site",
        (desk.docs,),
        ("true",),
        ("drafts/", "*.tmp"),
    )
    assert (job.settings.debounce, job.settings.cooldown) == (20, 120.5)
    assert read_config(desk.config).jobs == (job,)
    assert 'cooldown = "2min 500ms"' in desk.config.read_text()
    assert ours(desk.unit("site-train.service").read_text())
    assert job.marker == desk.home / ".cache/crystal/site-train.service.last-run"
    assert not desk.unit().exists()


def test_a_job_is_added_beside_what_a_person_wrote(desk: Desk) -> None:
    desk.install()
    for mine in ("", "# mine"):
        desk.config.write_text(desk.config.read_text() + mine)
        before, jobs = desk.config.read_text(), read_config(desk.config).jobs
        name = f"site{len(jobs)}"
        config = desk.install(desk.docs, exec_command="true", job=name)
        assert desk.config.read_text().startswith(before)
        assert config.jobs[:-1] == jobs
        assert f"{name} is a job now, beside {', '.join(job.name for job in jobs)}" in desk.said
        assert ours(desk.unit(f"{name}-train.service").read_text())
    assert desk.unit().exists()


def test_an_added_job_has_folders_of_its_own(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.install()
    monkeypatch.chdir(desk.docs.parent)
    with pytest.raises(ConfigError, match="say which folder site watches: --watch DIR"):
        desk.install(exec_command="true", job="site")


def test_it_ends_with_what_is_kept_now(desk: Desk) -> None:
    desk.install(exec_command="true one", cooldown=90)
    kept = f"docs: watches {desk.docs}, and starts crystal-train.service (true one) once nothing has changed for "
    assert f"{kept}5min, 1min 30s at least after the last time" in desk.said
    desk.config.write_text(desk.config.read_text().replace('"1min 30s"', "0"))
    desk.install()
    assert desk.said[-1] == f"{kept}5min"


def test_a_unit_that_is_no_jobs_any_more_keeps_its_past_which_is_said_and_purged(desk: Desk) -> None:
    desk.install()
    marker = desk.home / ".cache/crystal/old.service.last-run"
    marker.touch()
    with opened_records(replace(read_config(desk.config).jobs[0], service="old.service"), print) as records:
        records.runs.begin("a" * 32, clock.now(), "")
    desk.config.write_text('[job.docs]\npaths = ["~/project/docs"]\nservice = "new.service"\n')
    desk.install()
    assert (
        "crystal-train.service is no job's unit any more: its history and what it has trained are kept"
        in desk.told()
    )
    desk.uninstall()
    assert shlex.quote(str(marker)) in desk.told()
    desk.uninstall(purge=True)
    assert not marker.exists()


def test_an_added_job_is_started_as_the_others_are(desk: Desk) -> None:
    desk.install(launcher="process")
    assert desk.install(desk.docs, exec_command="true", job="site").jobs[1].launcher == "process"


def test_a_job_that_is_there_is_written_anew_without_the_others(desk: Desk) -> None:
    desk.install(exec_command="true")
    desk.install(desk.docs, exec_command="true", job="site", cooldown=60)
    config = desk.install(job="site", debounce=20)
    assert config.jobs[1].settings == Settings(debounce=20, cooldown=60)
    assert config.jobs[0].settings == Settings()
    assert desk.install(job="site", debounce=20).jobs == config.jobs
    assert f"{desk.config} is used as it is" in desk.said


def test_of_several_jobs_it_asks_which_one(desk: Desk) -> None:
    desk.install(exec_command="true")
    desk.install(desk.docs, exec_command="true", job="site")
    with pytest.raises(InstallError, match=r"say which one with --job \(docs, site\)"):
        desk.install(debounce=20)


def test_who_waits_long_for_quiet_has_patience_too(desk: Desk) -> None:
    settings = desk.install(debounce=3600).jobs[0].settings
    assert (settings.debounce, settings.max_wait) == (3600, 6 * 3600)
    assert desk.install(debounce=60).jobs[0].settings.max_wait == 6 * 3600


@pytest.mark.parametrize("name", ["my site", "", "a.b", "x" * 65, "]"])
def test_a_name_that_no_job_can_have_is_refused(desk: Desk, name: str) -> None:
    with pytest.raises(InstallError, match="is no name for a job"):
        desk.install(job=name)
    assert not desk.config.exists()


def test_the_default_command_written_out_is_the_default(desk: Desk) -> None:
    desk.install(exec_command="false")
    assert desk.install(exec_command="crystal train").jobs[0].command == ("crystal", "train")
    written = desk.config.read_text()
    desk.install()
    assert "is used as it is" in desk.told()
    assert desk.config.read_text() == written


def test_what_it_says_already_is_no_reason_to_write_it_anew(desk: Desk) -> None:
    more = desk.home / "more"
    more.mkdir()
    desk.install(desk.docs, more)
    before = desk.tree()
    assert desk.install(more).jobs[0].paths == (desk.docs, more)
    assert desk.tree() == before
    assert desk.install(more, exec_command="true").jobs[0].paths == (desk.docs, more)


def test_a_typing_error_does_not_replace_a_folder(desk: Desk) -> None:
    desk.install()
    before = desk.tree()
    with pytest.raises(ConfigError, match="no such folder"):
        desk.install(desk.home / "dosc")
    assert desk.tree() == before


def test_a_folder_that_is_not_there_any_more_is_waited_for_and_said(desk: Desk) -> None:
    desk.install()
    assert "waited for" not in desk.told()
    desk.docs.rmdir()
    desk.install()
    assert (
        f"docs: {desk.docs} is not there: it is waited for; correct `paths` in {desk.config} if that is a mistake"
        in desk.said
    )


def test_a_unit_of_another_name_is_forgotten_with_its_failure(desk: Desk) -> None:
    desk.install()
    desk.config.write_text('[job.docs]\npaths = ["~/project/docs"]\nservice = "other.service"\n')
    desk.forget_asked()
    desk.install()
    asked = desk.asked()
    assert asked[-1] == "systemctl reset-failed crystal-train.service"
    assert asked.index("systemctl daemon-reload") < len(asked) - 1
    desk.forget_asked()
    desk.install()
    assert not [line for line in desk.asked() if "reset-failed" in line]


def test_the_configuration_tells_of_each_units_marker(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.install()
    assert '# marker = "~/.cache/crystal/last-training-run"' in desk.config.read_text()
    assert "Another service has another one,\n# ~/.cache/crystal/UNIT.last-run" in desk.config.read_text()
    assert "man 5 training-watch" in desk.config.read_text().split("[job", 1)[0]
    desk.config.unlink()
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/elsewhere")
    assert config_text([Job("docs", (desk.docs,), Path("/marker"))]).count("/var/elsewhere/crystal/") == 2


def test_a_wrong_configuration_stops_it_before_anything_is_done(desk: Desk) -> None:
    desk.config.parent.mkdir(parents=True)
    desk.config.write_text("[job.docs]\npahts = []\n")
    with pytest.raises(ConfigError, match="did you mean 'paths'"):
        desk.install()
    assert not desk.watcher.exists()
    assert desk.asked() == []


def test_a_job_that_is_gone_takes_its_unit_with_it(desk: Desk) -> None:
    desk.install()
    desk.config.write_text('[job.docs]\npaths = ["~/project/docs"]\nservice = "other.service"\n')
    desk.install()
    assert not desk.unit().exists()
    assert desk.unit("other.service").exists()


def test_units_of_another_configuration_are_left_alone(desk: Desk) -> None:
    desk.install()
    other = desk.unit().read_text().replace("Job=docs", "Job=elsewhere")
    desk.unit("elsewhere.service").write_text(other.replace("config.toml", "other.toml"))
    desk.install()
    assert desk.unit("elsewhere.service").exists()


# ---- what a person wrote ----------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["training-watch.service", "crystal-train.service"])
def test_a_hand_edit_stops_it_with_a_diff(desk: Desk, unit: str) -> None:
    desk.install()
    desk.forget_asked()
    text = desk.unit(unit).read_text().replace("Nice=", "Nice=1")
    desk.unit(unit).write_text(text)
    with pytest.raises(InstallError, match="was edited by hand"):
        desk.install()
    assert "-Nice=1" in desk.told()
    assert "+Nice=" in desk.told()
    assert desk.unit(unit).read_text() == text
    assert desk.asked() == []


def test_replace_keeps_every_earlier_copy(desk: Desk) -> None:
    desk.install()
    for number, backup in enumerate(("bak", "bak.1", "bak.2")):
        mine = desk.unit().read_text() + f"# mine {number}\n"
        desk.unit().write_text(mine)
        desk.install(replace=True)
        assert desk.unit(f"crystal-train.service.{backup}").read_text() == mine
        assert not edited(desk.unit().read_text())
    assert "# mine 0" in desk.unit("crystal-train.service.bak").read_text()


def test_somebody_elses_watcher_stops_it_with_a_diff(desk: Desk) -> None:
    desk.watcher.parent.mkdir(parents=True)
    desk.watcher.write_text(THEIRS)
    with pytest.raises(InstallError, match="isn't ours"):
        desk.install()
    assert "-ExecStart=/usr/bin/make train" in desk.told()
    assert desk.watcher.read_text() == THEIRS
    assert not desk.config.exists()
    desk.install(replace=True)
    assert ours(desk.watcher.read_text())
    assert desk.unit("training-watch.service.bak").read_text() == THEIRS


def test_somebody_elses_training_gets_a_drop_in(desk: Desk) -> None:
    desk.unit().parent.mkdir(parents=True)
    desk.unit().write_text(THEIRS)
    desk.install()
    assert desk.unit().read_text() == THEIRS
    assert "begin crystal-train.service" in desk.drop_in.read_text()
    assert "mark crystal-train.service" in desk.drop_in.read_text()
    assert "isn't ours: it stays as it is" in desk.told()
    before = desk.tree()
    desk.install()
    assert desk.tree() == before


def test_a_training_that_the_distribution_ships_gets_a_drop_in(desk: Desk, tmp_path: Path) -> None:
    shipped = tmp_path / "crystal-train.service"
    shipped.write_text(THEIRS)
    desk.show("crystal-train.service", LoadState="loaded", FragmentPath=str(shipped))
    desk.install()
    assert desk.drop_in.exists()
    assert not desk.unit().exists()


def test_a_command_of_ones_own_is_not_put_over_somebody_elses_unit(desk: Desk) -> None:
    desk.unit().parent.mkdir(parents=True)
    desk.unit().write_text(THEIRS)
    with pytest.raises(InstallError, match="isn't ours"):
        desk.install(exec_command="true")
    assert desk.unit().read_text() == THEIRS
    desk.install(exec_command="true", replace=True)
    assert "ExecStart=:/usr/bin/true" in desk.unit().read_text()
    assert not desk.drop_in.exists()


def test_a_drop_in_that_is_no_longer_needed_goes(desk: Desk) -> None:
    desk.unit().parent.mkdir(parents=True)
    desk.unit().write_text(THEIRS)
    desk.install()
    desk.unit().unlink()
    desk.install()
    assert ours(desk.unit().read_text())
    assert not desk.drop_in.parent.exists()


def test_drop_ins_of_ones_own_are_respected(desk: Desk) -> None:
    mine = desk.unit("crystal-train.service.d/override.conf")
    mine.parent.mkdir(parents=True)
    mine.write_text("[Service]\nNice=1\n")
    desk.install()
    desk.uninstall(purge=True)
    assert mine.read_text() == "[Service]\nNice=1\n"


def test_a_unit_that_is_a_link_stays_one(desk: Desk) -> None:
    desk.install()
    dotfiles = desk.home / "dotfiles.service"
    desk.unit().rename(dotfiles)
    desk.unit().symlink_to(dotfiles)
    desk.config.write_text('[job.docs]\npaths = ["~/project"]\n')
    desk.install()
    assert desk.unit().is_symlink()
    assert "project/docs" not in "".join(fact(dotfiles.read_text(), "Paths"))


def test_a_masked_training_is_not_unmasked(desk: Desk) -> None:
    desk.unit().parent.mkdir(parents=True)
    desk.unit().symlink_to("/dev/null")
    with pytest.raises(InstallError, match="systemctl --user unmask crystal-train"):
        desk.install()
    assert desk.unit().readlink() == Path("/dev/null")


# ---- the command ------------------------------------------------------------------------------


def test_a_command_is_found_and_kept_as_it_was_given(desk: Desk) -> None:
    config = desk.install(exec_command="true 'two words' ~/file")
    assert config.jobs[0].command == ("true", "two words", f"{desk.home}/file")
    assert "ExecStart=:/usr/bin/true" in desk.unit().read_text()
    desk.install(exec_command="true 'two words' ~/file")


def test_a_command_that_is_not_there_is_named(desk: Desk) -> None:
    with pytest.raises(InstallError, match="'no-such-program' is not there"):
        desk.install(exec_command="no-such-program --now")
    with pytest.raises(InstallError, match="absolute"):
        desk.install(exec_command="./train.sh")
    assert not desk.config.exists()


@pytest.mark.parametrize("interpreter", ["sh", "bash -eu", "python3", "/usr/bin/python3 -u"])
def test_a_script_that_is_not_there_is_refused_before_anything_is_written(
    desk: Desk, interpreter: str
) -> None:
    before = desk.tree()
    with pytest.raises(InstallError, match=r"biuld\.py, which is not there"):
        desk.install(exec_command=f"{interpreter} /nowhere/biuld.py /nowhere/argument")
    with pytest.raises(InstallError, match=r"biuld\.py, which is not there"):
        desk.install(exec_command=f"{interpreter} /nowhere/biuld.py", launcher="process")
    assert desk.tree() == before
    assert desk.asked() == []


@pytest.mark.parametrize("launcher", ["systemd", "process"])
def test_a_script_that_is_there_where_install_was_typed_and_not_in_the_home_is_refused(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, launcher: LauncherName
) -> None:
    (desk.docs / "train.py").touch()
    monkeypatch.chdir(desk.docs)
    with pytest.raises(InstallError) as refused:
        desk.install(exec_command="python3 -u train.py --fast", launcher=launcher)
    assert f"runs {desk.home}/train.py, which is not there" in str(refused.value)
    assert "run in the home folder, so name the script by its absolute path" in str(refused.value)
    assert not desk.config.exists()


@pytest.mark.parametrize(
    "command",
    ["sh -c /nowhere/x", "python3 -m /nowhere/x", "sh -o pipefail /nowhere/x", "cat /nowhere/x", "sh", "sh x /nowhere/x",
     "sh project/train.sh", "sh -c x.sh", "python3 -m x.py"],
)  # fmt: skip
def test_a_word_that_may_be_no_script_is_left_to_the_program(desk: Desk, command: str) -> None:
    (desk.home / "project/train.sh").touch()
    assert desk.install(exec_command=command).jobs[0].command == tuple(command.split())


@pytest.mark.parametrize("command", ["python3 train", "python3 -u train", "python3 tools/train --fast"])
def test_a_script_of_python_needs_no_suffix_to_be_missed(desk: Desk, command: str) -> None:
    with pytest.raises(
        InstallError, match=rf"runs {re.escape(str(desk.home))}/(tools/)?train, which is not there"
    ):
        desk.install(exec_command=command)
    (desk.home / "tools").mkdir()
    for script in ("train", "tools/train"):
        (desk.home / script).touch()
    assert desk.install(exec_command=command).jobs[0].command == tuple(command.split())


@pytest.mark.parametrize("command", ["make docs && make train", "train | tee log", "train > log"])
def test_a_command_for_a_shell_is_told_so(desk: Desk, command: str) -> None:
    with pytest.raises(InstallError, match="no shell reads"):
        desk.install(exec_command=command)


def test_somebody_elses_crystal_is_the_training_command_as_it_is(desk: Desk) -> None:
    theirs = desk.home / ".local/bin/crystal"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("#!/bin/sh\n")
    theirs.chmod(0o755)
    desk.install()
    lines = [line for line in desk.unit().read_text().split("\n") if line.startswith("ExecStart=")]
    assert lines[0].endswith(" train")
    assert ".local/bin/crystal" in lines[0]
    assert "--docs" not in lines[0]
    assert "isn't ours: it is the training command" in desk.told()


def test_our_own_link_is_not_somebody_elses(desk: Desk, own_program: Path) -> None:
    desk.install()
    assert "--docs" in desk.unit().read_text()
    assert str(own_program.relative_to(desk.home)) in desk.unit().read_text()


# ---- the environment --------------------------------------------------------------------------


def test_folders_that_are_elsewhere_are_written_into_the_units(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", f"{desk.home}/elsewhere")
    monkeypatch.setenv("XDG_CACHE_HOME", f"{desk.home}/.cache")
    monkeypatch.setenv("CRYSTAL_STORE", f"{desk.home}/model")
    desk.install()
    for unit in (desk.watcher, desk.unit()):
        text = unit.read_text()
        assert "XDG_STATE_HOME=" in text
        assert "XDG_CACHE_HOME=" not in text
        assert "CRYSTAL_STORE=" in text


def test_private_tmp_only_where_nothing_of_it_lies_below_tmp(desk: Desk) -> None:
    desk.install()
    below = any(Path(each) in desk.home.parents for each in ("/tmp", "/var/tmp"))
    assert ("PrivateTmp=yes" in desk.watcher.read_text()) != below


# ---- where systemd can't do its part ----------------------------------------------------------


def test_without_a_manager_nothing_is_written_and_the_way_out_is_named(desk: Desk) -> None:
    (desk.fake / "gone").touch()
    before = desk.tree()
    with pytest.raises(NoManager, match="launcher"):
        desk.install()
    assert desk.tree() == before


def test_a_job_that_runs_its_command_itself_needs_no_manager(desk: Desk) -> None:
    (desk.fake / "gone").touch()
    config = desk.install(launcher="process")
    assert config.jobs[0].launcher == "process"
    assert not desk.watcher.exists()
    assert "training-watch run" in desk.told()
    desk.install()


def test_its_command_is_looked_for_all_the_same(desk: Desk) -> None:
    with pytest.raises(InstallError, match="'no-such-program' is not there"):
        desk.install(exec_command="no-such-program", launcher="process")
    assert not desk.config.exists()


def test_a_container_is_refused_with_the_way_to_the_host(desk: Desk) -> None:
    sign = desk.home / "containerenv"
    sign.touch()
    with pytest.raises(InstallError, match="distrobox-host-exec"):
        desk.install(containers=[str(sign)])
    assert not desk.config.exists()
    desk.install(containers=[str(sign)], launcher="process")


def test_a_daemon_that_does_not_start_is_reported_with_its_last_words(desk: Desk) -> None:
    desk.fail("restart", "Job for training-watch.service failed.\n")
    with pytest.raises(LaunchError, match=r"(?s)restart.*Job for .* failed.*the daemon's last words"):
        desk.install()


def test_a_refused_linger_is_said_with_its_reason_and_its_mend(desk: Desk) -> None:
    desk.fail("linger", "Could not enable linger: Access denied\n")
    desk.install()
    assert "Access denied" in desk.told()
    assert "sudo loginctl enable-linger" in desk.told()


def test_lingering_is_not_asked_for_twice(desk: Desk) -> None:
    desk.install()
    desk.forget_asked()
    desk.install()
    assert not [line for line in desk.asked() if line.startswith("loginctl")]


def test_a_running_training_is_left_alone(desk: Desk) -> None:
    desk.show("crystal-train.service", LoadState="loaded", ActiveState="activating")
    desk.install()
    assert "crystal-train.service is running; it is left alone" in desk.told()
    assert not [line for line in desk.asked() if "crystal-train" in line]


# ---- trying it out ----------------------------------------------------------------------------


def test_a_rehearsal_shows_all_and_changes_nothing(desk: Desk) -> None:
    before = desk.tree()
    desk.install(dry_run=True)
    assert desk.tree() == before
    assert desk.asked() == []
    for shown in ("[job.docs]", "Type=notify", "Type=oneshot", "daemon-reload", "enable-linger"):
        assert shown in desk.told()


# ---- taking away ------------------------------------------------------------------------------


def test_nothing_but_configuration_and_state_is_left(desk: Desk, own_program: Path) -> None:
    desk.install()
    state = desk.home / ".local/state/training-watch/state.db"
    state.write_text("history")
    desk.uninstall()
    left = {name for name, inside in desk.tree().items() if inside or name.endswith(".service")}
    assert left == {".config/training-watch/config.toml", ".local/state/training-watch/state.db"}
    assert not own_program.exists()
    assert not list((desk.home / ".local/bin").iterdir())
    assert not list(desk.unit().parent.glob("*.service*"))
    assert desk.asked()[-3:] == [
        "systemctl disable --now training-watch.service",
        "systemctl daemon-reload",
        "systemctl reset-failed crystal-train.service training-watch.service",
    ]


def test_what_is_left_is_named_with_the_line_that_removes_it(desk: Desk, own_program: Path) -> None:
    desk.install()
    marker = desk.home / ".cache/crystal/last-training-run"
    marker.write_text("x")
    mine = desk.home / ".cache/crystal/mine"
    mine.write_text("x")
    desk.uninstall()
    assert not own_program.exists()
    (line,) = [line for line in desk.said if "to remove them: " in line]
    subprocess.run(["sh", "-euc", line.partition("to remove them: ")[2]], check=True)
    assert [name for name, inside in desk.tree().items() if inside] == [".cache/crystal/mine"]
    assert not (desk.home / ".local/state/training-watch").exists()
    desk.uninstall()
    assert "to remove them" not in desk.told()


def test_purge_takes_configuration_state_and_markers_too(desk: Desk, own_program: Path) -> None:
    desk.install()
    cache = desk.home / ".cache/crystal"
    for name in (
        "last-training-run",
        "training-watch.log",
        "training-watch.log.1",
        "crystal-train.service.status.json",
    ):
        (cache / name).write_text("x")
    (desk.home / ".config/training-watch/train.env").write_text("X=1\n")
    model = desk.home / ".local/share/crystal/releases"
    model.mkdir(parents=True)
    desk.uninstall(purge=True)
    assert {name for name, inside in desk.tree().items() if inside} == set()
    assert not cache.exists()
    assert not desk.config.parent.exists()
    assert model.exists()
    assert "The model is kept" in desk.told()
    assert not own_program.exists()


def test_purge_leaves_what_it_does_not_know(desk: Desk) -> None:
    desk.install()
    mine = desk.home / ".cache/crystal/mine"
    mine.write_text("x")
    desk.uninstall(purge=True)
    assert mine.exists()


def test_a_hand_edit_outlives_uninstall_as_a_copy(desk: Desk) -> None:
    desk.install()
    mine = desk.unit().read_text() + "# mine\n"
    desk.unit().write_text(mine)
    desk.uninstall()
    assert not desk.unit().exists()
    assert desk.unit("crystal-train.service.bak").read_text() == mine
    assert "crystal-train.service.bak" in desk.told()


def test_somebody_elses_units_survive_uninstall(desk: Desk) -> None:
    desk.unit().parent.mkdir(parents=True)
    desk.unit().write_text(THEIRS)
    desk.install()
    desk.uninstall(purge=True)
    assert desk.unit().read_text() == THEIRS
    assert not desk.drop_in.parent.exists()


def test_a_watcher_that_is_not_ours_is_not_stopped(desk: Desk) -> None:
    desk.watcher.parent.mkdir(parents=True)
    desk.watcher.write_text(THEIRS)
    desk.uninstall()
    assert desk.asked() == []
    assert desk.watcher.exists()


def test_uninstall_does_without_a_manager(desk: Desk) -> None:
    desk.install()
    (desk.fake / "gone").touch()
    desk.uninstall()
    assert not desk.watcher.exists()
    assert not desk.unit("default.target.wants/training-watch.service").is_symlink()


def test_uninstalling_twice_is_no_error(desk: Desk, own_program: Path) -> None:
    desk.install()
    desk.uninstall(purge=True)
    before = desk.tree()
    desk.uninstall(purge=True)
    assert desk.tree() == before
    assert not own_program.exists()


def test_a_virtual_environment_that_is_not_ours_stays(desk: Desk, own_program: Path) -> None:
    (own_program / "made-by-install.sh").unlink()
    desk.install()
    desk.uninstall(purge=True)
    assert (own_program / "bin/python").exists()
    assert (desk.home / ".local/bin/crystal").is_symlink()


def test_a_link_of_ones_own_stays(desk: Desk, own_program: Path) -> None:
    mine = desk.home / ".local/bin/crystal"
    mine.unlink()
    mine.write_text("#!/bin/sh\n")
    desk.install()
    desk.uninstall()
    assert mine.read_text() == "#!/bin/sh\n"
    assert not own_program.exists()


def test_a_broken_configuration_does_not_keep_it_from_going(desk: Desk) -> None:
    desk.install()
    desk.config.write_text("not TOML")
    desk.uninstall()
    assert not desk.unit().exists()


def test_a_training_that_still_runs_is_said(desk: Desk) -> None:
    desk.install()
    desk.show("crystal-train.service", LoadState="loaded", ActiveState="activating")
    desk.uninstall()
    assert "crystal-train.service is still running" in desk.told()
    assert not [line for line in desk.asked() if "stop" in line]


def test_the_drop_in_has_a_name_that_sorts_before_ones_own() -> None:
    assert DROP_IN < "override.conf"
