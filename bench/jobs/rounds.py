"""One round of many no-op jobs, ours or the peer's, from the first submit until all have ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.figures import median
from bench.jobs.cpu import CpuMeter
from bench.jobs.mesh import BenchMesh
from bench.jobs.peer.celery import Celery
from bench.jobs.waiting import until
from bench.program import Program
from mistudio import v1

_SECONDS = 900.0
"""Within this a round must be over."""


@dataclass(frozen=True)
class Round:
    """What one round took."""

    jobs: int
    seconds: float
    cpu: dict[str, float]
    """CPU seconds of each part."""

    @property
    def rate(self) -> float:
        """Jobs a second."""
        return self.jobs / self.seconds


def cpu_ms_a_job(rounds: Sequence[Round]) -> dict[str, float]:
    """Returns the CPU milliseconds of each part for one job, medians of rounds, and their sum."""
    parts = {name: median([1000 * each.cpu[name] / each.jobs for each in rounds]) for name in rounds[0].cpu}
    return {name: round(value, 4) for name, value in (parts | {"sum": sum(parts.values())}).items()}


async def our_round(mesh: BenchMesh, clients: Sequence[Program], do: str, jobs: int, **how: Any) -> Round | None:
    """Runs a round until no job has a message any more: that goes only after the job's end is in the ledger.

    Returns None if this gateway cannot do it. Raises RuntimeError if a job did not succeed.
    """
    before = await mesh.count(v1.JOB_STATE_SUCCEEDED)
    share = -(-jobs // len(clients))
    meter = CpuMeter({"client": [client.pid for client in clients], **mesh.pids()})
    begin = time.monotonic()
    answers = await _ask_all(clients, do, jobs=share, **how)
    await mesh.until_done(_SECONDS)
    seconds, cpu = time.monotonic() - begin, meter.seconds()
    sent = sum(answer.get("jobs", share) for answer in answers)
    if (ended := await mesh.count(v1.JOB_STATE_SUCCEEDED) - before) != sent:
        raise RuntimeError(f"{ended} of {sent} jobs succeeded")
    return Round(sent, seconds, cpu) if sent else None


async def peer_round(celery: Celery, tasks: int) -> Round:
    """Runs a round until the results of all tasks are stored."""
    share = -(-tasks // len(celery.clients))
    total = share * len(celery.clients)
    await celery.forget()

    async def done() -> bool:
        return await celery.results() >= total

    meter = CpuMeter(celery.pids())
    begin = time.monotonic()
    await _ask_all(celery.clients, "submit", tasks=share)
    await until(done, _SECONDS, "all tasks have results")
    return Round(total, time.monotonic() - begin, meter.seconds())


async def _ask_all(programs: Sequence[Program], do: str, **arguments: Any) -> list[dict[str, Any]]:
    return await asyncio.gather(*(program.ask(do, **arguments) for program in programs))
