"""What FeatureService answers, without the wire. Blocking; safe to call from several threads."""

from __future__ import annotations

from collections.abc import Sequence

from mistudio import v1
from mistudio_extractor.feature_library import FeatureLibrary
from mistudio_extractor.feature_messages import brief_message, feature_message, trace_message
from mistudio_extractor.feature_page import decode_page, encode_page
from mistudio_extractor.text_activations import activate
from mistudio_extractor.warm_saes import WarmSaes
from mistudio_runtime.artifacts import ArtifactStore
from mistudio_runtime.artifacts.notes import FeatureNotes, read_notes
from mistudio_runtime.errors import FailedPreconditionError, InvalidRequestError, Violation
from mistudio_sae.errors import ScienceError
from mistudio_sae.features import FeatureFilter, FeatureRow, FeatureStore
from mistudio_sae.features.store import SortKey

_ORDERS: dict[int, tuple[SortKey, bool]] = {
    v1.FEATURE_ORDER_UNSPECIFIED: ("interestingness", True),
    v1.FEATURE_ORDER_INTERESTINGNESS: ("interestingness", True),
    v1.FEATURE_ORDER_DENSITY: ("density", True),
    v1.FEATURE_ORDER_MAX_ACTIVATION: ("max_activation", True),
    v1.FEATURE_ORDER_LATENT: ("latent", False),
}
_PAGE, _MOST_PAGE = 50, 1000
_FOUND, _MOST_FOUND = 20, 200
_TRACES, _MOST_TRACES = 10, 100
_MOST_CHARACTERS = 20_000


class FeatureQueries:
    """Answers questions about the features artifacts of a store."""

    def __init__(self, store: ArtifactStore) -> None:
        """Takes the store."""
        self._store = store
        self._library = FeatureLibrary(store)
        self._saes = WarmSaes(store)

    def list(self, request: v1.ListFeaturesRequest) -> v1.ListFeaturesResponse:
        """Lists features in the asked order. Raises InvalidRequestError, NotFoundError, FailedPreconditionError."""
        _require(request.order in _ORDERS, "order", "choose one of FeatureOrder")
        _require(request.page_size >= 0, "page_size", "must not be negative; 0 is 50")
        key, descending = _ORDERS[request.order]
        wanted = _filter(request)
        with self._library.reading(request.artifact_id) as store:
            offset, limit = decode_page(request), min(request.page_size or _PAGE, _MOST_PAGE)
            rows = store.list(key, descending=descending != request.reverse, filters=wanted, offset=offset, limit=limit)
            total = store.count(wanted)
            more = offset + len(rows) < total
            return v1.ListFeaturesResponse(
                features=self._briefs(request.artifact_id, store, rows),
                next_page_token=encode_page(request, offset + len(rows)) if more else "",
                total_size=total,
            )

    def get(self, request: v1.GetFeatureRequest) -> v1.GetFeatureResponse:
        """Reads one feature. Raises NotFoundError, InvalidRequestError, FailedPreconditionError."""
        with self._library.reading(request.artifact_id) as store:
            feature, bands = store.get(request.latent), _bands(store)
        note = read_notes(self._store, request.artifact_id).features.get(request.latent, FeatureNotes())
        return v1.GetFeatureResponse(feature=feature_message(request.artifact_id, feature, bands, note))

    def search(self, request: v1.SearchFeaturesRequest) -> v1.SearchFeaturesResponse:
        """Finds features by token. Raises InvalidRequestError, NotFoundError, FailedPreconditionError."""
        _require(bool(request.query.strip()), "query", "give the text of a token, or a part of it")
        _require(request.limit <= _MOST_FOUND, "limit", f"must be at most {_MOST_FOUND}")
        with self._library.reading(request.artifact_id) as store:
            matches = store.search_tokens(request.query, limit=request.limit or _FOUND)
            features = self._briefs(request.artifact_id, store, [match.row for match in matches])
        return v1.SearchFeaturesResponse(features=features)

    def activate(self, request: v1.ActivateTextRequest) -> v1.ActivateTextResponse:
        """Runs a text through model and SAE. Raises InvalidRequestError, NotFoundError, FailedPreconditionError."""
        _require(bool(request.text), "text", "give a text")
        _require(len(request.text) <= _MOST_CHARACTERS, "text", f"must have at most {_MOST_CHARACTERS:,} characters")
        _require(request.features <= _MOST_TRACES, "features", f"must be at most {_MOST_TRACES}")
        with self._library.reading(request.artifact_id) as store:
            vocabulary = store.vocabulary
        try:
            found = activate(self._saes.of(request.artifact_id), request.text, request.features or _TRACES)
        except ScienceError as error:
            raise FailedPreconditionError(str(error)) from error
        return v1.ActivateTextResponse(
            tokens=[vocabulary[token] for token in found.token_ids],
            traces=map(trace_message, found.latents, found.activations),
        )

    def _briefs(self, artifact_id: str, store: FeatureStore, rows: Sequence[FeatureRow]) -> Sequence[v1.Feature]:
        notes, bands = read_notes(self._store, artifact_id).features, _bands(store)
        return [
            brief_message(artifact_id, brief, bands, notes.get(brief.row.latent, FeatureNotes()))
            for brief in store.briefs(rows)
        ]


def _filter(request: v1.ListFeaturesRequest) -> FeatureFilter:
    return FeatureFilter(
        dead=None if request.include_dead else False,
        min_density=request.min_density if request.HasField("min_density") else None,
        max_density=request.max_density if request.HasField("max_density") else None,
    )


def _bands(store: FeatureStore) -> int:
    return int(store.info["config"]["quantile_bands"])


def _require(holds: bool, field: str, description: str) -> None:  # noqa: FBT001 - an assertion reads best this way
    if not holds:
        raise InvalidRequestError([Violation(field, description)])
