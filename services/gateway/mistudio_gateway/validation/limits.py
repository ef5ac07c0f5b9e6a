"""Limits in time."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration

from mistudio_gateway.deadlines import MAX_LIMIT
from mistudio_gateway.validation.scope import Scope

_NANOS = 1_000_000_000


def check_limit(limit: Duration, path: str, scope: Scope) -> None:
    """Checks that a limit is more than nothing and no longer than MAX_LIMIT."""
    possible = limit.seconds >= 0 and 0 <= limit.nanos < _NANOS
    length = limit.seconds * _NANOS + limit.nanos
    holds = possible and 0 < length <= MAX_LIMIT.total_seconds() * _NANOS
    scope.require(holds, path, f"is more than nothing, and at most {MAX_LIMIT.days} days")
