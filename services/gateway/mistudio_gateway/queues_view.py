"""Queues and routes as clients see them."""

from __future__ import annotations

from collections.abc import Sequence

from mistudio import v1
from mistudio_gateway.diagnosis import unserved
from mistudio_gateway.jobs import count_by_queue
from mistudio_gateway.ledger import Ledger
from mistudio_gateway.worker_registry import WorkerRegistry, free_slots
from mistudio_runtime.broker import names
from mistudio_runtime.errors import InvalidRequestError, Violation
from mistudio_runtime.queues import PRIORITIES, Queue, QueueTable


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

    def explain(self, kind: str, priority: int) -> v1.ExplainRouteResponse:
        """Says where a job of a kind would go. Raises InvalidRequestError."""
        row = self._row_of(kind, priority)
        level = priority or row.priority
        free = [status.worker.name for status in self._registry.serving(row.name) if free_slots(status, row.name)]
        ahead = sum(
            job.queue == row.name and job.state == v1.JOB_STATE_QUEUED and job.priority >= level
            for job in self._ledger.mirror()
        )
        return v1.ExplainRouteResponse(
            queue=row.name,
            subject=names.job_subject(row.name, level, "").rstrip("."),
            priority=level,
            service=row.service,
            workers=free,
            position=ahead,
            explanation=self._explanation(row, kind, level, free, ahead),
        )

    def _row_of(self, kind: str, priority: int) -> Queue:
        known = [kind for row in self._table.queues for kind in row.job_kinds]
        if kind not in known:
            raise InvalidRequestError([Violation("kind", f"{kind!r} is no job kind: {', '.join(known)}")])
        if priority and priority not in PRIORITIES:
            raise InvalidRequestError([Violation("priority", "is 1 to 10, 10 first, or 0 for the queue's own")])
        return self._table.queue_of(kind)

    def _explanation(self, row: Queue, kind: str, priority: int, free: Sequence[str], ahead: int) -> str:
        route = f"{kind} goes to the queue {row.name} with priority {priority}, which the {row.service} service serves"
        if not self._registry.serving(row.name):
            return f"{route}. {unserved(row)}"
        if free and not ahead:
            return f"{route}; {free[0]} would take it now."
        return f"{route}; {ahead} jobs go before it."

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
