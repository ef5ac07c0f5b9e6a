"""Hypothesis strategies for requests that nobody means to send, made from the contract's own descriptors."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor, OneofDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

MAX_ITEMS = 4
_GARBAGE_BYTES = 200
ODD_TEXTS = (
    "",
    "*",
    ">",
    ".",
    "a.b",
    "a b",
    " ",
    "a\r\nb",
    "a\0b",
    "..",
    "../x",
    "/etc/passwd",
    "~root",
    "$KV.x",
    "%s{0}",
    "é",
    "\u202e\U0001f600",
    "n" * 10_000,
    "[" * 10_000,
)
_WHOLE = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_ENUM: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_BOUNDARIES = (0, 1, 2, 10, 11, 50, 100, 1_000, 1_001, -1, 999_999_999, 1_000_000_000, 315_576_000_001, 253_402_300_800)
_FRACTIONS = (0.0, 0.5, 1.0, -1.0, math.inf, -math.inf, math.nan)


class OddMessages:
    """Strategies for messages, by their descriptors."""

    def __init__(self, words: Mapping[str, Sequence[str]], templates: Sequence[Message]) -> None:
        """Takes, for names of fields, texts that mean something to the receiver, and messages that are good."""
        self._words = {name: st.sampled_from(tuple(texts)) for name, texts in words.items()}
        every = sorted({text for texts in words.values() for text in texts})
        self._texts = st.sampled_from(every) | st.sampled_from(ODD_TEXTS) | st.text(max_size=30)
        self._templates: dict[str, list[Message]] = {}
        for message in templates:
            self._templates.setdefault(message.DESCRIPTOR.full_name, []).append(message)
        self.of: Callable[[Descriptor], st.SearchStrategy[Message]] = functools.cache(self._of)

    def wire(self, descriptor: Descriptor) -> st.SearchStrategy[bytes]:
        """Returns requests as bytes: a message, one with strange bytes behind it, one cut off, or no message at all."""
        good = self.of(descriptor).map(lambda message: message.SerializeToString())
        garbage = st.binary(max_size=_GARBAGE_BYTES)
        cut = st.tuples(good, st.integers(1, 9)).map(lambda pair: pair[0][: -pair[1]])
        either = good | good | good | st.tuples(good, garbage).map(b"".join) | cut | garbage

        @st.composite  # whose name is short where a failure is told
        def wire(draw: st.DrawFn) -> bytes:
            return draw(either)

        return wire()

    def _of(self, descriptor: Descriptor) -> st.SearchStrategy[Message]:
        # Deferred, for a message may hold itself.
        return st.deferred(lambda: self._message(descriptor))

    def _message(self, descriptor: Descriptor) -> st.SearchStrategy[Message]:
        made = st.tuples(self._plain(descriptor), *map(self._one_of, _choices(descriptor))).map(
            lambda parts: _build(descriptor, parts)
        )
        if templates := self._templates.get(descriptor.full_name):
            return made | st.sampled_from(templates)
        return made

    def _plain(self, descriptor: Descriptor) -> st.SearchStrategy[dict[str, Any]]:
        choices = _choices(descriptor)
        plain = [field for field in descriptor.fields if field.containing_oneof not in choices]
        return st.fixed_dictionaries({}, optional={field.name: self._field(field) for field in plain})

    def _one_of(self, oneof: OneofDescriptor) -> st.SearchStrategy[dict[str, Any]]:
        return st.one_of(
            st.just({}), *(st.fixed_dictionaries({field.name: self._field(field)}) for field in oneof.fields)
        )

    def _field(self, field: FieldDescriptor) -> st.SearchStrategy[Any]:
        if not _is_repeated(field):
            return self._value(field)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            key, value = (field.message_type.fields_by_name[name] for name in ("key", "value"))
            return st.dictionaries(self._value(key), self._value(value), max_size=MAX_ITEMS)
        return st.lists(self._value(field), max_size=MAX_ITEMS)

    def _value(self, field: FieldDescriptor) -> st.SearchStrategy[Any]:
        kind = field.cpp_type
        if kind == FieldDescriptor.CPPTYPE_MESSAGE:
            return self.of(field.message_type)
        if kind == FieldDescriptor.CPPTYPE_STRING:
            fitting = self._words.get(field.name, self._texts)
            return st.binary(max_size=30) if field.type == FieldDescriptor.TYPE_BYTES else fitting | self._texts
        if kind in _WHOLE:
            low, high = _WHOLE[kind]
            known = [number for number in (*_BOUNDARIES, low, high) if low <= number <= high]
            return st.sampled_from(known) | st.integers(low, high)
        if kind == FieldDescriptor.CPPTYPE_BOOL:
            return st.booleans()
        width = 32 if kind == FieldDescriptor.CPPTYPE_FLOAT else 64
        return st.sampled_from(_FRACTIONS) | st.floats(width=width)


def _choices(descriptor: Descriptor) -> list[OneofDescriptor]:
    """Returns the oneofs that the contract shows; an optional field has one of its own."""
    return [oneof for oneof in descriptor.oneofs if not oneof.name.startswith("_")]


def _is_repeated(field: FieldDescriptor) -> bool:
    return bool(field.is_repeated) if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED


def _build(descriptor: Descriptor, parts: Sequence[Mapping[str, Any]]) -> Message:
    fields: dict[str, Any] = {}
    for part in parts:
        fields |= part
    message = GetMessageClass(descriptor)()
    for name, value in fields.items():
        _set(message, name, value)
    return message


def _set(message: Message, name: str, value: Any) -> None:
    place = getattr(message, name)
    if isinstance(value, Message):
        place.CopyFrom(value)
    elif isinstance(value, list):
        place.extend(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, Message):
                place[key].CopyFrom(item)
            else:
                place[key] = item
    else:
        setattr(message, name, value)
