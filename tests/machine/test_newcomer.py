"""The README's two commands, as somebody runs them who has just cloned the project."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from machine.machine import Machine


@pytest.fixture(scope="module")
def odd(suite: str) -> Iterator[Machine]:
    """A home as on Silverblue, whose name nobody quoted right at first."""
    with Machine(suite, home="/var/home/100% o'dev") as booted:
        yield booted


@pytest.mark.each_systemd
def test_install_works_in_a_home_with_a_space_a_percent_sign_and_a_quote(odd: Machine) -> None:
    project = odd.copy_project("my 50% project")
    odd.user("bash scripts/install.sh", cwd=project, timeout=600)
    assert odd.user("systemctl --user is-active training-watch").stdout == "active\n"
    marker = odd.read(".cache/crystal/last-training-run")
    assert marker.startswith("20")
    assert (
        ".md:"
        in odd.user(".local/share/training-watch/venv/bin/python -m knowledge_platform ask cooldown").stdout
    )
    checked = odd.user(["bash", f"{project}/scripts/check-training-needed.sh"])
    assert checked.stdout.startswith("should_train=false\nreason=cooldown_active_6h\n")
    odd.user(".local/share/training-watch/venv/bin/python -m training_watch uninstall --purge")
    assert not odd.exists(".local/share/training-watch")
    assert not odd.exists(".config/training-watch")


@pytest.mark.each_systemd
def test_without_a_shells_hints_the_manager_is_found_all_the_same(machine: Machine) -> None:
    project = machine.copy_project()
    bare = f"env -u XDG_RUNTIME_DIR -u DBUS_SESSION_BUS_ADDRESS PATH=/usr/bin:/bin HOME={machine.home}"
    machine.user(f"{bare} bash scripts/install.sh", cwd=project, timeout=600)
    forced = machine.user(f"{bare} bash scripts/trigger-training-vps.sh --force --wait", cwd=project)
    assert "Training started successfully!" in forced.stdout
    assert "Training succeeded." in forced.stdout


def test_with_a_command_of_ones_own_a_wrong_word_is_mended_by_saying_it_again_and_crystal_is_left_out(
    machine: Machine,
) -> None:
    project = machine.copy_project("own")
    machine.user(".local/bin/training-watch uninstall --purge", check=False)
    machine.user("mkdir -p site/content")
    machine.write("site/content/a.md", "# A\n")
    machine.write("site/build.py", "print('built')\n")

    def installed(script: str) -> subprocess.CompletedProcess[str]:
        words = f"--watch ~/site/content --exec 'python3 {machine.home}/site/{script}'"
        return machine.user(f"bash scripts/install.sh {words}", cwd=project, timeout=600, check=False)

    wrong = installed("biuld.py")
    assert wrong.returncode == 1
    assert "biuld.py, which is not there" in wrong.stderr
    assert not machine.exists(".config/training-watch")
    right = installed("build.py")
    assert right.returncode == 0, right.stderr
    assert "Training succeeded." in right.stdout
    assert not machine.exists(".local/bin/crystal")
    (line,) = [line for line in right.stdout.splitlines() if "left out; to have it: " in line]
    machine.user(line.partition("to have it: ")[2], timeout=600)
    assert machine.user(".local/bin/crystal --version").stdout
    machine.user(".local/bin/training-watch uninstall --purge")


def test_without_a_user_manager_install_ends_with_a_trained_model_and_the_one_command_that_keeps_watching(
    machine: Machine,
) -> None:
    machine.copy_project("plain")
    machine.root("useradd -m plain && cp -r /home/dev/plain /home/plain/ && chown -R plain: /home/plain")
    plain = (
        "cd /home/plain && setpriv --reuid=plain --regid=plain --init-groups "
        "env -i HOME=/home/plain USER=plain PATH=/usr/bin:/bin LANG=C.UTF-8"
    )
    machine.root(f"cp -r {machine.home}/.config/pip /home/plain/.config 2>/dev/null || true")
    installed = machine.root(f"{plain} bash plain/scripts/install.sh", timeout=600)
    assert "Training succeeded." in installed.stdout
    assert "training-watch run" in installed.stdout
    assert ".md:" in machine.root(f"{plain} .local/bin/crystal ask cooldown").stdout


def test_the_tests_pass_for_a_newcomer(machine: Machine) -> None:
    """Those that need no machine of their own. As the user: what only root is refused is tried here, too."""
    project = machine.copy_project("fresh")
    folders = (
        "tests/acts tests/ground tests/watching tests/launching tests/units tests/install tests/test_docs.py"
    )
    done = machine.user(
        f"bash scripts/test.sh {folders} -m 'not machine'", cwd=project, timeout=800, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:]
    assert "root reads everything" not in done.stdout
