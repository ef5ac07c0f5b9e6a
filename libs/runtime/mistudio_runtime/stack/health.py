"""Waiting until a gRPC server says that it serves."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

_PAUSE_SECONDS = 0.1
LOCAL_CHANNEL = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    # A proxy that the environment names does not lead to this machine.
    ("grpc.enable_http_proxy", 0),
)
"""Options of a channel to a server on this machine that is being started."""


class NotServingError(Exception):
    """A server did not come up in time."""


async def wait_until_serving(address: str, within_seconds: float) -> None:
    """Returns once grpc.health.v1 at the address answers SERVING. Raises NotServingError."""
    async with grpc.aio.insecure_channel(address, options=LOCAL_CHANNEL) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)  # its type stub declares no methods
        try:
            async with asyncio.timeout(within_seconds):
                await _until_serving(stub)
        except TimeoutError as error:
            raise NotServingError(f"{address} did not serve within {within_seconds:g} s; see its log") from error
        except grpc.aio.AioRpcError as error:
            raise NotServingError(f"{address} has no health to ask for ({error.code().name}); see its log") from error


async def _until_serving(stub: Any) -> None:
    while True:
        answer = await stub.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True)
        if answer.status == health_pb2.HealthCheckResponse.SERVING:
            return
        await asyncio.sleep(_PAUSE_SECONDS)
