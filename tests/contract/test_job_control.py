"""What may be asked of a job in each state: exact statuses, over a real gateway; and who asks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import grpc.aio
import nats
import pytest

import mistudio
from mistudio import v1
from mistudio.cli.main import run
from mistudio_runtime.broker import names
from support.broker import NatsServer
from support.mesh import Mesh, count_job, quick_job

ENDED = (v1.JOB_STATE_SUCCEEDED, v1.JOB_STATE_FAILED, v1.JOB_STATE_CANCELLED)
LONG = 100_000
REFUSED = "refused"

# From a state, each verb leads to a state; "refused" is FAILED_PRECONDITION. A verb is asked on a fresh job.
TABLE: dict[str, dict[str, str]] = {
    "WAITING": {"Cancel": "CANCELLED", "Pause": REFUSED, "Resume": REFUSED, "Finish": REFUSED, "Retry": REFUSED},
    "QUEUED": {"Cancel": "CANCELLED", "Pause": "PAUSED", "Resume": REFUSED, "Finish": REFUSED, "Retry": REFUSED},
    "PAUSED": {"Cancel": "CANCELLED", "Pause": "PAUSED", "Resume": "QUEUED", "Finish": REFUSED, "Retry": REFUSED},
    "CANCELLED": {"Cancel": "CANCELLED", "Pause": REFUSED, "Resume": REFUSED, "Finish": REFUSED, "Retry": "QUEUED"},
    "RUNNING": {"Cancel": "CANCELLING", "Pause": "PAUSING", "Resume": REFUSED, "Finish": "RUNNING", "Retry": REFUSED},
}


@pytest.fixture
async def mesh(home: Path, nats_server: NatsServer) -> AsyncIterator[Mesh]:
    async with Mesh(home, nats_server.url) as mesh:
        await mesh.gateway()
        yield mesh


async def answer(mesh: Mesh, verb: str, job_id: str) -> str:
    """Returns the state after a call, or REFUSED."""
    try:
        job = await mesh.control(verb, job_id)
    except grpc.aio.AioRpcError as error:
        precise = error.code() == grpc.StatusCode.FAILED_PRECONDITION and job_id in (error.details() or "")
        return REFUSED if precise else str(error)
    return v1.JobState.Name(job.state).removeprefix("JOB_STATE_")


async def job_that_is(mesh: Mesh, state: str) -> str:
    """Makes a job in a state, without a worker for its queue."""
    if state == "WAITING":
        parent = await mesh.submit(count_job())
        return (await mesh.submit(count_job(depends_on=[parent.id]))).id
    job = await mesh.submit(count_job())
    if state in {"PAUSED", "CANCELLED"}:
        await mesh.control({"PAUSED": "Pause", "CANCELLED": "Cancel"}[state], job.id)
    return job.id


@pytest.mark.parametrize("state", ["WAITING", "QUEUED", "PAUSED", "CANCELLED"])
async def test_what_may_be_asked_of_a_job_that_does_not_run(mesh: Mesh, state: str) -> None:
    for verb, leads_to in TABLE[state].items():
        job_id = await job_that_is(mesh, state)
        assert await answer(mesh, verb, job_id) == leads_to, f"{verb} of {state}"


async def test_what_may_be_asked_of_a_job_that_runs_and_then(mesh: Mesh) -> None:
    await mesh.toy("toy@1", "--slots", "training=5")
    jobs = {verb: (await mesh.submit(count_job(LONG, "silent"))).id for verb in TABLE["RUNNING"]}
    for verb, leads_to in TABLE["RUNNING"].items():
        await mesh.until(jobs[verb], v1.JOB_STATE_RUNNING)
        assert await answer(mesh, verb, jobs[verb]) == leads_to, f"{verb} of RUNNING"
    assert await answer(mesh, "Pause", jobs["Pause"]) == "PAUSING", "twice"
    assert await answer(mesh, "Cancel", jobs["Cancel"]) == "CANCELLING", "twice"
    assert await answer(mesh, "Finish", jobs["Pause"]) == REFUSED
    assert await answer(mesh, "Pause", jobs["Cancel"]) == REFUSED
    assert await answer(mesh, "Cancel", jobs["Finish"]) == "CANCELLING"
    for verb in ("Resume", "Retry"):
        await mesh.control("Cancel", jobs[verb])
    for verb in ("Cancel", "Finish", "Resume", "Retry"):
        assert (await mesh.until(jobs[verb], *ENDED)).state == v1.JOB_STATE_CANCELLED
    await mesh.until(jobs["Pause"], v1.JOB_STATE_PAUSED)
    # It has begun, so that there is something to keep.
    assert await answer(mesh, "Finish", jobs["Pause"]) == "QUEUED"


async def test_what_may_be_asked_of_a_job_that_is_over(mesh: Mesh) -> None:
    await mesh.toy()
    done = (await mesh.submit(count_job(2))).id
    bad = (await mesh.submit(count_job(2, "permanent"))).id
    await mesh.until(done, v1.JOB_STATE_SUCCEEDED)
    await mesh.until(bad, v1.JOB_STATE_FAILED)
    for verb in ("Cancel", "Pause", "Resume", "Finish", "Retry"):
        assert await answer(mesh, verb, done) == REFUSED, verb
    for verb in ("Cancel", "Pause", "Resume", "Finish"):
        assert await answer(mesh, verb, bad) == REFUSED, verb


async def test_only_kinds_that_keep_something_finish_early(mesh: Mesh) -> None:
    with pytest.raises(grpc.aio.AioRpcError, match="only extract_features and train_sae finish early"):
        await mesh.control("Finish", (await mesh.submit(quick_job())).id)


async def test_a_pause_and_a_resume_at_the_same_time_leave_a_message(mesh: Mesh, nats_server: NatsServer) -> None:
    client = await nats.connect(nats_server.url)
    js = client.jetstream()
    for _ in range(20):
        job = await mesh.submit(count_job())

        async def resume(job_id: str = job.id) -> None:
            while await answer(mesh, "Resume", job_id) == REFUSED:
                pass

        await asyncio.gather(mesh.control("Pause", job.id), resume())
        subject = names.job_subject("training", job.priority, job.id)
        message = await js.get_last_msg(names.JOBS_STREAM, subject)
        assert (message.headers or {})[names.ENQUEUE_COUNT] == "2"
    await client.close()


async def test_deletion(mesh: Mesh, nats_server: NatsServer) -> None:
    over = [await job_that_is(mesh, "CANCELLED") for _ in range(3)]
    waiting = await job_that_is(mesh, "WAITING")
    parent = (await mesh.get(waiting)).depends_on[0]
    with pytest.raises(grpc.aio.AioRpcError, match=f"nothing was deleted.*{parent} is QUEUED") as caught:
        await delete(mesh, over[0], parent)
    assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    await mesh.get(over[0])
    assert await delete(mesh, *over, over[0], "job-none", "../x", "*") == 3
    assert await delete(mesh, *over) == 0
    with pytest.raises(grpc.aio.AioRpcError) as gone:
        await mesh.get(over[0])
    assert gone.value.code() == grpc.StatusCode.NOT_FOUND
    client = await nats.connect(nats_server.url)
    info = await client.jetstream().stream_info(names.EVENTS_STREAM, subjects_filter="mistudio.>")
    await client.close()
    assert not {names.job_of_subject(subject) for subject in info.state.subjects or {}} & set(over)
    assert {job.id for job in (await mesh.jobs.ListJobs(v1.ListJobsRequest(), timeout=10)).jobs} == {waiting, parent}


async def test_what_an_unfinished_job_needs_is_not_deleted(mesh: Mesh) -> None:
    await mesh.toy()
    done = await mesh.submit(quick_job())
    await mesh.until(done.id, v1.JOB_STATE_SUCCEEDED)
    other = await mesh.submit(count_job(LONG))
    child = await mesh.submit(quick_job(depends_on=[done.id, other.id]))
    with pytest.raises(grpc.aio.AioRpcError, match=f"{child.id} .WAITING. needs {done.id}"):
        await delete(mesh, done.id)
    await mesh.control("Cancel", other.id)
    await mesh.until(child.id, v1.JOB_STATE_FAILED)
    assert await delete(mesh, done.id) == 1


async def test_a_deleted_job_may_be_submitted_anew_under_its_request_id(mesh: Mesh) -> None:
    first = await mesh.submit(quick_job(), request_id="again")
    await mesh.control("Cancel", first.id)
    assert await delete(mesh, first.id) == 1
    second = await mesh.submit(quick_job(), request_id="again")
    assert second.id == first.id
    await mesh.toy()
    assert (await mesh.until(second.id, *ENDED)).state == v1.JOB_STATE_SUCCEEDED


async def test_pages(mesh: Mesh) -> None:
    submitted = [(await mesh.submit(count_job(priority=1 + number % 3))).id for number in range(7)]
    request = v1.ListJobsRequest(page_size=3, order_by="priority desc")
    first = await mesh.jobs.ListJobs(request, timeout=10)
    assert first.total_size == 7
    request.page_token = first.next_page_token
    second = await mesh.jobs.ListJobs(request, timeout=10)
    assert [job.priority for job in [*first.jobs, *second.jobs]] == [3, 3, 2, 2, 1, 1]
    assert second.jobs[0].diagnosis, "jobs of a list say why they do not run, too"
    request.order_by = "create_time"
    with pytest.raises(grpc.aio.AioRpcError, match="page_token") as caught:
        await mesh.jobs.ListJobs(request, timeout=10)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    oldest = await mesh.jobs.ListJobs(v1.ListJobsRequest(order_by="create_time"), timeout=10)
    assert [job.id for job in oldest.jobs] == submitted


async def test_client_and_command(
    mesh: Mesh, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    await mesh.toy()
    monkeypatch.setenv("MISTUDIO_GATEWAY", mesh.address)
    await asyncio.to_thread(_use_client, mesh.address)
    async with mistudio.AsyncClient(mesh.address) as client:
        job = await client.jobs.submit(count_job(LONG), job_timeout=600)
        await mesh.until(job.id, v1.JOB_STATE_RUNNING)
        assert (await job.finish()).proto.finish_requested
        await job.result(timeout=30)
        assert await client.jobs.delete([job.id]) == 1
    job_id = (await mesh.submit(count_job(LONG))).id
    await mesh.until(job_id, v1.JOB_STATE_RUNNING)
    assert await command("jobs", "delete", job_id) == 7
    assert await command("jobs", "finish", job_id) == 0
    await mesh.until(job_id, v1.JOB_STATE_SUCCEEDED)
    limits = ["--timeout", "2h", "--start-within", "1d", "--after", job_id]
    capsys.readouterr()
    assert await command("submit", "collect-garbage", *limits, "--json") == 0
    submitted = json.loads(capsys.readouterr().out)
    assert (submitted["timeout"], submitted["start_within"]) == ("7200s", "86400s")
    await mesh.until(submitted["id"], v1.JOB_STATE_SUCCEEDED)
    assert await command("jobs", "list", "--order-by", "create_time", "--created-since", "1h", "--json") == 0
    assert [job["id"] for job in json.loads(capsys.readouterr().out)["jobs"]] == [job_id, submitted["id"]]
    assert await command("jobs", "get", submitted["id"]) == 0
    assert "2h 00m an attempt" in capsys.readouterr().out
    assert await command("jobs", "delete", job_id, submitted["id"]) == 0
    assert "2 jobs deleted" in capsys.readouterr().out


def _use_client(address: str) -> None:
    with mistudio.Client(address) as client:
        job = client.jobs.submit(count_job(LONG), job_timeout=7200, start_within=86_400.5)
        assert (job.proto.timeout.seconds, job.proto.start_within.nanos) == (7200, 500_000_000)
        job.cancel()
        with pytest.raises(mistudio.JobCancelledError):
            job.result(timeout=30)
        assert job.retry(job_timeout=0).proto.HasField("timeout") is False
        with pytest.raises(mistudio.FailedPreconditionError):
            client.jobs.delete([job.id])
        job.cancel()
        with pytest.raises(mistudio.JobCancelledError):
            job.result(timeout=30)
        assert next(client.jobs.list(order_by="end_time desc", page_size=1)).id == job.id
        assert list(client.jobs.list(created_before=job.proto.create_time.ToDatetime())) == []
        assert client.jobs.delete([job.id]) == 1


async def command(*words: str) -> int:
    """Runs a command line; returns its exit code."""
    return int(await asyncio.to_thread(run, list(words)))


async def delete(mesh: Mesh, *job_ids: str) -> int:
    answer = await mesh.jobs.DeleteJobs(v1.DeleteJobsRequest(job_ids=job_ids), timeout=20)
    return int(answer.deleted)
