"""The machine of the end-to-end tests, for the launcher that needs a real user manager."""

from __future__ import annotations

from machine.conftest import debian, machine, pytest_generate_tests, suite

__all__ = ["debian", "machine", "pytest_generate_tests", "suite"]
