"""TrainingService over a real socket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from mistudio import v1
from mistudio.v1 import GetTrainingMetricsRequest, MetricPoint
from mistudio_runtime.jobs import JobStoppedError, Stop
from mistudio_trainer.metrics_log import LOG_NAME, MetricsLog
from mistudio_trainer.metrics_table import write_table
from mistudio_trainer.service import service
from mistudio_trainer.train_sae import run
from support.services import serving
from support.workshop import Workshop

DEADLINE = 20


@pytest.fixture
def workshop(home: Path) -> Workshop:
    return Workshop(home)


@pytest.fixture
async def channel(workshop: Workshop) -> AsyncIterator[grpc.aio.Channel]:
    async with serving(service, workshop) as channel:
        yield channel


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> v1.TrainingServiceStub:
    return v1.TrainingServiceStub(channel)


def point(name: str, step: int, sae: str = "a") -> MetricPoint:
    return MetricPoint(name=name, value=step / 2, step=step, labels={"sae": sae, "hook_point": "layer.0.resid_post"})


def running(workshop: Workshop, *points: MetricPoint) -> Path:
    """A job in the middle of its training."""
    path = workshop.job("job-one").scratch / LOG_NAME
    with MetricsLog(path) as log:
        for each in points:
            log.append(each)
    return path


async def ask(stub: v1.TrainingServiceStub, **fields: object) -> list[tuple[str, int]]:
    response = await stub.GetTrainingMetrics(GetTrainingMetricsRequest(**fields), timeout=DEADLINE)
    return [(each.name, each.step) for each in response.points]


async def refusal(stub: v1.TrainingServiceStub, **fields: object) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await ask(stub, **fields)
    return refused.value


async def test_a_running_job_shows_what_it_has_measured(workshop: Workshop, stub: v1.TrainingServiceStub) -> None:
    path = running(workshop, point("loss", 10), point("l0", 10), point("loss", 20))

    assert await ask(stub, job_id="job-one") == [("l0", 10), ("loss", 10), ("loss", 20)]
    with path.open("a") as file:
        file.write('{"name": "loss", "va')
    assert await ask(stub, job_id="job-one") == [("l0", 10), ("loss", 10), ("loss", 20)]


async def test_names_and_steps_are_chosen(workshop: Workshop, stub: v1.TrainingServiceStub) -> None:
    running(workshop, point("loss", 0), point("l0", 10), point("loss", 20))

    assert await ask(stub, job_id="job-one", names=["loss"]) == [("loss", 0), ("loss", 20)]
    assert await ask(stub, job_id="job-one", after_step=0) == [("l0", 10), ("loss", 20)]
    assert await ask(stub, job_id="job-one", names=["loss"], after_step=20) == []


async def paged(stub: v1.TrainingServiceStub, size: int) -> list[list[tuple[str, int, str]]]:
    pages, token = [], ""
    while not pages or token:
        request = GetTrainingMetricsRequest(job_id="job-one", page_size=size, page_token=token)
        answer = await stub.GetTrainingMetrics(request, timeout=DEADLINE)
        pages.append([(each.name, each.step, each.labels["sae"]) for each in answer.points])
        token = answer.next_page_token
    return pages


async def test_points_come_in_pages(workshop: Workshop, stub: v1.TrainingServiceStub) -> None:
    running(workshop, *(point(name, step, sae) for step in (10, 20) for sae in "ba" for name in ("loss", "l0")))

    pages = await paged(stub, 3)
    assert [len(page) for page in pages] == [3, 3, 2]
    whole = [(name, step, sae) for step in (10, 20) for sae in "ab" for name in ("l0", "loss")]
    assert [each for page in pages for each in page] == whole
    assert await paged(stub, 8) == [whole]
    assert await paged(stub, 0) == [whole]


async def test_pages_join_when_the_job_ends_between_two(workshop: Workshop, stub: v1.TrainingServiceStub) -> None:
    points = [point(name, step, sae) for step in (10, 20) for sae in "ba" for name in ("loss", "l0")]
    log = running(workshop, *points)
    request = GetTrainingMetricsRequest(job_id="job-one", page_size=3)
    first = await stub.GetTrainingMetrics(request, timeout=DEADLINE)
    for index, sae in enumerate("ba"):
        with workshop.store.draft("sae", job_id="job-one", attempt=1, index=index) as draft:
            write_table(draft.path / "metrics.parquet", [each for each in points if each.labels["sae"] == sae])
            draft.commit()
    log.unlink()
    request = GetTrainingMetricsRequest(job_id="job-one", page_token=first.next_page_token)
    second = await stub.GetTrainingMetrics(request, timeout=DEADLINE)

    found = [(each.name, each.step, each.labels["sae"]) for each in (*first.points, *second.points)]
    assert found == sorted(
        {(each.name, each.step, each.labels["sae"]) for each in points}, key=lambda p: (p[1], p[2], p[0])
    )


@pytest.mark.parametrize("fields", [{"page_size": -1}, {"page_token": "nonsense"}, {"page_token": "W1tb"}])
async def test_bad_pages_are_refused(
    workshop: Workshop, stub: v1.TrainingServiceStub, fields: dict[str, object]
) -> None:
    running(workshop, point("loss", 0))
    error = await refusal(stub, job_id="job-one", **fields)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert next(iter(fields)) in (error.details() or "")


async def test_a_finished_job_is_read_from_its_artifacts(workshop: Workshop, stub: v1.TrainingServiceStub) -> None:
    for index, sae in enumerate(("a", "b")):
        with workshop.store.draft("sae", job_id="job-one", attempt=1, index=index) as draft:
            write_table(draft.path / "metrics.parquet", [point("loss", 10, sae), point("loss", 20, sae)])
            draft.commit()
    response = await stub.GetTrainingMetrics(GetTrainingMetricsRequest(job_id="job-one"), timeout=DEADLINE)

    assert [(each.step, each.labels["sae"]) for each in response.points] == [(10, "a"), (10, "b"), (20, "a"), (20, "b")]


async def test_live_and_finished_metrics_are_the_same(workshop: Workshop, stub: v1.TrainingServiceStub) -> None:
    model = workshop.add_model()
    job = workshop.job("job-one")
    run(workshop.training(model, workshop.add_tokens(model)), job)
    request = GetTrainingMetricsRequest(job_id="job-one", names=["loss", "evaluation/l0"])
    live = await stub.GetTrainingMetrics(request, timeout=DEADLINE)
    (job.scratch / LOG_NAME).unlink()
    finished = await stub.GetTrainingMetrics(request, timeout=DEADLINE)

    def known(response: v1.GetTrainingMetricsResponse) -> list[tuple[str, float, int, str]]:
        return [(each.name, each.value, each.step, each.labels["sae"]) for each in response.points]

    assert known(live) == known(finished)
    assert {each.name for each in live.points} == {"loss", "evaluation/l0"}


async def test_a_paused_job_keeps_its_metrics(workshop: Workshop, stub: v1.TrainingServiceStub) -> None:
    model = workshop.add_model()
    job = workshop.job("job-one")
    job.watch = lambda report: job.request_stop(Stop.PAUSE) if report.metric.name == "loss" else None
    with pytest.raises(JobStoppedError):
        run(workshop.training(model, workshop.add_tokens(model), total_tokens=64 * 20), job)

    assert ("loss", 10) in await ask(stub, job_id="job-one")


async def test_an_sae_that_was_imported_has_no_metrics(workshop: Workshop, stub: v1.TrainingServiceStub) -> None:
    with workshop.store.draft("sae", job_id="job-imported", attempt=1) as draft:
        draft.commit()
    assert (await refusal(stub, job_id="job-imported")).code() == grpc.StatusCode.NOT_FOUND


async def test_a_job_without_metrics_is_not_found(stub: v1.TrainingServiceStub) -> None:
    error = await refusal(stub, job_id="job-gone")

    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert "it has not begun, or it is no training job" in (error.details() or "")


@pytest.mark.parametrize("job_id", ["", "../job-one", "job-one/..", "JOB"])
async def test_what_is_no_id_of_a_job_is_refused(stub: v1.TrainingServiceStub, job_id: str) -> None:
    assert (await refusal(stub, job_id=job_id)).code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_an_estimate_says_that_it_is_missing(stub: v1.TrainingServiceStub) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.EstimateTraining(v1.EstimateTrainingRequest(), timeout=DEADLINE)

    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "cannot be predicted by this version" in (refused.value.details() or "")


async def test_the_service_is_healthy_by_name(channel: grpc.aio.Channel) -> None:
    request = health_pb2.HealthCheckRequest(service="mistudio.v1.TrainingService")
    response = await health_pb2_grpc.HealthStub(channel).Check(request, timeout=DEADLINE)

    assert response.status == health_pb2.HealthCheckResponse.SERVING
