"""A gateway that starts with many finished jobs in its ledger."""

from __future__ import annotations

import asyncio
import time

import psutil

from bench.figures import Figure, Target
from bench.jobs.mesh import BenchMesh, running_mesh
from bench.jobs.setting import Setting
from mistudio import v1
from mistudio_runtime.broker import names

_SECONDS = 60.0
_WRITES_IN_FLIGHT = 500
_SETTLE_SECONDS = 2.0
_MEMORY = Target(300.0, at_least=False)
_START = Target(10.0, at_least=False)


async def measure_ledger(setting: Setting) -> list[Figure]:
    """Resident memory of a gateway and the seconds from its start to its first answer."""
    async with running_mesh(setting) as mesh:
        small = await _memory_mb(mesh)
        record = await _finished_record(mesh)
        await mesh.stop_gateway()
        await _copies(mesh, record, setting.ledger)
        seconds = await mesh.start_gateway()
        large = await _memory_mb(mesh)
        request = v1.ListJobsRequest(page_size=50)
        begin = time.perf_counter()
        await mesh.jobs.ListJobs(request, timeout=_SECONDS)
        listed = 1000 * (time.perf_counter() - begin)
        in_ledger = await mesh.count(v1.JOB_STATE_SUCCEEDED)
    note = f"{in_ledger:,} finished jobs, {len(record)} bytes each; {small:.0f} MB with none"
    return [
        Figure("gateway_rss_mb", large, _MEMORY, note=note, details={"gateway_rss_empty_mb": round(small, 1)}),
        Figure("gateway_start_s", seconds, _START, note="from the process's start to its first answer"),
        Figure("list_jobs_ms", listed, note="ListJobs, first page of 50, of this ledger"),
    ]


async def _memory_mb(mesh: BenchMesh) -> float:
    assert mesh.gateway is not None
    await asyncio.sleep(_SETTLE_SECONDS)
    return float(psutil.Process(mesh.gateway.pid).memory_info().rss) / 1e6


async def _finished_record(mesh: BenchMesh) -> bytes:
    """Runs one job to its end; returns its record, enlarged."""
    worker = await mesh.start_worker(1)
    job = await mesh.submit(v1.JobSpec(collect_garbage=v1.CollectGarbage()))
    await mesh.until_done(_SECONDS)
    await worker.stop(_SECONDS)
    bucket = await mesh.client.jetstream().key_value(names.LEDGER_BUCKET)
    return _lifelike((await bucket.get(job)).value or b"")


def _lifelike(record: bytes) -> bytes:
    """Returns the record as a training's is: with a spec, progress, labels and an artifact."""
    job = v1.Job.FromString(record)
    job.kind, job.queue, job.display_name = "train_sae", "training", "topk 16k, layer 12"
    given = v1.ArtifactRef(artifact_id="model-job-0123456789abcdef0123-0")
    saes = [v1.SaeSpec(d_sae=16_384, k=32)]
    job.spec.train_sae.CopyFrom(
        v1.TrainSae(model=given, tokens=given, hook_points=["layer.12.resid_post"], saes=saes, total_tokens=10**9)
    )
    job.progress.CopyFrom(v1.Progress(fraction=1, stage="commit", done=10**9, total=10**9, unit="tokens", rate=1e5))
    job.labels.update({"project": "benchmark", "owner": "somebody"})
    job.artifact_ids.append("sae-job-0123456789abcdef0123-0")
    return job.SerializeToString()


async def _copies(mesh: BenchMesh, record: bytes, count: int) -> None:
    """Writes so many records straight into the bucket, as no gateway runs."""
    js = mesh.client.jetstream()
    numbers = iter(range(count))

    async def lane() -> None:
        job = v1.Job.FromString(record)
        for number in numbers:
            job.id = f"job-bench-{number:010}"
            await js.publish(f"$KV.{names.LEDGER_BUCKET}.{job.id}", job.SerializeToString(), timeout=_SECONDS)

    await asyncio.gather(*(lane() for _ in range(_WRITES_IN_FLIGHT)))
