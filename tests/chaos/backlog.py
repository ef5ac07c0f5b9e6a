"""A large backlog, and everything killed at once: all of it runs afterwards."""

from __future__ import annotations

import asyncio
import random
import signal
from pathlib import Path

import nats.errors
import nats.js.errors

from chaos.client import RefusedError
from chaos.plan import Request
from chaos.report import Report
from chaos.stage import Say, Stage
from chaos.stored import read_ledger
from chaos.topology import Topology, quick_spec
from chaos.traffic import Promised
from mistudio import v1
from mistudio_gateway.state_machine import TERMINAL

JOBS = 10_000
_BATCH = 250
_AT_ONCE = 4
_SLOTS = 24
_LOOK_SECONDS = 3.0
_SETTLE_SECONDS = 900.0
_KILLED_AGAIN_AT = (0.2, 0.6)
"""Once such a share has run, everything is killed again."""


async def backlog(seed: int, home: Path, say: Say, *, jobs: int = JOBS) -> Report:
    """Queues so many quick jobs without any worker, kills everything, and again twice while they run."""
    draw = random.Random(seed)
    async with Stage(Topology(home, workers=0), seed, say) as stage:
        batches = [range(first, min(first + _BATCH, jobs)) for first in range(0, jobs, _BATCH)]
        room = asyncio.Semaphore(_AT_ONCE)
        priorities = [draw.randint(1, 10) for _ in range(jobs)]
        await asyncio.gather(*(_submit(stage, numbers, priorities, room) for numbers in batches))
        stage.tell(f"{len(stage.traffic.promised)} jobs are queued")
        kills = await _kill_everything(stage)
        for _ in range(2):
            await stage.topology.add_worker(slots=_SLOTS)
        for share in _KILLED_AGAIN_AT:
            await _until_ended(stage, round(share * jobs))
            kills += await _kill_everything(stage)
        await stage.settle(_SETTLE_SECONDS)
        return await stage.audited(kills)


async def _submit(stage: Stage, numbers: range, priorities: list[int], room: asyncio.Semaphore) -> None:
    requests = [Request(number, 0.0, "quick", priorities[number], 0, 0.0) for number in numbers]
    jobs = [stage.traffic.request_of(request, quick_spec()) for request in requests]
    async with room:
        try:
            answer = await stage.client.call("SubmitJobs", v1.SubmitJobsRequest(requests=jobs), seconds=60.0)
        except RefusedError as error:
            stage.traffic.refused.append(f"batch {numbers}: {error}")
            return
    for request, job_id in zip(requests, answer.job_ids, strict=True):
        stage.traffic.promised[job_id] = Promised(request, job_id)


async def _until_ended(stage: Stage, wanted: int) -> None:
    ended = 0
    while ended < wanted:
        await asyncio.sleep(_LOOK_SECONDS)
        try:
            ended = sum(job.state in TERMINAL for job in (await read_ledger(stage.js)).values())
        except (nats.errors.Error, nats.js.errors.Error):
            continue
    stage.tell(f"{ended} jobs have ended")


async def _kill_everything(stage: Stage) -> int:
    """Kills broker, gateways and workers at once; returns how many processes."""
    killed = sum(member.signal(signal.SIGKILL) for member in stage.topology.members)
    await asyncio.to_thread(stage.topology.server.kill)
    await asyncio.to_thread(stage.topology.server.start)
    stage.tell(f"broker and {killed} processes are killed")
    await stage.answers()
    stage.tell("the mesh is back")
    return killed + 1
