"""FeatureService over a real socket."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace

import grpc
import pytest

from mistudio import v1
from mistudio.v1 import (
    ActivateTextRequest,
    ArtifactRef,
    ExtractFeatures,
    GetFeatureRequest,
    ListFeaturesRequest,
    SearchFeaturesRequest,
)
from mistudio_extractor.extract_features import run
from mistudio_extractor.service import service
from mistudio_runtime.artifacts.notes import FeatureNotes, edit_notes
from support.services import serving
from support.workshop import Workshop

DEADLINE = 30
FEATURES = "features-features-0"
DEAD = 3


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    """A data home with features of a tiny SAE; extracting them takes longest, so all tests share them."""
    workshop = Workshop(tmp_path_factory.mktemp("features"))
    model = workshop.add_model()
    sae = workshop.add_sae(model, workshop.add_tokens(model))
    run(ExtractFeatures(sae=ArtifactRef(artifact_id=sae)), workshop.job("job-features"))
    return workshop


@pytest.fixture
async def stub(workshop: Workshop) -> AsyncIterator[v1.FeatureServiceStub]:
    async with serving(service, workshop) as channel:
        yield v1.FeatureServiceStub(channel)


async def listed(stub: v1.FeatureServiceStub, **fields: object) -> v1.ListFeaturesResponse:
    return await stub.ListFeatures(ListFeaturesRequest(artifact_id=FEATURES, **fields), timeout=DEADLINE)


async def code(call: Awaitable[object]) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value.code()


async def test_features_come_in_the_asked_order(stub: v1.FeatureServiceStub) -> None:
    keys = {
        v1.FEATURE_ORDER_UNSPECIFIED: "interestingness",
        v1.FEATURE_ORDER_INTERESTINGNESS: "interestingness",
        v1.FEATURE_ORDER_DENSITY: "density",
        v1.FEATURE_ORDER_MAX_ACTIVATION: "max_activation",
    }
    for order, key in keys.items():
        values = [getattr(feature, key) for feature in (await listed(stub, order=order)).features]
        assert values == sorted(values, reverse=True)
    latents = [feature.latent for feature in (await listed(stub, order=v1.FEATURE_ORDER_LATENT)).features]
    assert latents == sorted(latents)
    backwards = await listed(stub, order=v1.FEATURE_ORDER_LATENT, reverse=True)
    assert [feature.latent for feature in backwards.features] == latents[::-1]


async def test_dead_features_come_only_when_asked_for(stub: v1.FeatureServiceStub) -> None:
    alive, everything = await listed(stub), await listed(stub, include_dead=True)

    assert DEAD not in {feature.latent for feature in alive.features}
    assert DEAD in {feature.latent for feature in everything.features}
    assert everything.total_size == 24
    assert all(len(feature.examples) == 1 for feature in alive.features)


async def test_densities_are_filtered(stub: v1.FeatureServiceStub) -> None:
    everything = [feature.density for feature in (await listed(stub)).features]
    low, high = sorted(everything)[2], sorted(everything)[-3]
    chosen = await listed(stub, min_density=low, max_density=high)

    assert sorted(feature.density for feature in chosen.features) == [d for d in sorted(everything) if low <= d <= high]


async def test_pages_follow_each_other_without_gaps(stub: v1.FeatureServiceStub) -> None:
    whole = [feature.latent for feature in (await listed(stub)).features]
    pages, token = [], ""
    while True:
        page = await listed(stub, page_size=5, page_token=token)
        assert page.total_size == len(whole)
        pages += [feature.latent for feature in page.features]
        token = page.next_page_token
        if not token:
            break

    assert pages == whole


async def test_a_page_token_belongs_to_its_list(stub: v1.FeatureServiceStub) -> None:
    token = (await listed(stub, page_size=5)).next_page_token

    for fields in (
        {"order": v1.FEATURE_ORDER_DENSITY, "page_token": token},
        {"page_token": "?"},
        {"page_token": "AAAA"},
    ):
        assert await code(listed(stub, **fields)) is grpc.StatusCode.INVALID_ARGUMENT


async def test_one_feature_is_told_completely(stub: v1.FeatureServiceStub) -> None:
    latent = (await listed(stub, order=v1.FEATURE_ORDER_DENSITY)).features[0].latent
    request = GetFeatureRequest(artifact_id=FEATURES, latent=latent)
    feature = (await stub.GetFeature(request, timeout=DEADLINE)).feature

    assert (feature.artifact_id, feature.latent) == (FEATURES, latent)
    assert len(feature.histogram_edges) == len(feature.histogram_counts) + 1
    assert feature.histogram_edges[0] == 0
    top = [example for example in feature.examples if example.source == "top"]
    assert [example.activation for example in top] == sorted((e.activation for e in top), reverse=True)
    assert top[0].activation == pytest.approx(feature.max_activation)
    assert top[0].tokens[top[0].peak].activation == pytest.approx(top[0].activation)
    assert top[0].tokens[top[0].peak].text.startswith("w")
    assert {example.source for example in feature.examples} - {"top"} <= {
        f"q{low}-q{low + 20}" for low in range(0, 100, 20)
    }
    assert feature.top_logits[0].logit >= feature.top_logits[-1].logit >= feature.bottom_logits[0].logit
    assert feature.neighbours[0].cosine >= feature.neighbours[-1].cosine


async def test_what_people_wrote_is_shown(workshop: Workshop, stub: v1.FeatureServiceStub) -> None:
    note = {5: FeatureNotes(label="numbers", starred=True)}
    edit_notes(workshop.store, FEATURES, lambda notes: replace(notes, features=note))
    feature = (await stub.GetFeature(GetFeatureRequest(artifact_id=FEATURES, latent=5), timeout=DEADLINE)).feature
    everything = await listed(stub, include_dead=True)

    assert (feature.label, feature.starred) == ("numbers", True)
    assert [f.latent for f in everything.features if f.starred] == [5]


async def test_features_are_found_by_their_tokens(stub: v1.FeatureServiceStub) -> None:
    feature = (await listed(stub)).features[0]
    peak = feature.examples[0].tokens[feature.examples[0].peak].text
    request = SearchFeaturesRequest(artifact_id=FEATURES, query=peak.upper(), limit=200)
    found = (await stub.SearchFeatures(request, timeout=DEADLINE)).features

    assert feature.latent in {each.latent for each in found}
    assert all(len(each.examples) <= 1 for each in found)
    limited = SearchFeaturesRequest(artifact_id=FEATURES, query="w", limit=2)
    assert len((await stub.SearchFeatures(limited, timeout=DEADLINE)).features) == 2


async def test_a_text_activates_features(stub: v1.FeatureServiceStub) -> None:
    request = ActivateTextRequest(artifact_id=FEATURES, text="w1 w2 w3 w4", features=3)
    # At once, because hooks on a shared model must not meet.
    answers = await asyncio.gather(*(stub.ActivateText(request, timeout=DEADLINE) for _ in range(4)))

    assert list(answers[0].tokens) == ["w1", "w2", "w3", "w4"]
    assert len(answers[0].traces) == 3
    for trace in answers[0].traces:
        assert len(trace.activations) == 4
        assert trace.max_activation == max(trace.activations) > 0
    assert all(answer == answers[0] for answer in answers)


async def test_what_cannot_be_answered_is_refused(stub: v1.FeatureServiceStub) -> None:
    def get(artifact_id: str, latent: int) -> Awaitable[object]:
        return stub.GetFeature(GetFeatureRequest(artifact_id=artifact_id, latent=latent), timeout=DEADLINE)

    def search(query: str, limit: int = 0) -> Awaitable[object]:
        request = SearchFeaturesRequest(artifact_id=FEATURES, query=query, limit=limit)
        return stub.SearchFeatures(request, timeout=DEADLINE)

    def activate(text: str, features: int = 0) -> Awaitable[object]:
        request = ActivateTextRequest(artifact_id=FEATURES, text=text, features=features)
        return stub.ActivateText(request, timeout=DEADLINE)

    assert await code(get(FEATURES, 24)) is grpc.StatusCode.NOT_FOUND
    assert await code(get("features-gone-0", 0)) is grpc.StatusCode.NOT_FOUND
    assert await code(get("../features-features-0", 0)) is grpc.StatusCode.NOT_FOUND
    for call in (
        get("model-model-0", 0),
        listed(stub, page_size=-1),
        listed(stub, order=99),
        search("  "),
        search("w", 201),
        activate(""),
        activate("w" * 20_001),
        activate("w1", 101),
    ):
        assert await code(call) is grpc.StatusCode.INVALID_ARGUMENT


async def test_damaged_features_say_so(workshop: Workshop, stub: v1.FeatureServiceStub) -> None:
    with workshop.store.draft("features", job_id="job-damaged", attempt=1) as draft:
        (draft.path / "features.json").write_text("{")
        draft.commit()
    request = GetFeatureRequest(artifact_id="features-damaged-0", latent=0)

    assert await code(stub.GetFeature(request, timeout=DEADLINE)) is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_damaged_file_says_so_whatever_is_asked(workshop: Workshop, stub: v1.FeatureServiceStub) -> None:
    with workshop.store.draft("features", job_id="job-half", attempt=1) as draft:
        shutil.copytree(workshop.store.path(FEATURES), draft.path, dirs_exist_ok=True)
        (draft.path / "vocabulary.parquet").write_bytes(b"no parquet")
        draft.commit()
    half = {"artifact_id": "features-half-0"}

    for call in (
        stub.ListFeatures(ListFeaturesRequest(**half), timeout=DEADLINE),
        stub.SearchFeatures(SearchFeaturesRequest(**half, query="w"), timeout=DEADLINE),
        stub.ActivateText(ActivateTextRequest(**half, text="w1"), timeout=DEADLINE),
    ):
        assert await code(call) is grpc.StatusCode.FAILED_PRECONDITION


async def test_a_change_of_a_feature_is_the_gateways(stub: v1.FeatureServiceStub) -> None:
    request = v1.UpdateFeatureRequest(artifact_id=FEATURES, latent=1, label="x")

    assert await code(stub.UpdateFeature(request, timeout=DEADLINE)) is grpc.StatusCode.UNIMPLEMENTED
