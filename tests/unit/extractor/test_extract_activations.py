"""extract_activations from spec to artifact, run directly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from mistudio.v1 import ArtifactRef, AttemptReport, ExtractActivations
from mistudio_extractor.activation_shards import ActivationShards
from mistudio_extractor.extract_activations import run
from mistudio_runtime.jobs import JobStoppedError, PermanentFailure, Stop
from mistudio_sae.errors import ScienceError
from mistudio_sae.models import HookPoint, capture, load_model
from mistudio_sae.tokens import TokensReader
from support.workshop import BOS, CONTEXT, D_MODEL, HOOK, Workshop

OTHER = "transformer.h.0.mlp.c_fc"


@pytest.fixture
def inputs(workshop: Workshop) -> tuple[str, str]:
    model = workshop.add_model()
    return model, workshop.add_tokens(model)


def spec(inputs: tuple[str, str], **fields: object) -> ExtractActivations:
    model, tokens = (ArtifactRef(artifact_id=each) for each in inputs)
    return ExtractActivations(**({"model": model, "tokens": tokens, "hook_points": [HOOK]} | fields))


def test_the_shards_hold_what_the_model_computes(workshop: Workshop, inputs: tuple[str, str]) -> None:
    (artifact,) = run(spec(inputs, hook_points=[HOOK, OTHER]), workshop.job("job-one"))
    folder = workshop.store.path(artifact)
    shard = load_file(folder / "activations-00000.safetensors")
    index = json.loads((folder / "activations.json").read_text())

    lm = load_model(workshop.store.path(inputs[0]))
    reader = TokensReader.open(workshop.store.path(inputs[1]))
    ids = torch.from_numpy(reader.blocks("train")[0:16])
    expected = capture(lm, ids, [HookPoint.parse(HOOK), HookPoint.parse(OTHER)])
    count = int((ids != BOS).sum())
    for name in (HOOK, OTHER):
        assert torch.allclose(shard[name][:count], expected[name][ids != BOS], atol=1e-5)
    assert torch.equal(shard["token_ids"][:count], ids[ids != BOS])
    assert index["hook_points"] == {HOOK: D_MODEL, OTHER: 4 * D_MODEL}
    assert index["tokens"] == len(shard["token_ids"])


def test_every_token_knows_its_place(workshop: Workshop, inputs: tuple[str, str]) -> None:
    (artifact,) = run(spec(inputs), workshop.job("job-one"))
    shard = load_file(workshop.store.path(artifact) / "activations-00000.safetensors")
    reader = TokensReader.open(workshop.store.path(inputs[1]))

    blocks = reader.blocks("train")[:]
    for place in range(0, len(shard["token_ids"]), 37):
        block, position = int(shard["blocks"][place]), int(shard["positions"][place])
        assert shard["token_ids"][place] == blocks[block, position]
        assert shard["documents"][place] == reader.document_at("train", block, position)


def test_the_artifact_says_what_it_is(workshop: Workshop, inputs: tuple[str, str]) -> None:
    (artifact,) = run(spec(inputs, max_tokens=10 * CONTEXT + 1, dtype="bfloat16"), workshop.job("job-one"))

    manifest = workshop.store.get(artifact)
    assert (manifest.kind, manifest.parents) == ("activations", inputs)
    assert (manifest.summary["blocks"], manifest.summary["dtype"], manifest.summary["model"]) == (
        10,
        "bfloat16",
        "tiny",
    )
    shard = load_file(workshop.store.path(artifact) / "activations-00000.safetensors")
    assert shard[HOOK].dtype == torch.bfloat16
    assert manifest.summary["tokens"] == len(shard[HOOK])


def test_shards_are_closed_at_their_size_and_lose_nothing(tmp_path: Path) -> None:
    shards = ActivationShards(tmp_path, shard_bytes=300)
    rows = torch.arange(120.0).reshape(30, 4)
    for first in range(0, 30, 5):
        part = slice(first, first + 5)
        shards.add({"here": rows[part]}, {"blocks": torch.arange(first, first + 5)})
        assert shards._held < 300
    index = shards.close(model="tiny")

    assert [shard["first_block"] for shard in index["shards"]] == [0, 15]
    read = torch.cat([load_file(tmp_path / shard["file"])["here"] for shard in index["shards"]])
    assert torch.equal(read, rows)
    assert index["tokens"] == 30


@pytest.mark.parametrize("stop", [Stop.CANCEL, Stop.PAUSE, Stop.DRAIN])
def test_a_stopped_job_commits_nothing(workshop: Workshop, inputs: tuple[str, str], stop: Stop) -> None:
    job = workshop.job("job-one")

    def watch(report: AttemptReport) -> None:
        if report.progress.stage == "extract":
            job.request_stop(stop)

    job.watch = watch
    with pytest.raises(JobStoppedError) as stopped:
        run(spec(inputs), job)

    assert stopped.value.stop is stop
    assert not workshop.store.exists("activations-one-0")


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"hook_points": []}, "hook_points: name at least one"),
        ({"hook_points": ["layer.9.resid_post"]}, "this model has layers 0 to 2"),
        ({"dtype": "int8"}, "dtype: 'int8' is unknown"),
        ({"device": "cuda:99"}, "cuda:99 is not on this machine"),
        ({"model": ArtifactRef()}, "model: name an artifact of kind model"),
        ({"tokens": ArtifactRef(artifact_id="model-model-0")}, "tokens: model-model-0 is of kind model"),
    ],
)
def test_a_bad_field_is_named(
    workshop: Workshop, inputs: tuple[str, str], fields: dict[str, object], sentence: str
) -> None:
    with pytest.raises((PermanentFailure, ScienceError), match=sentence):
        run(spec(inputs, **fields), workshop.job("job-bad"))

    assert not workshop.store.exists("activations-bad-0")


def test_what_does_not_fit_the_number_format_is_refused(workshop: Workshop, inputs: tuple[str, str]) -> None:
    model = workshop.add_model("job-huge", embedding_scale=1e6)
    with pytest.raises(PermanentFailure, match="not finite as float16; take") as failure:
        run(spec((model, inputs[1]), hook_points=["layer.0.resid_pre"], dtype="float16"), workshop.job("job-bad"))

    assert failure.value.reason == "NOT_FINITE"
