"""The one table from gRPC status to exception, and the reading of the details that come with a status."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Protocol, TypedDict, cast

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from mistudio import errors

_DETAILS_KEY = "grpc-status-details-bin"

_EXCEPTIONS: dict[grpc.StatusCode, type[errors.MistudioError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: errors.InvalidArgumentError,
    grpc.StatusCode.OUT_OF_RANGE: errors.InvalidArgumentError,
    grpc.StatusCode.NOT_FOUND: errors.NotFoundError,
    grpc.StatusCode.ALREADY_EXISTS: errors.AlreadyExistsError,
    grpc.StatusCode.FAILED_PRECONDITION: errors.FailedPreconditionError,
    grpc.StatusCode.ABORTED: errors.FailedPreconditionError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: errors.ResourceExhaustedError,
    grpc.StatusCode.UNAVAILABLE: errors.UnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: errors.DeadlineExceededError,
    grpc.StatusCode.UNIMPLEMENTED: errors.UnimplementedError,
    grpc.StatusCode.UNAUTHENTICATED: errors.UnauthenticatedError,
    grpc.StatusCode.PERMISSION_DENIED: errors.PermissionDeniedError,
    grpc.StatusCode.CANCELLED: errors.CancelledError,
    grpc.StatusCode.INTERNAL: errors.InternalError,
    grpc.StatusCode.DATA_LOSS: errors.InternalError,
    grpc.StatusCode.UNKNOWN: errors.InternalError,
}


class _Failed(Protocol):
    """What the blocking and the asyncio flavour of an RpcError have in common."""

    def code(self) -> grpc.StatusCode: ...
    def details(self) -> str | None: ...
    def trailing_metadata(self) -> Iterable[tuple[str, str | bytes]] | None: ...


class _Details(TypedDict, total=False):
    reason: str
    metadata: dict[str, str]
    violations: list[errors.Violation]
    retry_after: timedelta


def status_of(error: grpc.RpcError) -> grpc.StatusCode:
    """Returns the status that a call ended with."""
    return cast("_Failed", error).code()


def to_exception(error: grpc.RpcError, address: str) -> errors.MistudioError:
    """Returns the SDK's exception for a failed call to the gateway at `address`."""
    failed = cast("_Failed", error)
    code = failed.code()
    details = _details(failed)
    message = failed.details() or code.name
    if code is grpc.StatusCode.UNAVAILABLE and "reason" not in details:
        details["reason"] = errors.NO_GATEWAY
        message = f"no gateway answers at {address}"
    if code is grpc.StatusCode.DEADLINE_EXCEEDED and "reason" not in details:
        message = f"the gateway at {address} did not answer in time"
    return _EXCEPTIONS.get(code, errors.InternalError)(message, **details)


def _details(failed: _Failed) -> _Details:
    found: _Details = {}
    for packed in _status(failed).details:
        for reader in (_read_error_info, _read_bad_request, _read_retry_info):
            reader(packed, found)
    return found


def _status(failed: _Failed) -> status_pb2.Status:
    status = status_pb2.Status()
    for key, value in failed.trailing_metadata() or ():
        if key == _DETAILS_KEY and isinstance(value, bytes):
            try:
                status.ParseFromString(value)
            except DecodeError:  # something between us and the gateway put it there; the status itself still stands
                return status_pb2.Status()
    return status


def _unpack(packed: Any, into: Message) -> bool:
    return bool(packed.Is(into.DESCRIPTOR)) and bool(packed.Unpack(into))


def _read_error_info(packed: Any, found: _Details) -> None:
    if _unpack(packed, info := error_details_pb2.ErrorInfo()):
        found["reason"] = info.reason
        found["metadata"] = dict(info.metadata)


def _read_bad_request(packed: Any, found: _Details) -> None:
    if _unpack(packed, bad := error_details_pb2.BadRequest()):
        found["violations"] = [errors.Violation(one.field, one.description) for one in bad.field_violations]


def _read_retry_info(packed: Any, found: _Details) -> None:
    if _unpack(packed, info := error_details_pb2.RetryInfo()):
        found["retry_after"] = info.retry_delay.ToTimedelta()
