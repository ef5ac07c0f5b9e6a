"""QueueService over a socket: convert, call, convert."""

from __future__ import annotations

from typing import Any

import grpc.aio

from mistudio import v1
from mistudio_gateway.queues_view import QueuesView
from mistudio_gateway.routes import Routes
from mistudio_runtime.errors import UnimplementedError

Context = grpc.aio.ServicerContext[Any, Any]


class QueueServicer(v1.QueueServiceServicer):
    """Tells about queues and routes."""

    def __init__(self, queues: QueuesView, routes: Routes) -> None:
        """Takes what the rpcs call."""
        self._queues = queues
        self._routes = routes

    async def ListQueues(self, request: v1.ListQueuesRequest, context: Context) -> v1.ListQueuesResponse:
        """Lists queues."""
        return v1.ListQueuesResponse(queues=self._queues.list())

    async def ExplainRoute(self, request: v1.ExplainRouteRequest, context: Context) -> v1.ExplainRouteResponse:
        """Explains a route."""
        return await self._routes.explain(request)

    async def PauseQueue(self, request: v1.PauseQueueRequest, context: Context) -> v1.PauseQueueResponse:
        """Not in this version."""
        raise UnimplementedError(
            "pausing a whole queue is not built yet: pause its jobs one by one with `mistudio jobs pause`"
        )

    async def ResumeQueue(self, request: v1.ResumeQueueRequest, context: Context) -> v1.ResumeQueueResponse:
        """Not in this version."""
        raise UnimplementedError(
            "resuming a whole queue is not built yet: resume its jobs one by one with `mistudio jobs resume`"
        )
