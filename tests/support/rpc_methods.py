"""The public rpcs, as the contract's descriptors name them, called with bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2

from mistudio import v1
from mistudio_runtime.serving.status import DETAILS_KEY


@dataclass(frozen=True)
class Answer:
    """What came back of a call."""

    status: grpc.StatusCode
    message: str
    catalogued: bool
    """Whether the catalogue's details came with an error."""
    fields: tuple[str, ...]
    """The fields that a BadRequest names."""


def public_services() -> list[ServiceDescriptor]:
    """Returns every service of the contract."""
    modules = [part for name, part in vars(v1).items() if isinstance(part, ModuleType) and name.endswith("_pb2")]
    services = [service for module in modules for service in module.DESCRIPTOR.services_by_name.values()]
    return list({service.full_name: service for service in services}.values())


def public_methods() -> list[MethodDescriptor]:
    """Returns every rpc of the contract."""
    return [method for service in public_services() for method in service.methods]


def method_named(name: str) -> MethodDescriptor:
    """Returns an rpc by its own name, which no two services share."""
    (found,) = (method for method in public_methods() if method.name == name)
    return found


def waits(method: MethodDescriptor) -> bool:
    """Tells whether a call may last as long as its caller likes."""
    return bool(method.server_streaming)


def call(channel: grpc.Channel, method: MethodDescriptor, requests: Sequence[bytes], seconds: float) -> Answer:
    """Sends requests as they are and reads every answer; one that the contract cannot read raises DecodeError."""
    path = f"/{method.containing_service.full_name}/{method.name}"
    try:
        answers: Iterable[bytes]
        if method.client_streaming:
            answers = channel.stream_stream(path)(iter(requests), timeout=seconds)
        elif method.server_streaming:
            answers = channel.unary_stream(path)(requests[0], timeout=seconds)
        else:
            answers = [channel.unary_unary(path)(requests[0], timeout=seconds)]
        for answer in answers:
            GetMessageClass(method.output_type).FromString(answer)
    except grpc.RpcError as error:
        return _refusal(error)
    return Answer(grpc.StatusCode.OK, "", catalogued=False, fields=())


def _refusal(error: grpc.RpcError) -> Answer:
    details = dict(error.trailing_metadata() or ()).get(DETAILS_KEY)
    status = status_pb2.Status.FromString(details or b"")
    bad = error_details_pb2.BadRequest()
    for detail in status.details:
        detail.Unpack(bad)
    fields = tuple(violation.field for violation in bad.field_violations)
    return Answer(error.code(), error.details() or "", catalogued=details is not None, fields=fields)
