"""The options that say what a job is to do, and the spec that they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from mistudio.cli.spec.build import apply_options, read_params
from mistudio.cli.spec.fields import spec_fields
from mistudio.cli.spec.param import Param
from mistudio.cli.spec.shapes import message_of
from mistudio.specs import KINDS


class JsonText(Param):
    """JSON, written on the command line or in a file."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Returns the JSON as text; ends with a usage error if the file cannot be read."""
        text = str(value)
        if text.lstrip().startswith("{"):
            return text
        try:
            with click.open_file(text, encoding="utf-8") as stream:
                return str(stream.read())
        except (OSError, UnicodeDecodeError) as error:
            self.fail(f"{text!r} is neither JSON nor a file that can be read: {error}", param, ctx)


def params_option(text: str = "The spec as JSON; options win over it.") -> click.Option:
    """Returns a fresh --params option with a help text."""
    return click.Option(["--params"], type=JsonText(), metavar="JSON|FILE|-", help=text)


def spec_options(field: FieldDescriptor) -> list[click.Parameter]:
    """Returns fresh options for the spec of a kind."""
    return [option.to_option() for option in spec_fields(message_of(field))]


def read_spec(kind: str, params: str | None, values: Mapping[str, Any]) -> Message:
    """Returns the spec of a kind from the JSON of --params and the options of its own."""
    message_type = message_of(KINDS[kind])
    spec = GetMessageClass(message_type)()
    if params is not None:
        read_params(spec, params)
    apply_options(spec, spec_fields(message_type), values)
    return spec
