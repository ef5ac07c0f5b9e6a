"""Passes the workloads' queries on to a live worker, byte for byte, so that clients need one address."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor

from mistudio import v1
from mistudio_gateway.worker_registry import WorkerRegistry
from mistudio_runtime.errors import UnavailableError
from mistudio_runtime.serving.server import MAX_MESSAGE_BYTES
from mistudio_runtime.serving.status import DETAILS_KEY

FORWARDED: Mapping[str, str] = {
    "DatasetService": "ingest",
    "TrainingService": "trainer",
    "FeatureService": "extractor",
    "CatalogService": "curator",
}
"""gRPC service to the mesh's service that answers it."""

Context = grpc.aio.ServicerContext[Any, Any]
_DEFAULT_SECONDS = 60.0
_OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.enable_http_proxy", 0),  # gRPC would use http_proxy even for the loopback
)


def forwarded_service(name: str) -> ServiceDescriptor:
    """Returns the descriptor of a forwarded gRPC service."""
    module = {"DatasetService": v1.dataset_service_pb2, "TrainingService": v1.training_service_pb2}
    module |= {"FeatureService": v1.feature_service_pb2, "CatalogService": v1.catalog_service_pb2}
    descriptor: ServiceDescriptor = module[name].DESCRIPTOR.services_by_name[name]
    return descriptor


class Backends:
    """Channels to workers, by address."""

    def __init__(self, registry: WorkerRegistry) -> None:
        """Takes who is alive."""
        self._registry = registry
        self._channels: dict[str, grpc.aio.Channel] = {}

    def addresses(self, grpc_service: str) -> list[str]:
        """Returns the live workers that answer a gRPC service, in random order."""
        workers = [status.worker for status in self._registry.alive() if grpc_service in status.worker.grpc_services]
        return random.sample([worker.address for worker in workers], len(workers))

    def channel(self, address: str) -> grpc.aio.Channel:
        """Returns the channel to an address."""
        if address not in self._channels:
            self._channels[address] = grpc.aio.insecure_channel(address, options=_OPTIONS)
        return self._channels[address]

    async def close(self) -> None:
        """Closes all channels."""
        await asyncio.gather(*(channel.close() for channel in self._channels.values()))


class ForwardingHandler(grpc.GenericRpcHandler):
    """Answers one gRPC service: what is in `own` here, all else by a worker."""

    def __init__(self, service: str, backends: Backends, own: Mapping[str, grpc.RpcMethodHandler[Any, Any]]) -> None:
        """Takes a key of FORWARDED and the handlers, by method name, that the gateway has itself."""
        descriptor = forwarded_service(service)
        self._full_name = descriptor.full_name
        self._workload = FORWARDED[service]
        self._backends = backends
        self._handlers = {
            f"/{self._full_name}/{method}": own.get(method) or self._forwarder(f"/{self._full_name}/{method}")
            for method in descriptor.methods_by_name
        }

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Returns the handler of a method, or None for methods of other services."""
        return self._handlers.get(handler_call_details.method)

    def _forwarder(self, method: str) -> grpc.RpcMethodHandler[Any, Any]:
        async def forward(request: bytes, context: Context) -> bytes:
            return await self._forward(method, request, context)

        return grpc.unary_unary_rpc_method_handler(forward)

    async def _forward(self, method: str, request: bytes, context: Context) -> bytes:
        addresses = self._backends.addresses(self._full_name)
        for address in addresses:
            call: Callable[..., Any] = self._backends.channel(address).unary_unary(method)
            try:
                answer: bytes = await call(request, timeout=context.time_remaining() or _DEFAULT_SECONDS)
            except grpc.aio.AioRpcError as error:
                if not _is_gone(error):
                    await _pass_back(error, context)
            else:
                return answer
        raise UnavailableError(
            f"no {self._workload} is attached to answer this: start one with `mistudio up` "
            f"or `python -m mistudio_{self._workload}`"
        )


def _is_gone(error: grpc.aio.AioRpcError) -> bool:
    """Tells whether no worker was reached; one that cannot answer now says why in the details."""
    details = dict(error.trailing_metadata() or ()).get(DETAILS_KEY)
    return error.code() == grpc.StatusCode.UNAVAILABLE and details is None


async def _pass_back(error: grpc.aio.AioRpcError, context: Context) -> None:
    context.set_trailing_metadata(tuple(error.trailing_metadata() or ()))
    await context.abort(error.code(), error.details() or "")
