"""Finishing a running job early, with what it has."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mistudio import v1
from support.broker import NatsServer
from support.mesh import Mesh, count_job
from support.waiting import eventually

ENDED = (v1.JOB_STATE_SUCCEEDED, v1.JOB_STATE_FAILED, v1.JOB_STATE_CANCELLED)
LONG = 100_000


@pytest.fixture
async def mesh(home: Path, nats_server: NatsServer) -> AsyncIterator[Mesh]:
    async with Mesh(home, nats_server.url) as mesh:
        await mesh.gateway()
        yield mesh


async def running(mesh: Mesh, what: str = "count") -> str:
    """Returns a job that has made progress."""
    job = await mesh.submit(count_job(LONG, what))

    async def started() -> bool:
        return (await mesh.get(job.id)).progress.done > 5

    await eventually(started, what="the job has made progress")
    return job.id


async def logged(mesh: Mesh, job_id: str) -> list[str]:
    return [event.log.message for event in await mesh.watch(job_id) if event.WhichOneof("event") == "log"]


async def test_a_running_job_keeps_what_it_has(mesh: Mesh) -> None:
    await mesh.toy()
    job_id = await running(mesh)
    asked = await mesh.control("Finish", job_id)
    assert (asked.state, asked.finish_requested) == (v1.JOB_STATE_RUNNING, True)
    await mesh.control("Finish", job_id)
    done = await mesh.until(job_id, *ENDED)
    assert (done.state, len(done.attempts), len(done.artifact_ids)) == (v1.JOB_STATE_SUCCEEDED, 1, 1)
    assert (await logged(mesh, job_id))[-1].startswith("finishes at ")
    told = [event.job.finish_requested for event in await mesh.watch(job_id) if event.WhichOneof("event") == "job"]
    assert told == [False, False, True, True]


async def test_after_a_lost_attempt_the_next_one_finishes_at_once(mesh: Mesh) -> None:
    worker = await mesh.toy("toy@1")
    job_id = await running(mesh)
    worker.send_signal(signal.SIGSTOP)
    await mesh.control("Finish", job_id)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    await mesh.toy("toy@2")
    done = await mesh.until(job_id, *ENDED)
    assert done.state == v1.JOB_STATE_SUCCEEDED
    assert [attempt.outcome for attempt in done.attempts] == [v1.ATTEMPT_OUTCOME_LOST, v1.ATTEMPT_OUTCOME_SUCCEEDED]
    lines = await logged(mesh, job_id)
    assert lines[-1].removeprefix("finishes at ") == lines[-2].removeprefix("starts at ") != "0"


@pytest.mark.slow
async def test_a_paused_job_goes_on_only_to_finish_and_a_pause_takes_that_back(mesh: Mesh) -> None:
    await mesh.toy()
    job_id = await running(mesh)
    await mesh.control("Pause", job_id)
    await mesh.until(job_id, v1.JOB_STATE_PAUSED)
    drained = mesh.processes[-1]
    drained.send_signal(signal.SIGTERM)
    drained.wait(20)
    assert (await mesh.control("Finish", job_id)).state == v1.JOB_STATE_QUEUED
    assert (await mesh.control("Finish", job_id)).finish_requested
    paused = await mesh.control("Pause", job_id)
    assert (paused.state, paused.finish_requested) == (v1.JOB_STATE_PAUSED, False)
    await mesh.control("Finish", job_id)
    await mesh.toy("toy@2")
    done = await mesh.until(job_id, *ENDED)
    assert (done.state, len(done.attempts)) == (v1.JOB_STATE_SUCCEEDED, 2)


async def test_a_cancel_counts_more(mesh: Mesh) -> None:
    await mesh.toy()
    job_id = await running(mesh, "stubborn")
    await mesh.control("Finish", job_id)
    await mesh.control("Cancel", job_id)
    assert (await mesh.until(job_id, *ENDED)).state == v1.JOB_STATE_CANCELLED
