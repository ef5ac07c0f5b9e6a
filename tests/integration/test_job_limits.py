"""Limits in time of real jobs: of an attempt, by its worker; of waiting, by the gateway."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import pytest
from google.protobuf.duration_pb2 import Duration

from mistudio import v1
from support.broker import NatsServer
from support.mesh import Mesh, count_job, quick_job

ENDED = (v1.JOB_STATE_SUCCEEDED, v1.JOB_STATE_FAILED, v1.JOB_STATE_CANCELLED)
SECOND = Duration(seconds=1)
INSTANT = Duration(nanos=1)


@pytest.fixture
async def mesh(home: Path, nats_server: NatsServer) -> AsyncIterator[Mesh]:
    async with Mesh(home, nats_server.url) as mesh:
        await mesh.gateway()
        yield mesh


async def logged(mesh: Mesh, job_id: str) -> list[str]:
    return [event.log.message for event in await mesh.watch(job_id) if event.WhichOneof("event") == "log"]


async def test_an_attempt_that_takes_too_long_fails_and_a_retry_goes_on_from_its_checkpoint(mesh: Mesh) -> None:
    await mesh.toy()
    first = await mesh.submit(count_job(1))  # whoever starts the first process has to wait for what it imports
    assert (await mesh.until(first.id, *ENDED)).state == v1.JOB_STATE_SUCCEEDED
    job = await mesh.submit(count_job(300, timeout=Duration(seconds=4)))
    failed = await mesh.until(job.id, *ENDED)
    assert (failed.state, failed.failure.reason) == (v1.JOB_STATE_FAILED, "TIMEOUT")
    assert failed.failure.failure_class == v1.FAILURE_CLASS_PERMANENT
    assert [attempt.outcome for attempt in failed.attempts] == [v1.ATTEMPT_OUTCOME_FAILED]
    assert f"mistudio jobs retry {job.id} --timeout" in failed.failure.message
    retry = v1.RetryJobRequest(job_id=job.id, timeout=Duration(seconds=60))
    assert (await mesh.jobs.RetryJob(retry, timeout=10)).job.timeout.seconds == 60
    done = await mesh.until(job.id, *ENDED)
    assert done.state == v1.JOB_STATE_SUCCEEDED
    starts = await logged(mesh, job.id)
    assert starts[0] == "starts at 0"
    assert starts[1] != "starts at 0"


@pytest.mark.slow
async def test_what_does_not_hear_is_ended_whether_it_runs_in_a_process_or_in_a_thread(mesh: Mesh) -> None:
    await mesh.toy()
    process = await mesh.submit(count_job(100_000, "stubborn", timeout=SECOND))
    obedient = await mesh.submit(stuck_job(hears=True))
    deaf = await mesh.submit(stuck_job(hears=False))
    for job in (process, obedient, deaf):
        failed = await mesh.until(job.id, *ENDED)
        assert (failed.state, failed.failure.reason, len(failed.attempts)) == (v1.JOB_STATE_FAILED, "TIMEOUT", 1)
    after = await mesh.submit(count_job(3))
    assert (await mesh.until(after.id, *ENDED)).state == v1.JOB_STATE_SUCCEEDED


async def test_a_deaf_job_is_ended_though_its_grace_passed_before_its_process_was_there(mesh: Mesh) -> None:
    mesh.start("-m", "support.toy", "--name", "toy@1", TOY_PRELOAD="support.slow_import")
    job = await mesh.submit(count_job(100_000, "silent"))
    await mesh.until(job.id, v1.JOB_STATE_RUNNING)
    await mesh.control("Cancel", job.id)
    assert (await mesh.until(job.id, *ENDED)).state == v1.JOB_STATE_CANCELLED


async def test_a_job_within_its_limits_does_not_notice_them(mesh: Mesh) -> None:
    await mesh.toy()
    limits = {"timeout": Duration(seconds=600), "start_within": Duration(seconds=600)}
    jobs = [await mesh.submit(count_job(3, **limits)), await mesh.submit(quick_job(**limits))]
    assert jobs[0].HasField("start_deadline")
    for job in jobs:
        done = await mesh.until(job.id, *ENDED)
        assert (done.state, done.HasField("start_deadline")) == (v1.JOB_STATE_SUCCEEDED, False)


async def test_a_job_that_nobody_begins_in_time_fails_with_what_needs_it(mesh: Mesh) -> None:
    job = await mesh.submit(count_job(start_within=SECOND))
    child = await mesh.submit(quick_job(depends_on=[job.id]))
    failed = await mesh.until(job.id, *ENDED)
    assert (failed.failure.reason, len(failed.attempts)) == ("DEADLINE_PASSED", 0)
    assert "0:00:01" in failed.failure.message
    orphan = await mesh.until(child.id, *ENDED)
    assert orphan.failure.reason == "DEPENDENCY_FAILED"
    assert failed.failure.message in orphan.failure.message
    again = (await mesh.jobs.RetryJob(v1.RetryJobRequest(job_id=job.id), timeout=10)).job
    assert again.start_deadline.ToNanoseconds() > job.start_deadline.ToNanoseconds()
    assert (await mesh.get(child.id)).state == v1.JOB_STATE_WAITING


async def test_a_claim_after_the_deadline_is_refused_though_nobody_has_looked(mesh: Mesh) -> None:
    call = v1.WorkerSessionServiceStub(mesh.channel).Attach(timeout=20)
    await call.write(v1.AttachRequest(register=v1.Register(worker=v1.Worker(name="toy@raw"))))
    assert (await call.read()).HasField("registered")
    job = await mesh.submit(count_job(start_within=INSTANT))
    claim = v1.Claim(job_id=job.id, enqueue_count=job.enqueue_count)
    await call.write(v1.AttachRequest(id=1, claim=claim))
    answer = (await call.read()).claim_answer
    call.cancel()
    assert answer.verdict == v1.CLAIM_VERDICT_DROP
    failed = await mesh.get(job.id)
    assert (failed.state, failed.failure.reason) == (v1.JOB_STATE_FAILED, "DEADLINE_PASSED")


@pytest.mark.parametrize("limit", ["timeout", "start_within"])
async def test_a_limit_of_nothing_is_refused(mesh: Mesh, limit: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match=f"job.{limit}: is more than nothing") as caught:
        await mesh.submit(quick_job(**{limit: Duration()}))
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def stuck_job(*, hears: bool) -> v1.JobRequest:
    """A job in a thread of the worker that ends only when it is asked to; or, if it does not hear, much later."""
    spec = v1.CollectGarbage(min_age=Duration(seconds=1 if hears else 2))
    return v1.JobRequest(spec=v1.JobSpec(collect_garbage=spec), timeout=SECOND)
