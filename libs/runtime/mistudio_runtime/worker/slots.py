"""How many jobs of each queue a worker runs at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping


class Slots:
    """Counts taken slots by queue; a resize takes effect as jobs end."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        """Takes queue to slots."""
        self.limits = dict(limits)
        self.freed = asyncio.Event()
        """Set when a slot was freed or added."""
        self._taken = dict.fromkeys(limits, 0)

    def free(self, queue: str) -> int:
        """Returns how many more jobs of a queue may start."""
        return max(0, self.limits[queue] - self._taken[queue])

    def taken(self, queue: str) -> int:
        """Returns how many jobs of a queue have a slot."""
        return self._taken[queue]

    def take(self, queue: str) -> None:
        """Takes a slot."""
        self._taken[queue] += 1

    def give_back(self, queue: str) -> None:
        """Frees a slot."""
        self._taken[queue] -= 1
        self.freed.set()

    def resize(self, queue: str, slots: int) -> None:
        """Changes a queue's slots; an unknown queue is ignored."""
        if queue in self.limits:
            self.limits[queue] = slots
            self.freed.set()
