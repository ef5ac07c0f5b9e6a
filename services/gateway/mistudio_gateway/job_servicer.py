"""JobService over a socket: convert, call, convert."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc.aio

from mistudio import v1
from mistudio_gateway.control import JobControl
from mistudio_gateway.deletion import JobDeletion
from mistudio_gateway.event_log import EventLog
from mistudio_gateway.jobs import Jobs
from mistudio_gateway.retrying import Retrying
from mistudio_gateway.submission import Submission
from mistudio_gateway.watch import watch

Context = grpc.aio.ServicerContext[Any, Any]


class JobServicer(v1.JobServiceServicer):
    """Submits, reads, watches and controls jobs."""

    def __init__(  # noqa: PLR0917 - what the rpcs call, in the order in which a job meets them
        self,
        submission: Submission,
        jobs: Jobs,
        control: JobControl,
        retrying: Retrying,
        deletion: JobDeletion,
        events: EventLog,
    ) -> None:
        """Takes what the rpcs call."""
        self._submission = submission
        self._jobs = jobs
        self._control = control
        self._retrying = retrying
        self._deletion = deletion
        self._events = events

    async def SubmitJob(self, request: v1.SubmitJobRequest, context: Context) -> v1.SubmitJobResponse:
        """Validates, records and enqueues a job."""
        job = await self._submission.submit(request.job, request.request_id, validate_only=request.validate_only)
        return v1.SubmitJobResponse(job=self._jobs.diagnosed(job))

    async def SubmitPipeline(self, request: v1.SubmitPipelineRequest, context: Context) -> v1.SubmitPipelineResponse:
        """Validates, records and enqueues a pipeline."""
        pipeline_id, jobs = await self._submission.submit_pipeline(request.steps, request.request_id)
        return v1.SubmitPipelineResponse(pipeline_id=pipeline_id, jobs=map(self._jobs.diagnosed, jobs))

    async def GetJob(self, request: v1.GetJobRequest, context: Context) -> v1.GetJobResponse:
        """Reads a job."""
        return v1.GetJobResponse(job=await self._jobs.get(request.job_id))

    async def ListJobs(self, request: v1.ListJobsRequest, context: Context) -> v1.ListJobsResponse:
        """Lists jobs."""
        return self._jobs.list(request)

    async def WatchJob(self, request: v1.WatchJobRequest, context: Context) -> AsyncIterator[v1.WatchJobResponse]:
        """Replays and follows a job."""
        async for event in watch(self._jobs, self._events, request):
            yield v1.WatchJobResponse(event=event)

    async def CancelJob(self, request: v1.CancelJobRequest, context: Context) -> v1.CancelJobResponse:
        """Cancels a job."""
        return v1.CancelJobResponse(job=await self._control.cancel(request.job_id))

    async def PauseJob(self, request: v1.PauseJobRequest, context: Context) -> v1.PauseJobResponse:
        """Pauses a job."""
        return v1.PauseJobResponse(job=self._jobs.diagnosed(await self._control.pause(request.job_id)))

    async def ResumeJob(self, request: v1.ResumeJobRequest, context: Context) -> v1.ResumeJobResponse:
        """Resumes a job."""
        return v1.ResumeJobResponse(job=self._jobs.diagnosed(await self._control.resume(request.job_id)))

    async def RetryJob(self, request: v1.RetryJobRequest, context: Context) -> v1.RetryJobResponse:
        """Retries a job."""
        return v1.RetryJobResponse(job=self._jobs.diagnosed(await self._retrying.retry(request)))

    async def FinishJob(self, request: v1.FinishJobRequest, context: Context) -> v1.FinishJobResponse:
        """Asks a job to finish now."""
        return v1.FinishJobResponse(job=self._jobs.diagnosed(await self._control.finish(request.job_id)))

    async def DeleteJobs(self, request: v1.DeleteJobsRequest, context: Context) -> v1.DeleteJobsResponse:
        """Deletes the records of jobs that have ended."""
        return v1.DeleteJobsResponse(deleted=await self._deletion.delete(request.job_ids))
