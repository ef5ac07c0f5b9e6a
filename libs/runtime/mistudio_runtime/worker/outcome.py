"""Runs a job kind's function and turns whatever comes out of it into the end of an attempt."""

from __future__ import annotations

import errno
from typing import Any

import structlog

from mistudio import v1
from mistudio_runtime.errors import MeshError, UnavailableError
from mistudio_runtime.jobs import Handler, JobContext, JobStoppedError, Stop
from mistudio_runtime.jobs.failures import JobFailure, PermanentFailure
from mistudio_runtime.jobs.text import carried

log = structlog.get_logger(__name__)

STOPPED: dict[Stop, v1.AttemptOutcome.ValueType] = {
    Stop.CANCEL: v1.ATTEMPT_OUTCOME_CANCELLED,
    Stop.PAUSE: v1.ATTEMPT_OUTCOME_PAUSED,
    Stop.DRAIN: v1.ATTEMPT_OUTCOME_RELEASED,
}


def run_handler(handler: Handler, spec: v1.JobSpec, context: JobContext) -> v1.AttemptEnd:
    """Runs the job to its end; never raises."""
    end = v1.AttemptEnd(job_id=context.job_id, attempt=context.attempt)
    body: Any = getattr(spec, handler.kind)
    try:
        end.artifact_ids.extend(handler.load()(body, context))
        end.outcome = v1.ATTEMPT_OUTCOME_SUCCEEDED
    except JobStoppedError as stopped:
        end.outcome = STOPPED[stopped.stop]
    except Exception as error:  # noqa: BLE001 - the boundary: whatever a job raises is the end of an attempt
        if (stop := context.stop_requested()) is not None and not isinstance(error, JobFailure):
            end.outcome = STOPPED[stop]  # what breaks while it stops is no failure of the job
        else:
            end.outcome = v1.ATTEMPT_OUTCOME_FAILED
            end.failure.CopyFrom(_foreseen(error) or _unforeseen(error, context))
    return end


def failure_of(error: JobFailure) -> v1.Failure:
    """Returns what the user is told of a failure that the job declared."""
    return _failure(error.reason, error.message, permanent=isinstance(error, PermanentFailure))


def _foreseen(error: Exception) -> v1.Failure | None:
    if isinstance(error, JobFailure):
        return failure_of(error)
    if isinstance(error, MeshError):
        return _failure(error.reason, error.message, permanent=not isinstance(error, UnavailableError))
    if reason := getattr(error, "failure_reason", None):
        return _failure(str(reason), str(error), permanent=True)
    if isinstance(error, MemoryError):
        return _failure("OUT_OF_MEMORY", "the machine has no memory left for this job", permanent=False)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return _failure("DISK_FULL", "the disk of the worker is full: free space, then retry", permanent=False)
    return None


def _unforeseen(error: Exception, context: JobContext) -> v1.Failure:
    # Its text may hold anything, so that goes to the log alone; the user is told where that is.
    log.error("job failed unexpectedly", job=context.job_id, attempt=context.attempt, exc_info=error)
    where = f"mistudio logs --job {context.job_id} (on {context.settings.host})"
    message = f"an unexpected error ({type(error).__name__}); its traceback is in the worker's log: {where}"
    return _failure("UNEXPECTED", message, permanent=False)


def _failure(reason: str, message: str, *, permanent: bool) -> v1.Failure:
    failure_class = v1.FAILURE_CLASS_PERMANENT if permanent else v1.FAILURE_CLASS_TRANSIENT
    return v1.Failure(reason=reason, message=carried(message), failure_class=failure_class)
