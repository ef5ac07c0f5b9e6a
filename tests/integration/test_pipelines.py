"""Pipelines under failures, cancels, retries and kills of the gateway: nothing is lost and nothing runs twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import nats
import pytest
from nats.js.errors import KeyNotFoundError, NoKeysError
from nats.js.kv import KeyValue

from mistudio import v1
from mistudio_runtime.broker import names
from support.broker import NatsServer
from support.mesh import Mesh, count_job, quick_job
from support.waiting import eventually

ENDED = (v1.JOB_STATE_SUCCEEDED, v1.JOB_STATE_FAILED, v1.JOB_STATE_CANCELLED)
MANY = 60


@pytest.fixture
async def mesh(home: Path, nats_server: NatsServer) -> AsyncIterator[Mesh]:
    async with Mesh(home, nats_server.url) as mesh:
        await mesh.gateway()
        yield mesh


@pytest.fixture
async def ledger(mesh: Mesh, nats_server: NatsServer) -> AsyncIterator[KeyValue]:
    client = await nats.connect(nats_server.url)
    yield await client.jetstream().key_value(names.LEDGER_BUCKET)
    await client.close()


async def test_a_diamond_fails_with_the_reason_and_a_retry_puts_all_of_it_back(mesh: Mesh) -> None:
    top = await mesh.submit(count_job(2, "permanent"))
    left = await mesh.submit(quick_job(depends_on=[top.id]))
    right = await mesh.submit(quick_job(depends_on=[top.id]))
    bottom = await mesh.submit(quick_job(depends_on=[left.id, right.id]))
    last = await mesh.submit(quick_job(depends_on=[bottom.id]))
    await mesh.toy()
    failed = await mesh.until(last.id, *ENDED)
    assert failed.failure.reason == "DEPENDENCY_FAILED"
    assert "the toy never works; change the hook point" in failed.failure.message, "the first reason is told"
    with pytest.raises(grpc.aio.AioRpcError, match=f"needs {left.id}, which is FAILED") as refused:
        await mesh.control("Retry", bottom.id)
    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    retry = v1.RetryJobRequest(job_id=top.id, spec=count_job(2).spec)
    await mesh.jobs.RetryJob(retry, timeout=10)
    for job in (left, right, bottom, last):
        done = await mesh.until(job.id, *ENDED)
        assert (done.state, len(done.attempts)) == (v1.JOB_STATE_SUCCEEDED, 1)


async def test_a_cancel_reaches_grandchildren_and_a_retry_takes_it_back(mesh: Mesh) -> None:
    top = await mesh.submit(count_job(2))
    child = await mesh.submit(quick_job(depends_on=[top.id]))
    grandchild = await mesh.submit(quick_job(depends_on=[child.id]))
    await mesh.control("Cancel", top.id)
    failed = await mesh.until(grandchild.id, *ENDED)
    assert f"({top.id}), which it needs, is CANCELLED" in failed.failure.message
    await mesh.control("Retry", top.id)
    assert (await mesh.get(grandchild.id)).state == v1.JOB_STATE_WAITING
    await mesh.toy()
    assert (await mesh.until(grandchild.id, *ENDED)).state == v1.JOB_STATE_SUCCEEDED


async def test_a_repeated_pipeline_is_answered_as_it_was_though_the_world_has_changed(mesh: Mesh) -> None:
    parent = await mesh.submit(count_job(2))
    request = chain(request_id="again", depends_on=[parent.id])
    first = await mesh.jobs.SubmitPipeline(request, timeout=20)
    await mesh.control("Cancel", parent.id)  # a new pipeline that needs it would be refused now
    again = await mesh.jobs.SubmitPipeline(request, timeout=20)
    assert [job.id for job in again.jobs] == [job.id for job in first.jobs]
    assert again.pipeline_id == first.pipeline_id
    del request.steps[1:]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await mesh.jobs.SubmitPipeline(request, timeout=20)
    assert refused.value.code() == grpc.StatusCode.ALREADY_EXISTS


async def test_a_gateway_killed_while_it_records_a_pipeline_loses_and_doubles_nothing(
    mesh: Mesh, ledger: KeyValue
) -> None:
    request = chain(request_id="broken", steps=MANY)
    submitting = asyncio.create_task(swallowed(mesh.jobs.SubmitPipeline(request, timeout=20)))

    async def begun() -> bool:
        with contextlib.suppress(NoKeysError):
            return len(await ledger.keys()) > 0
        return False

    await eventually(begun, what="the first records are there")
    await restart_gateway(mesh)
    await submitting
    answer = await mesh.jobs.SubmitPipeline(request, timeout=20)
    assert len({job.id for job in answer.jobs}) == MANY
    await mesh.toy()
    sae, *others = answer.jobs
    done = await mesh.until(sae.id, *ENDED)
    assert (done.state, len(done.attempts)) == (v1.JOB_STATE_SUCCEEDED, 1)
    for job in others:
        released = await mesh.until(job.id, v1.JOB_STATE_QUEUED)
        assert released.enqueue_count == 1
        assert released.spec.extract_features.sae.artifact_id == done.artifact_ids[0]
    assert (await mesh.jobs.ListJobs(v1.ListJobsRequest(), timeout=10)).total_size == MANY
    queued = await v1.QueueServiceStub(mesh.channel).ListQueues(v1.ListQueuesRequest(), timeout=10)
    assert next(queue for queue in queued.queues if queue.name == "extraction").queued == MANY - 1


async def test_a_gateway_killed_when_a_parent_has_ended_still_releases_the_child(mesh: Mesh, ledger: KeyValue) -> None:
    await mesh.toy()
    parent = await mesh.submit(count_job(20))
    child = await mesh.submit(quick_job(depends_on=[parent.id]))

    async def over() -> bool:
        try:
            record = v1.Job.FromString((await ledger.get(parent.id)).value or b"")
        except KeyNotFoundError:
            return False
        return record.state == v1.JOB_STATE_SUCCEEDED

    await eventually(over, what="the parent's end is recorded", period=0.0)
    await restart_gateway(mesh)
    done = await mesh.until(child.id, *ENDED)
    assert (done.state, len(done.attempts)) == (v1.JOB_STATE_SUCCEEDED, 1)
    assert len((await mesh.get(parent.id)).attempts) == 1


async def test_children_wait_again_though_the_gateway_ended_in_the_middle_of_a_retry(
    mesh: Mesh, ledger: KeyValue
) -> None:
    top = await mesh.submit(count_job(2))
    child = await mesh.submit(quick_job(depends_on=[top.id]))
    await mesh.control("Cancel", top.id)
    await mesh.until(child.id, v1.JOB_STATE_FAILED)
    mesh.processes[0].kill()
    mesh.processes[0].wait()
    # What such a gateway leaves: the parent is put back, its child is not.
    record = await mesh_record(ledger, top.id)
    record.state = v1.JOB_STATE_QUEUED
    record.enqueue_count += 1
    await ledger.put(top.id, record.SerializeToString())
    await mesh.gateway()
    await mesh.toy()
    assert (await mesh.until(child.id, v1.JOB_STATE_SUCCEEDED)).id == child.id


def chain(*, request_id: str, steps: int = 3, depends_on: list[str] | None = None) -> v1.SubmitPipelineRequest:
    """A request for one training, whose SAE all other steps need."""
    features = v1.JobSpec(extract_features=v1.ExtractFeatures(sae=v1.ArtifactRef(step="sae")))
    made = [v1.PipelineStep(name="sae", job=count_job(2, depends_on=depends_on or []))]
    made += [v1.PipelineStep(name=f"features-{number}", job=v1.JobRequest(spec=features)) for number in range(1, steps)]
    return v1.SubmitPipelineRequest(steps=made, request_id=request_id)


async def swallowed(call: grpc.aio.UnaryUnaryCall[v1.SubmitPipelineRequest, v1.SubmitPipelineResponse]) -> None:
    """Waits for a call that may break."""
    with contextlib.suppress(grpc.aio.AioRpcError):
        await call


async def restart_gateway(mesh: Mesh) -> None:
    """Kills the gateway that was started last, and starts another one."""
    for process in mesh.processes:
        if "mistudio_gateway" in process.args and process.poll() is None:  # type: ignore[operator]
            process.kill()
            process.wait()
    await mesh.gateway()


async def mesh_record(ledger: KeyValue, job_id: str) -> v1.Job:
    """Reads a record as it is stored."""
    return v1.Job.FromString((await ledger.get(job_id)).value or b"")
