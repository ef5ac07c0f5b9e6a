"""Reading jobs: one with its diagnosis, many by filter."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Sequence

from mistudio import v1
from mistudio_gateway.diagnosis import diagnose
from mistudio_gateway.ledger import Ledger, utc_now
from mistudio_gateway.state_machine import is_terminal
from mistudio_gateway.validation.references import body_of, references
from mistudio_gateway.worker_registry import WorkerRegistry
from mistudio_runtime.errors import InvalidRequestError, Violation
from mistudio_runtime.queues import QueueTable

DEFAULT_PAGE = 50
MAX_PAGE = 1_000


class Jobs:
    """What clients read of the ledger."""

    def __init__(self, ledger: Ledger, registry: WorkerRegistry, table: QueueTable) -> None:
        """Takes what a diagnosis looks at."""
        self._ledger = ledger
        self._registry = registry
        self._table = table

    async def get(self, job_id: str) -> v1.Job:
        """Reads a job with its diagnosis. Raises NotFoundError, UnavailableError."""
        return self.diagnosed(await self._ledger.get(job_id))

    def diagnosed(self, job: v1.Job) -> v1.Job:
        """Adds the sentence that says why the job does not run now."""
        if job.queue not in self._table.names:
            job.diagnosis = f"Its queue {job.queue} is no longer in the queue table: put it back, or cancel the job."
            return job
        queue = self._table.queue(job.queue)
        workers = self._registry.serving(job.queue)
        job.diagnosis = diagnose(job, queue, workers, self._ledger.mirrored, utc_now())
        return job

    def list(self, request: v1.ListJobsRequest) -> tuple[list[v1.Job], str]:
        """Returns a page of jobs, newest first, and the token of the next page."""
        size = min(request.page_size or DEFAULT_PAGE, MAX_PAGE)
        if size < 0:
            raise InvalidRequestError([Violation("page_size", "is not negative")])
        after = _position_of_token(request.page_token)
        found = sorted((job for job in self._ledger.mirror() if _matches(job, request)), key=_position, reverse=True)
        if after is not None:
            found = [job for job in found if _position(job) < after]
        page = [self.diagnosed(_copy(job)) for job in found[:size]]
        return page, _token(page[-1]) if len(found) > size else ""

    def needing(self, artifact_id: str) -> Sequence[str]:
        """Returns the unfinished jobs whose specs name an artifact as their input."""
        return sorted(
            job.id
            for job in self._ledger.mirror()
            if not is_terminal(job) and any(ref.artifact_id == artifact_id for ref in references(body_of(job.spec)))
        )


def count_by_queue(jobs: Iterable[v1.Job], state: v1.JobState.ValueType) -> dict[str, int]:
    """Counts the jobs in a state, by queue."""
    counts: dict[str, int] = {}
    for job in jobs:
        if job.state == state:
            counts[job.queue] = counts.get(job.queue, 0) + 1
    return counts


def _matches(job: v1.Job, request: v1.ListJobsRequest) -> bool:
    return (
        (not request.states or job.state in request.states)
        and (not request.kinds or job.kind in request.kinds)
        and (not request.queues or job.queue in request.queues)
        and (not request.pipeline_id or job.pipeline_id == request.pipeline_id)
        and all(job.labels.get(key) == value for key, value in request.labels.items())
    )


def _copy(job: v1.Job) -> v1.Job:
    copy = v1.Job()
    copy.CopyFrom(job)
    return copy


def _position(job: v1.Job) -> tuple[int, str]:
    return job.create_time.ToNanoseconds(), job.id


def _token(job: v1.Job) -> str:
    time, job_id = _position(job)
    return base64.urlsafe_b64encode(f"{time}:{job_id}".encode()).decode()


def _position_of_token(token: str) -> tuple[int, str] | None:
    if not token:
        return None
    try:
        time, _, job_id = base64.urlsafe_b64decode(token.encode()).decode().partition(":")
        return int(time), job_id
    except (binascii.Error, ValueError) as error:
        raise InvalidRequestError([Violation("page_token", "is not one that ListJobs gave")]) from error
