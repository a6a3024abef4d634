"""The program `training-watch`, and `python -m training_watch`.

The daemon's command line, as the unit and `training-watch run` have it, is read here, so that what runs
for months doesn't hold click, which only the commands need. Every other one is click's, `run --help`
and `run --verbose` among them. Both ways lead to foreground.run.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> None:
    match sys.argv[1:]:
        case ["run"]:
            _run(None)
        case ["--config", config, "run"]:
            _run(Path(config))
        case _:
            from training_watch import cli  # noqa: PLC0415 - see above

            cli.main(
                prog_name="training-watch"
            )  # as people type it, also where a script runs us by python -m


def _run(config: Path | None) -> None:
    from training_watch import foreground  # noqa: PLC0415 - a command loads what it needs, not this

    foreground.run(config)


if __name__ == "__main__":
    main()
