"""What the curator asks the gateway, answered from a dictionary."""

from __future__ import annotations

import time

import grpc

from mistudio import v1
from mistudio.v1 import GetJobRequest, GetJobResponse, Job, JobState


class Ledger(v1.JobServiceServicer):
    """Knows the jobs that a test tells it of."""

    def __init__(self) -> None:
        self.address = ""
        self.jobs: dict[str, Job] = {}

    def tell(self, job_id: str, state: JobState.ValueType, ended_seconds_ago: float | None = None) -> None:
        job = Job(id=job_id, state=state)
        if ended_seconds_ago is not None:
            job.end_time.FromSeconds(int(time.time() - ended_seconds_ago))
        self.jobs[job_id] = job

    def GetJob(self, request: GetJobRequest, context: grpc.ServicerContext) -> GetJobResponse:  # noqa: N802
        if request.job_id not in self.jobs:
            context.abort(grpc.StatusCode.NOT_FOUND, "there is no such job")
        return GetJobResponse(job=self.jobs[request.job_id])
