"""Every spec that cannot be trained ends its job at once, with a sentence that names the field."""

from __future__ import annotations

import pytest

from mistudio import v1
from mistudio.v1 import ArtifactRef, SaeSpec
from mistudio_runtime.jobs import PermanentFailure
from mistudio_trainer.train_sae import run
from support.workshop import Workshop

TOPK = SaeSpec(d_sae=24, k=4)


@pytest.fixture
def inputs(workshop: Workshop) -> tuple[str, str]:
    model = workshop.add_model()
    return model, workshop.add_tokens(model)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"hook_points": []}, "hook_points: name at least one"),
        ({"hook_points": ["layer.1.nowhere"]}, "is unknown; write layer.<i>.<kind>"),
        ({"hook_points": ["layer.3.resid_post"]}, "this model has layers 0 to 2"),
        ({"hook_points": ["transformer.nowhere"]}, "no such module"),
        ({"hook_points": ["transformer.h.0", "transformer.h.0.mlp.c_fc"]}, "their widths differ"),
        ({"saes": []}, "saes: name at least one"),
        ({"saes": [SaeSpec(k=4)]}, r"saes\[0\].d_sae: give the number of latents"),
        ({"saes": [TOPK, SaeSpec(d_sae=24, k=25)]}, r"saes\[1\].k: must be between 1 and d_sae = 24, not 25"),
        ({"saes": [SaeSpec(d_sae=24)]}, r"saes\[0\].k: must be between 1"),
        (
            {"saes": [SaeSpec(d_sae=24, k=4, architecture=99)]},
            r"saes\[0\].architecture: this version",
        ),
        (
            {"saes": [TOPK, SaeSpec(d_sae=24, k=4, architecture=v1.SAE_ARCHITECTURE_TRANSCODER)]},
            r"layer\.1\.resid_post: a transcoder reads the input of an MLP; name layer\.1\.mlp_in",
        ),
        ({"saes": [TOPK, TOPK]}, r"saes\[1\].name: another SAE is called topk-24-k4"),
        ({"saes": [SaeSpec(d_sae=24, k=4, learning_rate=-1)]}, "learning_rate: must be finite and above 0"),
        ({"total_tokens": 0}, "total_tokens: must be above 0"),
        ({"total_tokens": 63}, "total_tokens: 63 is less than one batch of 64"),
        ({"learning_rate": 0.0}, "learning_rate: must be finite and above 0"),
        ({"buffer_tokens": 100}, "buffer_tokens: must be at least two batches"),
        ({"batch_tokens": 2048, "total_tokens": 4096, "buffer_tokens": 0}, "batch_tokens: one batch of 2048 is more"),
        ({"dtype": "int8"}, "dtype: 'int8' is unknown"),
        ({"device": "tpu"}, "device: 'tpu' is unknown"),
        ({"device": "cuda:"}, "device: 'cuda:' is unknown"),
        ({"device": "cuda:99"}, "device: cuda:99 is not on this machine"),
        ({"model": ArtifactRef()}, "model: name an artifact of kind model"),
        ({"model": ArtifactRef(artifact_id="model-gone-0")}, "model: there is no artifact 'model-gone-0'"),
        ({"model": ArtifactRef(artifact_id="tokens-tokens-0")}, "model: tokens-tokens-0 is of kind tokens"),
        ({"tokens": ArtifactRef(artifact_id="model-model-0")}, "tokens: model-model-0 is of kind model"),
    ],
)
def test_a_bad_field_is_named(
    workshop: Workshop, inputs: tuple[str, str], fields: dict[str, object], sentence: str
) -> None:
    spec = workshop.training(*inputs)
    spec.ClearField("model") if "model" in fields else None
    for name, value in fields.items():
        spec.ClearField(name)
        spec.MergeFrom(v1.TrainSae(**{name: value}))
        if not isinstance(value, list | ArtifactRef):
            setattr(spec, name, value)
    with pytest.raises(Exception, match=sentence) as failure:
        run(spec, workshop.job("job-bad"))

    assert isinstance(failure.value, PermanentFailure) or hasattr(failure.value, "failure_reason")
    assert not workshop.store.exists("sae-bad-0")


def test_tokens_of_another_tokenizer_are_refused(workshop: Workshop, inputs: tuple[str, str]) -> None:
    model, _ = inputs
    other = workshop.add_model("job-other", words="v")
    foreign = workshop.add_tokens(other, "job-foreign")
    with pytest.raises(PermanentFailure, match="made with the tokenizer of model-other-0") as failure:
        run(workshop.training(model, foreign), workshop.job("job-bad"))

    assert failure.value.reason == "TOKENIZER_MISMATCH"


def test_tokens_of_a_model_with_the_same_tokenizer_are_welcome(workshop: Workshop, inputs: tuple[str, str]) -> None:
    _, tokens = inputs
    sibling = workshop.add_model("job-sibling", seed=1)

    assert run(workshop.training(sibling, tokens), workshop.job("job-one")) == ["sae-one-0"]


def test_tokens_of_another_vocabulary_are_refused(workshop: Workshop, inputs: tuple[str, str]) -> None:
    model, _ = inputs
    foreign = workshop.add_tokens("", "job-foreign", vocab_size=80)
    with pytest.raises(ValueError, match="tokenize with the tokenizer of this model"):
        run(workshop.training(model, foreign), workshop.job("job-bad"))
