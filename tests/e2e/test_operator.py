"""What an operator does: up, up again, down in the middle of a training job, up, and the job goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import mistudio
from mistudio import v1
from support.operator import Operator
from support.waiting import eventually

pytestmark = pytest.mark.timeout(400)


@pytest.fixture
def operator(tmp_path: Path) -> Iterator[Operator]:
    person = Operator(tmp_path / "home")
    yield person
    person.clean_up()


def chain() -> mistudio.Pipeline:
    """Returns a pipeline whose training lasts some ten seconds and saves checkpoints often."""
    steps = mistudio.Pipeline()
    dataset = steps.add("dataset", v1.DownloadDataset(bundled="python-topics", max_rows=40))
    model = steps.add("model", v1.DownloadModel(bundled="pydocs-gpt2-6l"))
    tokens = steps.add("tokens", v1.TokenizeDataset(dataset=dataset, model=model, context_length=64))
    training = v1.TrainSae(
        model=model,
        tokens=tokens,
        hook_points=["layer.1.resid_post"],
        saes=[v1.SaeSpec(d_sae=128, k=8)],
        total_tokens=80_000,
        batch_tokens=512,
        buffer_tokens=2_048,
        checkpoint_every_tokens=4_096,
    )
    steps.add("sae", training)
    return steps


async def test_a_stop_in_the_middle_of_training_loses_nothing(operator: Operator) -> None:
    assert "the mesh runs (profile minimal)" in operator.run("up", "--detach")
    assert "the mesh runs already" in operator.run("up")
    assert "for profile full stop it first" in operator.run("up", "--profile", "full", code=7)
    async with mistudio.AsyncClient(operator.address) as client:
        job = (await client.jobs.submit_pipeline(chain())).jobs["sae"]
    checkpoints = operator.home / "scratch" / job.id / "checkpoints"
    await eventually(lambda: any(checkpoints.glob("step-*")), within=180, what="there is a checkpoint")

    told = operator.json("down")
    assert told["unfinished"]["requeued"] == [{"id": job.id, "kind": "train_sae"}]
    assert told["left"] == []
    assert operator.processes() == []
    assert operator.json("status", code=5)["answers"] is False

    operator.run("up", "--detach")
    async with mistudio.AsyncClient(operator.address) as client:
        again = await client.jobs.get(job.id)
        assert await again.result(timeout=240)
        outcomes = [attempt.outcome for attempt in (await again.refresh()).proto.attempts]
    assert outcomes == [v1.ATTEMPT_OUTCOME_RELEASED, v1.ATTEMPT_OUTCOME_SUCCEEDED]
    assert operator.json("down")["unfinished"] == {"requeued": [], "queued": 0, "paused": 0}
    assert operator.processes() == []
