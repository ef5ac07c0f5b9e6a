"""The artifacts that a job starts from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mistudio.v1 import ArtifactRef
from mistudio_runtime.artifacts import ArtifactManifest
from mistudio_runtime.jobs import JobContext
from mistudio_runtime.jobs.inputs import input_artifact


@dataclass(frozen=True)
class Input:
    """An artifact with the place where its files lie."""

    manifest: ArtifactManifest
    folder: Path

    @property
    def name(self) -> str:
        """How to name it to people: its own name, or its id."""
        return self.manifest.name


def artifact_input(ref: ArtifactRef, kind: str, context: JobContext) -> Input:
    """Returns the artifact that the field `kind` of a spec names; raises PermanentFailure as `input_artifact` does."""
    manifest = input_artifact(context.store, ref, kind, kind)
    return Input(manifest, context.store.root / manifest.id)
