"""One run: a plan, a mesh, traffic and faults at once, and an audit of what is left."""

from __future__ import annotations

import asyncio
import collections
import contextlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import nats
import nats.errors
import nats.js.errors
from nats.js import JetStreamContext

from chaos.audit_artifacts import audit_artifacts
from chaos.audit_events import audit_events
from chaos.audit_jobs import ENDED, audit_jobs
from chaos.audit_leaks import audit_broker, audit_files, audit_processes
from chaos.client import Client
from chaos.faults import Faults
from chaos.findings import Findings
from chaos.plan import Plan, told
from chaos.report import Report
from chaos.stored import read_ledger, read_stored
from chaos.topology import Topology
from chaos.traffic import Traffic
from mistudio import v1
from mistudio_runtime.broker import names

_LOOK_SECONDS = 1.0
_START_SECONDS = 60.0
_TIDY_SECONDS = 60.0
Say = Callable[[str], None]


@dataclass(frozen=True)
class Shape:
    """How large the mesh is, and how patient the run."""

    gateways: int = 2
    workers: int = 3
    clock_shifts: tuple[float, ...] = (0.0, 180.0, -240.0)
    """By how many seconds the workers' clocks are wrong."""
    settle_seconds: float = 90.0
    """How long jobs may take to end when everything is healed."""


async def run(plan: Plan, shape: Shape, home: Path, say: Say) -> Report:
    """Carries out a plan; says what it does as it does it."""
    for line in told(plan):
        say(line)
    findings = Findings()
    began = time.monotonic()
    topology = Topology(home, gateways=shape.gateways, workers=shape.workers, clock_shifts=shape.clock_shifts)
    async with topology, contextlib.AsyncExitStack() as stack:
        broker = await nats.connect(
            topology.server.url, max_reconnect_attempts=-1, reconnect_time_wait=0.1, error_cb=_ignore
        )
        stack.push_async_callback(broker.close)
        js = broker.jetstream(timeout=10)
        client = Client(topology.addresses())
        stack.push_async_callback(client.close)
        traffic = Traffic(client, f"seed-{plan.seed}")
        faults = Faults(topology, js, say)
        await asyncio.wait_for(client.call("ListJobs", v1.ListJobsRequest()), _START_SECONDS)
        say(f"the mesh is up after {time.monotonic() - began:.1f} s")
        await _hurt(plan, traffic, faults)
        topology.heal()
        say(f"everything is healed after {time.monotonic() - began:.1f} s; {len(traffic.promised)} jobs were promised")
        await _settle(js, traffic.promised, shape.settle_seconds, say)
        await _tidy(topology, client, findings, say)
        findings.other += [f"{line} did not end in order" for line in await topology.stop_members()]
        stored = await read_stored(js)
    audit_jobs(stored, traffic.promised, home, findings)
    audit_events(stored, traffic.promised, findings)
    audit_artifacts(home / "artifacts", stored.jobs, findings)
    audit_broker(stored, findings)
    audit_files(home, findings)
    audit_processes(home, findings)
    findings.other += [f"a client was answered {answer}" for answer in client.strange]
    findings.other += traffic.refused
    exits = collections.Counter(f"{member.name}: {code}" for member in topology.members for code in member.exits)
    findings.notes += [f"ended by itself, {number} times, with code {what}" for what, number in exits.items()]
    say(f"audited after {time.monotonic() - began:.1f} s; clients saw {dict(client.codes)}")
    return Report(plan.seed, faults.kills, len(stored.jobs), findings)


async def _hurt(plan: Plan, traffic: Traffic, faults: Faults) -> None:
    began = time.monotonic()

    async def later(at: float, request: Iterable[object]) -> None:
        await asyncio.sleep(max(0.0, began + at - time.monotonic()))
        await asyncio.gather(*request)  # type: ignore[call-overload]

    requests = [later(request.at, [traffic.run(request)]) for request in plan.requests]
    await asyncio.gather(faults.run(plan, began), *requests)


async def _settle(js: JetStreamContext, promised: Iterable[str], seconds: float, say: Say) -> None:
    """Waits until every promised job is over and the queues are empty."""
    wanted = set(promised)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(nats.errors.Error, nats.js.errors.Error):
            jobs = await read_ledger(js)
            open_jobs = [job_id for job_id in wanted if job_id in jobs and jobs[job_id].state not in ENDED]
            left = (await js.stream_info(names.JOBS_STREAM)).state.messages
            if not open_jobs and not left:
                say(f"all {len(wanted)} promised jobs are over")
                return
        await asyncio.sleep(_LOOK_SECONDS)
    say(f"after {seconds:.0f} s {len(open_jobs)} jobs are not over and {left} messages are left")


async def _tidy(topology: Topology, client: Client, findings: Findings, say: Say) -> None:
    """Lets the curator collect what killed jobs have left, as its schedule would."""
    codes = await asyncio.gather(*(worker.stop() for worker in topology.workers))
    findings.other += [f"a worker ended with {code}" for code in codes if code != 0]
    topology.workers.clear()
    await topology.add_worker(0, "mistudio_curator")
    spec = v1.CollectGarbage()
    spec.min_age.FromSeconds(0)
    request = v1.JobRequest(spec=v1.JobSpec(collect_garbage=spec))
    job_id = (await client.call("SubmitJob", v1.SubmitJobRequest(job=request, request_id="tidy"))).job.id
    deadline = time.monotonic() + _TIDY_SECONDS
    while (job := await client.get(job_id)).state not in ENDED:
        if time.monotonic() > deadline:
            findings.lost.append(f"{job_id} (collect_garbage) does not end: {job.diagnosis}")
            return
        await asyncio.sleep(_LOOK_SECONDS)
    say(f"garbage is collected: {v1.JobState.Name(job.state)} {job.failure.message}")


async def _ignore(_: Exception) -> None:
    """The broker is killed on purpose."""
