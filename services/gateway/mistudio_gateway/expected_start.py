"""When a job that is queued now would start, as the jobs of its queue have gone lately."""

from __future__ import annotations

import bisect
import heapq
import itertools
import statistics
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from mistudio import v1

RECENT = 20
"""Jobs of a kind whose durations count: the newest so many that succeeded."""
EXACT = 100
"""So many jobs ahead are laid onto slots one by one; those behind them count by their mean."""
Typical = Callable[[str], "float | None"]
"""Job kind to how long a job of it takes, in seconds."""


class Durations:
    """How long jobs of each kind took lately."""

    def __init__(self) -> None:
        """Begins without jobs."""
        self._newest: dict[str, list[tuple[int, float]]] = {}

    def add(self, job: v1.Job) -> None:
        """Takes note of a job that has succeeded, by its last attempt; in any order."""
        newest = self._newest.setdefault(job.kind, [])
        bisect.insort(newest, (job.end_time.ToNanoseconds(), _lasted(job.attempts[-1])))
        del newest[:-RECENT]

    def typical(self, kind: str) -> float | None:
        """Returns the median in seconds; None if no job of the kind has succeeded."""
        newest = self._newest.get(kind)
        return statistics.median(seconds for _, seconds in newest) if newest else None


class Outlook:
    """When the queued jobs of one queue start. Each takes the slot that is free first, for as long as its kind does."""

    def __init__(
        self,
        slots: int,
        active: Collection[v1.Job],
        *,
        queued: Iterable[str],
        kinds: Mapping[str, int],
        typical: Typical,
        now: datetime,
    ) -> None:
        """Takes all slots of the live workers, the jobs that have one, and the queued kinds, in order and counted."""
        self._slots = slots
        self._idle = len(active) < slots
        ends = [_remaining(job, typical, now) for job in active]
        lengths = [typical(kind) for kind in itertools.islice(queued, EXACT)]
        self._starts = _starts(slots, ends, lengths) if slots else []
        self._mean = _mean(kinds, typical) if len(self._starts) == len(lengths) + 1 else None

    def wait(self, ahead: int) -> timedelta | None:
        """Returns the time until a job starts that stands behind so many; None if that is unknown."""
        if self._idle and not ahead:
            return timedelta()
        if ahead < len(self._starts):
            return timedelta(seconds=self._starts[ahead])
        if self._mean is None:
            return None
        behind = ahead - len(self._starts) + 1
        return timedelta(seconds=self._starts[-1] + behind * self._mean / self._slots)


def _starts(slots: int, ends: Sequence[float | None], lengths: Iterable[float | None]) -> list[float]:
    """Returns when the first job starts, the second, and so on, and the next after them, as far as that is known."""
    known = [end for end in ends if end is not None]
    if len(known) < len(ends):
        return []
    free = sorted(known)[:slots] + [0.0] * (slots - len(known))
    heapq.heapify(free)
    return [*(heapq.heapreplace(free, free[0] + length) for length in _until_unknown(lengths)), free[0]]


def _until_unknown(lengths: Iterable[float | None]) -> Iterator[float]:
    for length in lengths:
        if length is None:
            return
        yield length


def _mean(kinds: Mapping[str, int], typical: Typical) -> float | None:
    lengths = [(count, typical(kind)) for kind, count in kinds.items() if count]
    known = [count * length for count, length in lengths if length is not None]
    return sum(known) / max(1, sum(kinds.values())) if len(known) == len(lengths) else None


def _remaining(job: v1.Job, typical: Typical, now: datetime) -> float | None:
    if job.progress.HasField("eta"):
        return job.progress.eta.ToTimedelta().total_seconds()
    elapsed = (now - job.attempts[-1].start_time.ToDatetime(UTC)).total_seconds() if job.attempts else 0.0
    if 0 < job.progress.fraction < 1:
        return elapsed * (1 - job.progress.fraction) / job.progress.fraction
    usual = typical(job.kind)
    return None if usual is None else max(0.0, usual - elapsed)


def _lasted(attempt: v1.Attempt) -> float:
    return (attempt.end_time.ToNanoseconds() - attempt.start_time.ToNanoseconds()) / 1e9
