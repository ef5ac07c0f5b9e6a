"""New records from requests."""

from __future__ import annotations

import hashlib
from datetime import datetime

from mistudio import v1
from mistudio_gateway.deadlines import begin_waiting
from mistudio_gateway.timestamps import set_time
from mistudio_gateway.validation.references import kind_of, required_jobs
from mistudio_runtime.queues import QueueTable

DEFAULT_ATTEMPTS = 3


def new_job(job_id: str, request: v1.JobRequest, table: QueueTable, now: datetime) -> v1.Job:
    """Returns the record of a valid request: WAITING if it depends on jobs, else QUEUED."""
    kind = kind_of(request.spec)
    queue = table.queue_of(kind)
    depends_on = list(dict.fromkeys([*request.depends_on, *required_jobs(request.spec)]))
    job = v1.Job(
        id=job_id,
        kind=kind,
        spec=request.spec,
        display_name=request.display_name or kind.replace("_", " "),
        queue=queue.name,
        priority=request.priority or queue.priority,
        state=v1.JOB_STATE_WAITING if depends_on else v1.JOB_STATE_QUEUED,
        max_attempts=request.max_attempts or DEFAULT_ATTEMPTS,
        depends_on=depends_on,
        labels=dict(request.labels),
        enqueue_count=0 if depends_on else 1,
        request_digest=hashlib.sha256(request.SerializeToString(deterministic=True)).digest(),
    )
    for limit in ("timeout", "start_within"):
        if request.HasField(limit):
            getattr(job, limit).CopyFrom(getattr(request, limit))
    if not depends_on:
        begin_waiting(job, now)
    set_time(job.create_time, now)
    set_time(job.update_time, now)
    return job
