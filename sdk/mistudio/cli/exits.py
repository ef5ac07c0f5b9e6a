"""The catalogue of exit codes. Scripts may trust them; a code never changes its meaning."""

from __future__ import annotations

from enum import IntEnum

from mistudio import errors
from mistudio.states import JobState


class Exit(IntEnum):
    """What the command ended with."""

    OK = 0
    FAILED = 1
    USAGE = 2
    INVALID_ARGUMENT = 3
    NOT_FOUND = 4
    UNAVAILABLE = 5
    CANCELLED = 6
    PRECONDITION = 7
    EXHAUSTED = 8
    TIMEOUT = 9
    UNIMPLEMENTED = 10
    DENIED = 11
    UNHEALTHY = 12
    INTERRUPTED = 130


MEANINGS = {
    Exit.OK: "done",
    Exit.FAILED: "the job failed, or something unexpected happened",
    Exit.USAGE: "the command line is wrong",
    Exit.INVALID_ARGUMENT: "a value was refused by the mesh; nothing was enqueued",
    Exit.NOT_FOUND: "no such job, artifact, queue or worker",
    Exit.UNAVAILABLE: "no gateway answers",
    Exit.CANCELLED: "the job was cancelled",
    Exit.PRECONDITION: "not possible in the present state",
    Exit.EXHAUSTED: "a limit is reached; try again later",
    Exit.TIMEOUT: "no answer in time",
    Exit.UNIMPLEMENTED: "this mesh cannot do it",
    Exit.DENIED: "not allowed",
    Exit.UNHEALTHY: "the doctor found a problem",
    Exit.INTERRUPTED: "interrupted by Ctrl-C",
}

EPILOG = "\b\nExit codes:\n" + "\n".join(f"  {code.value:>3}  {meaning}" for code, meaning in MEANINGS.items())

_OF_ERROR: dict[type[errors.MistudioError], Exit] = {
    errors.InvalidArgumentError: Exit.INVALID_ARGUMENT,
    errors.NotFoundError: Exit.NOT_FOUND,
    errors.UnavailableError: Exit.UNAVAILABLE,
    errors.JobCancelledError: Exit.CANCELLED,
    errors.FailedPreconditionError: Exit.PRECONDITION,
    errors.AlreadyExistsError: Exit.PRECONDITION,
    errors.ResourceExhaustedError: Exit.EXHAUSTED,
    errors.DeadlineExceededError: Exit.TIMEOUT,
    errors.UnimplementedError: Exit.UNIMPLEMENTED,
    errors.UnauthenticatedError: Exit.DENIED,
    errors.PermissionDeniedError: Exit.DENIED,
}


def of_error(error: errors.MistudioError) -> Exit:
    """Returns the code for an exception of the SDK."""
    return _OF_ERROR.get(type(error), Exit.FAILED)


def of_state(state: JobState) -> Exit:
    """Returns the code for a job that was watched to its end."""
    codes = {JobState.SUCCEEDED: Exit.OK, JobState.CANCELLED: Exit.CANCELLED}
    return codes.get(state, Exit.FAILED)
