"""Queues as clients see them."""

from __future__ import annotations

from mistudio import v1
from mistudio_gateway.diagnosis import unserved
from mistudio_gateway.jobs import count_by_queue
from mistudio_gateway.ledger import Ledger
from mistudio_gateway.worker_registry import WorkerRegistry
from mistudio_runtime.queues import Queue, QueueTable


class QueuesView:
    """What the table, the ledger and the workers say of each queue."""

    def __init__(self, table: QueueTable, ledger: Ledger, registry: WorkerRegistry) -> None:
        """Takes the three sources."""
        self._table = table
        self._ledger = ledger
        self._registry = registry

    def list(self) -> list[v1.Queue]:
        """Returns all queues in the order of the table."""
        jobs = list(self._ledger.mirror())
        queued = count_by_queue(jobs, v1.JOB_STATE_QUEUED)
        running = count_by_queue(jobs, v1.JOB_STATE_RUNNING)
        return [self._queue(row, queued.get(row.name, 0), running.get(row.name, 0)) for row in self._table.queues]

    def _queue(self, row: Queue, queued: int, running: int) -> v1.Queue:
        workers = [status.worker.name for status in self._registry.serving(row.name)]
        return v1.Queue(
            name=row.name,
            priority=row.priority,
            slots=row.slots,
            memory_limit_bytes=row.memory_limit_bytes or 0,
            service=row.service,
            job_kinds=row.job_kinds,
            queued=queued,
            running=running,
            workers=workers,
            diagnosis="" if workers else unserved(row),
        )
