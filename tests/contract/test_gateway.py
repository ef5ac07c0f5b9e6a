"""The gateway's public services over a real socket: statuses, details, reflection, health."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from mistudio import v1
from mistudio_runtime.serving.status import DETAILS_KEY
from support.broker import NatsServer
from support.mesh import Mesh, count_job, free_port, quick_job


@pytest.fixture
async def mesh(home: Path, nats_server: NatsServer) -> AsyncIterator[Mesh]:
    async with Mesh(home, nats_server.url) as mesh:
        await mesh.gateway()
        yield mesh


async def refusal(call: Awaitable[Any]) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def details(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    trailing = dict(error.trailing_metadata() or ())
    return status_pb2.Status.FromString(trailing[DETAILS_KEY])


async def test_bad_fields_are_named_and_nothing_is_enqueued(mesh: Mesh) -> None:
    request = count_job(0)
    error = await refusal(mesh.submit(request))
    assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
    info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    first, second = details(error).details
    assert first.Unpack(info)
    assert second.Unpack(bad)
    assert (info.reason, info.domain) == ("INVALID_REQUEST", "mistudio")
    assert [violation.field for violation in bad.field_violations] == ["job.spec.train_sae.total_tokens"]
    assert not (await mesh.jobs.ListJobs(v1.ListJobsRequest(), timeout=5)).jobs


async def test_statuses(mesh: Mesh) -> None:
    jobs, workers = mesh.jobs, v1.WorkerServiceStub(mesh.channel)
    done = await mesh.submit(quick_job())
    await jobs.CancelJob(v1.CancelJobRequest(job_id=done.id), timeout=5)
    await mesh.submit(quick_job(), request_id="r")
    cases: list[tuple[Awaitable[Any], grpc.StatusCode, str]] = [
        (mesh.get("job-none"), grpc.StatusCode.NOT_FOUND, "no job"),
        (jobs.ResumeJob(v1.ResumeJobRequest(job_id=done.id)), grpc.StatusCode.FAILED_PRECONDITION, "CANCELLED"),
        (mesh.submit(count_job(), request_id="r"), grpc.StatusCode.ALREADY_EXISTS, "used before"),
        (mesh.submit(v1.JobRequest(), request_id="r"), grpc.StatusCode.INVALID_ARGUMENT, "set one job kind"),
        (workers.DrainWorker(v1.DrainWorkerRequest(worker="x")), grpc.StatusCode.NOT_FOUND, "no worker"),
        (jobs.ListJobs(v1.ListJobsRequest(page_token="?")), grpc.StatusCode.INVALID_ARGUMENT, "page_token"),
    ]
    for call, code, says in cases:
        error = await refusal(call)
        assert (error.code(), says in (error.details() or "")) == (code, True), error


async def test_what_no_worker_answers_says_which_to_start(mesh: Mesh) -> None:
    features, catalog = v1.FeatureServiceStub(mesh.channel), v1.CatalogServiceStub(mesh.channel)
    calls: dict[str, Callable[[], Awaitable[Any]]] = {
        "mistudio_extractor": lambda: features.ListFeatures(v1.ListFeaturesRequest()),
        "mistudio_curator": lambda: catalog.ListArtifacts(v1.ListArtifactsRequest()),
    }
    for start, call in calls.items():
        error = await refusal(call())
        assert error.code() == grpc.StatusCode.UNAVAILABLE
        assert start in (error.details() or "")


async def test_a_worker_that_is_gone_is_not_taken_for_the_gateway(mesh: Mesh) -> None:
    worker = v1.Worker(
        name="extractor@gone", address=f"127.0.0.1:{free_port()}", grpc_services=["mistudio.v1.FeatureService"]
    )
    session = v1.WorkerSessionServiceStub(mesh.channel).Attach(timeout=20)
    await session.write(v1.AttachRequest(register=v1.Register(worker=worker)))
    assert (await session.read()).HasField("registered")
    error = await refusal(v1.FeatureServiceStub(mesh.channel).ListFeatures(v1.ListFeaturesRequest(), timeout=10))
    session.cancel()
    assert error.code() == grpc.StatusCode.UNAVAILABLE
    assert "mistudio_extractor" in details(error).message


async def test_changes_of_artifacts_become_jobs(mesh: Mesh) -> None:
    catalog = v1.CatalogServiceStub(mesh.channel)
    answer = await catalog.UpdateArtifact(
        v1.UpdateArtifactRequest(artifact_id="model-given-0", display_name="mine"), timeout=5
    )
    assert (answer.job.kind, answer.job.queue) == ("update_metadata", "high_priority")
    assert answer.job.spec.update_metadata.display_name == "mine"


async def test_a_pipeline_names_its_steps_and_fails_its_children(mesh: Mesh) -> None:
    await mesh.toy()
    first = v1.PipelineStep(name="sae", job=count_job(3, "permanent"))
    second = v1.PipelineStep(
        name="features",
        job=v1.JobRequest(spec=v1.JobSpec(extract_features=v1.ExtractFeatures(sae=v1.ArtifactRef(step="sae")))),
    )
    request = v1.SubmitPipelineRequest(steps=[first, second], request_id="p")
    answer = await mesh.jobs.SubmitPipeline(request, timeout=10)
    assert [job.step for job in answer.jobs] == ["sae", "features"]
    assert "Waits for" in answer.jobs[1].diagnosis
    failed = await mesh.until(answer.jobs[1].id, v1.JOB_STATE_FAILED)
    assert failed.failure.reason == "DEPENDENCY_FAILED"
    assert "the toy never works" in failed.failure.message
    again = await mesh.jobs.SubmitPipeline(request, timeout=10)
    assert [job.id for job in again.jobs] == [job.id for job in answer.jobs]


async def test_jobs_are_listed_in_pages_newest_first(mesh: Mesh) -> None:
    ids = [(await mesh.submit(quick_job(labels={"n": str(n % 2)}))).id for n in range(5)]
    first = await mesh.jobs.ListJobs(v1.ListJobsRequest(page_size=3), timeout=5)
    rest = await mesh.jobs.ListJobs(v1.ListJobsRequest(page_size=3, page_token=first.next_page_token), timeout=5)
    assert [job.id for job in [*first.jobs, *rest.jobs]] == ids[::-1]
    assert not rest.next_page_token
    odd = await mesh.jobs.ListJobs(v1.ListJobsRequest(labels={"n": "1"}), timeout=5)
    assert [job.id for job in odd.jobs] == [ids[3], ids[1]]


async def test_routes_are_explained(mesh: Mesh) -> None:
    queues = v1.QueueServiceStub(mesh.channel)
    route = await queues.ExplainRoute(v1.ExplainRouteRequest(kind="train_sae", priority=9), timeout=5)
    assert (route.queue, route.subject, route.service) == ("training", "mistudio.jobs.training.9", "trainer")
    error = await refusal(queues.ExplainRoute(v1.ExplainRouteRequest(kind="bake_cake"), timeout=5))
    assert "bake_cake" in (error.details() or "")


async def test_the_route_of_a_spec_checks_the_spec(mesh: Mesh) -> None:
    queues = v1.QueueServiceStub(mesh.channel)
    good = v1.ExplainRouteRequest(spec=v1.JobSpec(collect_garbage=v1.CollectGarbage(dry_run=True)))
    assert (await queues.ExplainRoute(good, timeout=5)).queue == "low_priority"
    bad = v1.ExplainRouteRequest(kind="train_sae", spec=good.spec)
    assert "kind" in (await refusal(queues.ExplainRoute(bad, timeout=5))).details()
    empty = v1.ExplainRouteRequest(spec=v1.JobSpec(train_sae=v1.TrainSae()))
    assert "spec.train_sae.model" in str(await refusal(queues.ExplainRoute(empty, timeout=5)))


async def test_reflection_and_health_know_every_service(mesh: Mesh) -> None:
    stub = reflection_pb2_grpc.ServerReflectionStub(mesh.channel)
    call = stub.ServerReflectionInfo(iter([reflection_pb2.ServerReflectionRequest(list_services="")]))
    listed = {service.name async for answer in call for service in answer.list_services_response.service}
    public = ["Job", "Queue", "Worker", "WorkerSession", "Catalog", "Dataset", "Training", "Feature"]
    assert {f"mistudio.v1.{name}Service" for name in public} <= listed
    health = health_pb2_grpc.HealthStub(mesh.channel)
    for name in ("", "mistudio.v1.JobService"):
        answer = await health.Check(health_pb2.HealthCheckRequest(service=name), timeout=5)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_worker_with_another_token_is_refused(mesh: Mesh) -> None:
    worker = mesh.start("-m", "support.toy", "--name", "stranger@1", MISTUDIO_TOKEN="wrong")
    assert worker.wait(30) != 0
    assert "MISTUDIO_TOKEN" in (mesh.home / "process-1.log").read_text()


async def test_health_can_be_watched(mesh: Mesh) -> None:
    call = health_pb2_grpc.HealthStub(mesh.channel).Watch(health_pb2.HealthCheckRequest(service=""), timeout=5)
    first = await anext(aiter(call))
    call.cancel()
    assert first.status == health_pb2.HealthCheckResponse.SERVING


async def test_a_watch_may_be_a_replay_and_of_some_events_only(mesh: Mesh) -> None:
    job = await mesh.submit(count_job())

    async def replay(*events: str) -> list[str | None]:
        request = v1.WatchJobRequest(job_id=job.id, replay_only=True, events=events)
        return [response.event.WhichOneof("event") async for response in mesh.jobs.WatchJob(request, timeout=10)]

    assert await replay() == ["job", "diagnosis"]
    assert await replay("log", "job") == ["job"]
    assert (await refusal(replay("noise"))).code() == grpc.StatusCode.INVALID_ARGUMENT
    await mesh.jobs.CancelJob(v1.CancelJobRequest(job_id=job.id), timeout=5)
    assert await replay() == ["job", "job"]
