"""Pausing a queue, whatever is killed meanwhile: no job of it begins until it is resumed."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from nats.aio.client import Client

import mistudio
import mistudio_runtime
from mistudio import v1
from mistudio_gateway.queues.consumers import QueueConsumers
from mistudio_runtime.broker import names
from support.broker import NatsServer
from support.mesh import Mesh, count_job, free_port, quick_job
from support.waiting import eventually

REASON = "the disk is full"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[NatsServer]:
    store = tmp_path / "broker"
    store.mkdir()
    with NatsServer(store, config="jetstream { sync_interval: always }") as server:
        yield server


@pytest.fixture
async def mesh(broker: NatsServer, tmp_path: Path) -> AsyncIterator[Mesh]:
    async with Mesh(tmp_path / "home", broker.url) as started:
        await started.gateway()
        yield started


def queues(mesh: Mesh) -> v1.QueueServiceStub:
    return v1.QueueServiceStub(mesh.channel)


async def queue(mesh: Mesh, name: str = "low_priority") -> v1.Queue:
    answer = await queues(mesh).ListQueues(v1.ListQueuesRequest(), timeout=20)
    return next(one for one in answer.queues if one.name == name)


async def pause(mesh: Mesh, name: str = "low_priority", reason: str = REASON) -> v1.Queue:
    answer = await queues(mesh).PauseQueue(v1.PauseQueueRequest(queue=name, reason=reason), timeout=20)
    return answer.queue


async def resume(mesh: Mesh, name: str = "low_priority") -> v1.Queue:
    return (await queues(mesh).ResumeQueue(v1.ResumeQueueRequest(queue=name), timeout=20)).queue


async def paused_consumers(broker: NatsServer) -> set[str]:
    client = Client()
    await client.connect(broker.url)
    try:
        return {name for name, paused in (await QueueConsumers(client, ["low_priority"]).found()).items() if paused}
    finally:
        await client.close()


async def all_agree(broker: NatsServer, *paused: str) -> bool:
    return await paused_consumers(broker) == {name for one in paused for name in names.consumers(one)}


@pytest.mark.slow
async def test_a_paused_queue_begins_no_job_and_says_so(mesh: Mesh) -> None:
    await mesh.toy()
    running = await mesh.submit(count_job(150))
    await mesh.until(running.id, v1.JOB_STATE_RUNNING)
    paused = await pause(mesh, "training")
    assert (paused.paused, paused.pause_reason) == (True, REASON)
    assert paused.pause_time.ToSeconds()
    waiting = await mesh.submit(count_job(1))
    assert waiting.state == v1.JOB_STATE_QUEUED
    assert (
        f"The queue training is paused since {paused.pause_time.ToDatetime():%Y-%m-%d %H:%M} UTC" in waiting.diagnosis
    )
    assert f"({REASON}): `mistudio queues resume training` lets its jobs run." in waiting.diagnosis
    other = await mesh.submit(quick_job())
    await mesh.until(other.id, v1.JOB_STATE_SUCCEEDED)
    await mesh.until(running.id, v1.JOB_STATE_SUCCEEDED)  # what ran goes on
    assert not (await mesh.get(waiting.id)).attempts
    resumed = await resume(mesh, "training")
    assert (resumed.paused, resumed.pause_reason, resumed.HasField("pause_time")) == (False, "", False)
    await mesh.until(waiting.id, v1.JOB_STATE_SUCCEEDED)


async def test_a_pause_outlives_gateway_and_broker(mesh: Mesh, broker: NatsServer) -> None:
    await mesh.toy()
    await pause(mesh)
    held = await mesh.submit(quick_job())
    mesh.processes[0].send_signal(signal.SIGKILL)
    mesh.processes[0].wait()
    broker.restart()
    await mesh.gateway()
    await eventually(lambda: mesh.attached("toy@1"), what="the worker is back")
    other = await mesh.submit(count_job(1))
    await mesh.until(other.id, v1.JOB_STATE_SUCCEEDED)
    assert not (await mesh.get(held.id)).attempts
    stands = await queue(mesh)
    assert (stands.paused, stands.pause_reason, stands.queued) == (True, REASON, 1)
    await resume(mesh)
    await mesh.until(held.id, v1.JOB_STATE_SUCCEEDED)


async def test_consumers_follow_the_record_whoever_changes_them(mesh: Mesh, broker: NatsServer) -> None:
    await pause(mesh)
    assert await all_agree(broker, "low_priority")
    client = Client()
    await client.connect(broker.url)
    await QueueConsumers(client, ["low_priority"]).agree([])  # as a stranger might
    await client.close()
    mesh.processes[0].send_signal(signal.SIGKILL)
    mesh.processes[0].wait()
    await mesh.gateway()
    await eventually(lambda: all_agree(broker, "low_priority"), what="the consumers are paused again")
    await resume(mesh)
    assert await all_agree(broker)


async def test_an_idle_worker_starts_at_once_when_its_queue_is_resumed(mesh: Mesh) -> None:
    await mesh.toy()
    await pause(mesh)
    jobs = [await mesh.submit(quick_job()) for _ in range(5)]
    await resume(mesh)
    for job in jobs:
        await mesh.until(job.id, v1.JOB_STATE_SUCCEEDED)
    ended = await queue(mesh)
    assert (ended.queued, ended.jobs_per_minute, ended.diagnosis) == (0, 0.5, "")


async def test_no_job_begins_after_the_answer_on_whichever_gateway(mesh: Mesh) -> None:
    second = f"127.0.0.1:{free_port()}"
    mesh.start("-m", "mistudio_gateway", MISTUDIO_LISTEN=second)
    await mesh.toy("near@1")
    mesh.start("-m", "support.toy", "--name", "far@1", MISTUDIO_GATEWAY=second)
    await eventually(lambda: mesh.attached("far@1"), what="far@1 is attached to the other gateway")
    async with mistudio.AsyncClient(mesh.address) as client:
        for _ in range(3):
            jobs = await asyncio.gather(*(mesh.submit(quick_job()) for _ in range(30)))
            paused = await client.queues.pause("low_priority")
            answered = v1.Job().start_time
            answered.GetCurrentTime()
            assert paused.paused
            assert not paused.HasField("time_to_drain") or not paused.queued
            found = [await mesh.get(job.id) for job in jobs]
            starts = [attempt.start_time.ToNanoseconds() for job in found for attempt in job.attempts]
            assert max(starts, default=0) <= answered.ToNanoseconds()
            assert all(len(job.attempts) <= 1 for job in found)
            still = {job.id for job in found if not job.attempts}
            assert {job_id for job_id in still if not (await mesh.get(job_id)).attempts} == still
            await client.queues.resume("low_priority")
            for job in jobs:
                await mesh.until(job.id, v1.JOB_STATE_SUCCEEDED)


async def test_a_gateway_that_stood_still_grants_nothing_of_what_was_paused_meanwhile(
    mesh: Mesh, broker: NatsServer
) -> None:
    second = f"127.0.0.1:{free_port()}"
    still = mesh.start("-m", "mistudio_gateway", MISTUDIO_LISTEN=second)
    mesh.start("-m", "support.toy", "--name", "far@1", MISTUDIO_GATEWAY=second)
    await eventually(lambda: mesh.attached("far@1"), what="far@1 is attached to the other gateway")
    still.send_signal(signal.SIGSTOP)
    job = await mesh.submit(quick_job())
    client = Client()
    await client.connect(broker.url)
    js = client.jetstream()

    async def pulled() -> bool:
        info = await js.consumer_info(names.JOBS_STREAM, names.consumer("low_priority", 3))
        return bool(info.num_ack_pending)

    await eventually(pulled, what="the worker has the message, and its claim waits for the gateway")
    await client.close()
    await pause(mesh)
    still.send_signal(signal.SIGCONT)
    await eventually(lambda: mesh.attached("far@1"), what="far@1 is attached again")
    refused = await eventually(lambda: _refusals(mesh), what="the claim is refused")
    assert job.id in refused
    assert not (await mesh.get(job.id)).attempts
    await resume(mesh)
    await mesh.until(job.id, v1.JOB_STATE_SUCCEEDED)


def _refusals(mesh: Mesh) -> str:
    """Returns what the last worker that was started says of refused claims."""
    text = (mesh.home / f"process-{len(mesh.processes) - 1}.log").read_text()
    return "\n".join(line for line in text.splitlines() if "its queue is paused" in line)


async def test_bad_requests(mesh: Mesh) -> None:
    async with mistudio.AsyncClient(mesh.address) as client:
        for call in (client.queues.pause, client.queues.resume):
            with pytest.raises(mistudio.NotFoundError, match="there is no queue 'trainng'; the queue table has"):
                await call("trainng")
        with pytest.raises(mistudio.InvalidArgumentError, match="reason: is at most 500 characters"):
            await client.queues.pause("training", reason="x" * 501)
        again = [await client.queues.pause("training", reason=reason) for reason in ("first", "", "last")]
        assert [one.pause_reason for one in again] == ["first", "first", "last"]
        assert len({one.pause_time.ToNanoseconds() for one in again}) == 1
        assert not (await client.queues.resume("training")).paused
        assert not (await client.queues.resume("training")).paused


async def test_a_full_queue_refuses_more(broker: NatsServer, tmp_path: Path) -> None:
    shipped = (Path(mistudio_runtime.__file__).parent / "queues.toml").read_text()
    table = tmp_path / "queues.toml"
    table.write_text(shipped.replace("[queues.low_priority]", "[queues.low_priority]\nmax_queued = 3"))
    async with Mesh(tmp_path / "home", broker.url) as mesh:
        mesh.environment["MISTUDIO_QUEUES_FILE"] = str(table)
        await mesh.gateway()
        async with mistudio.AsyncClient(mesh.address) as client:
            spec = mistudio.CollectGarbage()
            jobs = [await client.jobs.submit(spec, request_id=f"garbage-{n}") for n in range(3)]
            with pytest.raises(mistudio.ResourceExhaustedError, match="low_priority is full: 3 jobs wait") as full:
                await client.jobs.submit(spec)
            assert full.value.retry_after == timedelta(seconds=10)
            assert full.value.reason == "LIMIT_REACHED"
            assert full.value.metadata == {"queue": "low_priority", "max_queued": "3", "queued": "3"}
            again = await client.jobs.submit(spec, request_id="garbage-0")
            assert again.id == jobs[0].id
            with pytest.raises(mistudio.ResourceExhaustedError):
                await client.jobs.submit_pipeline({"a": spec, "b": spec})
            stands = await queue(mesh)
            assert (stands.queued, stands.max_queued) == (3, 3)
            await jobs[0].cancel()
            assert (await client.jobs.submit(spec)).id
            burst = await asyncio.gather(*(client.jobs.submit(spec) for _ in range(10)), return_exceptions=True)
            assert all(isinstance(one, mistudio.ResourceExhaustedError) for one in burst)
