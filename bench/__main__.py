"""The command: which rows, how much, where; tables to stdout, progress to stderr."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from bench import machine, report
from bench.armed import armed, restart
from bench.burst import burst
from bench.commands import commands
from bench.crystal.asking import ask
from bench.crystal.corpus import CorpusError
from bench.crystal.quality import quality
from bench.crystal.training import train
from bench.ground import FULL, QUICK, Ground, Scale, say
from bench.huge import huge
from bench.idle import idle
from bench.latency import latency
from bench.ours import MODULE
from bench.peers import find_peers
from bench.polling import scan
from bench.processes import Late
from bench.settling import settle

ROWS: dict[str, Callable[[Ground], report.Section]] = {
    "armed": armed, "restart": restart, "latency": latency, "idle": idle, "burst": burst, "scan": scan,
    "settle": settle, "commands": commands, "huge": huge,
}  # fmt: skip
CRYSTAL: dict[str, Callable[[Ground], report.Section]] = {
    "crystal-train": train, "crystal-ask": ask, "crystal-quality": quality,
}  # fmt: skip
TITLES = (
    "Armed, cold", "Armed at a restart", "Noticed", "Idle", "A burst", "One polling scan", "Settling",
    "Commands", "Two million files", "crystal: training", "crystal: asking", "crystal: answers",
)  # fmt: skip

PAGE = Path(__file__).parent.parent / "docs/benchmarks.md"

OPENING = """\
# Benchmarks

training-watch beside watchdog, watchfiles and two plain loops over inotify, in Python and in C: the same trees and the
same changes, each as a process of its own, in turns, so that what else the machine does hits all alike. Ratios say more
than times. Anyone can repeat it, in a clone of the project:

```
python3 -m venv .venv
.venv/bin/pip install 'pip>=25.1'
.venv/bin/pip install --editable '.[crystal]' --group bench
.venv/bin/python -m bench
```

`--quick` takes some minutes, `--write` writes this page, and `--help` says the rest. Each table stands below how it was
measured. As root the burst sets `fs.inotify.max_queued_events` for some moments, for the whole machine.

The last chapters are about `crystal`, the `[crystal]` extra: what it costs, and how good its answers are, on this manual
and where a title says so on other documents. `--corpus DIR` measures it on yours: DIR has `docs/` and `questions.txt` in
it, as [bench/questions.txt](../bench/questions.txt) is written.
"""

EXAMPLES = """\
examples:
  python -m bench --quick                  everything, on small trees
  python -m bench armed restart            two rows, at full size
  python -m bench --write                  everything, into docs/benchmarks.md
  python -m bench --huge --place /dev/shm  with two million files, in memory
  python -m bench crystal-quality --corpus ~/manual --name "our manual"
                                           how good the answers are, on documents and questions of yours
"""


def main(words: Sequence[str] | None = None) -> None:
    """Measure, print, and where it is wished, write."""
    given = _parser().parse_args(words)
    scale = QUICK if given.quick else FULL
    if given.repeat:
        scale = replace(scale, repeat=given.repeat)
    rows = ROWS | CRYSTAL
    names = given.rows or [name for name in rows if name != "huge"]
    if given.huge and "huge" not in names:
        names.append("huge")
    place = given.place.resolve()
    found = report.Circumstances(
        day=datetime.now(UTC).date().isoformat(), machine=machine.machine(), software="",
        place=machine.file_system(place), repeat=scale.repeat,
    )  # fmt: skip
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # trees and limits are put back
    failed = False
    with ground_at(place, scale, (str(given.python), *MODULE), given.corpus, given.name) as ground:
        for name in names:
            try:
                section = rows[name](ground)
            except (Late, RuntimeError, OSError, CorpusError) as error:
                say(f"no figures of {name}: {error}")
                failed = True
                continue
            software = machine.software(machine.PARTS if name in CRYSTAL else machine.WATCHERS)
            chapter = report.chapter(section, replace(found, software=software))
            print(chapter, flush=True)
            if given.write:
                report.write(PAGE, OPENING, {section.title: chapter}, TITLES)
                say(f"written to {PAGE}")
    sys.exit(1 if failed else 0)


@contextmanager
def ground_at(
    place: Path,
    scale: Scale,
    program: tuple[str, ...] = (sys.executable, *MODULE),
    corpus: Path | None = None,
    name: str = "",
) -> Iterator[Ground]:
    """Ground for rows of `program`: trees below `place`, homes in the temporary folder, all removed at the end."""
    scratch = Path(tempfile.mkdtemp(prefix="training-watch-bench-"))
    trees = Path(tempfile.mkdtemp(prefix="training-watch-bench-", dir=place))
    try:
        yield Ground(scale, program, trees, scratch, find_peers(scratch), corpus, name)
    finally:
        say("removing the trees")
        shutil.rmtree(trees, ignore_errors=True)
        shutil.rmtree(scratch, ignore_errors=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure training-watch beside watchdog, watchfiles and plain inotify loops, and what crystal costs and finds.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "rows", nargs="*", metavar="ROW", choices=[*ROWS, *CRYSTAL, []],
        help=f"{', '.join((*ROWS, *CRYSTAL))}; all but huge",
    )  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="small trees and few repetitions")
    parser.add_argument("--repeat", type=int, metavar="N", help="how often each figure is taken; 5, quick 2")
    parser.add_argument("--huge", action="store_true", help="two million files too; about 3 GB")
    parser.add_argument(
        "--place", type=Path, default=Path(tempfile.gettempdir()), metavar="DIR",
        help="where the trees are made; the temporary folder",
    )  # fmt: skip
    parser.add_argument(
        "--python", type=Path, default=Path(sys.executable), metavar="FILE",
        help="the interpreter of another environment whose training-watch is measured, to compare two versions",
    )  # fmt: skip
    parser.add_argument(
        "--corpus", type=Path, metavar="DIR",
        help="for the crystal rows, a folder with docs/ and questions.txt in it; this project's own",
    )  # fmt: skip
    parser.add_argument(
        "--name",
        default="",
        metavar="NAME",
        help="how the page calls these documents; as their folder is called",
    )
    parser.add_argument(
        "--write", action="store_true", help="write docs/benchmarks.md, but rows not measured stay"
    )
    return parser


if __name__ == "__main__":
    main()
