"""Which unfinished jobs each queue has, kept as the mirror of the ledger changes: nothing is ever counted anew."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from mistudio import v1
from mistudio_gateway.expected_start import Durations
from mistudio_gateway.queues.service_rate import ServiceRate
from mistudio_gateway.state_machine import ACTIVE, is_terminal

_ORDER_SECONDS = 0.25
"""So long a numbering of a priority's jobs serves: whoever lists a thousand jobs needs one, not a thousand."""


class Place(NamedTuple):
    """Where a queued job stands."""

    since: int
    """When it was put into its queue, in nanoseconds since 1970."""
    kind: str
    """Its job kind."""


@dataclass
class Standing:
    """The unfinished jobs of one queue."""

    queued: dict[int, dict[str, Place]] = field(default_factory=dict)
    """Priority to the jobs that wait for a slot, in the order in which they were put into the queue."""
    waiting: set[str] = field(default_factory=set)
    """Jobs that wait for other jobs."""
    active: dict[str, v1.Job] = field(default_factory=dict)
    """Jobs that a worker has."""
    kinds: Counter[str] = field(default_factory=Counter)
    """Job kind to how many are queued."""
    _orders: dict[int, tuple[float, dict[str, int]]] = field(default_factory=dict)

    @property
    def depth(self) -> int:
        """How many jobs are queued."""
        return sum(map(len, self.queued.values()))

    @property
    def stock(self) -> int:
        """How many jobs wait, for a slot or for other jobs."""
        return self.depth + len(self.waiting)

    def in_order(self) -> Iterator[Place]:
        """Yields the queued jobs, those that start first at first."""
        ordered = (self.queued[priority] for priority in sorted(self.queued, reverse=True))
        return itertools.chain.from_iterable(places.values() for places in ordered)

    def oldest(self) -> int | None:
        """Returns since when the job has waited that has waited longest, in nanoseconds; None if none is queued."""
        firsts = (next(iter(places.values())) for places in self.queued.values() if places)
        return min((place.since for place in firsts), default=None)

    def above(self, priority: int) -> int:
        """Returns how many queued jobs have a higher priority."""
        return sum(len(places) for other, places in self.queued.items() if other > priority)

    def at_least(self, priority: int) -> int:
        """Returns how many queued jobs would go before a new one of this priority."""
        return self.above(priority) + len(self.queued.get(priority, ()))

    def ahead(self, job_id: str, priority: int) -> int:
        """Returns how many queued jobs go before this one; if it is not known here, before a new one."""
        places = self.queued.get(priority, {})
        if job_id not in places:
            return self.at_least(priority)
        newest = next(reversed(places)) == job_id
        return self.above(priority) + (len(places) - 1 if newest else self._number(job_id, priority))

    def _number(self, job_id: str, priority: int) -> int:
        made, order = self._orders.get(priority, (0.0, {}))
        if time.monotonic() - made > _ORDER_SECONDS or job_id not in order:
            order = {known: number for number, known in enumerate(self.queued[priority])}
            self._orders[priority] = time.monotonic(), order
        return order[job_id]


class _Where(NamedTuple):
    queue: str
    priority: int
    state: v1.JobState.ValueType
    enqueue_count: int


class Standings:
    """Every queue's standing, service rate and durations. Hears of each record that is new in the mirror."""

    def __init__(self) -> None:
        """Begins without jobs."""
        self.rate = ServiceRate()
        self.durations = Durations()
        self._queues: dict[str, Standing] = {}
        self._where: dict[str, _Where] = {}

    def of(self, queue: str) -> Standing:
        """Returns the standing of a queue; empty for one that never had a job."""
        return self._queues.setdefault(queue, Standing())

    def knows(self, job_id: str) -> bool:
        """Tells whether a job is unfinished."""
        return job_id in self._where

    def hear(self, job_id: str, job: v1.Job | None) -> None:
        """Takes note of a record; None is one that has gone."""
        if job is None or is_terminal(job):
            self._leave(job_id)
            if job is not None:
                self._count(job)
            return
        where = _Where(job.queue, job.priority, job.state, job.enqueue_count)
        if self._where.get(job_id) != where:
            self._leave(job_id)
            self._enter(job, where)
        elif job.state in ACTIVE:
            self.of(job.queue).active[job_id] = job  # its progress is new

    def _enter(self, job: v1.Job, where: _Where) -> None:
        self._where[job.id] = where
        standing = self.of(job.queue)
        if job.state == v1.JOB_STATE_QUEUED:
            place = Place(job.update_time.ToNanoseconds(), job.kind)
            standing.queued.setdefault(job.priority, {})[job.id] = place
            standing.kinds[job.kind] += 1
        elif job.state == v1.JOB_STATE_WAITING:
            standing.waiting.add(job.id)
        elif job.state in ACTIVE:
            standing.active[job.id] = job

    def _leave(self, job_id: str) -> None:
        where = self._where.pop(job_id, None)
        if where is None:
            return
        standing = self.of(where.queue)
        standing.waiting.discard(job_id)
        standing.active.pop(job_id, None)
        if place := standing.queued.get(where.priority, {}).pop(job_id, None):
            standing.kinds[place.kind] -= 1
            if not standing.kinds[place.kind]:
                del standing.kinds[place.kind]

    def _count(self, job: v1.Job) -> None:
        self.rate.count(job.queue, job.end_time.ToNanoseconds() / 1e9)
        if job.state == v1.JOB_STATE_SUCCEEDED and job.attempts:
            self.durations.add(job)
