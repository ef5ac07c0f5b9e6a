"""Input that nobody means to send gets a status of the contract, never INTERNAL, and disturbs nobody else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from mistudio import v1
from support.broker import NatsServer
from support.mesh import TOKENS, Mesh, count_job, quick_job

ODD_IDS = ["", "*", ">", "a b", "..", "../../etc/passwd", "a\0b", "a\nb", "job-é", "job.x", ".a", "$KV", "x" * 70_000]


@pytest.fixture
async def mesh(home: Path, nats_server: NatsServer) -> AsyncIterator[Mesh]:
    async with Mesh(home, nats_server.url) as mesh:
        await mesh.gateway()
        yield mesh


async def status(call: Awaitable[Any]) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code()


async def test_there_is_no_job_of_an_odd_id(mesh: Mesh) -> None:
    jobs = mesh.jobs
    calls: list[Callable[[str], Awaitable[Any]]] = [
        lambda job_id: jobs.GetJob(v1.GetJobRequest(job_id=job_id), timeout=10),
        lambda job_id: jobs.WatchJob(v1.WatchJobRequest(job_id=job_id), timeout=10).read(),
        lambda job_id: jobs.CancelJob(v1.CancelJobRequest(job_id=job_id), timeout=10),
        lambda job_id: jobs.PauseJob(v1.PauseJobRequest(job_id=job_id), timeout=10),
        lambda job_id: jobs.ResumeJob(v1.ResumeJobRequest(job_id=job_id), timeout=10),
        lambda job_id: jobs.RetryJob(v1.RetryJobRequest(job_id=job_id), timeout=10),
    ]
    for job_id in ODD_IDS:
        for call in calls:
            assert await status(call(job_id)) == grpc.StatusCode.NOT_FOUND, job_id


async def test_a_thousand_bad_fields_are_still_an_invalid_argument(mesh: Mesh) -> None:
    assert await status(mesh.submit(quick_job(depends_on=["nobody"] * 1_000))) == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_request_too_large_to_record_is_refused(mesh: Mesh) -> None:
    assert await status(mesh.submit(count_job(5, "a" * 3_000_000))) == grpc.StatusCode.INVALID_ARGUMENT


async def test_what_a_refused_caller_sent_is_logged_and_repeated_in_part(mesh: Mesh) -> None:
    call = v1.QueueServiceStub(mesh.channel).ExplainRoute(v1.ExplainRouteRequest(kind="k" * 2_000_000), timeout=10)
    assert await status(call) == grpc.StatusCode.INVALID_ARGUMENT
    assert await status(mesh.submit(quick_job(depends_on=["n" * 4_000] * 60))) == grpc.StatusCode.INVALID_ARGUMENT
    lines = (mesh.home / "process-0.log").read_text().splitlines()
    messages = [json.loads(line)["message"] for line in lines if "call refused" in line]
    assert len(messages) == 2
    assert "is no job kind: " in messages[0]
    assert max(len(message) for message in messages) <= 1_000


async def test_a_watch_from_beyond_the_last_event_tells_the_end(mesh: Mesh) -> None:
    job = await mesh.submit(quick_job())
    await mesh.jobs.CancelJob(v1.CancelJobRequest(job_id=job.id), timeout=10)
    events = await mesh.watch(job.id, after=2**64 - 1)
    assert [event.job.state for event in events] == [v1.JOB_STATE_CANCELLED]


@pytest.mark.parametrize("name", ["", "a b", "*", ">", "x.y", "a@b@c", "ü", "x" * 70_000])
async def test_a_worker_with_an_odd_name_is_refused(mesh: Mesh, name: str) -> None:
    call = v1.WorkerSessionServiceStub(mesh.channel).Attach(timeout=10)
    await call.write(v1.AttachRequest(register=v1.Register(worker=v1.Worker(name=name))))
    assert await status(call.read()) == grpc.StatusCode.INVALID_ARGUMENT


async def test_what_is_said_of_an_unknown_job_is_answered(mesh: Mesh) -> None:
    call = v1.WorkerSessionServiceStub(mesh.channel).Attach(timeout=10)
    await call.write(v1.AttachRequest(register=v1.Register(worker=v1.Worker(name="toy@1"))))
    assert (await call.read()).HasField("registered")
    for number, job_id in enumerate(["job-none", "*"], start=1):
        await call.write(v1.AttachRequest(id=number, report=v1.AttemptReport(job_id=job_id, attempt=1)))
        answer = await call.read()
        assert (answer.in_reply_to, answer.report_stored.current) == (number, False)
    call.cancel()


async def test_a_worker_at_an_impossible_time_keeps_its_session(mesh: Mesh) -> None:
    call = v1.WorkerSessionServiceStub(mesh.channel).Attach(timeout=10)
    impossible = Timestamp(seconds=2**62)
    worker = v1.Worker(name="toy@1", start_time=impossible, services=["trainer"])
    await call.write(v1.AttachRequest(register=v1.Register(worker=worker)))
    assert (await call.read()).HasField("registered")
    await call.write(v1.AttachRequest(heartbeat=v1.Heartbeat(host_status=v1.HostStatus(time=impossible))))
    await call.write(v1.AttachRequest(id=1, report=v1.AttemptReport(job_id="job-none", attempt=1)))
    assert (await call.read()).in_reply_to == 1
    (status,) = (await v1.WorkerServiceStub(mesh.channel).ListWorkers(v1.ListWorkersRequest(), timeout=10)).workers
    assert (status.worker.HasField("start_time"), status.host_status) == (False, v1.HostStatus())
    call.cancel()


async def test_what_a_queued_job_needs_is_not_deleted(mesh: Mesh) -> None:
    catalog = v1.CatalogServiceStub(mesh.channel)
    request = v1.DeleteArtifactRequest(artifact_id=TOKENS)
    job = await mesh.submit(count_job())
    with pytest.raises(grpc.aio.AioRpcError, match=f"{job.id} needs it") as caught:
        await catalog.DeleteArtifact(request, timeout=10)
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    await mesh.jobs.CancelJob(v1.CancelJobRequest(job_id=job.id), timeout=10)
    assert (await catalog.DeleteArtifact(request, timeout=10)).job.kind == "delete_artifact"
