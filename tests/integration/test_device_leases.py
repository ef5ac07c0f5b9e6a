"""One job a device, whatever is killed: leases with a real broker, gateways and workers. No device is needed."""

from __future__ import annotations

import itertools
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from mistudio import v1
from support.broker import NatsServer
from support.mesh import ACK_WAIT_SECONDS, Mesh, count_job, free_port
from support.misdeeds import told
from support.waiting import eventually

GPU = "cuda:0"


@pytest.fixture
async def mesh(home: Path, nats_server: NatsServer) -> AsyncIterator[Mesh]:
    async with Mesh(home, nats_server.url) as mesh:
        await mesh.gateway()
        yield mesh


async def on_device(mesh: Mesh, steps: int = 10, device: str = "") -> v1.Job:
    request = count_job(steps, "device", max_attempts=5)
    request.spec.train_sae.device = device
    return await mesh.submit(request)


def never_two_at_once(jobs: Sequence[v1.Job]) -> bool:
    """Tells whether no two attempts on one device overlapped, as the ledger has them."""
    attempts = [attempt for job in jobs for attempt in job.attempts if attempt.device == GPU]
    spans = sorted((one.start_time.ToNanoseconds(), one.end_time.ToNanoseconds()) for one in attempts)
    return all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))


async def test_two_workers_of_a_host_share_a_device_in_turn(mesh: Mesh) -> None:
    for name in ("toy@1", "toy@2"):
        await mesh.toy(name, "--device", GPU, "--slots", "training=3")
    submitted = [await on_device(mesh) for _ in range(6)]
    jobs = [await mesh.until(job.id, v1.JOB_STATE_SUCCEEDED) for job in submitted]
    assert [attempt.device for job in jobs for attempt in job.attempts] == [GPU] * 6
    assert never_two_at_once(jobs)
    assert [told(mesh.home, job.id) for job in jobs] == [["on cuda:0"]] * 6


async def test_a_job_that_waits_says_for_which_device_and_whose_it_is(mesh: Mesh) -> None:
    await mesh.toy("toy@1", "--device", GPU, "--slots", "training=2")
    holder = await on_device(mesh, 100_000)
    await eventually(lambda: told(mesh.home, holder.id), what="the device is used")
    waiting = await on_device(mesh)

    wanted = f"Waits for {GPU} of host {socket.gethostname()}, held by job {holder.id}"
    await eventually(lambda: _is_diagnosed(mesh, waiting.id, wanted), what="the diagnosis names the holder")
    on_cpu = await on_device(mesh, 1, "cpu")
    assert (await mesh.until(on_cpu.id, v1.JOB_STATE_SUCCEEDED)).attempts[0].device == ""
    await mesh.jobs.CancelJob(v1.CancelJobRequest(job_id=holder.id), timeout=10)
    assert (await mesh.until(waiting.id, v1.JOB_STATE_SUCCEEDED)).attempts[0].device == GPU


async def _is_diagnosed(mesh: Mesh, job_id: str, beginning: str) -> bool:
    return (await mesh.get(job_id)).diagnosis.startswith(beginning)


@pytest.mark.slow
async def test_several_jobs_may_share_a_device_if_that_is_configured(home: Path, nats_server: NatsServer) -> None:
    async with Mesh(home, nats_server.url) as mesh:
        mesh.environment["MISTUDIO_JOBS_PER_DEVICE"] = "2"
        await mesh.gateway()
        await mesh.toy("toy@1", "--device", GPU, "--slots", "training=3")
        jobs = [await on_device(mesh, 100_000) for _ in range(3)]
        await eventually(lambda: _running(mesh, jobs, 2), what="two jobs run")
        await mesh.jobs.CancelJob(v1.CancelJobRequest(job_id=jobs[0].id), timeout=10)
        await mesh.until(jobs[2].id, v1.JOB_STATE_RUNNING)


async def _running(mesh: Mesh, jobs: Sequence[v1.Job], count: int) -> bool:
    states = [(await mesh.get(job.id)).state for job in jobs]
    return states.count(v1.JOB_STATE_RUNNING) == count


@pytest.mark.slow
async def test_kills_of_workers_and_gateways_lock_no_device_and_grant_none_twice(mesh: Mesh) -> None:
    second = f"127.0.0.1:{free_port()}"
    gateway = mesh.start("-m", "mistudio_gateway", MISTUDIO_LISTEN=second)
    first = await mesh.toy("toy@1", "--device", GPU, "--slots", "training=2")
    mesh.start(
        "-m", "support.toy", "--name", "toy@2", "--device", GPU, "--slots", "training=2", MISTUDIO_GATEWAY=second
    )
    await eventually(lambda: mesh.attached("toy@2"), what="the second worker is attached")
    submitted = [await on_device(mesh, 40) for _ in range(6)]
    await eventually(lambda: any(told(mesh.home, job.id) for job in submitted), what="a job runs")
    first.send_signal(signal.SIGKILL)
    gateway.send_signal(signal.SIGKILL)
    first.wait()
    gateway.wait()
    mesh.start("-m", "mistudio_gateway", MISTUDIO_LISTEN=second)
    await mesh.toy("toy@3", "--device", GPU)
    jobs = [await mesh.until(job.id, v1.JOB_STATE_SUCCEEDED, within=30 + 2 * ACK_WAIT_SECONDS) for job in submitted]
    assert never_two_at_once(jobs)
    assert not [line for job in jobs for line in told(mesh.home, job.id) if "overlap" in line]
