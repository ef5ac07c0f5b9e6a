"""Immutable outputs of jobs: a directory with a manifest, committed by one rename."""

from mistudio_runtime.artifacts.draft import ArtifactDraft
from mistudio_runtime.artifacts.manifest import ArtifactManifest, FileEntry
from mistudio_runtime.artifacts.store import ArtifactStore

__all__ = ["ArtifactDraft", "ArtifactManifest", "ArtifactStore", "FileEntry"]
