"""Churn a tree under a real daemon, and see whether anything gets lost, or is trained for nothing.

From tests/:  python -m churn --seconds 60            new seeds, all grounds that this machine has
              python -m churn --seed 7 --ground heard --operations 120      exactly this, again
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import time

from churn.episode import Broken, Episode, Plan, say
from churn.grounds import GROUNDS, IMPOSSIBLE, Impossible, outside, prepare, standing


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m churn", description=__doc__)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--ground", choices=GROUNDS)
    parser.add_argument("--operations", type=int, help="the length of a sequence, as a replay needs it")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long to go on")
    parser.add_argument("--episode", type=float, default=60.0, help="seconds of one seed's sequence")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    grounds = [given.ground] if given.ground else [each for each in GROUNDS if possible(each)]
    if given.here:
        prepare(given.ground)
        return play(Plan(given.seed, given.ground, given.operations, given.seconds))
    until, number = time.monotonic() + given.seconds, 0
    while number == 0 or (time.monotonic() < until and given.operations is None):
        left = until - time.monotonic()
        seed = given.seed if given.seed is not None else random.SystemRandom().randrange(10**9)
        plan = Plan(
            seed + number if given.seed is not None else seed,
            grounds[number % len(grounds)],
            given.operations,
            min(left, given.episode),
        )
        number += 1
        try:
            status = outside(plan)
        except Impossible as error:
            say(f"{plan.ground}: not here: {error}")
            return IMPOSSIBLE
        if status:
            return status
    return 0


def possible(ground: str) -> bool:
    try:
        standing(ground)
    except Impossible as error:
        say(f"{ground}: left out: {error}")
        return False
    return True


def play(plan: Plan) -> int:
    episode = Episode(plan)
    say(f"seed {plan.seed} on {plan.ground}: begins in {episode.place}")
    try:
        tally = episode.play()
    except (Broken, AssertionError) as error:
        say(
            f"{error}\n\nseed {plan.seed} on {plan.ground} failed at operation {episode.done}; all is kept in {episode.place}"
        )
        say(
            f"again, from tests/:  {sys.executable} -m churn --seed {plan.seed} --ground {plan.ground} --operations {episode.done}"
        )
        return 1
    finally:
        episode.close()
    shutil.rmtree(episode.place)
    say(
        f"seed {plan.seed} on {plan.ground}: {tally.operations} operations in {tally.deeds} steps, {tally.trainings} trainings, "
        f"{tally.rests} rests, the longest of {tally.longest_rest:.1f} s: all is trained, nothing for nothing"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
