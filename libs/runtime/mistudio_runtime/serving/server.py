"""The gRPC server of one process."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc.aio
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from mistudio_runtime.serving.error_interceptor import ErrorInterceptor

MAX_MESSAGE_BYTES = 16 * 1024 * 1024
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # Two processes on one port would each get half of the calls: refuse the second.
    ("grpc.so_reuseport", 0),
    # Clients and workers may ping an idle stream to notice a dead peer.
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_ping_strikes", 0),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
)


class PortTakenError(Exception):
    """Something else listens on the address."""


class MeshServer:
    """A grpc.aio server with health and reflection; add servicers to `.grpc`, then `start`."""

    def __init__(self) -> None:
        """Makes the server; it listens from `start` on."""
        self.grpc: grpc.aio.Server = grpc.aio.server(interceptors=[ErrorInterceptor()], options=_OPTIONS)
        self._health = health.aio.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self.grpc)
        self.port = 0

    async def start(self, address: str, service_names: Iterable[str]) -> int:
        """Listens on "host:port" (port 0: a free one) and says SERVING; returns the port. Raises PortTakenError."""
        names = [*service_names]
        reflection.enable_server_reflection([*names, health.SERVICE_NAME, reflection.SERVICE_NAME], self.grpc)
        try:
            self.port = self.grpc.add_insecure_port(address)
        except RuntimeError as error:
            raise PortTakenError(f"{address} cannot be listened on: something else runs there") from error
        await self.grpc.start()
        await self._say(names, health_pb2.HealthCheckResponse.SERVING)
        return self.port

    async def stop(self, grace: float) -> None:
        """Says NOT_SERVING, lets calls finish for `grace` seconds, then ends."""
        await self._health.enter_graceful_shutdown()
        await self.grpc.stop(grace)

    async def _say(self, names: list[str], status: Any) -> None:
        for name in ["", *names]:
            await self._health.set(name, status)
