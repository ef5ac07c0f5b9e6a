"""Jobs that were admitted survive an odd record beside them and a full broker."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import nats
import pytest
from nats.js import JetStreamContext
from nats.js.kv import KeyValue

from mistudio import v1
from mistudio_runtime.broker import names
from support.broker import NatsServer
from support.mesh import Mesh, quick_job
from support.waiting import eventually


@pytest.fixture
async def mesh(home: Path, nats_server: NatsServer) -> AsyncIterator[Mesh]:
    async with Mesh(home, nats_server.url) as mesh:
        await mesh.gateway()
        yield mesh


async def test_a_record_that_cannot_be_mended_stops_no_other_job(mesh: Mesh, nats_server: NatsServer) -> None:
    client = await nats.connect(nats_server.url)
    bucket = await client.jetstream().key_value(names.LEDGER_BUCKET)
    without_attempt = v1.Job(id="job-odd", kind="train_sae", queue="training", state=v1.JOB_STATE_RUNNING)
    await bucket.put("job-odd", without_attempt.SerializeToString())
    await client.close()
    log = mesh.home / "process-0.log"

    async def stumbled() -> bool:
        return "cannot be mended" in log.read_text()

    await eventually(stumbled, within=30, what="the gateway has come across the record")
    parent = await mesh.submit(quick_job())
    child = await mesh.submit(quick_job(depends_on=[parent.id]))
    await mesh.toy()
    assert (await mesh.until(child.id, v1.JOB_STATE_SUCCEEDED)).state == v1.JOB_STATE_SUCCEEDED


async def test_a_repeated_submission_to_full_queues_forgets_nothing(mesh: Mesh, nats_server: NatsServer) -> None:
    job = await mesh.submit(quick_job(), request_id="again")
    client = await nats.connect(nats_server.url)
    js = client.jetstream()
    config = (await js.stream_info(names.JOBS_STREAM)).config
    # One message fills the queues, and the broker soon forgets that it has seen it.
    config.max_msgs, config.duplicate_window = 1, 0.1
    await js.update_stream(config)
    await client.close()

    async def full() -> bool:
        try:
            await mesh.submit(quick_job(), request_id="again")
        except grpc.aio.AioRpcError as error:
            return error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        return False

    await eventually(full, what="the queues are full")
    await mesh.toy()
    assert (await mesh.until(job.id, v1.JOB_STATE_SUCCEEDED)).id == job.id


async def test_a_message_that_a_job_has_left_behind_is_removed(mesh: Mesh, nats_server: NatsServer) -> None:
    client = await nats.connect(nats_server.url)
    js = client.jetstream()
    bucket = await js.key_value(names.LEDGER_BUCKET)
    await _put(js, bucket, "job-over", of_message=1)
    await _put(js, bucket, "job-back", of_message=2)  # put back by a gateway whose record is not known here yet
    (gateway,) = mesh.processes
    gateway.kill()
    gateway.wait()
    await mesh.gateway()

    async def removed() -> bool:
        return await _subjects(js) == {names.job_subject("low_priority", 3, "job-back")}

    await eventually(removed, within=30, what="the message is gone")
    await client.close()


async def _put(js: JetStreamContext, bucket: KeyValue, job_id: str, *, of_message: int) -> None:
    over = v1.Job(id=job_id, kind="x", queue="low_priority", priority=3, enqueue_count=1, state=v1.JOB_STATE_SUCCEEDED)
    over.end_time.FromSeconds(int(time.time()) - 600)
    await bucket.put(job_id, over.SerializeToString())
    headers = {names.ENQUEUE_COUNT: str(of_message)}
    await js.publish(names.job_subject("low_priority", 3, job_id), b"", headers=headers)


async def _subjects(js: JetStreamContext) -> set[str]:
    info = await js.stream_info(names.JOBS_STREAM, subjects_filter=names.ALL_JOBS)
    return set(info.state.subjects or {})
