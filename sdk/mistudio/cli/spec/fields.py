"""From a spec's descriptor to its options."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import click
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from mistudio import v1
from mistudio.cli.spec.comments import comment
from mistudio.cli.spec.param import Param
from mistudio.cli.spec.records import Record
from mistudio.cli.spec.scalars import scalar_type
from mistudio.cli.spec.shapes import is_map, is_message, is_repeated, message_of
from mistudio.cli.spec.values import Pair, Reference, TimeSpan

_LEAVES: dict[str, Param] = {
    v1.ArtifactRef.DESCRIPTOR.full_name: Reference(),
    "google.protobuf.Duration": TimeSpan(),
}


@dataclass(frozen=True)
class SpecField:
    """One field of a spec, or of a message inside it, as one option."""

    path: tuple[str, ...]
    """Names from the spec down to the field, e.g. ("hub", "name")."""
    descriptor: FieldDescriptor
    """The field."""
    type: Param
    """How its value is written."""

    @property
    def parameter(self) -> str:
        """Name of the parameter, e.g. "hub_name"."""
        return "_".join(self.path)

    @property
    def option(self) -> str:
        """The option, e.g. "--hub-name"."""
        return "--" + self.parameter.replace("_", "-")

    def to_option(self) -> click.Option:
        """Returns the click option, with the contract's comment as its help."""
        settings: dict[str, Any] = {"help": comment(self.descriptor.full_name), "type": self.type, "default": None}
        if is_repeated(self.descriptor):
            of = f" Fields: {self.type.fields}." if isinstance(self.type, Record) else ""
            settings |= {"multiple": True, "help": f"{settings['help']}{of} Repeatable."}
        elif self.descriptor.type == FieldDescriptor.TYPE_BOOL:
            settings |= {"is_flag": True}
            return click.Option([f"{self.option}/--no-{self.option[2:]}", self.parameter], **settings)
        return click.Option([self.option, self.parameter], **settings)


def spec_fields(message: Descriptor, path: tuple[str, ...] = ()) -> Iterator[SpecField]:
    """Yields the options of a message in the order of the contract; messages inside it are flattened."""
    for field in message.fields:
        here = (*path, field.name)
        if is_map(field):
            yield SpecField(here, field, Pair())
        elif not is_message(field):
            yield SpecField(here, field, scalar_type(field))
        elif message_of(field).full_name in _LEAVES:
            yield SpecField(here, field, _LEAVES[message_of(field).full_name])
        elif is_repeated(field):
            yield SpecField(here, field, Record(message_of(field)))
        else:
            yield from spec_fields(message_of(field), here)
