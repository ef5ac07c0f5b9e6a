"""The artifacts that a job starts from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mistudio.v1 import ArtifactRef
from mistudio_runtime.artifacts import ArtifactManifest
from mistudio_runtime.errors import NotFoundError
from mistudio_runtime.jobs import JobContext, PermanentFailure


@dataclass(frozen=True)
class Input:
    """An artifact with the place where its files lie."""

    manifest: ArtifactManifest
    folder: Path

    @property
    def name(self) -> str:
        """How to name it to people: its own name, or its id."""
        return str(self.manifest.summary.get("name") or self.manifest.id)


def artifact_input(ref: ArtifactRef, kind: str, context: JobContext) -> Input:
    """Returns the artifact that `ref` names. Raises PermanentFailure if it is absent or not of this kind."""
    try:
        manifest = context.store.get(ref.artifact_id)
    except NotFoundError as error:
        raise PermanentFailure(error.message, reason=error.reason) from error
    if manifest.kind != kind:
        raise PermanentFailure(f"{manifest.id} is of kind {manifest.kind!r}; name an artifact of kind {kind!r}")
    return Input(manifest, context.store.root / manifest.id)
