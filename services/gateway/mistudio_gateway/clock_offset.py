"""How far another machine's clock is ahead of ours, from messages that say when they were sent."""

from __future__ import annotations

from collections import deque
from datetime import timedelta

_SAMPLES = 8


class ClockOffset:
    """Each message says the offset less the time that it took; the largest of the last few took the least."""

    def __init__(self) -> None:
        """Begins without a sample."""
        self._seen: deque[timedelta] = deque(maxlen=_SAMPLES)

    def observe(self, offset: timedelta) -> timedelta:
        """Takes a message's time of sending less that of its arrival; returns the best estimate."""
        self._seen.append(offset)
        return max(self._seen)
