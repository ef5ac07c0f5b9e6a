"""JobService over a socket: convert, call, convert."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any, cast

import grpc
import grpc.aio

from mistudio import v1
from mistudio_gateway.control import JobControl
from mistudio_gateway.deletion import JobDeletion
from mistudio_gateway.jobs import Jobs
from mistudio_gateway.retrying import Retrying
from mistudio_gateway.submission import Submission
from mistudio_gateway.watch import Watches

_SERVICE = "mistudio.v1.JobService"
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
        watches: Watches,
    ) -> None:
        """Takes what the rpcs call."""
        self._watches = watches
        self._submission = submission
        self._jobs = jobs
        self._control = control
        self._retrying = retrying
        self._deletion = deletion

    def add_to(self, server: grpc.aio.Server) -> None:
        """Serves the service."""
        watch: grpc.RpcMethodHandler[v1.WatchJobRequest, bytes] = grpc.unary_stream_rpc_method_handler(
            cast("Any", self.WatchJob),  # the stubs know no method that writes to the context itself
            request_deserializer=v1.WatchJobRequest.FromString,
            response_serializer=None,
        )
        # Of generic handlers the first one serves a method, of registered ones the last.
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {"WatchJob": watch}),))
        v1.add_JobServiceServicer_to_server(self, server)
        server.add_registered_method_handlers(_SERVICE, {"WatchJob": watch})

    async def SubmitJob(self, request: v1.SubmitJobRequest, context: Context) -> v1.SubmitJobResponse:
        """Validates, records and enqueues a job."""
        job = await self._submission.submit(request.job, request.request_id, validate_only=request.validate_only)
        return v1.SubmitJobResponse(job=self._jobs.diagnosed(job))

    async def SubmitJobs(self, request: v1.SubmitJobsRequest, context: Context) -> v1.SubmitJobsResponse:
        """Validates, records and enqueues many jobs."""
        jobs = await self._submission.submit_many(request.requests)
        return v1.SubmitJobsResponse(job_ids=[job.id for job in jobs], diagnoses=self._jobs.obstacles(jobs))

    async def SubmitPipeline(self, request: v1.SubmitPipelineRequest, context: Context) -> v1.SubmitPipelineResponse:
        """Validates, records and enqueues a pipeline."""
        pipeline_id, jobs = await self._submission.submit_pipeline(request.steps, request.request_id)
        return v1.SubmitPipelineResponse(pipeline_id=pipeline_id, jobs=map(self._jobs.diagnosed, jobs))

    async def GetJob(self, request: v1.GetJobRequest, context: Context) -> v1.GetJobResponse:
        """Reads a job."""
        return v1.GetJobResponse(job=await self._jobs.get(request.job_id))

    async def ListJobs(self, request: v1.ListJobsRequest, context: Context) -> v1.ListJobsResponse:
        """Lists jobs."""
        return await self._jobs.list(request)

    async def WatchJob(  # type: ignore[override]  # it writes to the context itself
        self, request: v1.WatchJobRequest, context: Context
    ) -> None:
        """Replays and follows a job. The answers are serialized already, once for all who watch."""
        async with aclosing(self._watches.watch(request)) as answers:
            async for answer in answers:
                await context.write(answer)

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
