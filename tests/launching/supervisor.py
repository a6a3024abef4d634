"""A supervisor whose callables write down what they were told: FOLDER UNIT COMMAND…

In FOLDER, `knobs.json` may hold seconds for alive_every and stops_within, and names of callables that fail.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from training_watch.launching.process import supervise


def main(folder: Path, unit: str, command: list[str]) -> int:
    file = folder / "knobs.json"
    knobs = json.loads(file.read_text()) if file.exists() else {}
    failing = knobs.pop("failing", [])

    def told(name: str) -> Callable[..., None]:
        def write_down(*words: str) -> None:
            with (folder / "told").open("a") as notes:
                notes.write(json.dumps([name, *words]) + "\n")
            if name in failing:
                raise RuntimeError(f"{name} is out of order")

        return write_down

    log, lock = folder / "log", folder / "run"
    begin, mark, alive = (told(name) for name in ("begin", "mark", "alive"))
    return supervise(unit, command, begin=begin, mark=mark, alive=alive, log=log, lock=lock, **knobs)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
