"""How long a job may wait in its queue for its first attempt. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mistudio import v1
from mistudio_gateway.timestamps import set_time

DEADLINE_PASSED = "DEADLINE_PASSED"
MAX_LIMIT = timedelta(days=366)
"""No limit in time of a job is longer: of its attempts, or of its waiting."""


def begin_waiting(job: v1.Job, now: datetime) -> None:
    """Sets when the job fails unless an attempt has begun, counted from now."""
    if job.HasField("start_within"):
        set_time(job.start_deadline, now + _longest_wait(job))


def deadline_failure(job: v1.Job, now: datetime) -> v1.Failure | None:
    """Returns why a queued job may no longer start; None if it may, or if it is not queued."""
    if job.state != v1.JOB_STATE_QUEUED or not job.HasField("start_deadline"):
        return None
    if now <= job.start_deadline.ToDatetime(UTC):
        return None
    return v1.Failure(
        reason=DEADLINE_PASSED,
        message=(
            f"no attempt began within {_longest_wait(job)} of being queued: "
            f"`mistudio queues` shows who serves {job.queue}, `mistudio jobs retry {job.id}` puts it back"
        ),
        failure_class=v1.FAILURE_CLASS_PERMANENT,
    )


def _longest_wait(job: v1.Job) -> timedelta:
    # Kept within what a record can hold: a repeated submission is not validated again.
    seconds = min(max(job.start_within.seconds, 0), int(MAX_LIMIT.total_seconds()))
    return timedelta(seconds=seconds, microseconds=job.start_within.nanos // 1000)
