"""`python -m bench.jobs.simulated ADDRESS`: many workers that speak the session's protocol and compute nothing."""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import grpc.aio

from bench.jobs.serving import Answers, serve
from mistudio import v1

_SESSIONS_A_CHANNEL = 20
_ATTACH_SECONDS = 120.0
_ATTACHING = 50
_STEPS = 1_000_000


class SimulatedWorker:
    """One session with one running job, of which it reports progress each second."""

    def __init__(self, name: str, queue: str, job: str) -> None:
        """Takes who it is and which job it claims."""
        self.reports = 0
        self._name = name
        self._queue = queue
        self._running = v1.RunningAttempt(job_id=job, attempt=1, queue=queue)
        self._ids = itertools.count(time.time_ns())
        self._tasks: list[asyncio.Task[None]] = []

    async def attach(self, stub: v1.WorkerSessionServiceAsyncStub) -> None:
        """Registers, claims the job and begins to report. Raises RuntimeError if the claim is not granted."""
        call: Any = stub.Attach()  # what it reads may also be the end of the stream
        served = [v1.ServedQueue(queue=self._queue, slots=1)]
        me = v1.Worker(name=self._name, services=["curator"], queues=served, host=socket.gethostname(), pid=os.getpid())
        await call.write(v1.AttachRequest(register=v1.Register(worker=me)))
        registered = (await call.read()).registered
        claim = v1.Claim(job_id=self._running.job_id, enqueue_count=1)
        await call.write(v1.AttachRequest(id=next(self._ids), claim=claim))
        await _granted(call)
        beat = registered.heartbeat_interval.ToTimedelta().total_seconds()
        self._tasks = [
            asyncio.create_task(self._say(call, beat)),
            asyncio.create_task(_listen(call)),
        ]

    async def stop(self) -> None:
        """Goes away. Raises what has ended its session before."""
        for task in self._tasks:
            if task.done():
                task.result()
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _say(self, call: Any, beat: float) -> None:
        heartbeat = v1.Heartbeat(running=[self._running], queues=[v1.ServedQueue(queue=self._queue, slots=1)])
        next_beat = 0.0
        await asyncio.sleep(random.random())
        due = time.monotonic()
        for step in range(_STEPS):
            if time.monotonic() >= next_beat:
                await call.write(v1.AttachRequest(heartbeat=heartbeat))
                next_beat = time.monotonic() + beat
            progress = v1.Progress(fraction=step / _STEPS, stage="bench", done=time.monotonic_ns())
            report = v1.AttemptReport(job_id=self._running.job_id, attempt=1, progress=progress)
            await call.write(v1.AttachRequest(id=next(self._ids), report=report))
            self.reports += 1
            due += 1.0
            await asyncio.sleep(max(0.0, due - time.monotonic()))


class Simulation:
    """The workers of one process."""

    def __init__(self, address: str) -> None:
        """Takes the gateway's address."""
        self._address = address
        self._channels: list[grpc.aio.Channel] = []
        self._workers: list[SimulatedWorker] = []

    async def attach(self, prefix: str, queue: str, jobs: Sequence[str]) -> dict[str, Any]:
        """Attaches one worker a job."""
        self._workers = [SimulatedWorker(f"{prefix}@{number}", queue, job) for number, job in enumerate(jobs)]
        room = asyncio.Semaphore(_ATTACHING)

        async def one(worker: SimulatedWorker, stub: v1.WorkerSessionServiceAsyncStub) -> None:
            async with room:
                await worker.attach(stub)

        async with asyncio.timeout(_ATTACH_SECONDS):
            await asyncio.gather(
                *(one(worker, stub) for worker, stub in zip(self._workers, self._stubs(), strict=False))
            )
        return {}

    async def reports(self) -> dict[str, Any]:
        """Answers how many reports were written so far."""
        return {"reports": sum(worker.reports for worker in self._workers)}

    async def stop(self) -> dict[str, Any]:
        """Ends all sessions; answers how many had ended before."""
        ended = await asyncio.gather(*(worker.stop() for worker in self._workers), return_exceptions=True)
        for channel in self._channels:
            await channel.close()
        return {"ended": sum(isinstance(each, BaseException) for each in ended)}

    def _stubs(self) -> Iterator[v1.WorkerSessionServiceAsyncStub]:
        while True:
            options = [("grpc.use_local_subchannel_pool", 1)]
            self._channels.append(grpc.aio.insecure_channel(self._address, options=options))
            stub = v1.WorkerSessionServiceStub(self._channels[-1])
            yield from itertools.repeat(stub, _SESSIONS_A_CHANNEL)


async def _granted(call: Any) -> None:
    while (response := await call.read()) != grpc.aio.EOF:
        for each in response.batch.responses if response.HasField("batch") else [response]:
            if each.HasField("claim_answer"):
                if each.claim_answer.verdict != v1.CLAIM_VERDICT_GRANTED:
                    raise RuntimeError(f"a claim was refused: {each.claim_answer.reason}")
                return
    raise RuntimeError("the session ended before the claim was answered")


async def _listen(call: Any) -> None:
    while await call.read() != grpc.aio.EOF:
        pass
    raise RuntimeError("the session ended")


def answers() -> Answers:
    """Returns what may be asked."""
    simulation = Simulation(sys.argv[1])
    return {"attach": simulation.attach, "reports": simulation.reports, "stop": simulation.stop}


if __name__ == "__main__":
    serve(answers)
