"""Turns an error of the catalogue into a gRPC status with google.rpc details (AIP-193)."""

from __future__ import annotations

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from mistudio_runtime.errors import ExhaustedError, InvalidRequestError, MeshError

DETAILS_KEY = "grpc-status-details-bin"
DOMAIN = "mistudio"


def trailing_details(error: MeshError) -> tuple[tuple[str, bytes], ...]:
    """Returns the trailing metadata that carries an error's google.rpc.Status."""
    status = status_pb2.Status(code=_number(error.status), message=error.message)
    status.details.extend(_pack(detail) for detail in _details(error))
    return ((DETAILS_KEY, status.SerializeToString()),)


def _details(error: MeshError) -> list[Message]:
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata)
    details: list[Message] = [info]
    if isinstance(error, InvalidRequestError):
        bad = error_details_pb2.BadRequest()
        for violation in error.violations:
            bad.field_violations.add(field=violation.field, description=violation.description)
        details.append(bad)
    if isinstance(error, ExhaustedError):
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromTimedelta(error.retry_after)
        details.append(retry)
    return details


def _pack(message: Message) -> Any:
    packed = Any()
    packed.Pack(message)
    return packed


def _number(code: grpc.StatusCode) -> int:
    number: int = code.value[0]
    return number
