"""Reading jobs: one with its diagnosis, many by filter."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mistudio import v1
from mistudio_gateway.diagnosis import diagnose
from mistudio_gateway.job_listing import page_of
from mistudio_gateway.ledger import Ledger, utc_now
from mistudio_gateway.state_machine import is_terminal
from mistudio_gateway.validation.references import body_of, references
from mistudio_gateway.worker_registry import WorkerRegistry
from mistudio_runtime.queues import QueueTable


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

    def list(self, request: v1.ListJobsRequest) -> v1.ListJobsResponse:
        """Returns a page of jobs, newest first unless another order is asked for. Raises InvalidRequestError."""
        page = page_of(self._ledger.mirror(), request)
        answer = v1.ListJobsResponse(jobs=page.jobs, next_page_token=page.next_token, total_size=page.total)
        for job in answer.jobs:  # copies of the records
            self.diagnosed(job)
        return answer

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
