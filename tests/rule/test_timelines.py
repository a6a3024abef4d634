"""The awkward timelines, one by one, each as it is told. The observer checks the laws on the way."""

from __future__ import annotations

import pytest

from rule.world import DAY, HOUR, MINUTE, Training, World
from training_watch.decide import Settings
from training_watch.events import Outcome, Reason, Starter, Wait

SETTINGS = Settings(debounce=5 * MINUTE, max_wait=30 * MINUTE, cooldown=6 * HOUR, retries=3)
TRAINED_AT = 5 * MINUTE + HOUR


@pytest.fixture(params=["inotify", "polling"])
def world(request: pytest.FixtureRequest) -> World:
    """The files a and b were just saved, and the daemon runs; a training takes an hour."""
    world = World(SETTINGS, polling=request.param == "polling")
    world.save("a", 1)
    world.save("b", 1)
    world.start_daemon()
    return world


@pytest.fixture
def trained(world: World) -> World:
    """The same, once a and b are trained and the cooldown is long over."""
    world.wait(DAY)
    assert outcomes(world) == [Outcome.SUCCEEDED]
    assert world.order() == Wait(Reason.NOTHING)
    return world


def outcomes(world: World) -> list[Outcome | None]:
    return [run.outcome for run in world.observer.runs]


def starts(world: World) -> list[float]:
    return [run.began for run in world.observer.runs]


def reason(world: World) -> Reason:
    ordered = world.order()
    assert isinstance(ordered, Wait), ordered
    return ordered.reason


def until(world: World) -> float:
    """Seconds from now to what is waited for."""
    ordered = world.order()
    assert isinstance(ordered, Wait), ordered
    assert ordered.until is not None
    return ordered.until - world.now().elapsed


def waiting(world: World) -> int:
    """How many files are pending."""
    pending = world.disk.snapshot.pending()
    return pending.count if pending else 0


# ---- the quiet ----------------------------------------------------------------------------------


def test_saved_and_settled_is_trained_once(world: World) -> None:
    world.wait(30 * DAY)
    assert starts(world) == [5 * MINUTE]


def test_edits_without_end_are_trained_after_max_wait_and_then_once_a_cooldown() -> None:
    world = World(SETTINGS)
    world.start_daemon()
    for minute in range(24 * 60):
        world.save(f"chapter {minute // 60}", minute)
        world.wait(MINUTE)
    assert starts(world)[0] == 30 * MINUTE
    pauses = [after - before - HOUR for before, after in zip(starts(world), starts(world)[1:], strict=False)]
    assert len(pauses) == 3
    assert all(6 * HOUR <= pause <= 6 * HOUR + 30 * MINUTE for pause in pauses)


def test_a_rebase_is_waited_for_and_one_that_never_ends_no_longer_than_max_wait() -> None:
    for git_takes, started_after in [(12 * MINUTE, 12 * MINUTE + 10), (DAY, 35 * MINUTE)]:
        world = World(SETTINGS)
        world.start_daemon()
        world.turn_git(busy=True)
        world.save("a", 1)
        world.wait(git_takes)
        world.turn_git(busy=False)
        world.wait(DAY)
        assert starts(world) == [pytest.approx(started_after, abs=10)]


# ---- changes and runs ---------------------------------------------------------------------------


def test_a_change_during_a_run_that_then_fails_is_trained_with_the_rest(world: World) -> None:
    world.training = Training(status="1")
    world.wait(30 * MINUTE)
    world.save("b", 2)
    world.wait(HOUR)
    assert outcomes(world) == [Outcome.FAILED]
    assert waiting(world) == 2
    assert reason(world) is Reason.COOLDOWN
    world.training = Training()
    world.wait(DAY)
    assert outcomes(world) == [Outcome.FAILED, Outcome.SUCCEEDED]
    assert starts(world)[1] == TRAINED_AT + 6 * HOUR
    assert reason(world) is Reason.NOTHING


def test_a_change_during_a_run_that_succeeds_is_trained_by_the_next(world: World) -> None:
    world.wait(30 * MINUTE)
    world.save("b", 2)
    world.wait(HOUR)
    assert waiting(world) == 1
    world.wait(DAY)
    assert starts(world) == [5 * MINUTE, TRAINED_AT + 6 * HOUR]
    assert reason(world) is Reason.NOTHING


def test_content_reverted_while_pending_starts_nothing(trained: World) -> None:
    trained.save("a", 2)
    trained.wait(MINUTE)
    trained.save("a", 1)
    trained.wait(DAY)
    assert len(starts(trained)) == 1
    assert trained.order() == Wait(Reason.NOTHING)


def test_content_reverted_during_the_cooldown_starts_nothing(world: World) -> None:
    world.wait(2 * HOUR)
    world.save("a", 2)
    world.wait(HOUR)
    assert reason(world) is Reason.COOLDOWN
    world.save("a", 1)
    world.wait(DAY)
    assert len(starts(world)) == 1
    assert world.order() == Wait(Reason.NOTHING)


def test_content_changed_and_reverted_while_running_is_trained_again_for_nobody_knows_what_was_read(
    world: World,
) -> None:
    world.wait(30 * MINUTE)
    world.save("a", 2)
    world.wait(10 * MINUTE)
    world.save("a", 1)
    world.wait(30 * MINUTE)
    assert waiting(world) == 1
    world.wait(DAY)
    assert outcomes(world) == [Outcome.SUCCEEDED, Outcome.SUCCEEDED]
    assert world.order() == Wait(Reason.NOTHING)


def test_content_reverted_to_what_was_trained_while_a_run_reads_it_is_owed(trained: World) -> None:
    trained.save("a", 2)
    trained.wait(30 * MINUTE)
    assert reason(trained) is Reason.RUNNING
    trained.save("a", 1)
    trained.wait(DAY)
    assert len(starts(trained)) == 3
    assert trained.order() == Wait(Reason.NOTHING)


def test_a_touch_starts_nothing(trained: World) -> None:
    trained.touch("a")
    trained.wait(DAY)
    assert len(starts(trained)) == 1


def test_a_deletion_is_trained(trained: World) -> None:
    trained.delete("a")
    trained.wait(DAY)
    assert len(starts(trained)) == 2
    assert trained.order() == Wait(Reason.NOTHING)


# ---- started by people --------------------------------------------------------------------------


def test_a_forced_run_inside_a_cooldown_trains_what_is_pending_and_begins_another_cooldown(
    world: World,
) -> None:
    world.wait(2 * HOUR)
    world.save("a", 2)
    world.wait(HOUR)
    assert reason(world) is Reason.COOLDOWN
    world.trigger_by_hand(forced=True)
    assert reason(world) is Reason.RUNNING
    world.wait(30 * MINUTE)
    world.save("b", 2)
    world.wait(HOUR)
    assert waiting(world) == 1
    world.wait(DAY)
    assert [run.starter for run in world.observer.runs] == [Starter.DAEMON, Starter.TRIGGER, Starter.DAEMON]
    assert starts(world)[1:] == [3 * HOUR, 4 * HOUR + 6 * HOUR]


def test_an_unforced_trigger_inside_a_cooldown_is_refused(world: World) -> None:
    world.wait(2 * HOUR)
    world.trigger_by_hand(forced=False)
    assert world.observer.refusals == [Starter.TRIGGER]
    assert len(starts(world)) == 1


def test_nothing_starts_beside_a_run(world: World) -> None:
    world.wait(30 * MINUTE)
    world.trigger_by_hand(forced=True)
    assert world.observer.refusals == [Starter.TRIGGER]
    assert len(starts(world)) == 1


def test_a_run_started_by_hand_with_systemctl_counts_like_any_other(trained: World) -> None:
    trained.save("a", 2)
    trained.start_by_hand()
    by_hand = trained.real
    trained.wait(30 * MINUTE)
    assert reason(trained) is Reason.RUNNING
    trained.save("b", 2)
    trained.wait(HOUR)
    assert reason(trained) is Reason.COOLDOWN
    trained.wait(DAY)
    assert starts(trained)[1:] == [by_hand, by_hand + HOUR + 6 * HOUR]
    assert trained.order() == Wait(Reason.NOTHING)


def test_removing_the_marker_ends_the_cooldown_at_once(world: World) -> None:
    world.wait(2 * HOUR)
    world.save("a", 2)
    world.wait(HOUR)
    world.remove_marker()
    assert reason(world) is Reason.RUNNING


def test_a_stopped_run_waits_for_the_cooldown_and_uses_no_retry(world: World) -> None:
    world.training = Training(takes=DAY)
    for _ in range(6):
        world.wait(7 * HOUR)
        world.stop()
    assert outcomes(world) == [Outcome.STOPPED] * 6
    world.wait(3 * DAY)
    assert outcomes(world)[-1] is Outcome.SUCCEEDED


# ---- failures -----------------------------------------------------------------------------------


def test_retries_used_up_then_a_touch_changes_nothing_and_an_edit_does(world: World) -> None:
    world.training = Training(takes=MINUTE, status="1")
    world.wait(7 * DAY)
    assert outcomes(world) == [Outcome.FAILED] * 4
    assert [after - before for before, after in zip(starts(world), starts(world)[1:], strict=False)] == [
        6 * HOUR + MINUTE
    ] * 3
    assert reason(world) is Reason.RETRIES
    world.touch("a")
    world.wait(DAY)
    assert len(starts(world)) == 4
    assert reason(world) is Reason.RETRIES
    world.save("a", 2)
    world.wait(10 * MINUTE)
    assert len(starts(world)) == 5


def test_retries_used_up_stay_so_through_a_reboot(world: World) -> None:
    world.training = Training(takes=MINUTE, status="1")
    world.wait(2 * DAY)
    world.reboot()
    world.wait(2 * DAY)
    assert len(starts(world)) == 4
    assert reason(world) is Reason.RETRIES


def test_a_training_that_hammers_is_kept_to_one_run_a_cooldown_by_its_marker(world: World) -> None:
    world.training = Training(takes=1, status="1")
    for content in range(100):
        world.save("a", 10 + content)
        world.wait(20 * MINUTE)
    assert len(starts(world)) == 6


def test_a_training_whose_gate_refuses_is_asked_again_only_when_the_content_changes(world: World) -> None:
    world.training = Training(takes=MINUTE, status="3")
    world.wait(7 * DAY)
    assert len(starts(world)) == 1
    assert reason(world) is Reason.REFUSED
    world.save("a", 2)
    world.wait(DAY)
    assert len(starts(world)) == 2


def test_a_training_that_says_not_now_is_asked_again_soon_and_then_more_rarely(world: World) -> None:
    world.training = Training(takes=10, status="75")
    world.wait(3 * HOUR)
    pauses = [after - before - 10 for before, after in zip(starts(world), starts(world)[1:], strict=False)]
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600]
    assert world.disk.marker is None
    world.training = Training(takes=10)
    world.wait(2 * HOUR)
    assert outcomes(world)[-1] is Outcome.SUCCEEDED
    assert reason(world) is Reason.NOTHING


def test_a_skipped_start_is_no_run_and_is_tried_again(world: World) -> None:
    world.skips = True
    world.wait(5 * MINUTE)
    assert reason(world) is Reason.BALKED
    assert until(world) == 60
    world.wait(3 * HOUR)
    assert reason(world) is Reason.BALKED
    assert until(world) <= HOUR
    assert world.disk.marker is None
    assert starts(world) == []
    world.skips = False
    world.wait(HOUR)
    assert len(starts(world)) == 1


def test_a_training_that_writes_into_the_tree_comes_to_rest_until_another_path_changes(world: World) -> None:
    world.training = Training(writes="log")
    world.wait(7 * DAY)
    assert len(starts(world)) == 2
    assert reason(world) is Reason.OWN
    world.save("a", 2)
    world.wait(DAY)
    assert len(starts(world)) == 3
    assert reason(world) is Reason.OWN


def test_one_that_says_not_now_doesn_t_make_others_changes_its_own(world: World) -> None:
    world.training = Training(writes="log")
    world.wait(2 * DAY)
    assert reason(world) is Reason.OWN
    world.training = Training(status="75")
    world.start_by_hand()
    world.wait(MINUTE)
    world.save("a", 2)
    world.training = Training()
    world.wait(DAY)
    assert outcomes(world)[-1] is Outcome.SUCCEEDED
    assert reason(world) is Reason.NOTHING


# ---- the daemon, the machine, the clock ---------------------------------------------------------


def test_the_daemon_down_when_a_run_ends_learns_of_it_later(world: World) -> None:
    world.wait(30 * MINUTE)
    world.kill_daemon()
    world.save("b", 2)
    world.wait(2 * HOUR)
    assert outcomes(world) == [Outcome.SUCCEEDED]
    world.start_daemon()
    world.wait(6 * MINUTE)
    assert reason(world) is Reason.COOLDOWN
    assert world.real + until(world) == TRAINED_AT + 6 * HOUR
    world.wait(DAY)
    assert starts(world) == [5 * MINUTE, TRAINED_AT + 6 * HOUR]


def test_what_changed_while_the_daemon_was_down_is_trained_once_it_has_settled(trained: World) -> None:
    trained.kill_daemon()
    trained.wait(HOUR)
    trained.save("a", 2)
    trained.wait(MINUTE)
    trained.start_daemon()
    assert reason(trained) is Reason.SETTLING
    trained.wait(5 * MINUTE)
    assert reason(trained) is Reason.RUNNING


def test_a_daemon_killed_each_minute_still_trains(world: World) -> None:
    for _ in range(30):
        world.wait(MINUTE)
        world.kill_daemon()
        world.start_daemon()
    assert len(starts(world)) == 1


def test_a_run_that_a_power_cut_ended_counts_from_its_last_sign_of_life(world: World) -> None:
    world.training = Training(takes=4 * HOUR)
    world.wait(2 * HOUR)
    world.cut_power(off_for=HOUR)
    assert reason(world) is Reason.COOLDOWN
    rested = 6 * HOUR - until(world)
    assert HOUR <= rested <= HOUR + 6 * MINUTE
    world.wait(7 * DAY)
    assert outcomes(world)[0] is Outcome.INTERRUPTED
    assert outcomes(world)[1:] == [Outcome.SUCCEEDED]


def test_power_cuts_without_end_use_up_the_retries(world: World) -> None:
    world.training = Training(takes=4 * HOUR)
    for _ in range(20):
        world.wait(2 * HOUR)
        world.cut_power(off_for=MINUTE)
    assert outcomes(world) == [Outcome.INTERRUPTED] * 4
    assert reason(world) is Reason.RETRIES


def test_a_run_whose_mark_was_killed_is_owed_again_even_if_its_content_goes_back(trained: World) -> None:
    trained.save("a", 2)
    trained.next_mark_dies("at once")
    trained.wait(2 * HOUR)
    trained.save("a", 1)
    trained.wait(DAY)
    assert len(starts(trained)) == 3
    assert trained.order() == Wait(Reason.NOTHING)


def test_eight_hours_of_suspend_count_for_the_cooldown_and_for_the_quiet(world: World) -> None:
    world.wait(2 * HOUR)
    world.save("a", 2)
    world.wait(10 * MINUTE)
    assert reason(world) is Reason.COOLDOWN
    world.suspend(8 * HOUR)
    assert reason(world) in (Reason.RUNNING, Reason.SETTLING)
    world.wait(5 * MINUTE)
    assert reason(world) is Reason.RUNNING


def test_eight_hours_of_suspend_during_a_run_are_no_end_of_it(world: World) -> None:
    world.wait(30 * MINUTE)
    world.suspend(8 * HOUR)
    assert reason(world) is Reason.RUNNING
    world.wait(DAY)
    assert outcomes(world) == [Outcome.SUCCEEDED]


@pytest.mark.parametrize("step", [-DAY, -HOUR, HOUR, DAY], ids=lambda step: f"{step / HOUR:+.0f} h")
def test_a_clock_that_is_set_changes_nothing_within_a_boot(world: World, step: float) -> None:
    world.wait(2 * HOUR)
    world.save("a", 2)
    world.step_clock(step)
    world.wait(DAY)
    assert starts(world) == [5 * MINUTE, TRAINED_AT + 6 * HOUR]


def test_the_clock_set_back_a_day_and_a_reboot_block_for_one_cooldown_at_most(world: World) -> None:
    world.wait(2 * HOUR)
    world.save("a", 2)
    world.wait(10 * MINUTE)
    world.step_clock(-DAY)
    world.reboot()
    booted = world.real
    world.wait(10 * MINUTE)
    assert reason(world) is Reason.COOLDOWN
    assert world.real + until(world) == booted + 6 * HOUR
    world.wait(7 * DAY)
    assert starts(world) == [5 * MINUTE, booted + 6 * HOUR]
    assert world.order() == Wait(Reason.NOTHING)


def test_a_marker_from_tomorrow_blocks_for_one_cooldown_from_when_it_was_written(trained: World) -> None:
    trained.plant_marker(ahead=DAY, with_boot=False)
    planted = trained.real
    trained.save("a", 2)
    trained.wait(2 * DAY)
    assert starts(trained)[1:] == [planted + 6 * HOUR]


def test_a_reboot_stops_the_run_and_the_cooldown_goes_on_by_the_calendar(world: World) -> None:
    world.wait(30 * MINUTE)
    world.reboot()
    assert outcomes(world) == [Outcome.STOPPED]
    assert reason(world) is Reason.COOLDOWN
    world.wait(DAY)
    assert starts(world) == [5 * MINUTE, 30 * MINUTE + 6 * HOUR]


def test_an_absent_root_is_no_deletion_and_its_return_no_change(trained: World) -> None:
    trained.lose_root()
    trained.wait(DAY)
    assert trained.order() == Wait(Reason.NOTHING)
    trained.return_root()
    trained.wait(DAY)
    assert len(starts(trained)) == 1
    assert trained.order() == Wait(Reason.NOTHING)


def test_what_a_run_can_t_have_read_of_an_absent_root_is_owed_when_it_returns(trained: World) -> None:
    trained.lose_root()
    trained.start_by_hand()
    trained.wait(DAY)
    trained.return_root()
    trained.wait(DAY)
    assert len(starts(trained)) == 3
    assert trained.order() == Wait(Reason.NOTHING)


def test_a_lost_event_costs_time_and_no_change() -> None:
    world = World(SETTINGS)
    world.save("a", 1)
    world.start_daemon()
    world.wait(DAY)
    world.save("a", 2, unheard=True)
    world.wait(HOUR + 5 * MINUTE)
    assert len(starts(world)) == 2
