"""When a job that is queued now would start, as the jobs of its queue have gone lately. Pure."""

from __future__ import annotations

import heapq
import statistics
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from mistudio import v1
from mistudio_gateway.state_machine import ACTIVE

RECENT = 20
"""Jobs of a kind whose durations count: the newest so many that succeeded."""


class Durations:
    """How long jobs of each kind took lately."""

    def __init__(self, jobs: Iterable[v1.Job]) -> None:
        """Takes all jobs; those that succeeded count, by their last attempt."""
        ended = sorted(
            (job for job in jobs if job.state == v1.JOB_STATE_SUCCEEDED and job.attempts),
            key=lambda job: job.end_time.ToNanoseconds(),
            reverse=True,
        )
        self._seconds: dict[str, list[float]] = {}
        for job in ended:
            known = self._seconds.setdefault(job.kind, [])
            if len(known) < RECENT:
                known.append(_lasted(job.attempts[-1]))

    def typical(self, kind: str) -> float | None:
        """Returns the median in seconds; None if no job of the kind has succeeded."""
        known = self._seconds.get(kind)
        return statistics.median(known) if known else None


def expected_wait(
    queue: str, slots: int, jobs: Sequence[v1.Job], ahead: Sequence[v1.Job], now: datetime
) -> timedelta | None:
    """Returns the time until a slot is free for a job that stands behind `ahead`; None if that is unknown.

    `slots` counts all slots of the live workers that serve the queue. Each job ahead takes the slot that is free first,
    for as long as jobs of its kind took lately.
    """
    running = [job for job in jobs if job.queue == queue and job.state in ACTIVE]
    if slots == 0:
        return None
    if not ahead and len(running) < slots:
        return timedelta()
    durations = Durations(jobs)
    lengths = [durations.typical(job.kind) for job in ahead]
    ends = [_remaining(job, durations, now) for job in running]
    return _list_schedule(slots, ends, lengths)


def _list_schedule(slots: int, ends: Sequence[float | None], lengths: Sequence[float | None]) -> timedelta | None:
    if None in ends or None in lengths:
        return None
    busy = sorted(end for end in ends if end is not None)[:slots]
    free = busy + [0.0] * (slots - len(busy))
    heapq.heapify(free)
    for length in lengths:
        heapq.heappush(free, heapq.heappop(free) + (length or 0.0))
    return timedelta(seconds=free[0])


def _remaining(job: v1.Job, durations: Durations, now: datetime) -> float | None:
    if job.progress.HasField("eta"):
        return job.progress.eta.ToTimedelta().total_seconds()
    elapsed = (now - job.attempts[-1].start_time.ToDatetime(UTC)).total_seconds() if job.attempts else 0.0
    if 0 < job.progress.fraction < 1:
        return elapsed * (1 - job.progress.fraction) / job.progress.fraction
    typical = durations.typical(job.kind)
    return None if typical is None else max(0.0, typical - elapsed)


def _lasted(attempt: v1.Attempt) -> float:
    return (attempt.end_time.ToNanoseconds() - attempt.start_time.ToNanoseconds()) / 1e9
