"""Jobs a second through the whole mesh, beside bare messages a second through the same broker.

The jobs are real ones: `update_metadata` of one of 32 artifacts, which a curator runs in a thread.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import nats
from nats.js.api import AckPolicy, RetentionPolicy

import mistudio
from mistudio import v1
from mistudio_runtime.artifacts import ArtifactStore
from mistudio_runtime.broker.embedded import EmbeddedBroker

IN_FLIGHT = 32
ARTIFACT = "report-bench-{}"


@asynccontextmanager
async def mesh(home: Path) -> AsyncIterator[tuple[mistudio.AsyncClient, str]]:
    """Runs a broker with synced writes, a gateway and a curator; gives a client and the broker's URL."""
    for number in range(IN_FLIGHT):
        with ArtifactStore(home / "artifacts").draft("report", job_id="job-bench", attempt=1, index=number) as draft:
            draft.commit()
    async with EmbeddedBroker(home) as broker:
        environment = os.environ | {
            "MISTUDIO_HOME": str(home),
            "MISTUDIO_LISTEN": "127.0.0.1:50951",
            "MISTUDIO_GATEWAY": "127.0.0.1:50951",
            "MISTUDIO_LOG_LEVEL": "error",
        }
        processes = [
            await asyncio.create_subprocess_exec(sys.executable, "-m", *command, env=environment)
            for command in (("mistudio_gateway",), ("mistudio_curator", "--slots", str(IN_FLIGHT)))
        ]
        try:
            async with mistudio.AsyncClient("127.0.0.1:50951") as client:
                await client.ready(60)
                await (await client.artifacts.update(ARTIFACT.format(0), display_name="warm")).result(timeout=60)
                yield client, broker.url
        finally:
            for process in reversed(processes):
                process.send_signal(signal.SIGTERM)
                await process.wait()


async def in_flight(count: int, work: Callable[[int], Awaitable[object]]) -> float:
    """Does `work` `count` times, IN_FLIGHT at a time; returns how often a second."""
    numbers = iter(range(count))

    async def lane() -> None:
        for number in numbers:
            await work(number)

    start = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(IN_FLIGHT)))
    return count / (time.perf_counter() - start)


async def jobs_a_second(client: mistudio.AsyncClient, count: int) -> float:
    """Submits jobs and waits for their ends."""

    async def one(number: int) -> None:
        job = await client.jobs.submit(
            v1.UpdateMetadata(artifact_id=ARTIFACT.format(number % IN_FLIGHT), display_name=str(number))
        )
        await job.result(timeout=60)

    return await in_flight(count, one)


async def messages_a_second(url: str, count: int) -> float:
    """Publishes, pulls and acknowledges bare messages, each with the server's confirmation."""
    connection = await nats.connect(url)
    js = connection.jetstream()
    await js.add_stream(name="BARE", subjects=["bare.>"], retention=RetentionPolicy.WORK_QUEUE)
    await js.add_consumer("BARE", durable_name="bare", ack_policy=AckPolicy.EXPLICIT)
    pull = "$JS.API.CONSUMER.MSG.NEXT.BARE.bare"

    async def one(number: int) -> None:
        await js.publish(f"bare.{number}", b"x")
        message = await connection.request(pull, b'{"batch": 1}', timeout=30, old_style=True)
        await message.ack_sync()

    try:
        return await in_flight(count, one)
    finally:
        await js.delete_stream("BARE")
        await connection.close()


async def measure(count: int, rounds: int) -> dict[str, float]:
    """Measures both in turn; returns the medians and their ratio."""
    jobs, bare = [], []
    with tempfile.TemporaryDirectory() as folder:
        async with mesh(Path(folder)) as (client, url):
            for number in range(rounds):
                jobs.append(await jobs_a_second(client, count))
                bare.append(await messages_a_second(url, count))
                print(f"round {number + 1}: {jobs[-1]:7.0f} jobs/s   {bare[-1]:7.0f} messages/s")
    result = {"jobs_per_s": statistics.median(jobs), "messages_per_s": statistics.median(bare)}
    return result | {"jobs_per_message": result["jobs_per_s"] / result["messages_per_s"]}


def main() -> None:
    """Prints a line a round and, last, one JSON object with the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=300, help="jobs a round")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    print(json.dumps(asyncio.run(measure(given.jobs, given.rounds))))


if __name__ == "__main__":
    main()
