"""The artifacts that a job reads, checked before it loads anything."""

from __future__ import annotations

from mistudio.v1 import ArtifactRef
from mistudio_runtime.artifacts import ArtifactManifest, ArtifactStore
from mistudio_runtime.errors import NotFoundError
from mistudio_runtime.jobs.failures import PermanentFailure

_TOKENIZER = "tokenizer.json"


def input_artifact(store: ArtifactStore, ref: ArtifactRef, kind: str, field: str) -> ArtifactManifest:
    """Reads the artifact that a spec's `field` names.

    Raises PermanentFailure if none is named, it is gone, or it is of another kind than `kind`.
    """
    if not ref.artifact_id:
        raise PermanentFailure(f"{field}: name an artifact of kind {kind}")
    try:
        manifest = store.get(ref.artifact_id)
    except NotFoundError as error:
        raise PermanentFailure(f"{field}: {error.message}", reason="ARTIFACT_NOT_FOUND") from error
    if manifest.kind != kind:
        raise PermanentFailure(f"{field}: {manifest.id} is of kind {manifest.kind}; name one of kind {kind}")
    return manifest


def parent_of_kind(store: ArtifactStore, child: ArtifactManifest, kind: str) -> ArtifactManifest | None:
    """Reads the first artifact of `kind` that `child` was made from; None if there is none in the store."""
    for parent in child.parents:
        if store.exists(parent) and (manifest := store.get(parent)).kind == kind:
            return manifest
    return None


def check_tokenizer(store: ArtifactStore, tokens: ArtifactManifest, model: ArtifactManifest) -> None:
    """Raises PermanentFailure if tokens were made with another tokenizer than the model's.

    The same model may be in the store twice, and models of a family share a tokenizer: what counts is the checksum of
    the tokenizer's file. Tokens whose own model is not in the store pass; their ids are checked where they are read.
    """
    maker = parent_of_kind(store, tokens, "model")
    if maker is None or maker.id == model.id:
        return
    if _tokenizer_sum(maker) != _tokenizer_sum(model):
        raise PermanentFailure(
            f"tokens: {tokens.id} was made with the tokenizer of {maker.id}, which is not that of {model.id}; "
            f"tokenize the dataset with {model.id}",
            reason="TOKENIZER_MISMATCH",
        )


def _tokenizer_sum(model: ArtifactManifest) -> str | None:
    return next((file.sha256 for file in model.files if file.path == _TOKENIZER), None)
