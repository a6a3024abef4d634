"""Manual pages and completion: put where man(1) and the shells look, and taken away again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from install.conftest import Desk
from training_watch.installing.help import MARK, PAGES, SHELLS, script

SCRIPTS = {
    "bash": ".local/share/bash-completion/completions/training-watch",
    "fish": ".local/share/fish/vendor_completions.d/training-watch.fish",
    "zsh": ".local/share/zsh/site-functions/_training-watch",
}


def pages(desk: Desk) -> list[Path]:
    return [desk.home / ".local/share/man" / page for each in PAGES.values() for page in each]


def test_a_program_on_the_path_has_its_manual_and_its_completion(desk: Desk, own_program: Path) -> None:
    desk.install()
    for page in pages(desk):
        assert page.readlink() == own_program / "share/man" / page.parent.name / page.name
    for shell, name in SCRIPTS.items():
        assert (desk.home / name).read_text() == script(shell, "training-watch")
        assert (desk.home / name.replace("training-watch", "crystal")).exists()
    assert (
        "The manual is there: man training-watch, and man 5 training-watch for the configuration" in desk.said
    )
    assert "TAB completes training-watch and crystal in a new shell (bash, fish, zsh)" in desk.said


def test_the_manual_is_not_promised_where_there_is_no_man(
    desk: Desk, own_program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (desk.fake / "bin/man").unlink()
    (desk.fake / "bin/true").symlink_to("/bin/true")
    for name in ("systemctl", "loginctl"):
        program = desk.fake / "bin" / name
        program.write_text(program.read_text().replace("#!/bin/sh\n", "#!/bin/sh\nPATH=/usr/bin:/bin\n"))
    monkeypatch.setenv("PATH", f"{desk.fake}/bin")
    desk.install(exec_command="true")
    assert "man training-watch" not in desk.told()
    assert "TAB completes" in desk.told()
    assert pages(desk)[0].is_symlink(), "whoever installs man later has it"
    assert own_program.exists()


def test_completion_in_bash_is_promised_only_with_the_package_that_does_it(
    desk: Desk, own_program: Path
) -> None:
    (desk.fake / "share/bash-completion/bash_completion").unlink()
    desk.install()
    assert "TAB completes training-watch and crystal in a new shell (fish, zsh)" in desk.said
    assert "To have bash complete training-watch and crystal with TAB, install the package" in desk.told()
    assert own_program.exists()


def test_a_crystal_that_was_left_out_is_not_missed(desk: Desk, own_program: Path) -> None:
    (desk.home / ".local/bin/crystal").unlink()
    desk.install(exec_command="true")
    assert "crystal" not in "".join(line for line in desk.said if "manual" in line or "TAB" in line)
    assert own_program.exists()


def test_doing_it_again_changes_nothing_and_says_nothing_of_it(desk: Desk, own_program: Path) -> None:
    desk.install()
    before = desk.tree()
    desk.install()
    assert desk.tree() == before
    assert "TAB" not in desk.told()
    assert "manual" not in desk.told()
    assert own_program.exists()


def test_a_rehearsal_names_them_without_making_them(desk: Desk, own_program: Path) -> None:
    before = desk.tree()
    desk.install(dry_run=True)
    assert desk.tree() == before
    for name in SCRIPTS.values():
        assert f"Would write {desk.home / name} (completion of training-watch for" in desk.told()
    assert f"Would link {desk.home}/.local/share/man/man1/crystal.1 to {own_program}" in desk.told()


def test_a_program_whose_name_leads_nowhere_gets_none_and_says_so(desk: Desk) -> None:
    desk.install()
    assert not (desk.home / ".local/share").exists()
    assert "training-watch has no manual page and no completion: its name doesn't lead to" in desk.told()
    assert "The manual is there" not in desk.told()


def test_somebody_elses_crystal_is_never_run_to_complete_a_line(desk: Desk, own_program: Path) -> None:
    desk.install()
    theirs = desk.home / ".local/bin/crystal"
    theirs.unlink()
    theirs.write_text("#!/bin/sh\n")
    theirs.chmod(0o755)
    desk.install()
    assert "crystal has no manual page and no completion" in desk.told()
    assert not [name for name in desk.tree() if "crystal" in name and name.startswith(".local/share/bash")]
    assert (desk.home / SCRIPTS["bash"]).exists()
    assert own_program.exists()


def test_only_shells_that_are_here_get_a_script(
    desk: Desk, own_program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (desk.fake / "bin/fish").unlink()
    monkeypatch.setenv("PATH", f"{desk.fake}/bin")
    desk.install(launcher="process", exec_command="true")
    assert not (desk.home / ".local/share/fish").exists()
    assert (desk.home / SCRIPTS["zsh"]).exists()
    assert own_program.exists()


def test_a_job_without_systemd_has_them_too(desk: Desk, own_program: Path) -> None:
    (desk.fake / "gone").touch()
    desk.install(launcher="process")
    assert (desk.home / SCRIPTS["bash"]).exists()
    assert own_program.exists()


@pytest.mark.parametrize("name", SCRIPTS.values())
def test_a_script_of_ones_own_stays(desk: Desk, own_program: Path, name: str) -> None:
    mine = desk.home / name
    mine.parent.mkdir(parents=True)
    mine.write_text("# mine\n")
    desk.install()
    assert f"{mine} isn't ours and stays as it is" in desk.told()
    desk.uninstall()
    assert mine.read_text() == "# mine\n"
    assert not own_program.exists()


def test_a_page_of_somebody_elses_stays(desk: Desk, own_program: Path) -> None:
    theirs, *_ = pages(desk)
    theirs.parent.mkdir(parents=True)
    theirs.symlink_to("/usr/share/man/man1/another.1")
    desk.install()
    desk.uninstall()
    assert theirs.readlink() == Path("/usr/share/man/man1/another.1")
    assert not own_program.exists()


def test_a_link_to_an_older_installation_is_turned_to_this_one(desk: Desk, own_program: Path) -> None:
    first, *_ = pages(desk)
    first.parent.mkdir(parents=True)
    first.symlink_to("/gone/share/man/man1/training-watch.1")
    desk.install()
    assert first.readlink() == own_program / "share/man/man1/training-watch.1"


def test_what_cannot_be_written_is_said_and_stops_nothing(desk: Desk, own_program: Path) -> None:
    (desk.home / ".local/share/bash-completion").write_text("in the way")
    desk.install()
    assert "No manual pages or completion: " in desk.told()
    assert desk.watcher.exists()
    assert own_program.exists()


@pytest.mark.skipif(os.getuid() == 0, reason="root reads everything")
def test_a_folder_that_may_not_be_entered_stops_nothing(desk: Desk, own_program: Path) -> None:
    closed = desk.home / ".local/share/fish"
    closed.mkdir(mode=0)
    desk.install(dry_run=True)
    desk.install()
    assert f"No manual pages or completion: {closed}" in desk.told()
    assert desk.watcher.exists()
    assert own_program.exists()
    desk.uninstall()
    closed.chmod(0o700)


def test_scripts_follow_xdg_data_home_and_pages_what_man_searches(
    desk: Desk, own_program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", f"{desk.home}/data")
    desk.install()
    assert (desk.home / "data/zsh/site-functions/_crystal").exists()
    assert all(page.is_symlink() for page in pages(desk))
    assert own_program.exists()


def test_only_who_uses_zsh_is_told_of_its_path(
    desk: Desk, own_program: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.install()
    assert "fpath" not in desk.told()
    pages(desk)[0].unlink()
    monkeypatch.setenv("SHELL", "/usr/bin/zsh")
    desk.install()
    assert "fpath=(~/.local/share/zsh/site-functions $fpath)" in desk.told()
    assert own_program.exists()


def test_nothing_of_it_is_left_not_even_empty_folders(desk: Desk, own_program: Path) -> None:
    desk.install()
    desk.uninstall()
    assert "Removed the manual pages and the shells' completion" in desk.told()
    assert not [name for name in desk.tree() if name.startswith(".local/share/")]
    assert not own_program.exists()


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("name", PAGES)
def test_a_script_bears_our_mark_where_the_shell_allows_it(shell: str, name: str) -> None:
    lines = script(shell, name).split("\n")
    assert MARK in lines[:2]
    assert (lines[0] == f"#compdef {name}") == (shell == "zsh")
    variable = f"_{name.replace('-', '_').upper()}_COMPLETE={shell}_complete"
    assert variable in script(shell, name)


def test_every_page_is_one_that_the_project_has() -> None:
    project = Path(__file__).parents[2]
    for each in PAGES.values():
        for page in each:
            assert (project / "man" / Path(page).name).is_file()
