"""The units in systemd/, as they are rendered for a user called `you` on systemd 252.

After a change to the rendering, write them anew and read the difference:

    python tests/units/examples.py && git diff systemd/
"""

from __future__ import annotations

from pathlib import Path

from training_watch.config import Job
from training_watch.units import Installation, Training, training_unit, watcher_unit

FOLDER = Path(__file__).parents[2] / "systemd"

HOME = Path("/home/you")
VENV = HOME / ".local/share/training-watch/venv"
CACHE = HOME / ".cache/crystal"
JOB = Job(name="docs", paths=(HOME / "project/docs",), marker=CACHE / "last-training-run")
# 252 is the oldest that we promise: nothing in its units is unknown to a newer one.
HERE = Installation(
    python=VENV / "bin/python",
    config=HOME / ".config/training-watch/config.toml",
    home=HOME,
    environment_file=HOME / ".config/training-watch/train.env",
    writable=(HOME / ".local/state/training-watch", CACHE),
    systemd=252,
)
TRAINING = Training(
    job=JOB,
    command=(str(VENV / "bin/crystal"), "train", "--docs", str(JOB.paths[0])),
    status_file=CACHE / "crystal-train.service.status.json",
)


def examples() -> dict[str, str]:
    return {
        "training-watch.service": watcher_unit(HERE),
        "crystal-train.service": training_unit(HERE, TRAINING),
    }


if __name__ == "__main__":
    for name, text in examples().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
