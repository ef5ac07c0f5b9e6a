"""The order in which one worker runs the jobs of several queues."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from mistudio import v1
from support.broker import NatsServer
from support.mesh import MODEL, Mesh, count_job, quick_job

GUARD = 10
"""One of so many slots is filled from the lowest priority."""


@pytest.fixture
async def mesh(tmp_path: Path) -> AsyncIterator[Mesh]:
    store = tmp_path / "broker"
    store.mkdir()
    with NatsServer(store) as server:
        async with Mesh(tmp_path / "home", server.url) as started:
            await started.gateway()
            yield started


def note_job(priority: int) -> v1.JobRequest:
    """Returns a request for a job of the queue high_priority."""
    change = v1.UpdateMetadata(artifact_id=MODEL, display_name="a name")
    return v1.JobRequest(spec=v1.JobSpec(update_metadata=change), priority=priority)


async def in_order_of_start(mesh: Mesh, jobs: Sequence[v1.Job]) -> list[v1.Job]:
    ended = [await mesh.until(job.id, v1.JOB_STATE_SUCCEEDED, within=60) for job in jobs]
    return sorted(ended, key=lambda job: job.attempts[0].start_time.ToNanoseconds())


async def test_queue_then_priority_then_age_is_the_order(mesh: Mesh) -> None:
    make = {
        "low_priority": lambda priority: quick_job(priority=priority),
        "training": lambda priority: count_job(1, priority=priority),
        "high_priority": note_job,
    }
    submitted: list[v1.Job] = []
    for priority in (2, 9, 5, 9, 2):
        submitted += [await mesh.submit(request(priority)) for request in make.values()]
    await mesh.toy("one@1", "--slots", "1")
    started = await in_order_of_start(mesh, submitted)
    for queue in make:
        mine = [job for job in submitted if job.queue == queue]
        wanted = sorted(mine, key=lambda job: (-job.priority, job.create_time.ToNanoseconds()))
        assert [job.id for job in started if job.queue == queue] == [job.id for job in wanted]
    firsts = [next(job for job in started if job.queue == queue).id for queue in make]
    assert [job.id for job in started if job.id in firsts] == firsts[::-1], "the queue's own priority decides between"


async def test_the_lowest_priority_moves_under_constant_load(mesh: Mesh) -> None:
    low = await mesh.submit(quick_job(priority=1))
    high = await asyncio.gather(*(mesh.submit(quick_job(priority=10)) for _ in range(4 * GUARD)))
    await mesh.toy("one@1", "--slots", "1")
    started = await in_order_of_start(mesh, [low, *high])
    assert 0 < [job.id for job in started].index(low.id) <= GUARD
