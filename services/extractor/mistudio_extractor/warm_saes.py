"""Models and SAEs that stay loaded between questions about texts."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from mistudio_extractor.feature_library import features_manifest
from mistudio_extractor.least_recently_used import LeastRecentlyUsed
from mistudio_runtime.artifacts import ArtifactManifest, ArtifactStore
from mistudio_runtime.errors import FailedPreconditionError
from mistudio_runtime.jobs.inputs import parent_of_kind
from mistudio_sae.devices import use_available_cores
from mistudio_sae.errors import ScienceError
from mistudio_sae.formats import load_saelens
from mistudio_sae.models import HookPoint, LanguageModel, load_model
from mistudio_sae.saes import Sae

_WARM = 2


@dataclass(frozen=True)
class WarmSae:
    """An SAE with the model that it reads, on the CPU: the worker's own process never touches a GPU."""

    lm: LanguageModel
    sae: Sae
    hook: HookPoint
    window: int
    """Tokens that the model reads at a time, as when the SAE was trained."""
    prepend_bos: bool
    """Whether every window begins with the beginning-of-sequence token."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    """Held during a forward pass: hooks are on the model, and two passes would read each other's."""


class WarmSaes:
    """Loads the SAE and the model of a features artifact and keeps the last few."""

    def __init__(self, store: ArtifactStore) -> None:
        """Takes the store."""
        self._store = store
        self._warm: LeastRecentlyUsed[WarmSae] = LeastRecentlyUsed(_WARM)

    def of(self, artifact_id: str) -> WarmSae:
        """Returns the SAE of a features artifact.

        Raises NotFoundError, InvalidRequestError for another kind, FailedPreconditionError if SAE or model are gone or
        damaged.
        """
        features = features_manifest(self._store, artifact_id)
        sae, model = self._parent(features, "sae"), self._parent(features, "model")
        try:
            return self._warm.get(f"{sae.id} {model.id}", lambda: self._load(sae.id, model.id))
        except ScienceError as error:
            raise FailedPreconditionError(str(error)) from error

    def _parent(self, features: ArtifactManifest, kind: str) -> ArtifactManifest:
        parent = parent_of_kind(self._store, features, kind)
        if parent is None:
            raise FailedPreconditionError(f"{features.id} names no {kind} that is in the store; extract features anew")
        return parent

    def _load(self, sae_id: str, model_id: str) -> WarmSae:
        use_available_cores()
        loaded = load_saelens(self._store.path(sae_id))
        lm = load_model(self._store.path(model_id))
        provenance = loaded.provenance
        return WarmSae(
            lm=lm,
            sae=loaded.sae,
            hook=HookPoint.parse(provenance.hook_point),
            window=min(provenance.context_size or lm.context_length, lm.context_length),
            prepend_bos=bool(provenance.prepend_bos) and lm.tokenizer.bos_token_id is not None,
        )
