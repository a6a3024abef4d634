"""Lines for the person at the terminal: errors as one line and an exit code, which are listed here."""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, NoReturn, TypeVar

from training_watch import places
from training_watch.config import ConfigError
from training_watch.database import DatabaseError
from training_watch.files import Busy
from training_watch.launching import LaunchError
from training_watch.marker import MarkerError
from training_watch.mends import refused
from training_watch.text import printable

# sysexits.h; what each command ends with is listed in docs/reference.md.
FAILED, UNAVAILABLE, NOT_NOW, BAD_CONFIG = 1, 69, 75, 78
USAGE = 2  # what a shell and click end with for wrong words
INTERRUPTED = 130  # a shell's 128 + SIGINT

# Errors whose message is the whole line.
_CODES: dict[type[Exception], int] = {
    places.NoHome: BAD_CONFIG,
    LaunchError: UNAVAILABLE,
    Busy: NOT_NOW,
    DatabaseError: FAILED,
    MarkerError: FAILED,
}

F = TypeVar("F", bound=Callable[..., Any])


def say(text: str) -> None:
    print(_shown(text), flush=True)


def show(lines: Iterable[str]) -> None:
    """Print lines that screen.py has made: what a terminal obeys in them is colour alone."""
    print("".join(f"{line}\n" for line in lines), end="", flush=True)


def warn(text: str) -> None:
    # None where the caller has closed it (2>&-): print() would then take standard output.
    if sys.stderr is not None:
        print(f"training-watch: {_shown(text)}", file=sys.stderr, flush=True)


def _shown(text: str) -> str:
    """Lines, of which a terminal obeys the newlines and tabs alone, whatever a file's name has in it."""
    return "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))


def fail(line: str, code: int) -> NoReturn:
    warn(line)
    raise SystemExit(code)


def errors_told(command: F) -> F:
    """One line and an exit code for each error that a person or the system can cause."""

    @wraps(command)
    def told(*words: Any, **options: Any) -> Any:
        try:
            return command(*words, **options)
        except ConfigError as error:
            for mistake in error.mistakes:
                warn(printable(mistake))
            raise SystemExit(BAD_CONFIG) from None
        except tuple(_CODES) as error:
            fail(str(error), next(code for kind, code in _CODES.items() if isinstance(error, kind)))
        except sqlite3.Error as error:
            fail(refused(places.database(), error), FAILED)
        except BrokenPipeError:
            # The reader has gone, as `| head` does. Python flushes once more when it ends: to nowhere, then.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise SystemExit(0) from None
        except OSError as error:
            fail(printable(refused(None, error)), FAILED)
        except KeyboardInterrupt:
            raise SystemExit(INTERRUPTED) from None

    return told  # type: ignore[return-value]
