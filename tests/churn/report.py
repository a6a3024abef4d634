"""What is known when a law was broken, for a person to read."""

from __future__ import annotations

from collections.abc import Sequence

from churn.facts import Deed, Run, Timeline

DEEDS = 40
RUNS = 12
WORDS = 30


def report(what: str, status: str, timeline: Timeline, runs: Sequence[Run], log: str) -> str:
    return "\n".join(
        [
            what,
            f"\nstatus: {status}",
            "\nthe last deeds:",
            *(f"  {_deed(each)}" for each in timeline.deeds[-DEEDS:]),
            "\nthe last runs:",
            *(f"  {_run(each)}" for each in runs[-RUNS:]),
            f"\nthe last rests: {[round(each, 3) for each in timeline.rests[-3:]]}",
            "\nthe daemon's last words:",
            *(f"  {line}" for line in log.splitlines()[-WORDS:]),
        ]
    )


def _deed(deed: Deed) -> str:
    words = [f"{deed.number:4} {deed.began:.3f}..{deed.ended:.3f} {deed.name}"]
    words += ["(nobody heard)"] if not deed.hearing else []
    words += ["(rules)"] if deed.ruling else []
    words += ["(obscure)"] if deed.after.obscure else []
    altered = sorted(deed.altered())
    words += [repr(path) for path in altered[:3]]
    words += [f"and {len(altered) - 3} more"] if len(altered) > 3 else []
    return " ".join(words)


def _run(run: Run) -> str:
    training, record = run.training, run.record
    read = f"read {len(training.files)} files {training.began:.3f}..{_time(training.ended)}"
    kept = (
        f"recorded {record.began:.3f}..{_time(record.ended)} {record.outcome}" if record else "not recorded"
    )
    return f"{training.run[:6]} {read}; {kept}"


def _time(at: float | None) -> str:
    return "never" if at is None else f"{at:.3f}"
