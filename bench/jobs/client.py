"""`python -m bench.jobs.client ADDRESS`: one client process of our side, asked by lines of JSON."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration

import mistudio
from bench.jobs.serving import Answers, serve
from mistudio import v1

_NOOP = v1.JobSpec(collect_garbage=v1.CollectGarbage())
_SECONDS = 120.0


async def lanes(count: int, in_flight: int, work: Callable[[], Awaitable[object]]) -> None:
    """Does `work` `count` times, `in_flight` at a time."""
    turns = iter(range(count))

    async def lane() -> None:
        for _ in turns:
            await work()

    await asyncio.gather(*(lane() for _ in range(in_flight)))


class Client:
    """Submits no-op jobs in the manner that it is asked for."""

    def __init__(self, address: str) -> None:
        """Takes the gateway's address."""
        self._jobs = v1.JobServiceStub(grpc.aio.insecure_channel(address))
        self._sdk = mistudio.AsyncClient(address)

    async def unary(self, jobs: int, in_flight: int) -> dict[str, Any]:
        """Submits one job a call, by the stub."""
        request = v1.SubmitJobRequest(job=v1.JobRequest(spec=_NOOP))
        await lanes(jobs, in_flight, lambda: self._jobs.SubmitJob(request, timeout=_SECONDS))
        return {}

    async def sdk(self, jobs: int, in_flight: int) -> dict[str, Any]:
        """Submits one job a call, by the SDK: with a request id, and safe to repeat."""
        await lanes(jobs, in_flight, lambda: self._sdk.jobs.submit(v1.CollectGarbage(), timeout=_SECONDS))
        return {}

    async def bulk(self, jobs: int, a_call: int, in_flight: int) -> dict[str, Any]:
        """Submits many jobs a call; `jobs` is rounded up to whole calls, and answered."""
        one = v1.SubmitJobRequest(job=v1.JobRequest(spec=_NOOP))
        request = v1.SubmitJobsRequest(requests=[one] * a_call)
        calls = -(-jobs // a_call)
        try:
            await lanes(calls, in_flight, lambda: self._jobs.SubmitJobs(request, timeout=_SECONDS))
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.UNIMPLEMENTED:
                raise
            return {"jobs": 0}
        return {"jobs": calls * a_call}

    async def fill(self, jobs: int, seconds: float, priority: int, in_flight: int) -> dict[str, Any]:
        """Submits jobs that take so long; answers their ids."""
        spec = v1.CollectGarbage(min_age=Duration(nanos=int(seconds * 1e9)))
        request = v1.SubmitJobRequest(job=v1.JobRequest(spec=v1.JobSpec(collect_garbage=spec), priority=priority))
        ids = []

        async def one() -> None:
            ids.append((await self._jobs.SubmitJob(request, timeout=_SECONDS)).job.id)

        await lanes(jobs, in_flight, one)
        return {"ids": ids}

    async def start_times(self, samples: int, pause: float, priority: int = 0) -> dict[str, Any]:
        """Submits a job that tells its start, again and again with pauses; answers the time before each, by job."""
        spec = v1.JobSpec(verify_artifacts=v1.VerifyArtifacts())
        request = v1.SubmitJobRequest(job=v1.JobRequest(spec=spec, priority=priority))
        sent = {}
        for _ in range(samples):
            now = time.monotonic_ns()
            answer = await self._jobs.SubmitJob(request, timeout=_SECONDS)
            sent[answer.job.id] = now
            await asyncio.sleep(pause)
        return {"sent": sent}


def answers() -> Answers:
    """Returns what may be asked."""
    client = Client(sys.argv[1])
    return {
        "unary": client.unary,
        "sdk": client.sdk,
        "bulk": client.bulk,
        "fill": client.fill,
        "start_times": client.start_times,
    }


if __name__ == "__main__":
    serve(answers)
