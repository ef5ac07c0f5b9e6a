"""The one place where an exception becomes a gRPC status."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NoReturn

import grpc
import grpc.aio
import structlog
from google.protobuf.message import DecodeError

from mistudio_runtime.errors import InvalidRequestError, MeshError, Violation
from mistudio_runtime.serving.status import MESSAGE_BYTES, clipped, trailing_details

log = structlog.get_logger(__name__)

_Decode = Callable[[bytes], Any]
_Read = Callable[[Any], Any]
_PUBLIC_INTERNAL = "an unexpected error; the server's log has the details"


class ErrorInterceptor(grpc.aio.ServerInterceptor):
    """Answers errors of the catalogue with their status; anything else with INTERNAL and no text of it.

    Requests are read here: bytes that are no message are a caller's mistake, which gRPC would answer UNKNOWN.
    """

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
        one = functools.partial(_read, handler.request_deserializer)
        many = functools.partial(_read_all, handler.request_deserializer)
        codec = (None, handler.response_serializer)
        if handler.unary_unary:
            return grpc.unary_unary_rpc_method_handler(_unary(handler.unary_unary, one, method), *codec)
        if handler.unary_stream:
            return grpc.unary_stream_rpc_method_handler(_stream(handler.unary_stream, one, method), *codec)
        if handler.stream_unary:
            return grpc.stream_unary_rpc_method_handler(_unary(handler.stream_unary, many, method), *codec)
        return grpc.stream_stream_rpc_method_handler(_stream(handler.stream_stream, many, method), *codec)


def _read(decode: _Decode | None, request: bytes) -> Any:
    if decode is None:
        return request
    try:
        return decode(request)
    except DecodeError as error:
        raise InvalidRequestError([Violation("request", "its bytes are no protobuf message of this method")]) from error


async def _read_all(decode: _Decode | None, requests: AsyncIterator[bytes]) -> AsyncIterator[Any]:
    async for request in requests:
        yield _read(decode, request)


def _unary(behavior: Any, read: _Read, method: str) -> Any:
    @functools.wraps(behavior)
    async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        try:
            return await behavior(read(request), context)
        except Exception as error:  # noqa: BLE001 - the boundary: what leaves the process is a status
            await _abort(error, context, method)

    return call


def _stream(behavior: Any, read: _Read, method: str) -> Any:
    @functools.wraps(behavior)
    async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Any]:
        try:
            if inspect.iscoroutinefunction(behavior):  # it writes to the context itself, as Health.Watch does
                await behavior(read(request), context)
                return
            async for response in behavior(read(request), context):
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
