"""Waiting until a gRPC server says that it serves."""

from __future__ import annotations

from typing import Any

import grpc.aio
from grpc_health.v1 import health_pb2, health_pb2_grpc

_OPTIONS = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    # A proxy that the environment names does not lead to this machine.
    ("grpc.enable_http_proxy", 0),
)


class NotServingError(Exception):
    """A server did not come up in time."""


async def wait_until_serving(address: str, within_seconds: float) -> None:
    """Returns once grpc.health.v1 at the address says SERVING. Raises NotServingError."""
    async with grpc.aio.insecure_channel(address, options=_OPTIONS) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)  # its type stub declares no methods
        answers = stub.Watch(health_pb2.HealthCheckRequest(), timeout=within_seconds, wait_for_ready=True)
        try:
            async for answer in answers:
                if answer.status == health_pb2.HealthCheckResponse.SERVING:
                    return
        except grpc.aio.AioRpcError as error:
            what = f"{address} did not say SERVING within {within_seconds:g} s ({error.code().name}); see its log"
            raise NotServingError(what) from error
        finally:
            answers.cancel()
    raise NotServingError(f"{address} ended before it said SERVING; see its log")
