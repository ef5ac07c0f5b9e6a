"""Many watchers of one job, and many workers of one gateway."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

from google.protobuf.duration_pb2 import Duration

from bench.figures import Figure, Target, percentile
from bench.jobs.cpu import CpuMeter
from bench.jobs.mesh import QUEUE, BenchMesh, running_mesh
from bench.jobs.setting import Setting
from bench.program import Program
from mistudio import v1

_PROCESSES = 2
_LONG_SECONDS = 600
_START_SECONDS = 120.0
_ALL_HAVE_IT = Target(50.0, at_least=False)
_LAG = Target(1_000.0, at_least=False)
_SAMPLED = 100
_STEPS = (1.0, 0.75, 0.5, 0.375, 0.25, 0.125, 0.0625)
_PUNCTUAL = 0.95
"""So much of a report a second must the simulated workers really have sent, or they were the wall themselves."""
_SEEN = 0.5
"""So much of it must watchers see: the mesh may coalesce progress, but not swallow it."""


async def measure_watchers(setting: Setting) -> list[Figure]:
    """From a line in a job's code to the last of its watchers having it; the clients' own time counts too."""
    async with AsyncExitStack() as stack:
        mesh = await stack.enter_async_context(running_mesh(setting))
        await mesh.start_worker(1)
        watchers = await _programs(stack, "watcher", mesh)
        spec = v1.PruneCheckpoints(min_age=Duration(seconds=_LONG_SECONDS), dry_run=True)
        job = await mesh.submit(v1.JobSpec(prune_checkpoints=spec))
        await mesh.stamps.wait("start", job, _START_SECONDS)
        copies = max(1, setting.watchers // _PROCESSES)
        how = {"jobs": [job], "copies": copies, "event": "log", "seconds": setting.window_seconds}
        answers = await asyncio.gather(*(program.ask("watch", **how) for program in watchers))
        await mesh.jobs.CancelJob(v1.CancelJobRequest(job_id=job), timeout=60)
    seen: list[dict[str, float]] = [answer["ms"] for answer in answers]
    last = [max(each[made] for each in seen) for made in seen[0] if all(made in each for each in seen)]
    if not last:
        raise RuntimeError("no event was seen by all watchers")
    missed = sum(answer["missed"] for answer in answers)
    note = f"{copies * _PROCESSES} watchers in {_PROCESSES} processes, {len(last)} events, {missed} not seen by all"
    return [
        Figure("watchers_p50_ms", percentile(last, 50), _ALL_HAVE_IT, note=note),
        Figure("watchers_max_ms", max(last)),
    ]


async def measure_workers(setting: Setting) -> list[Figure]:
    """The most simulated workers, of the steps tried, whose progress is seen within a second (p99)."""
    tried: dict[int, dict[str, Any]] = {}
    for step in _STEPS:
        workers = max(1, int(setting.workers * step))
        tried[workers] = await _lag(setting, workers)
        print(f"{workers} simulated workers: {tried[workers]}", flush=True)
        if tried[workers]["holds"]:
            break
    best = tried[workers]
    note = "1 report/s each" if best["holds"] else f"even {workers} do not hold"
    target = Target(setting.workers, at_least=True)
    return [
        Figure("workers_held", workers if best["holds"] else 0, target, note=note, details={"workers_tried": tried}),
        Figure("workers_lag_p50_ms", best.get("p50_ms")),
        Figure("workers_lag_p99_ms", best.get("p99_ms"), _LAG),
    ]


async def _lag(setting: Setting, workers: int) -> dict[str, Any]:
    try:
        async with AsyncExitStack() as stack:
            return await _measured_lag(setting, workers, stack)
    except (ExceptionGroup, RuntimeError, TimeoutError, OSError) as error:
        return {"holds": False, "why": f"{type(error).__name__}: {error}"}


async def _measured_lag(setting: Setting, workers: int, stack: AsyncExitStack) -> dict[str, Any]:
    mesh = await stack.enter_async_context(running_mesh(setting))
    client = await stack.enter_async_context(await Program.start("bench.jobs.client", mesh.address))
    watcher = await stack.enter_async_context(await Program.start("bench.jobs.watcher", mesh.address))
    simulations = await _programs(stack, "simulated", mesh)
    filled = await client.ask("fill", jobs=workers, seconds=0, priority=1, in_flight=setting.in_flight)
    shares = [filled["ids"][number::_PROCESSES] for number in range(_PROCESSES)]
    await asyncio.gather(
        *(
            simulation.ask("attach", prefix=f"sim{number}", queue=QUEUE, jobs=share)
            for number, (simulation, share) in enumerate(zip(simulations, shares, strict=True))
        )
    )
    before, meter = await _reports(simulations), CpuMeter(mesh.pids())
    begin = asyncio.get_running_loop().time()
    sampled = filled["ids"][:: max(1, workers // _SAMPLED)]
    seen = await watcher.ask("watch", jobs=sampled, copies=1, event="progress", seconds=setting.window_seconds)
    seconds = asyncio.get_running_loop().time() - begin
    rate, cpu = (await _reports(simulations) - before) / seconds, meter.seconds()
    ended = sum([(await simulation.ask("stop"))["ended"] for simulation in simulations])
    lags = list(seen["ms"].values())
    told = {
        "p50_ms": round(percentile(lags, 50), 1) if lags else None,
        "p99_ms": round(percentile(lags, 99), 1) if lags else None,
        "reports_per_s": round(rate, 1),
        "seen_share": round(len(lags) / (len(sampled) * setting.window_seconds), 3),
        "sessions_ended": ended,
    }
    return {
        "holds": _holds(workers, told),
        **told,
        "cpu_share": {name: round(s / seconds, 3) for name, s in cpu.items()},
    }


def _holds(workers: int, told: dict[str, Any]) -> bool:
    prompt = told["p99_ms"] is not None and told["p99_ms"] <= _LAG.limit
    punctual = told["reports_per_s"] >= _PUNCTUAL * workers and told["seen_share"] >= _SEEN
    return prompt and punctual and not told["sessions_ended"]


async def _reports(simulations: list[Program]) -> int:
    return sum([(await simulation.ask("reports"))["reports"] for simulation in simulations])


async def _programs(stack: AsyncExitStack, name: str, mesh: BenchMesh) -> list[Program]:
    return [
        await stack.enter_async_context(await Program.start(f"bench.jobs.{name}", mesh.address))
        for _ in range(_PROCESSES)
    ]
