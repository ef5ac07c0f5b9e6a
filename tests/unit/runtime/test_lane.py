"""Which lanes of a queue are asked, and in which order."""

from __future__ import annotations

from mistudio_runtime.queues import PRIORITIES
from mistudio_runtime.worker.lane import STARVATION_GUARD, Lane, Lanes


def priorities(lanes: list[Lane]) -> list[int]:
    """Returns the priorities of lanes."""
    return [lane.priority for lane in lanes]


def test_all_lanes_are_asked_at_first_highest_first() -> None:
    assert priorities(Lanes("training").highest_first()) == sorted(PRIORITIES, reverse=True)


def test_a_lane_that_was_asked_counts_as_empty_until_it_is_woken() -> None:
    lanes = Lanes("training")
    for lane in lanes.highest_first():
        lane.expect_empty()
    assert lanes.highest_first() == []
    lanes.wake([3, 7])
    assert priorities(lanes.highest_first()) == [7, 3]
    assert priorities(lanes.lowest_first()) == [3, 7]
    lanes.wake([])
    assert priorities(lanes.highest_first()) == sorted(PRIORITIES, reverse=True)


def test_one_slot_of_ten_is_the_starvation_guards() -> None:
    lanes, due = Lanes("training"), []
    for _ in range(3 * STARVATION_GUARD):
        due.append(lanes.guard_is_due(1))
        lanes.filled(1)
    assert due.count(True) == 3
    assert lanes.guard_is_due(STARVATION_GUARD)
