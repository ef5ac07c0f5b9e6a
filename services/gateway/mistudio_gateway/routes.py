"""Where a job would go, who would take it, and when."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta

from mistudio import v1
from mistudio_gateway.diagnosis import paused, unserved
from mistudio_gateway.queues.diagnoses import Diagnoses
from mistudio_gateway.queues.pauses import Pause, PauseRecord
from mistudio_gateway.queues.standing import Standings
from mistudio_gateway.quoting import MAX_QUOTED, quoted
from mistudio_gateway.validation import Scope, fits, validate_spec
from mistudio_gateway.validation.references import kind_of
from mistudio_gateway.worker_registry import WorkerRegistry, free_slots
from mistudio_runtime.broker import names
from mistudio_runtime.queues import PRIORITIES, Queue, QueueTable


class Routes:
    """What the table, the jobs, the workers and the pauses say of a job that has not been submitted."""

    def __init__(
        self,
        table: QueueTable,
        registry: WorkerRegistry,
        standings: Standings,
        *,
        pauses: PauseRecord,
        diagnoses: Diagnoses,
        make_scope: Callable[[], Scope],
    ) -> None:
        """Takes the sources, and who makes what specs are validated against."""
        self._table = table
        self._registry = registry
        self._standings = standings
        self._pauses = pauses
        self._diagnoses = diagnoses
        self._make_scope = make_scope

    async def explain(self, request: v1.ExplainRouteRequest) -> v1.ExplainRouteResponse:
        """Says where a job would go. Raises InvalidRequestError, UnimplementedError for a spec of a kind not built."""
        kind = await self._checked_kind(request)
        row = self._table.queue_of(kind)
        return self._answer(row, kind, request.priority or row.priority)

    async def _checked_kind(self, request: v1.ExplainRouteRequest) -> str:
        scope = self._make_scope()
        specified = kind_of(request.spec)
        kind = request.kind or specified
        known = [kind for row in self._table.queues for kind in row.job_kinds]
        scope.require(kind in known, "kind", f"{quoted(kind)} is no job kind: {', '.join(known)}")
        scope.require(
            specified in ("", kind), "kind", f"is {kind[:MAX_QUOTED]}, and the spec is of the kind {specified}"
        )
        in_range = request.priority == 0 or request.priority in PRIORITIES
        scope.require(in_range, "priority", "is 1 to 10, 10 first, or 0 for the queue's own")
        if specified and fits(request.spec, "spec", scope):
            await asyncio.to_thread(validate_spec, request.spec, "spec", scope)  # it looks at files
        scope.raise_if_any()
        return kind

    def _answer(self, row: Queue, kind: str, priority: int) -> v1.ExplainRouteResponse:
        ahead = self._standings.of(row.name).at_least(priority)
        pause = self._pauses.find(row.name)
        serving = self._registry.serving(row.name)
        wait = None if pause else self._diagnoses.start(row.name, ahead)
        answer = v1.ExplainRouteResponse(
            queue=row.name,
            subject=names.job_subject(row.name, priority, "").rstrip("."),
            priority=priority,
            service=row.service,
            workers=[status.worker.name for status in serving if free_slots(status, row.name)],
            serving_workers=[status.worker.name for status in serving],
            position=ahead,
        )
        if wait is not None:
            answer.expected_wait.FromTimedelta(wait)
        answer.explanation = _explanation(row, kind, answer, wait, pause)
        return answer


def _explanation(
    row: Queue, kind: str, answer: v1.ExplainRouteResponse, wait: timedelta | None, pause: Pause | None
) -> str:
    route = (
        f"{kind} goes to the queue {row.name} with priority {answer.priority}, which the {row.service} service serves"
    )
    if pause is not None:
        return f"{route}. {paused(row.name, pause)}"
    if not answer.serving_workers:
        return f"{route}. {unserved(row)}"
    if answer.workers and not answer.position:
        return f"{route}; {answer.workers[0]} would take it now."
    return f"{route}; {_before(answer.position)}, and {_start(wait, answer.serving_workers)}."


def _before(position: int) -> str:
    return {0: "no job goes before it", 1: "one job goes before it"}.get(position, f"{position} jobs go before it")


def _start(wait: timedelta | None, workers: Sequence[str]) -> str:
    if wait is None:
        return f"it starts when a slot is free on {', '.join(workers)} (too few jobs have ended to say when)"
    return f"it would start in about {_rounded(wait)}, as jobs have gone lately"


def _rounded(wait: timedelta) -> str:
    seconds = wait.total_seconds()
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
