"""The client against a gateway over a real socket: every promise that the SDK makes beside passing messages on."""

from __future__ import annotations

import inspect
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import grpc
import pytest
from client_servicers import Mesh, serve

import mistudio
from mistudio import v1
from mistudio.aio import nouns as aio_nouns
from mistudio.blocking import nouns as blocking_nouns

QUICK = mistudio.RetryPolicy(first_delay=0.01, largest_delay=0.05, patience=2.0)
SPEC = mistudio.TrainSae(total_tokens=1000, hook_points=["layer.0.resid_post"])


@pytest.fixture
def mesh() -> Mesh:
    return Mesh()


@pytest.fixture
def address(mesh: Mesh) -> Iterator[str]:
    with serve(mesh) as bound:
        yield bound


@pytest.fixture
def client(address: str) -> Iterator[mistudio.Client]:
    with mistudio.Client(address, retry=QUICK) as client:
        yield client


@pytest.fixture
async def async_client(address: str) -> AsyncIterator[mistudio.AsyncClient]:
    async with mistudio.AsyncClient(address, retry=QUICK) as client:
        yield client


def closed_port() -> str:
    with serve(Mesh()) as address:
        return address


def test_submit_wraps_the_spec_and_returns_a_handle(client: mistudio.Client, mesh: Mesh) -> None:
    job = client.jobs.submit(SPEC, labels={"a": "b"})
    assert job.state is mistudio.JobState.QUEUED
    assert mesh.jobs[job.id].spec.train_sae == SPEC
    assert mesh.jobs[job.id].labels == {"a": "b"}


def test_a_submit_that_is_answered_late_is_repeated_with_the_same_request_id(
    client: mistudio.Client, mesh: Mesh
) -> None:
    mesh.unavailable = 2
    client.jobs.submit(SPEC)
    assert mesh.calls == ["SubmitJob"] * 3
    assert len(mesh.jobs) == 1


def test_the_same_request_id_gives_the_same_job(client: mistudio.Client) -> None:
    first, second = (client.jobs.submit(SPEC, request_id="mine") for _ in range(2))
    assert first.id == second.id
    assert client.jobs.submit(SPEC).id != first.id


def test_calls_that_are_not_safe_to_repeat_are_made_once(client: mistudio.Client, mesh: Mesh) -> None:
    mesh.add("job-1")
    mesh.unavailable = 1
    with pytest.raises(mistudio.UnavailableError):
        client.jobs.cancel("job-1")
    assert mesh.calls == ["CancelJob"]


def test_retries_are_bounded(client: mistudio.Client, mesh: Mesh) -> None:
    mesh.unavailable = 100
    with pytest.raises(mistudio.UnavailableError):
        client.queues.list()
    assert len(mesh.calls) == QUICK.attempts


def test_bad_fields_are_named(client: mistudio.Client) -> None:
    with pytest.raises(mistudio.InvalidArgumentError) as caught:
        client.jobs.submit(mistudio.TrainSae())
    assert caught.value.violations == (mistudio.Violation("job.spec.train_sae.total_tokens", "must be at least 1"),)
    assert caught.value.reason == "INVALID_REQUEST"
    assert caught.value.metadata == {"kind": "x"}
    assert caught.value.__cause__ is None
    assert not isinstance(caught.value, grpc.RpcError)


def test_a_full_queue_says_when_to_come_again(client: mistudio.Client, mesh: Mesh) -> None:
    with pytest.raises(mistudio.ResourceExhaustedError) as caught:
        client.jobs.submit(SPEC, display_name="full")
    assert caught.value.retry_after == timedelta(seconds=7)
    assert mesh.calls == ["SubmitJob"]


def test_what_is_missing_is_not_found(client: mistudio.Client) -> None:
    with pytest.raises(mistudio.NotFoundError, match="there is no job job-9"):
        client.jobs.get("job-9")


def test_what_nobody_serves_is_unimplemented(client: mistudio.Client) -> None:
    with pytest.raises(mistudio.UnimplementedError):
        client.features.get("features-12345678-0", 1)


def test_a_call_that_is_not_answered_ends_at_its_deadline(client: mistudio.Client) -> None:
    with pytest.raises(mistudio.DeadlineExceededError) as caught:
        client.workers.list(timeout=0.05)
    assert isinstance(caught.value, TimeoutError)


def test_where_no_gateway_is_the_error_says_so() -> None:
    address = closed_port()
    with mistudio.Client(address, retry=QUICK) as client:
        with pytest.raises(mistudio.UnavailableError, match=f"no gateway answers at {address}") as caught:
            client.queues.list()
        assert caught.value.reason == "NO_GATEWAY"
        assert not client.ready(0.05)


def test_ready_waits_for_a_gateway_that_comes_up(mesh: Mesh) -> None:
    address = closed_port()
    with mistudio.Client(address) as client:
        answers: list[bool] = []
        waiting = threading.Thread(target=lambda: answers.append(client.ready(20)))
        waiting.start()
        with serve(mesh, int(address.rpartition(":")[2])):
            waiting.join()
    assert answers == [True]


def test_lists_are_read_page_after_page(client: mistudio.Client, mesh: Mesh) -> None:
    for number in range(5):
        mesh.add(f"job-{number}")
    assert [job.id for job in client.jobs.list()] == [f"job-{number}" for number in range(5)]
    assert mesh.calls == ["ListJobs"] * 3


def test_lists_are_read_no_further_than_they_are_taken(client: mistudio.Client, mesh: Mesh) -> None:
    for number in range(5):
        mesh.add(f"job-{number}")
    assert next(client.jobs.list()).id == "job-0"
    assert mesh.calls == ["ListJobs"]


def test_a_watch_that_breaks_misses_and_repeats_nothing(client: mistudio.Client, mesh: Mesh) -> None:
    mesh.add("job-1")
    mesh.runs_to("job-1", v1.JOB_STATE_SUCCEEDED, artifact_ids=["sae-1"])
    mesh.break_after = [2, 0, 3]
    events = list(client.jobs.watch("job-1"))
    assert [event.sequence for event in events] == list(range(1, 8))
    assert mesh.watched_from == [0, 2, 2, 5]


def test_a_watch_goes_on_at_another_gateway_of_the_same_address(mesh: Mesh) -> None:
    mesh.add("job-1")
    mesh.happens("job-1", progress=v1.Progress(fraction=0.1, stage="train"))
    with serve(mesh) as address:
        client = mistudio.Client(address, retry=QUICK)
        events = client.jobs.watch("job-1")
        assert next(events).sequence == 1
    mesh.runs_to("job-1", v1.JOB_STATE_SUCCEEDED)
    with client, serve(mesh, int(address.rpartition(":")[2])):
        assert [event.sequence for event in events] == list(range(2, 9))


def test_a_watch_gives_up_when_no_gateway_comes_back(mesh: Mesh) -> None:
    mesh.add("job-1")
    impatient = mistudio.RetryPolicy(first_delay=0.01, patience=0.05)
    with mistudio.Client(closed_port(), retry=impatient) as client, pytest.raises(mistudio.UnavailableError):
        list(client.jobs.watch("job-1"))


def test_a_watch_may_begin_after_an_event(client: mistudio.Client, mesh: Mesh) -> None:
    mesh.add("job-1")
    mesh.runs_to("job-1", v1.JOB_STATE_SUCCEEDED)
    assert [event.sequence for event in client.jobs.watch("job-1", 5)] == [6, 7]


def test_result_waits_and_names_the_artifacts(client: mistudio.Client, mesh: Mesh) -> None:
    mesh.add("job-1")
    job = client.jobs.get("job-1")
    mesh.runs_to("job-1", v1.JOB_STATE_SUCCEEDED, artifact_ids=["sae-1"])
    assert job.result() == ["sae-1"]
    assert job.state is mistudio.JobState.SUCCEEDED


def test_result_of_a_failed_job_tells_why(client: mistudio.Client, mesh: Mesh) -> None:
    job = client.jobs.submit(SPEC)
    mesh.runs_to(job.id, v1.JOB_STATE_FAILED, failure=v1.Failure(reason="MEMORY_LIMIT", message="halve batch_tokens"))
    with pytest.raises(mistudio.JobFailedError, match="halve batch_tokens") as caught:
        job.result()
    assert caught.value.reason == "MEMORY_LIMIT"
    assert caught.value.job.id == job.id


def test_result_of_a_cancelled_job(client: mistudio.Client) -> None:
    job = client.jobs.submit(SPEC).cancel()
    with pytest.raises(mistudio.JobCancelledError):
        job.result()


def test_result_ends_in_time_and_leaves_the_job_alone(client: mistudio.Client, mesh: Mesh) -> None:
    job = client.jobs.submit(SPEC)
    with pytest.raises(mistudio.DeadlineExceededError, match="it goes on"):
        job.result(timeout=0.05)
    assert mesh.jobs[job.id].state == v1.JOB_STATE_QUEUED


def test_result_looks_past_an_end_that_a_retry_has_undone(client: mistudio.Client, mesh: Mesh) -> None:
    job = client.jobs.submit(SPEC)
    mesh.runs_to(job.id, v1.JOB_STATE_FAILED)
    mesh.runs_to(job.id, v1.JOB_STATE_SUCCEEDED, artifact_ids=["sae-2"])
    assert [event.sequence for event in job.watch()] == list(range(1, 15))
    assert job.result() == ["sae-2"]


def test_retry_takes_a_changed_spec(client: mistudio.Client, mesh: Mesh) -> None:
    job = client.jobs.submit(SPEC).cancel()
    job.retry(mistudio.TrainSae(total_tokens=2))
    assert job.state is mistudio.JobState.QUEUED
    assert mesh.jobs[job.id].spec.train_sae.total_tokens == 2


def test_pipelines_name_steps_before_them(client: mistudio.Client) -> None:
    pipeline = mistudio.Pipeline()
    dataset = pipeline.add("dataset", mistudio.DownloadDataset(bundled="python-topics"))
    pipeline.add("tokens", mistudio.TokenizeDataset(dataset=dataset), display_name="pack")
    run = client.jobs.submit_pipeline(pipeline, request_id="p")
    assert run.id == "p"
    assert list(run.jobs) == ["dataset", "tokens"]
    assert run.jobs["tokens"].proto.spec.tokenize_dataset.dataset.step == "dataset"
    assert list(client.jobs.submit_pipeline({"only": SPEC}).jobs) == ["only"]


def test_routes_are_explained_by_name_and_by_spec(client: mistudio.Client) -> None:
    assert client.queues.explain("train_sae").explanation == "train_sae without parameters"
    assert client.queues.explain(SPEC).explanation == "train_sae with parameters"


async def test_the_asyncio_client_does_the_same(async_client: mistudio.AsyncClient, mesh: Mesh) -> None:
    mesh.unavailable = 1
    job = await async_client.jobs.submit(SPEC)
    mesh.runs_to(job.id, v1.JOB_STATE_SUCCEEDED, artifact_ids=["sae-1"])
    mesh.break_after = [2, 3]
    assert [event.sequence async for event in job.watch()] == list(range(1, 8))
    assert await job.result() == ["sae-1"]
    assert [each.id async for each in async_client.jobs.list()] == [job.id]
    assert await async_client.ready(1.0)


async def test_the_asyncio_client_raises_the_same(async_client: mistudio.AsyncClient, mesh: Mesh) -> None:
    with pytest.raises(mistudio.NotFoundError):
        await async_client.jobs.get("job-9")
    with pytest.raises(mistudio.DeadlineExceededError):
        await async_client.workers.list(timeout=0.05)
    job = await async_client.jobs.submit(SPEC)
    await job.cancel()
    with pytest.raises(mistudio.JobCancelledError):
        await job.result()


async def test_the_asyncio_client_says_where_no_gateway_is() -> None:
    async with mistudio.AsyncClient(closed_port(), retry=QUICK) as client:
        with pytest.raises(mistudio.UnavailableError, match="no gateway answers"):
            await client.queues.list()
        assert not await client.ready(0.05)


def test_both_clients_have_the_same_surface() -> None:
    for name, noun in inspect.getmembers(blocking_nouns, inspect.isclass):
        twin = getattr(aio_nouns, f"Async{name}", None)
        if noun.__module__ == blocking_nouns.__name__:
            assert twin is not None
            public = [member for member in vars(noun) if not member.startswith("_")]
            assert public == [member for member in vars(twin) if not member.startswith("_")]
            assert all(getattr(noun, member).__doc__ for member in public)


def test_the_address_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTUDIO_GATEWAY", "mesh:1")
    with mistudio.Client() as client:
        assert client.address == "mesh:1"
    monkeypatch.delenv("MISTUDIO_GATEWAY")
    with mistudio.Client() as client:
        assert client.address == "localhost:50051"
