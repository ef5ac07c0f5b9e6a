"""Queues as clients see them."""

from __future__ import annotations

from datetime import datetime, timedelta

from mistudio import v1
from mistudio_gateway.diagnosis import paused, unserved
from mistudio_gateway.ledger import utc_now
from mistudio_gateway.queues.diagnoses import Diagnoses
from mistudio_gateway.queues.pauses import Pause, PauseRecord
from mistudio_gateway.queues.standing import Standing, Standings
from mistudio_gateway.worker_registry import WorkerRegistry, slots_of
from mistudio_runtime.queues import Queue, QueueTable


class QueuesView:
    """What the table, the jobs, the workers and the pauses say of each queue. The number of jobs costs nothing."""

    def __init__(
        self,
        table: QueueTable,
        registry: WorkerRegistry,
        standings: Standings,
        pauses: PauseRecord,
        diagnoses: Diagnoses,
    ) -> None:
        """Takes the sources."""
        self._table = table
        self._registry = registry
        self._standings = standings
        self._pauses = pauses
        self._diagnoses = diagnoses

    def list(self) -> list[v1.Queue]:
        """Returns all queues in the order of the table."""
        return [self._queue(row) for row in self._table.queues]

    def get(self, name: str) -> v1.Queue:
        """Returns a queue of the table. Raises KeyError."""
        return self._queue(self._table.queue(name))

    def _queue(self, row: Queue) -> v1.Queue:
        standing, pause, now = self._standings.of(row.name), self._pauses.find(row.name), utc_now()
        serving = self._registry.serving(row.name)
        queue = v1.Queue(
            name=row.name,
            priority=row.priority,
            slots=row.slots,
            memory_limit_bytes=row.memory_limit_bytes or 0,
            service=row.service,
            job_kinds=row.job_kinds,
            queued=standing.depth,
            running=len(standing.active),
            waiting=len(standing.waiting),
            depths=_depths(standing),
            workers=[status.worker.name for status in serving],
            total_slots=sum(slots_of(status, row.name) for status in serving),
            max_queued=row.max_queued,
            jobs_per_minute=self._standings.rate.per_minute(row.name, now.timestamp()),
            diagnosis=_diagnosis(row, pause, standing, served=bool(serving)),
        )
        self._add_times(queue, standing, pause, now)
        return queue

    def _add_times(self, queue: v1.Queue, standing: Standing, pause: Pause | None, now: datetime) -> None:
        if pause is not None:
            queue.paused, queue.pause_reason = True, pause.reason
            queue.pause_time.FromDatetime(pause.time)
        if (oldest := standing.oldest()) is not None:
            queue.oldest_wait.FromTimedelta(timedelta(seconds=max(0.0, now.timestamp() - oldest / 1e9)))
        if (drain := self._time_to_drain(queue)) is not None:
            queue.time_to_drain.FromTimedelta(drain)

    def _time_to_drain(self, queue: v1.Queue) -> timedelta | None:
        if not queue.queued:
            return timedelta()
        if queue.paused or not queue.total_slots:
            return None
        start = self._diagnoses.start(queue.name, queue.queued - 1)
        if start is None and queue.jobs_per_minute:
            return timedelta(minutes=queue.queued / queue.jobs_per_minute)
        return start


def _depths(standing: Standing) -> list[v1.PriorityDepth]:
    found = sorted(((priority, len(places)) for priority, places in standing.queued.items() if places), reverse=True)
    return [v1.PriorityDepth(priority=priority, queued=queued) for priority, queued in found]


def _diagnosis(row: Queue, pause: Pause | None, standing: Standing, *, served: bool) -> str:
    if pause is not None:
        return paused(row.name, pause)
    if not served:
        return unserved(row)
    if row.max_queued and standing.stock >= row.max_queued:
        return (
            f"The queue {row.name} is full, and refuses more jobs: {standing.stock} wait, its limit is "
            f"{row.max_queued} (max_queued in the queue table)."
        )
    return ""
