"""Changes of single fields of a spec, written as path=value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import click
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message

from mistudio.cli.spec.shapes import is_message, is_repeated, message_of
from mistudio.cli.spec.values import TimeSpan

_STEP = re.compile(r"(\w+)(?:\[(\d+)\])?")


def assign(spec: Message, kind: str, changes: Iterable[tuple[str, str]]) -> None:
    """Sets fields of a kind's spec, e.g. "train_sae.batch_tokens" (the kind may be left out) or "saes[0].k".

    Values are JSON, or text; lengths of time are written as for every option, e.g. 2h. Raises click.BadParameter that
    says which path or value is wrong.
    """
    for path, value in changes:
        try:
            _assign(spec, path.removeprefix(f"{kind}.").split("."), value)
        except (json_format.ParseError, LookupError, TypeError, ValueError) as error:
            raise click.BadParameter(f"{path}={value}: {error}", param_hint="--set") from error


def _assign(message: Any, path: list[str], value: str) -> None:
    for step in path[:-1]:
        message = _inside(message, step)
    name = path[-1]
    if name not in message.DESCRIPTOR.fields_by_name:
        raise LookupError(f"there is no field {name!r}; there are {', '.join(message.DESCRIPTOR.fields_by_name)}")
    fresh = type(message)()
    json_format.ParseDict({name: _value(value, message.DESCRIPTOR.fields_by_name[name])}, fresh)
    message.ClearField(name)
    message.MergeFrom(fresh)


def _inside(message: Any, step: str) -> Any:
    found = _STEP.fullmatch(step)
    field = message.DESCRIPTOR.fields_by_name.get(found[1]) if found else None
    if found is None or field is None or not is_message(field):
        raise LookupError(f"{step!r} holds no fields")
    if not is_repeated(field):
        return getattr(message, found[1])
    if found[2] is None:
        raise LookupError(f"say which of {found[1]}: {found[1]}[0]")
    return getattr(message, found[1])[int(found[2])]


def _value(text: str, field: FieldDescriptor) -> Any:
    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        value = text
    return _length(value) if isinstance(value, str) and _is_length(field) else value


def _is_length(field: FieldDescriptor) -> bool:
    return is_message(field) and message_of(field).full_name == Duration.DESCRIPTOR.full_name


def _length(text: str) -> str:
    try:
        return TimeSpan().convert(text, None, None).ToJsonString()
    except click.BadParameter as error:
        raise ValueError(error.message) from error
