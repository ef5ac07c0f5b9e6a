"""The messages of one queue and priority, as a worker knows of them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from mistudio_runtime.broker import names
from mistudio_runtime.queues import PRIORITIES

LOOK_SECONDS = 1.0
"""Redeliveries come without a wake-up: so often an empty lane is asked all the same."""
STARVATION_GUARD = 10
"""One of so many slots is filled from the lowest priority that has a message, so that it moves under constant load."""


@dataclass
class Lane:
    """One consumer of the stream JOBS."""

    queue: str
    priority: int
    empty_until: float = 0.0
    """time.monotonic() until which nobody expects a message in it."""

    @property
    def consumer(self) -> str:
        """The durable name of its consumer."""
        return names.consumer(self.queue, self.priority)

    def may_have_messages(self) -> bool:
        """Tells whether asking makes sense."""
        return time.monotonic() >= self.empty_until

    def expect_empty(self) -> None:
        """Notes that it is being asked; a wake-up from now on counts."""
        self.empty_until = time.monotonic() + LOOK_SECONDS

    def wake(self) -> None:
        """Notes that there is a message, or was one just now."""
        self.empty_until = 0.0


class Lanes:
    """All lanes of a queue, and in which order they are asked."""

    def __init__(self, queue: str) -> None:
        """Takes the queue."""
        self._lanes = [Lane(queue, priority) for priority in reversed(PRIORITIES)]
        self._filled = 0

    def wake(self, priorities: Iterable[int]) -> None:
        """Notes that there are messages of these priorities; of none named means of any."""
        wanted = set(priorities) or set(PRIORITIES)
        for lane in self._lanes:
            if lane.priority in wanted:
                lane.wake()

    def highest_first(self) -> list[Lane]:
        """Returns the lanes that may have messages."""
        return [lane for lane in self._lanes if lane.may_have_messages()]

    def lowest_first(self) -> list[Lane]:
        """Returns the same the other way round: for the starvation guard."""
        return self.highest_first()[::-1]

    def guard_is_due(self, count: int) -> bool:
        """Tells whether one of the next `count` slots is the starvation guard's."""
        return self._filled // STARVATION_GUARD != (self._filled + count) // STARVATION_GUARD

    def filled(self, count: int) -> None:
        """Notes that slots were filled."""
        self._filled += count
