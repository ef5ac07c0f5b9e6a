"""`python -m bench.jobs.watcher ADDRESS`: many watchers of jobs whose events carry the time at which they were made."""

from __future__ import annotations

import asyncio
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import grpc.aio

from bench.jobs.serving import Answers, serve
from mistudio import v1

_WATCHES_A_CHANNEL = 50
_SETTLE_SECONDS = 3.0
_GRACE_SECONDS = 3.0
MADE: Mapping[str, Callable[[v1.JobEvent], int]] = {
    "log": lambda event: int(event.log.message),
    "progress": lambda event: event.progress.done,
}
"""Kind of event to when it was made, in nanoseconds by the clock that all processes share."""


class Watcher:
    """Opens watches and notes when each event comes."""

    def __init__(self, address: str) -> None:
        """Takes the gateway's address."""
        self._address = address
        self._arrivals: dict[int, list[int]] = defaultdict(list)

    async def watch(self, jobs: Sequence[str], copies: int, event: str, seconds: float) -> dict[str, Any]:
        """Opens `copies` watches of each job; answers the ms until the last had each event, by when it was made.

        Events count from when the watches have settled. One that somebody did not get is counted as missed.
        """
        watched = [job for job in jobs for _ in range(copies)]
        channels = [self._channel() for _ in range(0, len(watched), _WATCHES_A_CHANNEL)]
        stubs = [v1.JobServiceStub(channel) for channel in channels]
        tasks = [
            asyncio.create_task(self._follow(stubs[number // _WATCHES_A_CHANNEL], job, event))
            for number, job in enumerate(watched)
        ]
        await asyncio.sleep(_SETTLE_SECONDS)
        begin = time.monotonic_ns()
        await asyncio.sleep(seconds)
        end = time.monotonic_ns()
        await asyncio.sleep(_GRACE_SECONDS)
        await _end(tasks)
        for channel in channels:
            await channel.close()
        within = {made: arrived for made, arrived in self._arrivals.items() if begin <= made <= end}
        last = {made: (max(arrived) - made) / 1e6 for made, arrived in within.items() if len(arrived) >= copies}
        return {"ms": last, "missed": len(within) - len(last)}

    async def _follow(self, stub: v1.JobServiceAsyncStub, job: str, event: str) -> None:
        made = MADE[event]
        call = stub.WatchJob(v1.WatchJobRequest(job_id=job, events=[event]))
        async for response in call:
            if response.event.WhichOneof("event") == event:
                self._arrivals[made(response.event)].append(time.monotonic_ns())

    def _channel(self) -> grpc.aio.Channel:
        # Otherwise all channels of a process to one address share a connection.
        return grpc.aio.insecure_channel(self._address, options=[("grpc.use_local_subchannel_pool", 1)])


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    """Ends watches. Raises what ended one of them before."""
    for task in tasks:
        if task.done():
            task.result()
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def answers() -> Answers:
    """Returns what may be asked."""
    return {"watch": lambda **how: Watcher(sys.argv[1]).watch(**how)}


if __name__ == "__main__":
    serve(answers)
