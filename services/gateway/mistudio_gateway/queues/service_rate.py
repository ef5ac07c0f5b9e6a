"""How many jobs of each queue end in a minute."""

from __future__ import annotations

from collections import Counter

WINDOW_SECONDS = 600
_SLICE_SECONDS = 10
_SLICES = WINDOW_SECONDS // _SLICE_SECONDS


class ServiceRate:
    """Counts ends by slices of ten seconds, and forgets those before the last ten minutes."""

    def __init__(self) -> None:
        """Begins without ends."""
        self._ends: dict[str, Counter[int]] = {}

    def count(self, queue: str, end: float) -> None:
        """Counts a job that ended at this time, in seconds since 1970."""
        ends = self._ends.setdefault(queue, Counter())
        ends[_slice(end)] += 1
        if len(ends) > 2 * _SLICES:
            newest = max(ends)
            self._ends[queue] = Counter({at: count for at, count in ends.items() if at > newest - _SLICES})

    def per_minute(self, queue: str, now: float) -> float:
        """Returns the jobs that ended in the last ten minutes, by the minute."""
        since = _slice(now) - _SLICES
        ended = sum(count for at, count in self._ends.get(queue, {}).items() if at > since)
        return ended * 60 / WINDOW_SECONDS


def _slice(time: float) -> int:
    return int(time // _SLICE_SECONDS)
