"""What becomes of what a job logs, with real children: the job's log, the worker's log, and the way between them."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

import mistudio
from mistudio import v1
from mistudio_runtime.worker.paced_lines import BURST
from support.broker import NatsServer
from support.mesh import Mesh, count_job
from support.waiting import eventually

ENDED = (v1.JOB_STATE_SUCCEEDED, v1.JOB_STATE_FAILED, v1.JOB_STATE_CANCELLED)


pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mesh(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mesh]:
    """A gateway and a worker."""
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        async with Mesh(tmp_path_factory.mktemp("mesh") / "home", server.url) as mesh:
            mesh.environment["HF_TOKEN"] = "hunter2222"
            await mesh.gateway()
            await mesh.toy("toy@1")
            yield mesh


async def story(mesh: Mesh, job_id: str) -> list[mistudio.JobLogLine]:
    async with mistudio.AsyncClient(mesh.address) as client:
        return [line async for line in client.jobs.logs(job_id, changes=True)]


def records(mesh: Mesh, process: int, job_id: str) -> list[dict[str, Any]]:
    """Returns what a process has logged about a job."""
    lines = (mesh.home / f"process-{process}.log").read_text().splitlines()
    found = [json.loads(line) for line in lines if line.startswith("{")]
    return [record for record in found if record.get("job") == job_id]


async def test_what_libraries_log_reaches_the_job_s_log_in_measure_and_without_secrets(mesh: Mesh) -> None:
    job = await mesh.submit(count_job(3, "noisy"))
    await mesh.until(job.id, *ENDED)
    lines = [(line.level, line.message) for line in await story(mesh, job.id) if line.state is None]
    assert lines[:5] == [
        ("warning", "transformers: weights are not used: ['lm_head']"),
        ("warning", "UserWarning: an old way"),
        ("warning", "loss diverges step=3 url=s3://[redacted]@bucket"),
        ("error", "a thread of the job broke thread=loader"),
        ("warning", "datasets: the same"),
    ]
    assert lines[5] == ("error", "datasets: row 0 is bad")
    assert "starts at 0" in [message for _, message in lines]
    assert any(message.endswith("lines are left out here; the worker's log has them") for _, message in lines)
    assert len(lines) < 2 * BURST
    logged = records(mesh, 1, job.id)
    assert sum(record["event"] == "the same" for record in logged) == 1_000
    assert any("ZeroDivisionError" in record.get("exception", "") for record in logged)
    assert {record.get("attempt") for record in logged} == {1}
    assert "hunter2222" not in (mesh.home / "process-1.log").read_text()


async def test_an_unexpected_error_leads_to_its_traceback(mesh: Mesh) -> None:
    quick = v1.JobRequest(spec=v1.JobSpec(collect_garbage=v1.CollectGarbage(dry_run=True)), max_attempts=1)
    for request in (count_job(3, "crash", max_attempts=1), quick):
        job = await mesh.submit(request)
        failed = await mesh.until(job.id, *ENDED)
        assert f"mistudio logs --job {job.id}" in failed.failure.message
        last = (await story(mesh, job.id))[-1]
        assert (last.level, last.worker, last.attempt) == ("error", "toy@1", 1)
        assert last.message == f"FAILED: UNEXPECTED: {failed.failure.message}"
        assert "secret" not in last.message
        [error] = [record for record in records(mesh, 1, job.id) if record["level"] == "error"]
        assert error["attempt"] == 1
        assert "KeyError: 'a secret text'" in error["exception"]
    assert "fsspec: a file is gone" in [line.message for line in await story(mesh, job.id)]


async def test_the_story_of_a_job_whose_worker_was_killed(mesh: Mesh) -> None:
    worker = mesh.processes[1]
    job = await mesh.submit(count_job(60))
    await mesh.until(job.id, v1.JOB_STATE_RUNNING)
    await eventually(lambda: _has_logged(mesh, job.id), what="the job has logged")
    assert not (await mesh.get(job.id)).HasField("end_time")
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    await mesh.toy("toy@2")
    await mesh.until(job.id, *ENDED)
    lines = await story(mesh, job.id)
    told = [line.message for line in lines if line.state is not None]
    assert told[0].startswith("QUEUED in training")
    assert told[1] == "RUNNING: claimed by toy@1 as attempt 1"
    assert "attempt 1 LOST: worker toy@1 disappeared while it ran the job" in told
    assert "RUNNING: claimed by toy@2 as attempt 2" in told
    assert told[-1].startswith("SUCCEEDED: sae-")
    said = [(line.attempt, line.worker) for line in lines if line.state is None]
    assert said == [(1, "toy@1"), (2, "toy@2")]
    assert [line.sequence for line in lines] == sorted(line.sequence for line in lines)


async def _has_logged(mesh: Mesh, job_id: str) -> bool:
    return any(line.state is None for line in await story(mesh, job_id))
