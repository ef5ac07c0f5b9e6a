"""Two gateways: what one begins the other goes on with, and neither undoes or doubles what the other does."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import nats
import pytest

from mistudio import v1
from mistudio_runtime.broker import names
from support.broker import NatsServer
from support.mesh import count_job, quick_job
from support.toy import STEP_SECONDS
from support.two_gateways import TwoGateways
from support.waiting import eventually

SUCCEEDED = [v1.ATTEMPT_OUTCOME_SUCCEEDED]
STEPS = 200
HANG_ACK_WAIT = 4.0


@pytest.fixture
async def mesh(home: Path, nats_server: NatsServer) -> AsyncIterator[TwoGateways]:
    async with TwoGateways(home, nats_server.url) as mesh:
        yield mesh


async def test_when_a_gateway_is_killed_workers_and_watchers_go_on_at_the_other(mesh: TwoGateways) -> None:
    gateway_a = await mesh.gateway()
    await mesh.toy()
    async with await mesh.client() as client:
        job = await client.jobs.submit(count_job(STEPS))
        events: list[v1.JobEvent] = []
        watching = asyncio.create_task(_collect(client.jobs.watch(job.id), events))
        await mesh.gateway_b()
        await eventually(lambda: _metrics(events), what="the job tells something")
        gateway_a.kill()
        gateway_a.wait()
        cancelled = await client.jobs.submit(count_job(10_000))
        assert (await client.jobs.cancel(cancelled.id)).id == cancelled.id
        await watching
        assert _metrics(events) == [float(number) for number in range(STEPS)]
        done = await mesh.get_b(job.id)
        assert [attempt.outcome for attempt in done.attempts] == SUCCEEDED
        again = await client.jobs.submit(quick_job())
        assert await again.result() == []


@pytest.mark.cluster
async def test_a_gateway_that_hangs_is_left_in_time_and_does_no_harm_when_it_goes_on(mesh: TwoGateways) -> None:
    mesh.environment["MISTUDIO_ACK_WAIT_SECONDS"] = str(HANG_ACK_WAIT)
    gateway_a = await mesh.gateway()
    await mesh.toy()
    job = await mesh.submit(count_job(900))
    await mesh.gateway_b()
    await eventually(lambda: _started(mesh, job.id), what="the job has made progress")
    gateway_a.send_signal(signal.SIGSTOP)
    try:
        log = mesh.home / "process-1.log"
        await eventually(lambda: log.read_text().count('"attached"') > 1, what="the worker has another gateway")
        cursor = mesh.home / "scratch" / job.id / "cursor"
        due = int(cursor.read_text()) + round(1.5 * HANG_ACK_WAIT / STEP_SECONDS)
        await eventually(lambda: int(cursor.read_text() or 0) > due, what="a lease would have ended")
    finally:
        gateway_a.send_signal(signal.SIGCONT)
    await eventually(lambda: _ended(mesh, job.id), within=60, what="the job ends")
    assert [attempt.outcome for attempt in (await mesh.get_b(job.id)).attempts] == SUCCEEDED
    after = await mesh.submit(quick_job())
    await eventually(lambda: _ended(mesh, after.id), what="both gateways are of use")


@pytest.mark.slow
async def test_any_gateway_commands_any_worker(mesh: TwoGateways) -> None:
    await mesh.gateway()
    await mesh.gateway_b()
    worker = mesh.start("-m", "support.toy", "--name", "toy@1", MISTUDIO_GATEWAY=mesh.address)
    await eventually(lambda: mesh.knows("toy@1"), what="B knows the worker of A")
    paused, cancelled = [(await mesh.submit(count_job(10_000))).id for _ in range(2)]
    await eventually(lambda: _started(mesh, paused), what="the first job runs")
    await mesh.b.PauseJob(v1.PauseJobRequest(job_id=paused), timeout=5)
    await mesh.until(paused, v1.JOB_STATE_PAUSED)
    await eventually(lambda: _started(mesh, cancelled), what="the second job runs")
    await mesh.b.CancelJob(v1.CancelJobRequest(job_id=cancelled), timeout=5)
    await mesh.until(cancelled, v1.JOB_STATE_CANCELLED)
    await mesh.b.ResumeJob(v1.ResumeJobRequest(job_id=paused), timeout=5)
    await eventually(lambda: _started(mesh, paused), what="the first job runs again")
    await mesh.workers_b.DrainWorker(v1.DrainWorkerRequest(worker="toy@1"), timeout=10)
    assert await asyncio.to_thread(worker.wait, 20) == 0
    job = await mesh.get_b(paused)
    assert job.state == v1.JOB_STATE_QUEUED
    assert job.attempts[-1].outcome == v1.ATTEMPT_OUTCOME_RELEASED


@pytest.mark.slow
async def test_both_gateways_mend_and_nothing_is_doubled(mesh: TwoGateways, nats_server: NatsServer) -> None:
    gateways = [await mesh.gateway(), await mesh.gateway_b()]
    parents = [(await mesh.submit(quick_job())).id for _ in range(3)]
    client = await nats.connect(nats_server.url)
    js = client.jetstream()
    await js.purge_stream(names.JOBS_STREAM)
    for gateway in gateways:
        gateway.kill()
        gateway.wait()
    before = (await js.stream_info(names.JOBS_STREAM)).state.last_seq
    await asyncio.gather(mesh.gateway(), mesh.gateway_b())

    async def mended() -> int:
        return (await js.stream_info(names.JOBS_STREAM)).state.last_seq - before

    await eventually(lambda: _reaches(mended, len(parents)), what="the lost messages are made again")
    children = [(await mesh.submit(quick_job(depends_on=parents))).id for _ in range(5)]
    await mesh.toy()
    for child in children:
        done = await mesh.until(child, v1.JOB_STATE_SUCCEEDED)
        assert [attempt.outcome for attempt in done.attempts] == SUCCEEDED
    assert await mended() == len(parents) + len(children)
    await client.close()


async def _reaches(count: Callable[[], Awaitable[int]], number: int) -> bool:
    return await count() >= number


async def _collect(stream: AsyncIterator[v1.JobEvent], into: list[v1.JobEvent]) -> None:
    async for event in stream:
        into.append(event)  # noqa: PERF401 - the test looks at what there is meanwhile


def _metrics(events: list[v1.JobEvent]) -> list[float]:
    return [event.metric.value for event in events if event.WhichOneof("event") == "metric"]


async def _started(mesh: TwoGateways, job_id: str) -> bool:
    job = await mesh.get_b(job_id)
    return job.state == v1.JOB_STATE_RUNNING and job.progress.done > 5


async def _ended(mesh: TwoGateways, job_id: str) -> bool:
    return (await mesh.get_b(job_id)).state == v1.JOB_STATE_SUCCEEDED
