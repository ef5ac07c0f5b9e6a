"""The one catalogue of what can go wrong in a call: each error is one reason with one gRPC status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import grpc


@dataclass(frozen=True)
class Violation:
    """One bad field of a request."""

    field: str
    """Path of the field, e.g. "job.spec.train_sae.saes[0].k"."""
    description: str
    """One sentence that says what to change."""


class MeshError(Exception):
    """A failure whose message is meant for the caller. Anything else is answered INTERNAL without its text."""

    status = grpc.StatusCode.INTERNAL
    reason = "INTERNAL"

    def __init__(self, message: str, *, metadata: Mapping[str, str] | None = None) -> None:
        """Takes one sentence for the caller and, if it helps a program, names with values."""
        super().__init__(message)
        self.message = message
        self.metadata = dict(metadata or {})


class InvalidRequestError(MeshError):
    """A request has bad fields; every one of them is named."""

    status = grpc.StatusCode.INVALID_ARGUMENT
    reason = "INVALID_REQUEST"

    def __init__(self, violations: Sequence[Violation]) -> None:
        """Takes at least one violation."""
        super().__init__("; ".join(f"{bad.field}: {bad.description}" for bad in violations))
        self.violations = tuple(violations)


class NotFoundError(MeshError):
    """What was named does not exist."""

    status = grpc.StatusCode.NOT_FOUND
    reason = "NOT_FOUND"


class ConflictError(MeshError):
    """The same name or request id was used for something else before."""

    status = grpc.StatusCode.ALREADY_EXISTS
    reason = "ALREADY_EXISTS"


class FailedPreconditionError(MeshError):
    """What was asked does not fit the state that things are in."""

    status = grpc.StatusCode.FAILED_PRECONDITION
    reason = "FAILED_PRECONDITION"


class ExhaustedError(MeshError):
    """A declared limit is reached; the call may succeed later."""

    status = grpc.StatusCode.RESOURCE_EXHAUSTED
    reason = "LIMIT_REACHED"

    def __init__(self, message: str, *, retry_after: timedelta, metadata: Mapping[str, str] | None = None) -> None:
        """Takes when the caller may try again."""
        super().__init__(message, metadata=metadata)
        self.retry_after = retry_after


class UnavailableError(MeshError):
    """A part of the mesh does not answer; the call may be repeated."""

    status = grpc.StatusCode.UNAVAILABLE
    reason = "UNAVAILABLE"


class UnauthenticatedError(MeshError):
    """A token is missing or wrong."""

    status = grpc.StatusCode.UNAUTHENTICATED
    reason = "UNAUTHENTICATED"


class UnimplementedError(MeshError):
    """This version cannot do it."""

    status = grpc.StatusCode.UNIMPLEMENTED
    reason = "UNIMPLEMENTED"
