"""What is told of workers, and what is asked of them while they are busy, with real kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import grpc
import grpc.aio
import psutil
import pytest

from mistudio import v1
from support.broker import NatsServer
from support.mesh import Mesh, count_job
from support.waiting import eventually

ENDED = (v1.JOB_STATE_SUCCEEDED, v1.JOB_STATE_FAILED, v1.JOB_STATE_CANCELLED)


@pytest.fixture
async def mesh(home: Path, nats_server: NatsServer) -> AsyncIterator[Mesh]:
    async with Mesh(home, nats_server.url) as mesh:
        await mesh.gateway()
        yield mesh


def workers(mesh: Mesh) -> v1.WorkerServiceStub:
    return v1.WorkerServiceStub(mesh.channel)


async def status(mesh: Mesh, name: str = "toy@1") -> v1.WorkerStatus | None:
    """Returns what the mesh knows of a worker."""
    answer = await workers(mesh).ListWorkers(v1.ListWorkersRequest(), timeout=5)
    return next((found for found in answer.workers if found.worker.name == name), None)


async def runs(mesh: Mesh, count: int, *, measured: bool = False) -> bool:
    """Tells whether a worker says that it runs so many jobs, with the memory of each if that is asked."""
    found = await status(mesh)
    running = list(found.running) if found else []
    return len(running) == count and (not measured or all(one.rss_bytes for one in running))


async def ended(mesh: Mesh, jobs: Sequence[v1.Job]) -> list[v1.Job]:
    return [await mesh.until(job.id, *ENDED) for job in jobs]


async def test_a_worker_tells_what_it_is_and_what_it_runs(mesh: Mesh) -> None:
    process = await mesh.toy("toy@1", "--device", "cuda:0", "--slots", "training=2")
    job = await mesh.submit(count_job(100_000))
    await eventually(lambda: runs(mesh, 1, measured=True), what="the worker tells of its job")
    found = await status(mesh)
    assert found is not None
    running = found.running[0]
    assert (running.job_id, running.kind, running.attempt, running.device) == (job.id, "train_sae", 1, "cuda:0")
    assert found.rss_bytes > running.rss_bytes > 10_000_000
    assert (found.worker.pid, found.worker.device) == (process.pid, "cuda:0")
    assert psutil.Process(process.pid).create_time() - 1 < found.worker.start_time.ToSeconds() + 1
    listed = _command(mesh, "--json", "workers")["workers"][0]
    assert listed["running"][0]["kind"] == "train_sae"
    await mesh.jobs.CancelJob(v1.CancelJobRequest(job_id=job.id), timeout=10)


async def test_a_full_worker_that_is_made_smaller_ends_what_it_runs_and_takes_less(mesh: Mesh) -> None:
    await mesh.toy("toy@1", "--slots", "training=3")
    long = [await mesh.submit(count_job(100_000)) for _ in range(3)]
    await eventually(lambda: runs(mesh, 3), what="the worker is full")
    resize = v1.ResizeWorkerRequest(worker="toy@1", queue="training", slots=1)
    resized = (await workers(mesh).ResizeWorker(resize, timeout=10)).worker
    assert {served.queue: served.slots for served in resized.worker.queues}["training"] == 1
    assert len(resized.running) == 3
    waiting = await mesh.submit(count_job(1))
    for job in long[:2]:
        await mesh.jobs.CancelJob(v1.CancelJobRequest(job_id=job.id), timeout=10)
    await eventually(lambda: runs(mesh, 1), what="two of them have ended")
    assert (await mesh.get(waiting.id)).state == v1.JOB_STATE_QUEUED
    await mesh.jobs.CancelJob(v1.CancelJobRequest(job_id=long[2].id), timeout=10)
    assert (await mesh.until(waiting.id, *ENDED)).state == v1.JOB_STATE_SUCCEEDED


@pytest.mark.slow
async def test_a_dead_worker_is_neither_resized_nor_drained(mesh: Mesh) -> None:
    process = await mesh.toy()
    process.send_signal(signal.SIGKILL)
    process.wait()
    resize = v1.ResizeWorkerRequest(worker="toy@1", queue="training", slots=2)
    shown = (await workers(mesh).ResizeWorker(resize, timeout=10)).worker  # its record has not expired yet
    assert {served.queue: served.slots for served in shown.worker.queues}["training"] == 1
    await eventually(lambda: _gone(mesh), what="its record has expired")
    for call in (
        workers(mesh).ResizeWorker(resize, timeout=10),
        workers(mesh).DrainWorker(v1.DrainWorkerRequest(worker="toy@1"), timeout=10),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call
        assert error.value.code() == grpc.StatusCode.NOT_FOUND


async def _gone(mesh: Mesh) -> bool:
    return await status(mesh) is None


async def test_a_drain_gives_running_jobs_to_others_at_once_and_a_kill_in_the_middle_loses_none(mesh: Mesh) -> None:
    first = await mesh.toy("toy@1", "--slots", "training=2")
    jobs = [await mesh.submit(count_job(60)) for _ in range(4)]
    await eventually(lambda: runs(mesh, 2), what="the worker is full")
    await mesh.toy("toy@2", "--slots", "training=2")
    await workers(mesh).DrainWorker(v1.DrainWorkerRequest(worker="toy@1"), timeout=10)
    first.send_signal(signal.SIGKILL)
    first.wait()
    done = await ended(mesh, jobs)
    assert [job.state for job in done] == [v1.JOB_STATE_SUCCEEDED] * 4


@pytest.mark.slow
async def test_a_job_that_takes_too_much_is_told_what_fits_and_the_told_command_works(mesh: Mesh) -> None:
    await mesh.toy("toy@1", "--memory-limit", "400000")
    request = count_job(4, "hoard")
    request.spec.train_sae.batch_tokens = 4
    job = await mesh.submit(request)
    failed = await mesh.until(job.id, *ENDED)
    assert failed.failure.reason == "MEMORY_LIMIT"
    assert dict(failed.failure.advice) == {"train_sae.batch_tokens": "1"}
    told = f"`mistudio jobs retry {job.id} --set train_sae.batch_tokens=1`"
    assert f"its worker allows 0.4 GB: it would fit with {told}, or raise --memory-limit" in failed.failure.message
    _command(mesh, "--json", *told.strip("`").split()[1:])
    assert (await mesh.until(job.id, *ENDED)).state == v1.JOB_STATE_SUCCEEDED


def _command(mesh: Mesh, *arguments: str) -> dict[str, list[dict[str, list[dict[str, str]]]]]:
    command = [sys.executable, "-m", "mistudio.cli", "--gateway", mesh.address, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **mesh.environment})
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))
