"""Lengths of time as callers write them."""

from __future__ import annotations

from datetime import timedelta
from typing import TypeAlias

from google.protobuf.duration_pb2 import Duration

Span: TypeAlias = float | timedelta | Duration
"""Seconds, or what says itself how long it is."""


def duration(span: Span) -> Duration:
    """Returns the length as the wire takes it. Raises ValueError if it is longer than the wire can say."""
    if isinstance(span, Duration):
        return span
    made = Duration()
    try:
        made.FromTimedelta(span if isinstance(span, timedelta) else timedelta(seconds=span))
    except OverflowError as error:
        raise ValueError(f"{span} is too long") from error
    return made
