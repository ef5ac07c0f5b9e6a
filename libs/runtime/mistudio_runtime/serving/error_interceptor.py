"""The one place where an exception becomes a gRPC status."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn

import grpc
import grpc.aio
import structlog

from mistudio_runtime.errors import MeshError
from mistudio_runtime.serving.status import MESSAGE_BYTES, clipped, trailing_details

log = structlog.get_logger(__name__)

_PUBLIC_INTERNAL = "an unexpected error; the server's log has the details"


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Answers errors of the catalogue with their status; anything else with INTERNAL and no text of it."""

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any] | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Wraps the method's handler."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return handler
        method = handler_call_details.method
        codec = (handler.request_deserializer, handler.response_serializer)
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(_unary(handler.unary_unary, method), *codec)
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(_stream(handler.unary_stream, method), *codec)
        if handler.stream_unary:
            return grpc.stream_unary_rpc_method_handler(_unary(handler.stream_unary, method), *codec)
        return grpc.stream_stream_rpc_method_handler(_stream(handler.stream_stream, method), *codec)


def _unary(behavior: Any, method: str) -> Any:
    @functools.wraps(behavior)
    async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        try:
            return await behavior(request, context)
        except Exception as error:  # noqa: BLE001 - the boundary: what leaves the process is a status
            await _abort(error, context, method)

    return call


def _stream(behavior: Any, method: str) -> Any:
    @functools.wraps(behavior)
    async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
        try:
            if inspect.iscoroutinefunction(behavior):  # it writes to the context itself, as Health.Watch does
                await behavior(request, context)
                return
            async for response in behavior(request, context):
                yield response
        except Exception as error:  # noqa: BLE001 - the boundary: what leaves the process is a status
            await _abort(error, context, method)

    return call


async def _abort(error: Exception, context: grpc.aio.ServicerContext[Any, Any], method: str) -> NoReturn:
    if isinstance(error, grpc.aio.AbortError):
        raise error
    if isinstance(error, MeshError):
        message = clipped(error.message, MESSAGE_BYTES)  # it may repeat what the caller sent
        log.info("call refused", method=method, reason=error.reason, message=message)
        context.set_trailing_metadata(trailing_details(error))
        await context.abort(error.status, message)
    log.error("call failed", method=method, exc_info=error)
    await context.abort(grpc.StatusCode.INTERNAL, _PUBLIC_INTERNAL)
