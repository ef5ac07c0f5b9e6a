"""Reading jobs: one with its diagnosis, many by filter."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

from mistudio import v1
from mistudio_gateway.artifact_needs import jobs_needing
from mistudio_gateway.job_listing import page_of
from mistudio_gateway.ledger import Ledger
from mistudio_gateway.queues.diagnoses import Diagnoses


class Jobs:
    """What clients read of the ledger."""

    def __init__(self, ledger: Ledger, diagnoses: Diagnoses) -> None:
        """Takes the ledger, and who says why jobs do not run."""
        self._ledger = ledger
        self._diagnoses = diagnoses

    async def get(self, job_id: str) -> v1.Job:
        """Reads a job with its diagnosis. Raises NotFoundError, UnavailableError."""
        return self.diagnosed(await self._ledger.get(job_id))

    def diagnosed(self, job: v1.Job) -> v1.Job:
        """Adds the sentence that says why the job does not run now."""
        job.diagnosis = self._diagnoses.of(job)
        return job

    def obstacles(self, jobs: Iterable[v1.Job]) -> Sequence[str]:
        """Returns one sentence for each queue of these jobs that hands out none: nobody serves it, or it is paused."""
        queues = dict.fromkeys(job.queue for job in jobs)
        return [sentence for queue in queues if (sentence := self._diagnoses.of_queue(queue))]

    async def list(self, request: v1.ListJobsRequest) -> v1.ListJobsResponse:
        """Returns a page of jobs, newest first unless another order is asked for. Raises InvalidRequestError."""
        # A long ledger is looked over while others are served.
        page = await asyncio.to_thread(page_of, list(self._ledger.records()), request)
        answer = v1.ListJobsResponse(jobs=page.jobs, next_page_token=page.next_token, total_size=page.total)
        for job in answer.jobs:  # copies of the records
            self.diagnosed(job)
        return answer

    def needing(self, artifact_id: str) -> Sequence[str]:
        """Returns the unfinished jobs that need an artifact."""
        return jobs_needing(artifact_id, self._ledger.unfinished(), self._ledger.mirrored)
