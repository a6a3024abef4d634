"""The laws over simulated weeks, and the awkward timelines one by one.

Hypothesis writes scripts of deeds and pauses; the observer checks laws 2 to 8 at each start, and at the
end of each script, when the world has come to rest, law 1. A failing script is printed as it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rule.world import DAY, HOUR, MINUTE, Training, World
from training_watch.decide import Settings
from training_watch.events import Reason, Wait

SETTINGS = Settings(debounce=5 * MINUTE, max_wait=30 * MINUTE, cooldown=6 * HOUR, retries=3)


def trains(**how: float | str) -> Callable[[World], None]:
    def set_training(world: World) -> None:
        now = world.training
        world.training = Training(
            takes=float(how.get("takes", now.takes)),
            status=str(how.get("status", now.status)),
            writes=(str(how["writes"]) or None) if "writes" in how else now.writes,
        )

    return set_training


def on(world: World, name: str, value: object) -> None:
    setattr(world, name, value)


DEEDS: dict[str, Callable[[World], None]] = {
    "save a as 1": lambda world: world.save("a", 1),
    "save a as 2": lambda world: world.save("a", 2),
    "save b as 1": lambda world: world.save("b", 1),
    "save b as 2": lambda world: world.save("b", 2),
    "save a as 3 unheard": lambda world: world.save("a", 3, unheard=True),
    "touch a": lambda world: world.touch("a"),
    "touch b": lambda world: world.touch("b"),
    "delete a": lambda world: world.delete("a"),
    "delete b": lambda world: world.delete("b"),
    "the queue overflows": World.overflow,
    "the root goes": World.lose_root,
    "the root comes": World.return_root,
    "git is busy": lambda world: world.turn_git(busy=True),
    "git is done": lambda world: world.turn_git(busy=False),
    "comparing takes 20 s": lambda world: on(world, "comparing_takes", 20.0),
    "comparing takes no time": lambda world: on(world, "comparing_takes", 0.0),
    "trainings take 1 min": trains(takes=MINUTE),
    "trainings take 7 h": trains(takes=7 * HOUR),
    "trainings succeed": trains(status="0"),
    "trainings fail": trains(status="1"),
    "trainings say not now": trains(status="75"),
    "trainings refuse": trains(status="3"),
    "trainings are misconfigured": trains(status="78"),
    "trainings write into the tree": trains(writes="log"),
    "trainings leave the tree alone": trains(writes=""),
    "starts are skipped": lambda world: on(world, "skips", True),
    "starts are not skipped": lambda world: on(world, "skips", False),
    "systemctl start": World.start_by_hand,
    "trigger": lambda world: world.trigger_by_hand(forced=False),
    "trigger --force": lambda world: world.trigger_by_hand(forced=True),
    "systemctl stop": World.stop,
    "kill -9 the training and its mark": World.kill_all_of_it,
    "a start whose begin fails": World.fail_to_begin,
    "the next mark dies at once": lambda world: world.next_mark_dies("at once"),
    "the next mark dies after the marker": lambda world: world.next_mark_dies("after the marker"),
    "rm the marker": World.remove_marker,
    "a marker from tomorrow": lambda world: world.plant_marker(ahead=DAY, with_boot=False),
    "a marker from tomorrow and another boot": lambda world: world.plant_marker(ahead=DAY, with_boot=True),
    "kill -9 the daemon": World.kill_daemon,
    "start the daemon": World.start_daemon,
    "reboot": World.reboot,
    "power cut": lambda world: world.cut_power(10 * MINUTE),
    "power cut for two days": lambda world: world.cut_power(2 * DAY),
    "suspend for 8 h": lambda world: world.suspend(8 * HOUR),
    "the clock is set back an hour": lambda world: world.step_clock(-HOUR),
    "the clock is set back a day": lambda world: world.step_clock(-DAY),
    "the clock is set forth two days": lambda world: world.step_clock(2 * DAY),
}

pauses = st.sampled_from([0, 1, 10, 59, 60, 240, 299, 300, 301, 1200, 1800, HOUR, 3 * HOUR, 6 * HOUR, DAY])
scripts = st.lists(st.tuples(st.sampled_from(list(DEEDS)), pauses | st.integers(0, 8 * 3600)), max_size=60)


def play(world: World, script: list[tuple[str, float]]) -> None:
    for deed, pause in script:
        DEEDS[deed](world)
        world.wait(pause)


def come_to_rest(world: World) -> None:
    """Everything works again, and there is time enough."""
    for deed in (
        "the root comes", "git is done", "comparing takes no time", "trainings take 1 min",
        "trainings succeed", "trainings leave the tree alone", "starts are not skipped", "start the daemon",
    ):  # fmt: skip
        DEEDS[deed](world)
    world.next_mark_dies("")
    world.wait(3 * (world.settings.cooldown + 3 * HOUR))


def assert_nothing_is_lost(world: World) -> None:
    """Law 1: what the last successful run can't be sure to have read is shown, with a reason that holds."""
    come_to_rest(world)
    untrained, ordered = world.observer.untrained(), world.order()
    assert isinstance(ordered, Wait)
    if untrained:
        assert world.observer.may_rest(ordered), f"law 1: {untrained} lost, {ordered}"
    else:
        assert ordered.reason is Reason.NOTHING or world.observer.may_rest(ordered)
    world.save("something else", world.disk.tree.stamps + 1)
    come_to_rest(world)
    assert not world.observer.untrained()
    assert world.order() == Wait(Reason.NOTHING)


# The same 300 scripts each time, so that a change is judged by itself; other ones, and more, for who looks for bugs:
#   TRAINING_WATCH_SCRIPTS=5000 pytest tests/rule/test_laws.py
MORE = os.environ.get("TRAINING_WATCH_SCRIPTS")
few = settings(
    deadline=None,
    max_examples=int(MORE or 300),
    derandomize=MORE is None,
    suppress_health_check=[HealthCheck.too_slow],
)


@few
@given(script=scripts, polling=st.booleans())
def test_the_laws_hold_whatever_happens(script: list[tuple[str, float]], polling: bool) -> None:
    world = World(SETTINGS, polling=polling)
    world.save("a", 1)
    world.start_daemon()
    play(world, script)
    assert_nothing_is_lost(world)
