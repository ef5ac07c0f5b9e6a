"""extract_features from spec to artifact, run directly."""

from __future__ import annotations

import pytest

from mistudio.v1 import ArtifactRef, AttemptReport, ExtractFeatures
from mistudio_extractor.extract_features import run
from mistudio_runtime.jobs import JobStoppedError, PermanentFailure, Stop
from mistudio_sae.errors import ScienceError
from mistudio_sae.features import FeatureStore
from support.workshop import HOOK, Workshop


@pytest.fixture
def sae(workshop: Workshop) -> str:
    model = workshop.add_model()
    return workshop.add_sae(model, workshop.add_tokens(model))


def named(artifact_id: str) -> ArtifactRef:
    return ArtifactRef(artifact_id=artifact_id)


def test_model_and_tokens_are_those_of_the_sae(workshop: Workshop, sae: str) -> None:
    (features,) = run(ExtractFeatures(sae=named(sae)), workshop.job("job-one"))

    manifest = workshop.store.get(features)
    assert manifest.parents == ("sae-sae-0", "model-model-0", "tokens-tokens-0")
    assert (manifest.summary["latents"], manifest.summary["split"]) == (24, "train")
    assert manifest.summary["hook_point"] == HOOK
    assert manifest.summary["alive"] < 24
    with FeatureStore.open(workshop.store.path(features)) as store:
        assert len(store) == 24
        assert store.get(3).row.dead


def test_the_spec_is_obeyed(workshop: Workshop, sae: str) -> None:
    spec = ExtractFeatures(
        sae=named(sae),
        split="validation",
        max_tokens=64,
        top_examples=2,
        context_tokens=1,
        histogram_bins=8,
        logits=3,
        latents=[9, 1, 5],
        device="cpu",
    )
    (features,) = run(spec, workshop.job("job-one"))

    summary = workshop.store.get(features).summary
    assert (summary["latents"], summary["d_sae"], summary["split"]) == (3, 24, "validation")
    assert summary["tokens"] <= 64
    with FeatureStore.open(workshop.store.path(features)) as store:
        feature = store.get(store.list("density", limit=1)[0].latent)
    assert len(feature.histogram) == 8
    assert len(feature.top_logits) == 3
    assert 1 <= len(feature.top_examples) <= 2
    assert all(len(example.tokens) <= 3 for example in feature.top_examples)


def test_progress_goes_through_the_stages(workshop: Workshop, sae: str) -> None:
    job = workshop.job("job-one")
    run(ExtractFeatures(sae=named(sae)), job)

    assert list(dict.fromkeys(p.stage for p in job.progressed)) == ["load", "extract", "write"]
    fractions = [p.fraction for p in job.progressed]
    assert fractions == sorted(fractions)


@pytest.mark.parametrize("stop", [Stop.CANCEL, Stop.PAUSE, Stop.DRAIN])
def test_a_stopped_job_commits_nothing(workshop: Workshop, sae: str, stop: Stop) -> None:
    job = workshop.job("job-one")

    def watch(report: AttemptReport) -> None:
        if report.progress.stage == "extract":
            job.request_stop(stop)

    job.watch = watch
    with pytest.raises(JobStoppedError) as stopped:
        run(ExtractFeatures(sae=named(sae)), job)

    assert stopped.value.stop is stop
    assert not workshop.store.exists("features-one-0")
    assert not list(workshop.store.drafts.iterdir())


def test_a_second_delivery_makes_the_same_artifact(workshop: Workshop, sae: str) -> None:
    spec = ExtractFeatures(sae=named(sae))
    first = run(spec, workshop.job("job-one", attempt=1))
    manifest = workshop.store.get(first[0])

    assert run(spec, workshop.job("job-one", attempt=2)) == first
    assert workshop.store.get(first[0]) == manifest


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"sae": ArtifactRef()}, "sae: name an artifact of kind sae"),
        ({"sae": named("sae-gone-0")}, "sae: there is no artifact"),
        ({"sae": named("model-model-0")}, "sae: model-model-0 is of kind model"),
        ({"tokens": named("model-model-0")}, "tokens: model-model-0 is of kind model"),
        ({"split": "test"}, "no split 'test'"),
        ({"latents": [24]}, "must lie below d_sae = 24"),
        ({"histogram_bins": 40}, "must be a power of two"),
        ({"device": "cuda:99"}, "device: cuda:99 is not on this machine"),
    ],
)
def test_a_bad_field_is_named(workshop: Workshop, sae: str, fields: dict[str, object], sentence: str) -> None:
    with pytest.raises((PermanentFailure, ScienceError), match=sentence):
        run(ExtractFeatures(**({"sae": named(sae)} | fields)), workshop.job("job-bad"))

    assert not workshop.store.exists("features-bad-0")


def test_an_sae_of_unknown_origin_needs_its_inputs_named(workshop: Workshop, sae: str) -> None:
    stray = workshop.add_sae("", "", "job-stray")
    with pytest.raises(PermanentFailure, match="model: sae-stray-0 does not say which model"):
        run(ExtractFeatures(sae=named(stray)), workshop.job("job-bad"))

    spec = ExtractFeatures(sae=named(stray), model=named("model-model-0"), tokens=named("tokens-tokens-0"))
    assert run(spec, workshop.job("job-one")) == ["features-one-0"]


def test_tokens_of_another_tokenizer_are_refused(workshop: Workshop, sae: str) -> None:
    foreign = workshop.add_tokens(workshop.add_model("job-other", words="v"), "job-foreign")
    with pytest.raises(PermanentFailure, match="made with the tokenizer of model-other-0"):
        run(ExtractFeatures(sae=named(sae), tokens=named(foreign)), workshop.job("job-bad"))
