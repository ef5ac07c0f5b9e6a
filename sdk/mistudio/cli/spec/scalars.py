"""Option types of scalar fields."""

from __future__ import annotations

import click
from google.protobuf.descriptor import FieldDescriptor

from mistudio.cli.spec.param import Param
from mistudio.cli.spec.values import ShortName, WholeNumber

_SIGNED = {FieldDescriptor.CPPTYPE_INT32, FieldDescriptor.CPPTYPE_INT64}
_UNSIGNED = {FieldDescriptor.CPPTYPE_UINT32, FieldDescriptor.CPPTYPE_UINT64}
_FLOATS = {FieldDescriptor.CPPTYPE_FLOAT, FieldDescriptor.CPPTYPE_DOUBLE}


def scalar_type(field: FieldDescriptor) -> Param:
    """Returns how a value of a scalar or enum field is written."""
    if field.enum_type is not None:
        return ShortName(field.enum_type)
    if field.cpp_type in _SIGNED | _UNSIGNED:
        return WholeNumber(signed=field.cpp_type in _SIGNED)
    if field.cpp_type in _FLOATS:
        return click.FLOAT
    return click.BOOL if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL else click.STRING
