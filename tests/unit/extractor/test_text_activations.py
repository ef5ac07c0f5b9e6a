"""Which latents fire where on a text, against the same computed in one go."""

from __future__ import annotations

import pytest
import torch

from mistudio.v1 import ArtifactRef, ExtractFeatures
from mistudio_extractor import text_activations
from mistudio_extractor.extract_features import run
from mistudio_extractor.text_activations import activate
from mistudio_extractor.warm_saes import WarmSae, WarmSaes
from mistudio_runtime.errors import FailedPreconditionError, InvalidRequestError, NotFoundError
from mistudio_sae.models import capture
from support.workshop import BOS, CONTEXT, Workshop

TEXT = " ".join(f"w{1 + 7 * index % 60}" for index in range(CONTEXT - 1))


@pytest.fixture
def features(workshop: Workshop) -> str:
    model = workshop.add_model()
    sae = workshop.add_sae(model, workshop.add_tokens(model))
    return run(ExtractFeatures(sae=ArtifactRef(artifact_id=sae)), workshop.job("job-features"))[0]


@pytest.fixture
def warm(workshop: Workshop, features: str) -> WarmSae:
    return WarmSaes(workshop.store).of(features)


def reference(warm: WarmSae, text: str) -> torch.Tensor:
    ids = torch.tensor([[BOS, *warm.lm.tokenizer(text, add_special_tokens=False)["input_ids"]]])
    return warm.sae.encode(capture(warm.lm, ids, [warm.hook])[warm.hook.name])[0, 1:]


def test_the_strongest_latents_come_first_with_their_traces(warm: WarmSae) -> None:
    found = activate(warm, TEXT, 5)
    expected = reference(warm, TEXT)

    strongest = expected.amax(dim=0).argsort(descending=True, stable=True)[:5]
    assert found.latents == strongest.tolist()
    assert torch.allclose(torch.tensor(found.activations), expected[:, strongest].T, atol=1e-5)


def test_a_latent_that_does_not_fire_is_not_named(warm: WarmSae) -> None:
    found = activate(warm, "w1 w2", 100)

    assert 0 < len(found.latents) <= 8
    assert all(max(trace) > 0 for trace in found.activations)


def test_a_long_text_is_read_window_by_window(warm: WarmSae) -> None:
    once, twice = activate(warm, TEXT, 3), activate(warm, f"{TEXT} {TEXT}", 3)

    assert twice.latents == once.latents
    for one, two in zip(once.activations, twice.activations, strict=True):
        assert two == pytest.approx([*one, *one], abs=1e-5)


def test_the_size_of_a_step_does_not_matter(warm: WarmSae, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = activate(warm, TEXT, 5)
    monkeypatch.setattr(text_activations, "_ROWS", 4)
    stepwise = activate(warm, TEXT, 5)

    assert stepwise.latents == whole.latents
    for one, two in zip(whole.activations, stepwise.activations, strict=True):
        assert two == pytest.approx(one, abs=1e-5)


def test_a_text_without_tokens_activates_nothing(warm: WarmSae) -> None:
    assert activate(warm, "   ", 5).token_ids == []


def test_the_same_sae_stays_loaded(workshop: Workshop, features: str) -> None:
    warm = WarmSaes(workshop.store)

    assert warm.of(features) is warm.of(features)


def test_what_has_no_sae_is_refused(workshop: Workshop, features: str) -> None:
    warm = WarmSaes(workshop.store)
    with pytest.raises(InvalidRequestError, match="name one of kind features"):
        warm.of("model-model-0")
    with pytest.raises(NotFoundError):
        warm.of("features-gone-0")
    with workshop.store.draft("features", job_id="job-stray", attempt=1) as draft:
        draft.commit()
    with pytest.raises(FailedPreconditionError, match="names no sae that is in the store"):
        warm.of("features-stray-0")
