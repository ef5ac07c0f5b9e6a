"""Calls of FeatureService."""

from __future__ import annotations

from collections.abc import Sequence

from mistudio import v1
from mistudio.calls.call import Call, Listing, request_id_or_new, unary


def list_(
    artifact_id: str,
    *,
    order: str = "interestingness",
    reverse: bool = False,
    min_density: float | None = None,
    max_density: float | None = None,
    include_dead: bool = False,
    page_size: int = 0,
    timeout: float | None = None,
) -> Listing[v1.Feature]:
    """Iterates over the features of a features artifact, each with its best example only, reading page after page.

    `order` is "interestingness", "density", "max_activation" (largest first) or "latent"; `reverse` turns it round.
    `timeout` is for each page. Raises ValueError if the order is unknown.
    """
    request = v1.ListFeaturesRequest(
        artifact_id=artifact_id,
        order=v1.FeatureOrder.Value(f"FEATURE_ORDER_{order.upper()}"),
        reverse=reverse,
        min_density=min_density,
        max_density=max_density,
        include_dead=include_dead,
        page_size=page_size,
    )
    return Listing(
        unary(
            "FeatureService/ListFeatures",
            request,
            v1.ListFeaturesResponse,
            lambda answer: (answer.features, answer.next_page_token),
            timeout=timeout,
            repeatable=True,
        )
    )


def get(artifact_id: str, latent: int, *, timeout: float | None = None) -> Call[v1.Feature]:
    """Returns everything about one feature. Raises NotFoundError if there is no such artifact or latent."""
    request = v1.GetFeatureRequest(artifact_id=artifact_id, latent=latent)
    answer = v1.GetFeatureResponse
    return unary("FeatureService/GetFeature", request, answer, lambda a: a.feature, timeout=timeout, repeatable=True)


def search(artifact_id: str, query: str, *, limit: int = 0, timeout: float | None = None) -> Call[Sequence[v1.Feature]]:
    """Returns the features that fire most on a token with this text, best first; limit 0 is 20, the most is 200."""
    request = v1.SearchFeaturesRequest(artifact_id=artifact_id, query=query, limit=limit)
    answer = v1.SearchFeaturesResponse
    return unary(
        "FeatureService/SearchFeatures", request, answer, lambda a: a.features, timeout=timeout, repeatable=True
    )


def activate(
    artifact_id: str, text: str, *, features: int = 0, timeout: float | None = None
) -> Call[v1.ActivateTextResponse]:
    """Runs a text through model and SAE and returns which features fire where; 0 features is 10, the most is 100."""
    request = v1.ActivateTextRequest(artifact_id=artifact_id, text=text, features=features)
    answer = v1.ActivateTextResponse
    return unary("FeatureService/ActivateText", request, answer, lambda a: a, timeout=timeout, repeatable=True)


def update(
    artifact_id: str,
    latent: int,
    *,
    label: str | None = None,
    starred: bool | None = None,
    request_id: str = "",
    timeout: float | None = None,
) -> Call[v1.Job]:
    """Changes label and star of a feature and returns the handle of the job that does it. None leaves as is."""
    request = v1.UpdateFeatureRequest(
        artifact_id=artifact_id,
        latent=latent,
        label=label,
        starred=starred,
        request_id=request_id_or_new(request_id),
    )
    answer = v1.UpdateFeatureResponse
    return unary("FeatureService/UpdateFeature", request, answer, lambda a: a.job, timeout=timeout, repeatable=True)
