"""From the values of options to a spec."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import click
from google.protobuf import json_format
from google.protobuf.message import Message

from mistudio.cli.spec.fields import SpecField
from mistudio.cli.spec.shapes import is_map, is_message, is_repeated


def read_params(spec: Message, text: str) -> None:
    """Fills a spec from protobuf JSON. Raises click.BadParameter that says what is wrong with it."""
    try:
        json_format.Parse(text, spec)
    except json_format.ParseError as error:
        raise click.BadParameter(str(error), param_hint="--params") from error


def apply_options(spec: Message, fields: Iterable[SpecField], values: Mapping[str, Any]) -> None:
    """Sets what was given on the command line; it replaces what --params said of the same field."""
    for field in fields:
        value = values.get(field.parameter)
        if value is not None and value != ():
            _set(spec, field, value)


def _set(spec: Message, field: SpecField, value: Any) -> None:
    for name in field.path[:-1]:
        spec = getattr(spec, name)
    if is_map(field.descriptor):
        getattr(spec, field.path[-1]).update(dict(value))
    elif is_repeated(field.descriptor):
        spec.ClearField(field.path[-1])
        getattr(spec, field.path[-1]).extend(value)
    elif is_message(field.descriptor):
        getattr(spec, field.path[-1]).CopyFrom(value)
    else:
        setattr(spec, field.path[-1], value)
