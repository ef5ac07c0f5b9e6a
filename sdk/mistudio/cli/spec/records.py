"""A message in one option: architecture=topk,d_sae=2048,k=32."""

from __future__ import annotations

from typing import Any

import click
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from mistudio.cli.spec.param import Param
from mistudio.cli.spec.scalars import scalar_type
from mistudio.cli.spec.shapes import is_message
from mistudio.cli.spec.values import ShortName


class Record(Param):
    """A message whose fields are scalars, written as field=value with commas between."""

    name = "field=value,…"

    def __init__(self, message: Descriptor) -> None:
        self._class = GetMessageClass(message)
        self._types = {field.name: scalar_type(field) for field in message.fields if not is_message(field)}

    @property
    def fields(self) -> str:
        """Returns the fields that it takes, for the help."""
        return ", ".join(
            f"{name} ({'|'.join(type_.numbers)})" if isinstance(type_, ShortName) else name
            for name, type_ in self._types.items()
        )

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Message:
        """Reads the message; ends with a usage error that names the field that is wrong."""
        if isinstance(value, Message):
            return value
        record = self._class()
        for part in str(value).split(","):
            name, equals, text = (piece.strip() for piece in part.partition("="))
            if name not in self._types or not equals:
                self.fail(f"{part!r} is no field=value with a field of {', '.join(self._types)}", param, ctx)
            setattr(record, name, self._types[name].convert(text, param, ctx))
        return record
