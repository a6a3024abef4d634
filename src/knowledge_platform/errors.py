"""What can go wrong, named for whose fault it is. Each carries the exit code that the command line returns.

The codes are stable: the automation decides by them whether a training is tried again.
"""

import errno
import os
import signal
from typing import Literal

from knowledge_platform.text import printable


class CrystalError(Exception):
    """The training failed, and trying again may help."""

    exit_code = 1


class RefusedError(CrystalError):
    """The gate, or the guard against mass deletion, refused; the same content would be refused again."""

    exit_code = 3


class SmokeError(CrystalError):
    """The release was deployed, didn't answer, and was taken back."""

    exit_code = 4


class BusyError(CrystalError):
    """Another training holds the lock: try again later (EX_TEMPFAIL of sysexits.h)."""

    exit_code = 75


class ConfigError(CrystalError):
    """Something has to be set up or mended by a person first (EX_CONFIG of sysexits.h)."""

    exit_code = 78


class Stopped(BaseException):
    """A signal asked the training to stop; the exit code is the shell's for that signal."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.exit_code = 128 + signal_number


def result_of(problem: BaseException) -> Literal["refused", "failed"]:
    return "refused" if isinstance(problem, RefusedError) else "failed"


def exit_code(problem: BaseException) -> int:
    return problem.exit_code if isinstance(problem, CrystalError | Stopped) else 1


def mend_of(problem: Exception) -> str:
    """What a person can do about what the disk said no to."""
    if not isinstance(problem, OSError):
        return "make room in the store, or let CRYSTAL_STORE name another folder"
    if problem.errno in (errno.ENOSPC, errno.EDQUOT):
        return "make room there, or let CRYSTAL_STORE name another folder"
    if problem.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "let your user read and write there, or let CRYSTAL_STORE name another folder"
    return "see what is there, or let CRYSTAL_STORE name another folder"


def one_line(problem: BaseException) -> str:
    """What happened, in the words of whoever found it."""
    if isinstance(problem, Stopped):
        return f"stopped by {signal.Signals(problem.exit_code - 128).name}"
    if isinstance(problem, OSError) and problem.strerror:
        where = f": {os.fsdecode(problem.filename)}" if problem.filename else ""
        return printable(f"{problem.strerror}{where}")
    return printable(str(problem)) or type(problem).__name__
