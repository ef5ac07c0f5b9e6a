"""An artifact as the API shows it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mistudio.v1 import Artifact, ArtifactFile, ArtifactKind
from mistudio_runtime.artifacts import ArtifactManifest
from mistudio_runtime.artifacts.notes import ArtifactNotes

_PREFIX = "ARTIFACT_KIND_"


def kind_name(kind: ArtifactKind.ValueType) -> str:
    """Returns the store's name of a kind, e.g. "sae"."""
    return ArtifactKind.Name(kind).removeprefix(_PREFIX).lower()


def artifact_message(
    manifest: ArtifactManifest, notes: ArtifactNotes, folder: Path, *, with_files: bool = False
) -> Artifact:
    """Returns the message for an artifact that lies in `folder`, from its manifest and what people wrote about it."""
    message = Artifact(
        id=manifest.id,
        kind=ArtifactKind.Value(f"{_PREFIX}{manifest.kind.upper()}"),
        uri=folder.as_uri(),
        job_id=manifest.job_id,
        parent_ids=manifest.parents,
        bytes=manifest.bytes,
        display_name=notes.display_name,
        description=notes.description,
        labels=notes.labels,
    )
    message.create_time.FromNanoseconds(int(manifest.create_time * 1e9))
    message.parameters.update(_plain(manifest.parameters))
    message.summary.update(_plain(manifest.summary))
    if with_files:
        message.files.extend(ArtifactFile(path=f.path, bytes=f.bytes, sha256=f.sha256) for f in manifest.files)
    return message


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    # A Struct takes JSON's types only, and its numbers are doubles.
    return {str(key): _plain(value) if isinstance(value, Mapping) else value for key, value in values.items()}
