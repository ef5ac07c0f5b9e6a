"""A service's servicers on a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc.aio

from mistudio_runtime.jobs import Service, ServiceContext
from mistudio_runtime.serving.server import MeshServer
from support.workshop import Workshop


@asynccontextmanager
async def serving(service: Service, workshop: Workshop) -> AsyncIterator[grpc.aio.Channel]:
    """Serves the queries of `service` on a free port; yields a channel to it."""
    server = MeshServer()
    names = service.add_servicers(server.grpc, ServiceContext(workshop.settings, workshop.store))
    port = await server.start("127.0.0.1:0", names)
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel
    finally:
        await server.stop(grace=0)
