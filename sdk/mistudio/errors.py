"""What can go wrong in a call, as the SDK's own exceptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from mistudio import v1

NO_GATEWAY = "NO_GATEWAY"
"""Reason of an UnavailableError that no gateway answered at all, unlike one that a gateway answered with."""


@dataclass(frozen=True)
class Violation:
    """One bad field of a request."""

    field: str
    """Path of the field, e.g. "job.spec.train_sae.saes[0].k"."""
    description: str
    """One sentence that says what to change."""


class MistudioError(Exception):
    """A call failed. Every exception that the SDK raises for a call is one of these."""

    code = "UNKNOWN"
    """Name of the status, e.g. "NOT_FOUND"."""

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
        retry_after: timedelta | None = None,
    ) -> None:
        """Takes one sentence for people and what a program may want to know beside it."""
        super().__init__(message)
        self.message = message
        self.reason = reason
        """A stable reason in UPPER_SNAKE_CASE; empty if the server gave none."""
        self.metadata = dict(metadata or {})
        """Names with values that go with the reason."""
        self.violations = tuple(violations)
        """The bad fields; empty unless the code is INVALID_ARGUMENT."""
        self.retry_after = retry_after
        """When to try again, if the server said so."""


class InvalidArgumentError(MistudioError):
    """A request has bad fields; `violations` names every one of them. Nothing was done."""

    code = "INVALID_ARGUMENT"


class NotFoundError(MistudioError):
    """What was named does not exist."""

    code = "NOT_FOUND"


class AlreadyExistsError(MistudioError):
    """The same name or request id was used for something else before."""

    code = "ALREADY_EXISTS"


class FailedPreconditionError(MistudioError):
    """What was asked does not fit the state that things are in."""

    code = "FAILED_PRECONDITION"


class ResourceExhaustedError(MistudioError):
    """A declared limit is reached; `retry_after` says when the call may succeed."""

    code = "RESOURCE_EXHAUSTED"


class UnavailableError(MistudioError):
    """No gateway answers, or a part of the mesh behind it does not."""

    code = "UNAVAILABLE"


class DeadlineExceededError(MistudioError, TimeoutError):
    """There was no answer in time; whether the call took effect is unknown."""

    code = "DEADLINE_EXCEEDED"


class UnimplementedError(MistudioError):
    """This version of the mesh cannot do it."""

    code = "UNIMPLEMENTED"


class UnauthenticatedError(MistudioError):
    """A token is missing or wrong."""

    code = "UNAUTHENTICATED"


class PermissionDeniedError(MistudioError):
    """The caller may not do this."""

    code = "PERMISSION_DENIED"


class InternalError(MistudioError):
    """The mesh failed; its log has the details."""

    code = "INTERNAL"


class CancelledError(MistudioError):
    """The call was cancelled before it was answered."""

    code = "CANCELLED"


class JobFailedError(MistudioError):
    """A job that was waited for has failed; `job` tells everything about it."""

    code = "JOB_FAILED"

    def __init__(self, job: v1.Job) -> None:
        """Takes the job as it ended."""
        super().__init__(job.failure.message or f"job {job.id} failed", reason=job.failure.reason)
        self.job = job
        self.failure = job.failure
        """Why it failed."""


class JobCancelledError(MistudioError):
    """A job that was waited for was cancelled."""

    code = "JOB_CANCELLED"

    def __init__(self, job: v1.Job) -> None:
        """Takes the job as it ended."""
        super().__init__(f"job {job.id} was cancelled", reason="CANCELLED")
        self.job = job
