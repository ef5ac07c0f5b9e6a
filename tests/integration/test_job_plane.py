"""The promises of the job plane, with a real broker, gateway and workers, and real kills."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from importlib import resources
from pathlib import Path

import pytest

from mistudio import v1
from support.broker import NatsServer
from support.mesh import Mesh, count_job, quick_job
from support.waiting import eventually

ENDED = (v1.JOB_STATE_SUCCEEDED, v1.JOB_STATE_FAILED, v1.JOB_STATE_CANCELLED)


@pytest.fixture
async def mesh(home: Path, nats_server: NatsServer) -> AsyncIterator[Mesh]:
    async with Mesh(home, nats_server.url) as mesh:
        await mesh.gateway()
        yield mesh


async def test_a_job_runs_to_its_end_and_tells_everything(mesh: Mesh) -> None:
    await mesh.toy()
    job = await mesh.submit(count_job(20))
    events = await mesh.watch(job.id)
    states = [event.job.state for event in events if event.WhichOneof("event") == "job"]
    assert states == [v1.JOB_STATE_QUEUED, v1.JOB_STATE_RUNNING, v1.JOB_STATE_SUCCEEDED]
    numbers = [event.metric.value for event in events if event.WhichOneof("event") == "metric"]
    assert numbers == [float(n) for n in range(20)]
    fractions = [event.progress.fraction for event in events if event.WhichOneof("event") == "progress"]
    assert fractions == sorted(fractions)
    assert all(fraction < 1 for fraction in fractions)
    done = events[-1].job
    assert done.progress.fraction == 1
    assert done.artifact_ids == [f"sae-{job.id.removeprefix('job-')}-0"]
    assert [event.log.message for event in events if event.WhichOneof("event") == "log"] == ["starts at 0"]


async def test_a_quick_job_runs_in_the_worker_itself(mesh: Mesh) -> None:
    await mesh.toy()
    job = await mesh.submit(quick_job())
    assert (await mesh.until(job.id, *ENDED)).state == v1.JOB_STATE_SUCCEEDED


async def test_a_queue_without_a_worker_is_told_everywhere(mesh: Mesh) -> None:
    job = await mesh.submit(count_job())
    sentence = "No worker serves the queue training"
    assert sentence in job.diagnosis
    assert "mistudio_trainer" in (await mesh.get(job.id)).diagnosis
    watching = asyncio.create_task(mesh.watch(job.id))
    queues = await v1.QueueServiceStub(mesh.channel).ListQueues(v1.ListQueuesRequest(), timeout=5)
    assert sentence in next(queue for queue in queues.queues if queue.name == "training").diagnosis
    await mesh.toy()
    events = await watching
    assert any(sentence in event.diagnosis for event in events)
    assert events[-1].job.state == v1.JOB_STATE_SUCCEEDED


async def test_a_killed_worker_loses_nothing(mesh: Mesh) -> None:
    worker = await mesh.toy("toy@1")
    job = await mesh.submit(count_job(150))
    await eventually(lambda: _started(mesh, job.id), what="the job has made progress")
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    await mesh.toy("toy@2")
    done = await mesh.until(job.id, *ENDED)
    assert done.state == v1.JOB_STATE_SUCCEEDED
    assert [attempt.outcome for attempt in done.attempts] == [v1.ATTEMPT_OUTCOME_LOST, v1.ATTEMPT_OUTCOME_SUCCEEDED]
    starts = [event.log.message for event in await mesh.watch(job.id) if event.WhichOneof("event") == "log"]
    assert starts[0] == "starts at 0"
    assert starts[1] != "starts at 0"


async def test_a_killed_job_process_is_one_failed_attempt(mesh: Mesh) -> None:
    await mesh.toy()
    job = await mesh.submit(count_job(3, "die_once"))
    done = await mesh.until(job.id, *ENDED)
    assert done.state == v1.JOB_STATE_SUCCEEDED
    assert done.attempts[0].failure.reason == "PROCESS_DIED"
    assert "signal 9" in done.attempts[0].failure.message


async def test_failures(mesh: Mesh) -> None:
    await mesh.toy()
    bad = await mesh.submit(count_job(3, "permanent"))
    flaky = await mesh.submit(count_job(3, "transient_once"))
    broken = await mesh.submit(count_job(3, "crash", max_attempts=1))
    failed = await mesh.until(bad.id, *ENDED)
    assert (failed.state, len(failed.attempts)) == (v1.JOB_STATE_FAILED, 1)
    assert failed.failure.message == "the toy never works; change the hook point"
    assert (await mesh.until(flaky.id, *ENDED)).state == v1.JOB_STATE_SUCCEEDED
    unexpected = await mesh.until(broken.id, *ENDED)
    assert unexpected.failure.reason == "UNEXPECTED"
    assert "secret" not in unexpected.failure.message


async def test_a_job_above_its_memory_limit_ends_and_its_worker_lives(mesh: Mesh) -> None:
    await mesh.toy("toy@1", "--memory-limit", "400000")
    job = await mesh.submit(count_job(200, "greedy"))
    failed = await mesh.until(job.id, *ENDED)
    assert failed.failure.reason == "MEMORY_LIMIT"
    after = await mesh.submit(count_job(3))
    assert (await mesh.until(after.id, *ENDED)).state == v1.JOB_STATE_SUCCEEDED


async def test_the_queue_table_limits_memory_where_the_worker_was_told_nothing(mesh: Mesh, tmp_path: Path) -> None:
    shipped = resources.files("mistudio_runtime").joinpath("queues.toml").read_text()
    table = tmp_path / "queues.toml"
    table.write_text(shipped.replace("memory_limit_kb = 4_000_000", "memory_limit_kb = 400_000"))
    mesh.start("-m", "support.toy", "--name", "toy@1", MISTUDIO_QUEUES_FILE=str(table))
    failed = await mesh.until((await mesh.submit(count_job(200, "greedy"))).id, *ENDED)
    assert failed.failure.reason == "MEMORY_LIMIT"
    assert "its queue allows 0.4 GB" in failed.failure.message


@pytest.mark.parametrize("manner", ["count", "stubborn"])
async def test_cancel_ends_a_running_job(mesh: Mesh, manner: str) -> None:
    await mesh.toy()
    job = await mesh.submit(count_job(100_000, manner))
    await mesh.until(job.id, v1.JOB_STATE_RUNNING)
    await mesh.jobs.CancelJob(v1.CancelJobRequest(job_id=job.id), timeout=10)
    done = await mesh.until(job.id, *ENDED)
    assert done.state == v1.JOB_STATE_CANCELLED
    assert done.attempts[0].outcome == v1.ATTEMPT_OUTCOME_CANCELLED


async def test_a_cancelled_queued_job_never_starts(mesh: Mesh) -> None:
    job = await mesh.submit(count_job())
    await mesh.jobs.CancelJob(v1.CancelJobRequest(job_id=job.id), timeout=10)
    await mesh.toy()
    after = await mesh.submit(count_job())
    await mesh.until(after.id, *ENDED)
    cancelled = await mesh.get(job.id)
    assert cancelled.state == v1.JOB_STATE_CANCELLED
    assert not cancelled.attempts


async def test_pause_and_resume_go_on_where_the_job_was(mesh: Mesh) -> None:
    await mesh.toy()
    job = await mesh.submit(count_job(100))
    await eventually(lambda: _started(mesh, job.id), what="the job has made progress")
    await mesh.jobs.PauseJob(v1.PauseJobRequest(job_id=job.id), timeout=10)
    paused = await mesh.until(job.id, v1.JOB_STATE_PAUSED)
    assert "jobs resume" in paused.diagnosis
    await mesh.jobs.ResumeJob(v1.ResumeJobRequest(job_id=job.id), timeout=10)
    done = await mesh.until(job.id, *ENDED)
    assert done.state == v1.JOB_STATE_SUCCEEDED
    starts = [event.log.message for event in await mesh.watch(job.id) if event.WhichOneof("event") == "log"]
    assert len(starts) == 2
    assert starts[1] != "starts at 0"


async def test_a_drained_worker_gives_its_job_to_another(mesh: Mesh) -> None:
    first = await mesh.toy("toy@1")
    job = await mesh.submit(count_job(150))
    await eventually(lambda: _started(mesh, job.id), what="the job has made progress")
    first.send_signal(signal.SIGTERM)
    assert first.wait(20) == 0
    assert (await mesh.get(job.id)).state == v1.JOB_STATE_QUEUED
    await mesh.toy("toy@2")
    done = await mesh.until(job.id, *ENDED)
    assert done.state == v1.JOB_STATE_SUCCEEDED
    assert [attempt.outcome for attempt in done.attempts] == [v1.ATTEMPT_OUTCOME_RELEASED, v1.ATTEMPT_OUTCOME_SUCCEEDED]
    assert done.failed_attempts == 0


async def test_a_resize_and_a_drain_are_answered_with_what_the_worker_then_is(mesh: Mesh) -> None:
    process = await mesh.toy("toy@1")
    workers = v1.WorkerServiceStub(mesh.channel)
    resize = v1.ResizeWorkerRequest(worker="toy@1", queue="training", slots=3)
    resized = (await workers.ResizeWorker(resize, timeout=10)).worker.worker.queues
    assert {served.queue: served.slots for served in resized}["training"] == 3
    assert (await workers.DrainWorker(v1.DrainWorkerRequest(worker="toy@1"), timeout=10)).worker.draining
    assert process.wait(20) == 0


async def test_broker_and_gateway_may_be_killed_while_a_job_runs(mesh: Mesh, nats_server: NatsServer) -> None:
    await mesh.toy()
    job = await mesh.submit(count_job(400))
    await eventually(lambda: _started(mesh, job.id), what="the job has made progress")
    nats_server.kill()
    nats_server.start()
    mesh.processes[0].kill()
    mesh.processes[0].wait()
    await mesh.gateway()
    done = await mesh.until(job.id, *ENDED, within=60)
    assert done.state == v1.JOB_STATE_SUCCEEDED
    assert len(done.attempts) == 1
    metrics = [event.metric.value for event in await mesh.watch(job.id) if event.WhichOneof("event") == "metric"]
    assert sorted(set(metrics)) == [float(n) for n in range(400)]


async def test_the_same_request_id_is_the_same_job(mesh: Mesh) -> None:
    first = await mesh.submit(count_job(), request_id="once")
    again = await mesh.submit(count_job(), request_id="once")
    assert again.id == first.id


async def _started(mesh: Mesh, job_id: str) -> bool:
    return (await mesh.get(job_id)).progress.done > 5
