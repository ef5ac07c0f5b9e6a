"""QueueService over a socket: convert, call, convert."""

from __future__ import annotations

from typing import Any

import grpc.aio

from mistudio import v1
from mistudio_gateway.queues.control import QueueControl
from mistudio_gateway.queues_view import QueuesView
from mistudio_gateway.routes import Routes

Context = grpc.aio.ServicerContext[Any, Any]


class QueueServicer(v1.QueueServiceServicer):
    """Tells about queues and routes, pauses and resumes queues."""

    def __init__(self, queues: QueuesView, routes: Routes, control: QueueControl) -> None:
        """Takes what the rpcs call."""
        self._queues = queues
        self._routes = routes
        self._control = control

    async def ListQueues(self, request: v1.ListQueuesRequest, context: Context) -> v1.ListQueuesResponse:
        """Lists queues."""
        return v1.ListQueuesResponse(queues=self._queues.list())

    async def ExplainRoute(self, request: v1.ExplainRouteRequest, context: Context) -> v1.ExplainRouteResponse:
        """Explains a route."""
        return await self._routes.explain(request)

    async def PauseQueue(self, request: v1.PauseQueueRequest, context: Context) -> v1.PauseQueueResponse:
        """Pauses a queue."""
        await self._control.pause(request.queue, request.reason)
        return v1.PauseQueueResponse(queue=self._queues.get(request.queue))

    async def ResumeQueue(self, request: v1.ResumeQueueRequest, context: Context) -> v1.ResumeQueueResponse:
        """Resumes a queue."""
        await self._control.resume(request.queue)
        return v1.ResumeQueueResponse(queue=self._queues.get(request.queue))
