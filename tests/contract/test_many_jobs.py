"""SubmitJobs over a real socket: many jobs in one call, all of them or none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest

import mistudio
from mistudio import v1
from support.broker import NatsServer
from support.mesh import Mesh, quick_job

COUNT = 300


@pytest.fixture
async def mesh(home: Path, nats_server: NatsServer) -> AsyncIterator[Mesh]:
    """A gateway; nobody serves its queues yet."""
    async with Mesh(home, nats_server.url) as mesh:
        await mesh.gateway()
        yield mesh


def requests(count: int, prefix: str = "") -> v1.SubmitJobsRequest:
    """Returns a call for so many jobs."""
    return v1.SubmitJobsRequest(
        requests=[
            v1.SubmitJobRequest(job=quick_job(), request_id=f"{prefix}{number}" if prefix else "")
            for number in range(count)
        ]
    )


async def refusal(mesh: Mesh, request: v1.SubmitJobsRequest) -> grpc.aio.AioRpcError:
    """Returns how a call is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await mesh.jobs.SubmitJobs(request, timeout=20)
    return refused.value


async def test_many_jobs_are_accepted_at_once_and_run_each_once(mesh: Mesh) -> None:
    answer = await mesh.jobs.SubmitJobs(requests(COUNT), timeout=20)
    assert len(set(answer.job_ids)) == COUNT
    assert len(answer.diagnoses) == 1
    assert "python -m mistudio_curator" in answer.diagnoses[0]
    await mesh.toy()
    for job_id in answer.job_ids:
        job = await mesh.until(job_id, v1.JOB_STATE_SUCCEEDED)
        assert len(job.attempts) == 1


async def test_a_repeated_call_answers_with_the_same_jobs(mesh: Mesh) -> None:
    first = await mesh.jobs.SubmitJobs(requests(20, "mine."), timeout=20)
    again = await mesh.jobs.SubmitJobs(requests(20, "mine."), timeout=20)
    assert again.job_ids == first.job_ids
    assert (await mesh.jobs.ListJobs(v1.ListJobsRequest(), timeout=20)).total_size == 20


async def test_one_bad_job_refuses_all_and_says_which(mesh: Mesh) -> None:
    bad = requests(3)
    bad.requests[1].job.priority = 11
    bad.requests[2].validate_only = True
    error = await refusal(mesh, bad)
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "requests[1].job.priority" in (error.details() or "")
    assert "requests[2].validate_only" in (error.details() or "")
    assert (await mesh.jobs.ListJobs(v1.ListJobsRequest(), timeout=20)).total_size == 0


@pytest.mark.parametrize("count", [0, 1_001])
async def test_too_few_and_too_many_are_refused(mesh: Mesh, count: int) -> None:
    assert (await refusal(mesh, requests(count))).code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_the_same_request_id_twice_in_a_call_is_refused(mesh: Mesh) -> None:
    twice = requests(2, "mine.")
    twice.requests[1].request_id = twice.requests[0].request_id
    assert (await refusal(mesh, twice)).code() == grpc.StatusCode.INVALID_ARGUMENT


async def test_the_sdk_submits_many(mesh: Mesh) -> None:
    async with mistudio.AsyncClient(mesh.address) as client:
        answer = await client.jobs.submit_many([mistudio.CollectGarbage(dry_run=False) for _ in range(5)])
        assert [(await client.jobs.get(job_id)).id for job_id in answer.job_ids] == list(answer.job_ids)
