"""Messages and enums as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from contract import comment, is_map, is_ours, map_parts, services

_SCALARS = {
    FieldDescriptor.TYPE_DOUBLE: "double",
    FieldDescriptor.TYPE_FLOAT: "float",
    FieldDescriptor.TYPE_INT32: "int32",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_UINT32: "uint32",
    FieldDescriptor.TYPE_UINT64: "uint64",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BYTES: "bytes",
}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines)


def fields_table(message: Descriptor) -> str:
    """Returns the fields of a message with their types and comments."""
    if not message.fields:
        return "No fields."
    rows = [(f"`{field.name}`", _type(field), _meaning(field)) for field in message.fields]
    return table(("field", "type", "what it is"), rows)


def values_table(enum: EnumDescriptor) -> str:
    """Returns the values of an enum with their numbers and comments."""
    rows = [(f"`{value.name}`", str(value.number), comment(_value_name(enum, value.name))) for value in enum.values]
    return table(("value", "number", "what it means"), rows)


def type_name(message: Descriptor | EnumDescriptor) -> str:
    """Returns the name of a type, with a link to where the page shows it."""
    return f"[{message.name}](#{_anchor(message)})"


def _anchor(message: Descriptor | EnumDescriptor) -> str:
    if not is_ours(message):
        return "json"
    # A request has its table at its rpc, also where another one is made of such requests.
    asked = (method for service in services() for method in service.methods if method.input_type == message)
    rpc = next(asked, None)
    return f"{rpc.containing_service.name}{rpc.name}".lower() if rpc else message.name.lower()


def _value_name(enum: EnumDescriptor, value: str) -> str:
    return f"{enum.full_name}.{value}"


def _type(field: FieldDescriptor) -> str:
    if is_map(field):
        key, value = map_parts(field)
        return f"map of {_one(key)} to {_one(value)}"
    if field.is_repeated:
        return f"list of {_one(field)}"
    return f"{_one(field)}, optional" if _is_optional(field) else _one(field)


def _one(field: FieldDescriptor) -> str:
    declared = field.message_type or field.enum_type
    return type_name(declared) if declared is not None else _SCALARS[field.type]


def _is_optional(field: FieldDescriptor) -> bool:
    oneof = field.containing_oneof
    return oneof is not None and oneof.name == f"_{field.name}"


def _meaning(field: FieldDescriptor) -> str:
    oneof = field.containing_oneof
    choice = "" if oneof is None or _is_optional(field) else f"One of *{oneof.name}*: "
    return choice + comment(field.full_name)
