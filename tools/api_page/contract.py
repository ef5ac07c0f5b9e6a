"""The public services of the contract, with the comments of its protos."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor, ServiceDescriptor

from mistudio import v1

PUBLIC = (
    v1.job_service_pb2,
    v1.queue_service_pb2,
    v1.schedule_service_pb2,
    v1.worker_service_pb2,
    v1.mesh_service_pb2,
    v1.dataset_service_pb2,
    v1.training_service_pb2,
    v1.feature_service_pb2,
    v1.catalog_service_pb2,
)
"""Files of the services that clients call, in the order of the page."""

_COMMENTS: dict[str, str] = json.loads((resources.files("mistudio.v1") / "comments.json").read_text(encoding="utf-8"))


def services() -> list[ServiceDescriptor]:
    """Returns the public services."""
    return [service for module in PUBLIC for service in module.DESCRIPTOR.services_by_name.values()]


def comment(full_name: str) -> str:
    """Returns what the protos say of a declaration, as one line. Raises KeyError if it has no comment."""
    return _COMMENTS[full_name]


def first_sentence(text: str) -> str:
    """Returns the beginning of a comment up to its first full stop."""
    return text.partition(". ")[0].rstrip(".") + "."


def is_ours(message: Descriptor | EnumDescriptor) -> bool:
    """Tells whether a type is declared in the contract, and not one of Google's."""
    return message.full_name.startswith("mistudio.")


def is_map(field: FieldDescriptor) -> bool:
    """Tells whether a field is a map."""
    return bool(field.message_type and field.message_type.GetOptions().map_entry)


def map_parts(field: FieldDescriptor) -> tuple[FieldDescriptor, FieldDescriptor]:
    """Returns key and value of a map."""
    entry = field.message_type
    assert entry is not None
    return entry.fields_by_name["key"], entry.fields_by_name["value"]


def wrappers() -> list[Descriptor]:
    """Returns the requests and answers of the public rpcs, which the page shows with their rpc."""
    methods = [method for service in services() for method in service.methods]
    return [message for method in methods for message in (method.input_type, method.output_type)]


def shared_types() -> tuple[list[Descriptor], list[EnumDescriptor]]:
    """Returns messages and enums that requests and answers are made of, each once, in the order of their first use."""
    top = wrappers()
    messages: dict[str, Descriptor] = {}
    enums: dict[str, EnumDescriptor] = {}
    for wrapper in top:
        _collect(wrapper, messages, enums)
    for wrapper in top:
        messages.pop(wrapper.full_name, None)
    return list(messages.values()), list(enums.values())


def _collect(message: Descriptor, messages: dict[str, Descriptor], enums: dict[str, EnumDescriptor]) -> None:
    if message.full_name in messages or not is_ours(message):
        return
    messages[message.full_name] = message
    for field in _value_fields(message):
        if field.enum_type is not None:
            enums.setdefault(field.enum_type.full_name, field.enum_type)
        if field.message_type is not None:
            _collect(field.message_type, messages, enums)


def _value_fields(message: Descriptor) -> Iterator[FieldDescriptor]:
    for field in message.fields:
        yield map_parts(field)[1] if is_map(field) else field
