"""How many jobs of each queue a worker runs at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

MAX_ENDING = 64
"""Jobs of a queue whose ends may wait to be stored; with more, or more than its slots, no other begins."""


class Slots:
    """Counts taken slots by queue; a resize takes effect as jobs end."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        """Takes queue to slots."""
        self.limits = dict(limits)
        self.freed = asyncio.Event()
        """Set when a slot was freed or added."""
        self._taken = dict.fromkeys(limits, 0)
        self._ending = dict.fromkeys(limits, 0)

    def free(self, queue: str) -> int:
        """Returns how many more jobs of a queue may start."""
        if self._ending[queue] >= max(self.limits[queue], MAX_ENDING):
            return 0
        return max(0, self.limits[queue] - self._taken[queue])

    def take(self, queue: str) -> None:
        """Takes a slot."""
        self._taken[queue] += 1

    def give_back(self, queue: str) -> None:
        """Frees a slot."""
        self._taken[queue] -= 1
        self.freed.set()

    def end(self, queue: str) -> None:
        """Frees the slot of a job that runs no more; `settle` follows when the ledger knows."""
        self._ending[queue] += 1
        self.give_back(queue)

    def settle(self, queue: str) -> None:
        """Notes that the end of such a job is stored."""
        self._ending[queue] -= 1
        self.freed.set()

    def resize(self, queue: str, slots: int) -> None:
        """Changes a queue's slots; an unknown queue is ignored."""
        if queue in self.limits:
            self.limits[queue] = slots
            self.freed.set()
