"""A killed worker's job runs again; a cancel reaches the job's code."""

from __future__ import annotations

import os
import signal
import time

from google.protobuf.duration_pb2 import Duration

from bench.figures import Figure, Target, median, percentile
from bench.jobs.mesh import BenchMesh, running_mesh
from bench.jobs.peer.celery import PREFORK, Celery, running_celery
from bench.jobs.setting import Setting
from mistudio import v1

_LONG_SECONDS = 600
_START_SECONDS = 120.0
_KILLS = 3
_AGAIN = 2.0
_CANCEL = Target(100.0, at_least=False)


async def measure_redelivery(setting: Setting) -> list[Figure]:
    """From the kill -9 of a worker to the first line of its job's second attempt, on another worker."""
    taken: list[tuple[float, float]] = []
    async with running_mesh(setting) as mesh:
        for _ in range(2):
            await mesh.start_worker(1)
        for _ in range(min(_KILLS, setting.rounds)):
            taken.append(await _seconds_until_again(mesh, setting))
            await mesh.start_worker(1)
    peer = await _peer_redelivery(setting) if setting.peer else None
    said = f"{peer:.1f} s" if peer is not None else f"not within {setting.peer_patience_seconds:g} s"
    target = Target(setting.ack_wait_seconds + _AGAIN, at_least=False)
    note = f"ack_wait is {setting.ack_wait_seconds:g} s; " + (f"Celery: {said}" if setting.peer else "kill -9 to start")
    details = {"ack_wait_s": setting.ack_wait_seconds} | ({"celery_redelivery": said} if setting.peer else {})
    claimed, again = median([claimed for claimed, _ in taken]), median([again for _, again in taken])
    return [
        Figure("redelivery_s", again, target, "celery_redelivery_s", peer, note, details),
        Figure("redelivery_claim_s", claimed, note="of it, until the other worker was granted the job"),
    ]


async def measure_cancel(setting: Setting) -> list[Figure]:
    """From CancelJob to the moment at which a running job's code, in a process of its own, sees it."""
    samples = max(1, setting.samples // 4)
    async with running_mesh(setting) as mesh:
        await mesh.start_worker(1)
        ours = [await _ms_until_cancelled(mesh) for _ in range(samples)]
    peer = None
    if setting.peer:
        async with running_celery(setting, PREFORK) as [celery]:
            peer = percentile([await _ms_until_revoked(celery) for _ in range(samples)], 50)
    note = "to what the code checks; Celery: revoke(terminate=True) to SIGTERM in the code"
    return [
        Figure("cancel_p50_ms", percentile(ours, 50), _CANCEL, "celery_cancel_p50_ms", peer, note),
        Figure("cancel_p99_ms", percentile(ours, 99)),
    ]


async def start_long_job(mesh: BenchMesh) -> str:
    """Submits a job that works until it is stopped; returns its id once its code runs."""
    spec = v1.PruneCheckpoints(min_age=Duration(seconds=_LONG_SECONDS))
    job = await mesh.submit(v1.JobSpec(prune_checkpoints=spec))
    await mesh.stamps.wait("start", job, _START_SECONDS)
    return job


async def _seconds_until_again(mesh: BenchMesh, setting: Setting) -> tuple[float, float]:
    """Returns the seconds from the kill until another worker was granted the job, and until its code ran again."""
    job = await start_long_job(mesh)
    worker = mesh.workers[(await _last_attempt(mesh, job)).worker]
    killed, killed_at = time.monotonic_ns(), time.time_ns()
    os.kill(worker.pid, signal.SIGKILL)
    again = await mesh.stamps.wait("start", job, setting.ack_wait_seconds + _START_SECONDS, attempt=2)
    claimed = (await _last_attempt(mesh, job)).start_time.ToNanoseconds()
    await mesh.jobs.CancelJob(v1.CancelJobRequest(job_id=job), timeout=60)
    await mesh.stamps.wait("stop", job, _START_SECONDS, attempt=2)
    return (claimed - killed_at) / 1e9, (again - killed) / 1e9


async def _last_attempt(mesh: BenchMesh, job: str) -> v1.Attempt:
    return (await mesh.jobs.GetJob(v1.GetJobRequest(job_id=job), timeout=60)).job.attempts[-1]


async def _ms_until_cancelled(mesh: BenchMesh) -> float:
    job = await start_long_job(mesh)
    before = time.monotonic_ns()
    await mesh.jobs.CancelJob(v1.CancelJobRequest(job_id=job), timeout=60)
    return (await mesh.stamps.wait("stop", job, _START_SECONDS) - before) / 1e6


async def _peer_redelivery(setting: Setting) -> float | None:
    """Kills a worker with its children and starts another; None if its task was not started again in time."""
    async with running_celery(setting, PREFORK) as [celery]:
        task = (await celery.client.ask("long_task", seconds=_LONG_SECONDS))["task"]
        await celery.stamps.wait("start", task, _START_SECONDS)
        killed = time.monotonic_ns()
        celery.workers[0].kill()
        await celery.workers[0].wait()
        await celery.start_worker()
        try:
            again = await celery.stamps.wait("start", task, setting.peer_patience_seconds, attempt=2)
        except TimeoutError:
            return None
        return (again - killed) / 1e9


async def _ms_until_revoked(celery: Celery) -> float:
    task = (await celery.client.ask("long_task", seconds=_LONG_SECONDS))["task"]
    await celery.stamps.wait("start", task, _START_SECONDS)
    before: int = (await celery.client.ask("revoke", task=task))["ns"]
    return (await celery.stamps.wait("stop", task, _START_SECONDS) - before) / 1e6
