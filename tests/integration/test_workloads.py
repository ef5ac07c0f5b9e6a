"""The real services as processes started by hand, on an external broker: text to features, through kills."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import mistudio
from mistudio import v1
from mistudio.states import JobState
from support.broker import NatsServer
from support.mesh import Mesh
from support.waiting import eventually

pytestmark = pytest.mark.timeout(600)
SERVICES = ("ingest", "trainer", "extractor", "curator")
MODEL = "pydocs-gpt2-6l"


@pytest.fixture
async def mesh(home: Path, nats_server: NatsServer) -> AsyncIterator[Mesh]:
    async with Mesh(home, nats_server.url) as mesh:
        await mesh.gateway()
        for service in SERVICES:
            mesh.start("-m", f"mistudio_{service}", "--name", f"{service}@1")
        for service in SERVICES:
            await eventually(lambda name=f"{service}@1": mesh.attached(name), within=90, what=f"{service} is attached")
        yield mesh


def chain() -> mistudio.Pipeline:
    """A short chain whose training is long enough to be interrupted."""
    pipeline = mistudio.Pipeline()
    dataset = pipeline.add("dataset", v1.DownloadDataset(bundled="python-topics", max_rows=20))
    model = pipeline.add("model", v1.DownloadModel(bundled=MODEL))
    tokens = pipeline.add("tokens", v1.TokenizeDataset(dataset=dataset, model=model, context_length=64))
    training = v1.TrainSae(
        model=model,
        tokens=tokens,
        hook_points=["layer.1.resid_post"],
        saes=[v1.SaeSpec(d_sae=128, k=8)],
        total_tokens=65_536,
        batch_tokens=512,
        buffer_tokens=2_048,
        checkpoint_every_tokens=4_096,
    )
    sae = pipeline.add("sae", training)
    pipeline.add("features", v1.ExtractFeatures(sae=sae, max_tokens=4_096))
    return pipeline


async def test_a_trainer_killed_in_training_goes_on_from_its_checkpoint(mesh: Mesh) -> None:
    async with mistudio.AsyncClient(mesh.address) as client:
        run = await client.jobs.submit_pipeline(chain())
        training, features = run.jobs["sae"], run.jobs["features"]
        trainer = mesh.processes[2]
        scratch = mesh.home / "scratch" / training.id / "checkpoints"
        await eventually(lambda: any(scratch.glob("step-*")), within=240, what="there is a checkpoint")
        trainer.send_signal(signal.SIGKILL)
        trainer.wait()
        mesh.start("-m", "mistudio_trainer", "--name", "trainer@2")

        await features.result(timeout=300)
        done = await training.refresh()
        assert done.state is JobState.SUCCEEDED
        outcomes = [attempt.outcome for attempt in done.proto.attempts]
        assert outcomes == [v1.ATTEMPT_OUTCOME_LOST, v1.ATTEMPT_OUTCOME_SUCCEEDED]
        lines = [event.log.message async for event in training.watch() if event.WhichOneof("event") == "log"]
        assert any("resumed after" in line for line in lines), lines
        assert not scratch.exists()

        listed = [feature async for feature in client.features.list(features.artifact_ids[0], page_size=10)]
        assert listed
        sae = (await client.artifacts.get(training.artifact_ids[0])).artifact
        assert sae.summary["metrics"]["l0"] <= 8
        points = [point async for point in client.training.metrics(training.id)]
        assert {"loss", "explained_variance"} <= {point.name for point in points}


async def test_queries_are_forwarded_and_changes_are_jobs(mesh: Mesh) -> None:
    async with mistudio.AsyncClient(mesh.address) as client:
        dataset = await client.jobs.submit(v1.DownloadDataset(bundled="python-topics", max_rows=3))
        model = await client.jobs.submit(v1.DownloadModel(bundled=MODEL))
        [dataset_id], [model_id] = await asyncio.gather(dataset.result(timeout=120), model.result(timeout=120))
        rows = await client.datasets.preview(dataset_id)
        assert rows.total_rows == 3
        split = await client.datasets.preview_tokenization(model_id, "Return the number of items.")
        assert "".join(token.text for token in split) == "Return the number of items."
        change = await client.artifacts.update(dataset_id, display_name="three topics")
        await change.result(timeout=60)
        assert (await client.artifacts.get(dataset_id)).artifact.display_name == "three topics"
        gone = await client.artifacts.delete(dataset_id)
        await gone.result(timeout=60)
        with pytest.raises(mistudio.NotFoundError):
            await client.artifacts.get(dataset_id)


async def test_bad_input_found_late_fails_once_with_a_sentence(mesh: Mesh, home: Path) -> None:
    (home / "bad.parquet").write_bytes(b"not parquet at all")
    async with mistudio.AsyncClient(mesh.address) as client:
        spec = v1.DownloadDataset(local=v1.LocalFiles(paths=[str(home / "bad.parquet")]))
        job = await client.jobs.submit(spec)
        with pytest.raises(mistudio.JobFailedError) as caught:
            await job.result(timeout=120)
        assert "bad.parquet" in str(caught.value)
        assert len((await job.refresh()).proto.attempts) == 1
