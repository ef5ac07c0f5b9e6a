"""Turns an error of the catalogue into a gRPC status with google.rpc details (AIP-193)."""

from __future__ import annotations

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from mistudio_runtime.errors import ExhaustedError, InvalidRequestError, MeshError

DETAILS_KEY = "grpc-status-details-bin"
DOMAIN = "mistudio"
MESSAGE_BYTES = 1_000
"""Of the public message, which travels twice. gRPC replaces an answer whose metadata exceed 8 KiB by another error."""
_VIOLATIONS_BYTES = 2_000
_VALUE_BYTES = 200


def trailing_details(error: MeshError) -> tuple[tuple[str, bytes], ...]:
    """Returns the trailing metadata that carries an error's google.rpc.Status."""
    status = status_pb2.Status(code=_number(error.status), message=clipped(error.message, MESSAGE_BYTES))
    status.details.extend(_pack(detail) for detail in _details(error))
    return ((DETAILS_KEY, status.SerializeToString()),)


def _details(error: MeshError) -> list[Message]:
    metadata = {key: clipped(value, _VALUE_BYTES) for key, value in error.metadata.items()}
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=metadata)
    details: list[Message] = [info]
    if isinstance(error, InvalidRequestError):
        details.append(_bad_request(error))
    if isinstance(error, ExhaustedError):
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromTimedelta(error.retry_after)
        details.append(retry)
    return details


def _bad_request(error: InvalidRequestError) -> error_details_pb2.BadRequest:
    bad = error_details_pb2.BadRequest()
    for violation in error.violations:
        bad.field_violations.add(
            field=clipped(violation.field, _VALUE_BYTES), description=clipped(violation.description, MESSAGE_BYTES)
        )
        if bad.ByteSize() > _VIOLATIONS_BYTES:  # who has mended these hears of the rest
            del bad.field_violations[max(1, len(bad.field_violations) - 1) :]
            break
    return bad


def clipped(text: str, size: int) -> str:
    """Returns text that takes at most `size` bytes, ending in an ellipsis if it took more."""
    whole = text.encode("utf-8", "replace")
    return whole.decode() if len(whole) <= size else whole[: size - 3].decode("utf-8", "ignore") + "…"


def _pack(message: Message) -> Any:
    packed = Any()
    packed.Pack(message)
    return packed


def _number(code: grpc.StatusCode) -> int:
    number: int = code.value[0]
    return number
