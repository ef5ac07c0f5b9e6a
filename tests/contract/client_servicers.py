"""A small gateway over a real socket, with which the client and the command are tested."""

# ruff: noqa: N802 - the methods are named by the contract

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import code_pb2, error_details_pb2, status_pb2

from mistudio import v1

TERMINAL = (v1.JOB_STATE_SUCCEEDED, v1.JOB_STATE_FAILED, v1.JOB_STATE_CANCELLED)


def refuse(context: grpc.ServicerContext, code: int, message: str, *details: Any) -> NoReturn:
    """Ends a call as the gateway does: a status with google.rpc details in the trailing metadata."""
    packed = []
    for detail in details:
        packed.append(AnyMessage())
        packed[-1].Pack(detail)
    status = status_pb2.Status(code=code, message=message, details=packed)
    context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    by_number = {status.value[0]: status for status in grpc.StatusCode}
    context.abort(by_number[code], message)
    raise AssertionError("abort raises")


class Mesh(  # the method names are the contract's
    v1.JobServiceServicer, v1.QueueServiceServicer, v1.WorkerServiceServicer, v1.CatalogServiceServicer
):
    """Jobs in a dictionary; events as the test lays them down."""

    def __init__(self) -> None:
        self.jobs: dict[str, v1.Job] = {}
        self.by_request: dict[str, str] = {}
        self.events: dict[str, list[v1.JobEvent]] = {}
        self.calls: list[str] = []
        self.watched_from: list[int] = []
        self.unavailable = 0
        """So many calls that follow are answered UNAVAILABLE."""
        self.break_after: list[int] = []
        """Each watch breaks after so many events, as long as the list has a number."""
        self.metadata: list[str] = []

    def _enter(self, name: str, context: grpc.ServicerContext) -> None:
        self.calls.append(name)
        if self.unavailable:
            self.unavailable -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "going down")

    def _check(self, job_id: str, context: grpc.ServicerContext) -> None:
        if job_id not in self.jobs:
            info = error_details_pb2.ErrorInfo(reason="NOT_FOUND", domain="mistudio")
            refuse(context, code_pb2.NOT_FOUND, f"there is no job {job_id}", info)

    def add(self, job_id: str, state: v1.JobState.ValueType = v1.JOB_STATE_QUEUED, **fields: Any) -> v1.Job:
        self.jobs[job_id] = v1.Job(id=job_id, kind="train_sae", queue="training", priority=5, state=state, **fields)
        return self.jobs[job_id]

    def happens(self, job_id: str, **event: Any) -> None:
        """Lays down an event; one of a job changes the record, too."""
        events = self.events.setdefault(job_id, [])
        events.append(v1.JobEvent(sequence=len(events) + 1, job_id=job_id, **event))
        if "job" in event:
            self.jobs[job_id] = event["job"]

    def runs_to(self, job_id: str, state: v1.JobState.ValueType, **fields: Any) -> None:
        """Lays down the events of a job that runs and ends."""
        running = v1.Job(id=job_id, kind="train_sae", state=v1.JOB_STATE_RUNNING)
        self.happens(job_id, job=running)
        for done in (250, 500, 750):
            progress = v1.Progress(fraction=done / 1000, stage="train", done=done, total=1000, unit="tokens", rate=100)
            self.happens(job_id, progress=progress)
        self.happens(job_id, metric=v1.MetricPoint(name="loss", value=0.5, step=3))
        self.happens(job_id, log=v1.LogLine(level="info", message="almost there"))
        self.happens(job_id, job=v1.Job(id=job_id, kind="train_sae", state=state, **fields))

    def SubmitJob(self, request: v1.SubmitJobRequest, context: grpc.ServicerContext) -> v1.SubmitJobResponse:
        self._enter("SubmitJob", context)
        spec = request.job.spec
        if spec.HasField("train_sae") and spec.train_sae.total_tokens == 0:
            bad = error_details_pb2.BadRequest(
                field_violations=[
                    {"field": "job.spec.train_sae.total_tokens", "description": "must be at least 1"},
                ]
            )
            info = error_details_pb2.ErrorInfo(reason="INVALID_REQUEST", domain="mistudio", metadata={"kind": "x"})
            refuse(context, code_pb2.INVALID_ARGUMENT, "bad fields", info, bad)
        if request.job.display_name == "full":
            retry = error_details_pb2.RetryInfo()
            retry.retry_delay.FromSeconds(7)
            info = error_details_pb2.ErrorInfo(reason="LIMIT_REACHED", domain="mistudio")
            refuse(context, code_pb2.RESOURCE_EXHAUSTED, "the queue is full", info, retry)
        if request.validate_only:
            return v1.SubmitJobResponse(job=v1.Job(queue="training"))
        job_id = self.by_request.setdefault(request.request_id, f"job-{len(self.jobs) + 1:08}")
        if job_id not in self.jobs:
            self.add(job_id).spec.CopyFrom(spec)
            self.jobs[job_id].labels.update(request.job.labels)
        return v1.SubmitJobResponse(job=self.jobs[job_id])

    def SubmitPipeline(
        self, request: v1.SubmitPipelineRequest, context: grpc.ServicerContext
    ) -> v1.SubmitPipelineResponse:
        self._enter("SubmitPipeline", context)
        jobs = [v1.Job(id=f"job-{step.name}", step=step.name, spec=step.job.spec) for step in request.steps]
        return v1.SubmitPipelineResponse(pipeline_id=request.request_id, jobs=jobs)

    def GetJob(self, request: v1.GetJobRequest, context: grpc.ServicerContext) -> v1.GetJobResponse:
        self._enter("GetJob", context)
        self._check(request.job_id, context)
        return v1.GetJobResponse(job=self.jobs[request.job_id])

    def ListJobs(self, request: v1.ListJobsRequest, context: grpc.ServicerContext) -> v1.ListJobsResponse:
        self._enter("ListJobs", context)
        size = request.page_size or 2
        first = int(request.page_token or 0)
        jobs = [job for job in self.jobs.values() if not request.states or job.state in request.states]
        more = str(first + size) if first + size < len(jobs) else ""
        return v1.ListJobsResponse(jobs=jobs[first : first + size], next_page_token=more)

    def WatchJob(self, request: v1.WatchJobRequest, context: grpc.ServicerContext) -> Iterator[v1.WatchJobResponse]:
        self._enter("WatchJob", context)
        self._check(request.job_id, context)
        self.watched_from.append(request.after_sequence)
        left = self.break_after.pop(0) if self.break_after else None
        for event in list(self.events.get(request.job_id, [])):
            if event.sequence <= request.after_sequence:
                continue
            if request.events and event.WhichOneof("event") not in request.events:
                continue
            if left == 0:
                context.abort(grpc.StatusCode.UNAVAILABLE, "socket closed")
            left = None if left is None else left - 1
            yield v1.WatchJobResponse(event=event)
        if self.jobs[request.job_id].state not in TERMINAL and not request.replay_only:
            ended = threading.Event()
            context.add_callback(ended.set)
            ended.wait()

    def CancelJob(self, request: v1.CancelJobRequest, context: grpc.ServicerContext) -> v1.CancelJobResponse:
        self._enter("CancelJob", context)
        job = self.jobs[request.job_id]
        if job.state in TERMINAL:
            info = error_details_pb2.ErrorInfo(reason="FAILED_PRECONDITION", domain="mistudio")
            refuse(context, code_pb2.FAILED_PRECONDITION, "the job is over", info)
        job.state = v1.JOB_STATE_CANCELLED
        return v1.CancelJobResponse(job=job)

    def RetryJob(self, request: v1.RetryJobRequest, context: grpc.ServicerContext) -> v1.RetryJobResponse:
        self._enter("RetryJob", context)
        job = self.jobs[request.job_id]
        job.state = v1.JOB_STATE_QUEUED
        if request.HasField("spec"):
            job.spec.CopyFrom(request.spec)
        return v1.RetryJobResponse(job=job)

    def ListQueues(self, request: v1.ListQueuesRequest, context: grpc.ServicerContext) -> v1.ListQueuesResponse:
        self._enter("ListQueues", context)
        diagnosis = "nobody serves it; start a worker: mistudio up"
        return v1.ListQueuesResponse(queues=[v1.Queue(name="training", priority=5, slots=1, diagnosis=diagnosis)])

    def ExplainRoute(self, request: v1.ExplainRouteRequest, context: grpc.ServicerContext) -> v1.ExplainRouteResponse:
        self._enter("ExplainRoute", context)
        specified = request.spec.WhichOneof("kind")
        told = f"{specified} with parameters" if specified else f"{request.kind} without parameters"
        return v1.ExplainRouteResponse(queue="training", explanation=told)

    def ListWorkers(self, request: v1.ListWorkersRequest, context: grpc.ServicerContext) -> v1.ListWorkersResponse:
        self._enter("ListWorkers", context)
        ended = threading.Event()  # never answers: the caller's deadline must end it
        context.add_callback(ended.set)
        ended.wait()
        return v1.ListWorkersResponse()


@contextmanager
def serve(mesh: Mesh, port: int = 0) -> Iterator[str]:
    """Serves on a free port; yields the address. Every stream that is open is cut at the end."""
    server = grpc.server(ThreadPoolExecutor(max_workers=8))
    v1.add_JobServiceServicer_to_server(mesh, server)
    v1.add_QueueServiceServicer_to_server(mesh, server)
    v1.add_WorkerServiceServicer_to_server(mesh, server)
    bound = server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    try:
        yield f"127.0.0.1:{bound}"
    finally:
        server.stop(0).wait()
