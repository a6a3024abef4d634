"""Hosts for the end-to-end tests, and what a failed one tells.

A missing tool skips these tests on somebody's laptop, and fails them in CI, where a skip would go unseen for months.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from machine.host import CommandError, Host, OwnManager
from machine.machine import Machine, missing
from needs import lacking

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

# The systemds that are promised: 252, the oldest, and 257. What is marked each_systemd runs on each of them, the rest on
# the first; TRAINING_WATCH_MACHINE_SUITE names one for all, another Debian too.
DEBIANS = ("bookworm", "trixie")
CHOSEN = os.environ.get("TRAINING_WATCH_MACHINE_SUITE")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Module by module, so that each module boots its machine once for each Debian."""
    if "debian" not in metafunc.fixturenames:
        return
    each = metafunc.definition.get_closest_marker("each_systemd") is not None and missing() is None
    wanted = (CHOSEN,) if CHOSEN else DEBIANS if each else DEBIANS[:1]
    metafunc.parametrize("debian", wanted, indirect=True, scope="module")


@pytest.fixture(scope="module")
def debian(request: pytest.FixtureRequest) -> str:
    """Name the Debian that a machine is to have."""
    name = request.param
    assert isinstance(name, str)
    return name


@pytest.fixture(scope="module")
def suite(debian: str) -> str:
    """Return the Debian to boot, or end the test where none can be."""
    if why := missing():
        _unavailable(f"cannot boot a machine: {why}")
    return debian


@pytest.fixture(scope="module")
def machine(suite: str) -> Iterator[Machine]:
    """One machine for each module: its tests share it, so they clean up after themselves."""
    with Machine(suite) as booted:
        yield booted


@pytest.fixture(scope="module")
def host(debian: str) -> Iterator[Host]:
    """Provide a machine, or the user manager that is here, or end the test."""
    no_machine, no_manager = missing(), None
    if no_machine is None:
        with Machine(debian) as booted:
            yield booted
        return
    no_manager = OwnManager.missing()
    if no_manager is not None:
        _unavailable(f"cannot boot a machine: {no_machine}; and there is {no_manager}")
    own = OwnManager()
    try:
        yield own
    finally:
        own.cleanup()


def _unavailable(why: str) -> None:
    hint = "as root, run scripts/prepare-machine.sh, then these tests"
    lacking(f"{why} ({hint})")


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what boots a machine. Its first test may have to build the base tree, which takes minutes."""
    if {"suite", "machine", "host"} & set(getattr(item, "fixturenames", ())):
        item.add_marker(pytest.mark.machine)
        item.add_marker(pytest.mark.timeout(900))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show both units' last words beside a failure: there is no machine left to look at afterwards."""
    report = yield
    funcargs = getattr(item, "funcargs", {})
    host: Host | None = funcargs.get("host") or funcargs.get("machine")
    if report.failed and report.when == "call" and host is not None:
        for unit in (host.names.watcher, host.names.training):
            try:
                said = host.journal(unit)
            except (CommandError, OSError, LookupError) as gone:  # the test may have halted it
                said = f"(unreadable: {gone})"
            if said:
                report.sections.append((f"journal of {unit}", "\n".join(said.splitlines()[-40:])))
    return report
