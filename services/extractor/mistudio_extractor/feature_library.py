"""The features artifacts of the store, opened when asked for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mistudio_extractor.least_recently_used import LeastRecentlyUsed
from mistudio_runtime.artifacts import ArtifactManifest, ArtifactStore
from mistudio_runtime.errors import FailedPreconditionError, InvalidRequestError, NotFoundError, Violation
from mistudio_sae.features import FeatureStore, FeatureStoreError, LatentNotFoundError

_OPEN = 8


def features_manifest(store: ArtifactStore, artifact_id: str) -> ArtifactManifest:
    """Reads the manifest of a features artifact. Raises NotFoundError, InvalidRequestError for another kind."""
    manifest = store.get(artifact_id)
    if manifest.kind != "features":
        description = f"{artifact_id} is of kind {manifest.kind}; name one of kind features"
        raise InvalidRequestError([Violation("artifact_id", description)])
    return manifest


class FeatureLibrary:
    """Opens features artifacts (memory-mapped Parquet) and keeps the last few open."""

    def __init__(self, store: ArtifactStore) -> None:
        """Takes the store."""
        self._store = store
        self._opened: LeastRecentlyUsed[FeatureStore] = LeastRecentlyUsed(_OPEN)

    @contextmanager
    def reading(self, artifact_id: str) -> Iterator[FeatureStore]:
        """Gives an open features artifact to read from, and turns what can go wrong in the block into refusals.

        Raises NotFoundError also for a latent that was not extracted, InvalidRequestError for another kind,
        FailedPreconditionError if its files are damaged.
        """
        # The manifest is read each time: what has been deleted is gone, even while it is kept open.
        features_manifest(self._store, artifact_id)
        try:
            yield self._opened.get(artifact_id, lambda: FeatureStore.open(self._store.path(artifact_id)))
        except LatentNotFoundError as error:
            raise NotFoundError(str(error)) from error
        except FeatureStoreError as error:
            raise FailedPreconditionError(str(error)) from error
