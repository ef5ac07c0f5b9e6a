"""Stalls and mix-ups, with a real broker, gateway and workers: one effect, and nothing stuck."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest

from mistudio import v1
from mistudio_runtime.broker import names
from support.broker import NatsServer
from support.mesh import ACK_WAIT_SECONDS, Mesh, count_job
from support.toy import STEP_SECONDS
from support.waiting import eventually

ENDED = (v1.JOB_STATE_SUCCEEDED, v1.JOB_STATE_FAILED, v1.JOB_STATE_CANCELLED)
ODD_COUNTS = ["²", "9" * 5_000, "-1", "abc"]


@pytest.fixture
async def mesh(home: Path, nats_server: NatsServer) -> AsyncIterator[Mesh]:
    async with Mesh(home, nats_server.url) as mesh:
        await mesh.gateway()
        yield mesh


async def test_a_job_does_not_run_twice_at_once_after_the_broker_stalled(mesh: Mesh, nats_server: NatsServer) -> None:
    await mesh.toy("toy@1", "--slots", "3")
    other, job = [await mesh.submit(count_job(500)) for _ in range(2)]
    await eventually(lambda: _started(mesh, job.id), what="the job has made progress")
    nats_server.freeze()
    cursor = mesh.home / "scratch" / job.id / "cursor"
    due = int(cursor.read_text()) + int(3 * ACK_WAIT_SECONDS / STEP_SECONDS)
    await eventually(lambda: int(cursor.read_text() or 0) > due, what="the message is due again")
    nats_server.thaw()
    for one in (other, job):
        done = await mesh.until(one.id, *ENDED, within=60)
        assert [attempt.outcome for attempt in done.attempts] == [v1.ATTEMPT_OUTCOME_SUCCEEDED]


async def test_a_second_worker_of_the_same_name_has_to_wait(mesh: Mesh) -> None:
    first = await mesh.toy("toy@1")
    second = mesh.start("-m", "support.toy", "--name", "toy@1")
    log = mesh.home / "process-2.log"

    async def refused() -> bool:
        return "give this one another --name" in log.read_text()

    await eventually(refused, what="the second worker is told")
    job = await mesh.submit(count_job(100))
    done = await mesh.until(job.id, *ENDED)
    assert [attempt.outcome for attempt in done.attempts] == [v1.ATTEMPT_OUTCOME_SUCCEEDED]
    first.send_signal(signal.SIGTERM)
    assert first.wait(20) == 0
    after = await mesh.submit(count_job(5))
    assert (await mesh.until(after.id, *ENDED)).state == v1.JOB_STATE_SUCCEEDED
    assert second.poll() is None


async def test_a_killed_workers_successor_of_the_same_name_makes_a_new_attempt(mesh: Mesh) -> None:
    worker = await mesh.toy("toy@1")
    job = await mesh.submit(count_job(100))
    await eventually(lambda: _started(mesh, job.id), what="the job has made progress")
    worker.kill()
    worker.wait()
    mesh.start("-m", "support.toy", "--name", "toy@1")
    done = await mesh.until(job.id, *ENDED)
    assert [attempt.outcome for attempt in done.attempts] == [v1.ATTEMPT_OUTCOME_LOST, v1.ATTEMPT_OUTCOME_SUCCEEDED]


async def test_a_message_that_got_lost_is_made_again_at_once(mesh: Mesh, nats_server: NatsServer) -> None:
    job = await mesh.submit(count_job(5))
    client = await nats.connect(nats_server.url)
    await client.jetstream().purge_stream(names.JOBS_STREAM)
    await client.close()
    mesh.processes[0].kill()
    mesh.processes[0].wait()
    await mesh.gateway()
    await mesh.toy()
    assert (await mesh.until(job.id, *ENDED)).state == v1.JOB_STATE_SUCCEEDED


async def test_a_strangers_messages_disturb_no_worker(mesh: Mesh, nats_server: NatsServer) -> None:
    worker = await mesh.toy()
    client = await nats.connect(nats_server.url)
    for number, count in enumerate(ODD_COUNTS):
        subject = names.job_subject("training", 5, f"stranger-{number}*")
        await client.jetstream().publish(subject, b"\0", headers={names.ENQUEUE_COUNT: count})

    async def dropped() -> bool:
        return not (await client.jetstream().stream_info(names.JOBS_STREAM)).state.messages

    await eventually(dropped, what="the messages are dropped")
    await client.close()
    job = await mesh.submit(count_job(5))
    assert (await mesh.until(job.id, *ENDED)).state == v1.JOB_STATE_SUCCEEDED
    assert worker.poll() is None


async def _started(mesh: Mesh, job_id: str) -> bool:
    return (await mesh.get(job_id)).progress.done > 5
