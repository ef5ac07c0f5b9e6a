"""What shape a field has, the same on every version of protobuf that the SDK runs on."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor


def is_repeated(field: FieldDescriptor) -> bool:
    """Whether a field holds many values."""
    either: Any = field  # protobuf 5.28 has only the label, which 7 has no longer
    if hasattr(field, "is_repeated"):
        return bool(either.is_repeated)
    return bool(either.label == either.LABEL_REPEATED)


def is_message(field: FieldDescriptor) -> bool:
    """Whether a field holds messages."""
    return field.type == FieldDescriptor.TYPE_MESSAGE


def is_map(field: FieldDescriptor) -> bool:
    """Whether a field is a map."""
    return is_message(field) and bool(message_of(field).GetOptions().map_entry)


def message_of(field: FieldDescriptor) -> Descriptor:
    """Returns the message that a field holds. Only for fields that hold messages."""
    assert field.message_type is not None
    return field.message_type
