"""WorkerService over a socket: convert, call, convert."""

from __future__ import annotations

from typing import Any

import grpc.aio

from mistudio import v1
from mistudio_gateway.commands import Commands
from mistudio_gateway.quoting import quoted
from mistudio_gateway.worker_registry import WorkerRegistry, serves, slots_of
from mistudio_runtime.errors import InvalidRequestError, Violation

Context = grpc.aio.ServicerContext[Any, Any]
MAX_SLOTS = 1_024
OBEYS_WITHIN_SECONDS = 3.0
"""A worker that has not said by then that it obeyed is shown as it was."""


class WorkerServicer(v1.WorkerServiceServicer):
    """Tells about workers and passes on what is asked of them."""

    def __init__(self, registry: WorkerRegistry, commands: Commands) -> None:
        """Takes what the rpcs call."""
        self._registry = registry
        self._commands = commands

    async def ListWorkers(self, request: v1.ListWorkersRequest, context: Context) -> v1.ListWorkersResponse:
        """Lists workers."""
        return v1.ListWorkersResponse(workers=self._registry.alive())

    async def DrainWorker(self, request: v1.DrainWorkerRequest, context: Context) -> v1.DrainWorkerResponse:
        """Asks a worker to drain."""
        status = self._registry.get(request.worker)
        await self._commands.send(request.worker, v1.AttachResponse(drain=v1.Drain()))
        after = await self._registry.settled(status, lambda now: now.draining, OBEYS_WITHIN_SECONDS)
        return v1.DrainWorkerResponse(worker=after)

    async def ResizeWorker(self, request: v1.ResizeWorkerRequest, context: Context) -> v1.ResizeWorkerResponse:
        """Asks a worker to change its slots."""
        status = self._registry.get(request.worker)
        _check_resize(request, status)
        resize = v1.Resize(queue=request.queue, slots=request.slots)
        await self._commands.send(request.worker, v1.AttachResponse(resize=resize))
        after = await self._registry.settled(
            status, lambda now: slots_of(now, request.queue) == request.slots, OBEYS_WITHIN_SECONDS
        )
        return v1.ResizeWorkerResponse(worker=after)


def _check_resize(request: v1.ResizeWorkerRequest, status: v1.WorkerStatus) -> None:
    bad = []
    if not 0 < request.slots <= MAX_SLOTS:
        bad.append(Violation("slots", f"is 1 to {MAX_SLOTS}"))
    if not serves(status, request.queue):
        bad.append(Violation("queue", f"{request.worker} does not serve {quoted(request.queue)}"))
    if bad:
        raise InvalidRequestError(bad)
