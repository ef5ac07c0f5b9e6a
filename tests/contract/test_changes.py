"""Changes of artifacts and features: what is refused is said in the words of the request."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest

from mistudio import v1
from support.broker import NatsServer
from support.mesh import MODEL, Mesh, quick_job


@pytest.fixture
async def mesh(home: Path, nats_server: NatsServer) -> AsyncIterator[Mesh]:
    async with Mesh(home, nats_server.url) as mesh:
        await mesh.gateway()
        yield mesh


async def refusal(call: Awaitable[Any]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), caught.value.details() or ""


async def test_an_artifact_that_is_not_there_is_not_found(mesh: Mesh) -> None:
    catalog, features = v1.CatalogServiceStub(mesh.channel), v1.FeatureServiceStub(mesh.channel)
    for call in (
        catalog.UpdateArtifact(v1.UpdateArtifactRequest(artifact_id="sae-none-0", display_name="x"), timeout=10),
        catalog.DeleteArtifact(v1.DeleteArtifactRequest(artifact_id="sae-none-0"), timeout=10),
        features.UpdateFeature(v1.UpdateFeatureRequest(artifact_id="sae-none-0", label="x"), timeout=10),
    ):
        code, text = await refusal(call)
        assert (code, "there is no artifact 'sae-none-0'" in text) == (grpc.StatusCode.NOT_FOUND, True)


async def test_bad_fields_are_those_of_the_request(mesh: Mesh) -> None:
    catalog, features = v1.CatalogServiceStub(mesh.channel), v1.FeatureServiceStub(mesh.channel)
    rename = v1.UpdateArtifactRequest(artifact_id=MODEL, display_name="x" * 300)
    code, text = await refusal(catalog.UpdateArtifact(rename, timeout=10))
    assert (code, text.partition(":")[0]) == (grpc.StatusCode.INVALID_ARGUMENT, "display_name")
    note = v1.UpdateFeatureRequest(artifact_id=MODEL, latent=1, label="x")
    code, text = await refusal(features.UpdateFeature(note, timeout=10))
    assert (code, text) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        f"artifact_id: {MODEL} is of kind model; name one of kind features",
    )


async def test_a_job_that_was_only_validated_has_no_id(mesh: Mesh) -> None:
    request = v1.SubmitJobRequest(job=quick_job(), validate_only=True)
    answer = await mesh.jobs.SubmitJob(request, timeout=10)
    assert (answer.job.id, answer.job.queue) == ("", "low_priority")
    assert not (await mesh.jobs.ListJobs(v1.ListJobsRequest(), timeout=10)).jobs
