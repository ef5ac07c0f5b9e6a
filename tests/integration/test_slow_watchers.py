"""A watcher that does not read is no reason for a gateway to grow."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest

from mistudio import v1
from mistudio_gateway.batching import BatchedStream
from mistudio_runtime.broker import names
from mistudio_runtime.broker.connection import connect
from support.broker import NatsServer
from support.gateway_parts import line
from support.mesh import Mesh, quick_job

EVENTS = 50_000
AT_ONCE = 5_000
TEXT = "x" * 500
IDLE_WATCHERS = 4
BOUND = 40_000_000
"""Bytes; the events are 27 million, so that two watchers for whom they are hoarded would be noticed."""


async def write(nats_url: str, job_id: str) -> None:
    """Stores the log lines."""
    client = await connect(nats_url, "test")
    stream = BatchedStream(client)
    data = line(job_id, TEXT).SerializeToString()
    for _ in range(EVENTS // AT_ONCE):
        await asyncio.gather(*(stream.append(names.event_subject(job_id, "log"), data) for _ in range(AT_ONCE)))
    await client.close()


@pytest.mark.slow
async def test_a_watcher_that_never_reads_costs_no_memory(home: Path, nats_server: NatsServer) -> None:
    async with Mesh(home, nats_server.url) as mesh:
        gateway = psutil.Process((await mesh.gateway()).pid)
        job = await mesh.submit(quick_job())
        idle = [mesh.jobs.WatchJob(v1.WatchJobRequest(job_id=job.id)) for _ in range(IDLE_WATCHERS)]
        for call in idle:
            await call.read()  # it is open, and from here on nobody reads
        before = gateway.memory_info().rss
        reader = mesh.jobs.WatchJob(v1.WatchJobRequest(job_id=job.id, events=["log"]))
        writing = asyncio.create_task(write(nats_server.url, job.id))
        for _ in range(EVENTS):
            await reader.read()
        await writing
        assert gateway.memory_info().rss - before < BOUND
        for call in (*idle, reader):
            call.cancel()
