"""The daemon as a process: its log opened, its errors told there and turned into exit codes.

It runs for months, so neither it nor what it imports loads the commands' library (a contract in
pyproject.toml, and tests/acts/test_footprint.py).
"""

from __future__ import annotations

import faulthandler
import sqlite3
from pathlib import Path

from training_watch import places
from training_watch.config import ConfigError
from training_watch.daemon import StopDaemon, run_daemon
from training_watch.database import DatabaseError, set_aside
from training_watch.files import Busy
from training_watch.journal import log, open_log
from training_watch.terminal import BAD_CONFIG, FAILED, NOT_NOW, errors_told
from training_watch.wiring import launcher_of, obstacle_of


@errors_told
def run(config: Path | None, *, verbose: bool = False) -> None:
    """Watch, and train when it is due, until told to stop. Raises SystemExit with the exit code of an error.

    Without `config` it takes the configuration's own place.
    """
    config_path = (config or places.config_file()).absolute()
    faulthandler.enable()  # the watchdog's SIGABRT then leaves a traceback in the journal
    trouble = open_log(places.log_file(), verbose=verbose)
    if trouble:
        log.warning("%s", trouble)
    try:
        run_daemon(
            config_path, launcher_of=lambda job: launcher_of(config_path, job), obstacle_of=obstacle_of
        )
    except ConfigError as error:
        for mistake in error.mistakes:
            log.error("%s", mistake)
        raise SystemExit(BAD_CONFIG) from None
    except Busy:
        log.error(
            "another training-watch runs already for this user: `systemctl --user status training-watch`"
        )
        raise SystemExit(NOT_NOW) from None
    except (StopDaemon, DatabaseError, sqlite3.OperationalError) as error:
        log.error("%s", error)
        raise SystemExit(FAILED) from None
    except sqlite3.DatabaseError as error:
        aside = set_aside(places.database())
        log.error(
            "%s was damaged (%s): set aside as %s; the next start begins a new one",
            places.database(), error, aside.name,
        )  # fmt: skip
        raise SystemExit(FAILED) from None  # the next start begins a new one
