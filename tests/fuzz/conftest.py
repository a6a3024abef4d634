"""The home of the tests of commands, for those that run a real process."""

from __future__ import annotations

from acts.conftest import home

__all__ = ["home"]
