"""Requests of the queues high_priority and low_priority."""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration

from mistudio import v1
from mistudio_gateway.quoting import quoted
from mistudio_gateway.validation.scope import Scope

MAX_NAME = 200
MAX_TEXT = 10_000
MAX_LABEL = 128
MAX_LABELS = 64
MAX_AGE_SECONDS = 315_576_000_000
"""What google.protobuf.Duration holds: 10,000 years."""
_NANOS = 1_000_000_000


def update_metadata(spec: v1.UpdateMetadata, path: str, scope: Scope) -> None:
    """Checks the artifact and the lengths of what people wrote."""
    _exists(spec.artifact_id, path, scope)
    scope.require(len(spec.display_name) <= MAX_NAME, f"{path}.display_name", f"is at most {MAX_NAME} characters")
    scope.require(len(spec.description) <= MAX_TEXT, f"{path}.description", f"is at most {MAX_TEXT} characters")
    check_labels(dict(spec.set_labels), f"{path}.set_labels", scope)
    if spec.feature_notes and scope.store.exists(spec.artifact_id):
        _feature_notes(spec, path, scope)


def delete_artifact(spec: v1.DeleteArtifact, path: str, scope: Scope) -> None:
    """Checks the artifact, and that no unfinished job needs it."""
    _exists(spec.artifact_id, path, scope)
    if waiting := scope.needing(spec.artifact_id):
        scope.refuse(f"{path}.artifact_id", f"{', '.join(waiting)} needs it; wait for it or cancel it")


def collect_garbage(spec: v1.CollectGarbage, path: str, scope: Scope) -> None:
    """Checks the age."""
    _not_negative(spec.min_age, f"{path}.min_age", scope)


def prune_checkpoints(spec: v1.PruneCheckpoints, path: str, scope: Scope) -> None:
    """Checks the age."""
    _not_negative(spec.min_age, f"{path}.min_age", scope)


def archive_jobs(spec: v1.ArchiveJobs, path: str, scope: Scope) -> None:
    """Checks the age."""
    _not_negative(spec.older_than, f"{path}.older_than", scope)


def verify_artifacts(spec: v1.VerifyArtifacts, path: str, scope: Scope) -> None:
    """Checks the artifacts."""
    for index, artifact_id in scope.each(spec.artifact_ids):
        scope.require(
            scope.store.exists(artifact_id),
            f"{path}.artifact_ids[{index}]",
            f"there is no artifact {quoted(artifact_id)}",
        )


def check_labels(labels: dict[str, str], path: str, scope: Scope) -> None:
    """Checks the lengths of labels."""
    scope.require(len(labels) <= MAX_LABELS, path, f"are at most {MAX_LABELS}")
    for _, (key, value) in scope.each(labels.items()):
        fits = 0 < len(key) <= MAX_LABEL and len(value) <= MAX_LABEL
        scope.require(fits, f"{path}[{key[:20]!r}]", f"key and value are at most {MAX_LABEL} characters")


def _feature_notes(spec: v1.UpdateMetadata, path: str, scope: Scope) -> None:
    manifest = scope.store.get(spec.artifact_id)
    if manifest.kind != "features":
        scope.refuse(f"{path}.artifact_id", f"{spec.artifact_id} is of kind {manifest.kind}; name one of kind features")
        return
    d_sae = manifest.summary.get("d_sae")
    for index, note in scope.each(spec.feature_notes):
        known = isinstance(d_sae, int) and note.latent < d_sae
        scope.require(known, f"{path}.feature_notes[{index}].latent", f"{spec.artifact_id} has no such feature")
        scope.require(
            len(note.label) <= MAX_NAME, f"{path}.feature_notes[{index}].label", f"is at most {MAX_NAME} characters"
        )


def _exists(artifact_id: str, path: str, scope: Scope) -> None:
    scope.require(
        scope.store.exists(artifact_id),
        f"{path}.artifact_id",
        f"there is no artifact {quoted(artifact_id)}; `mistudio artifacts list` shows what there is",
    )


def _not_negative(age: Duration, path: str, scope: Scope) -> None:
    holds = 0 <= age.seconds <= MAX_AGE_SECONDS and 0 <= age.nanos < _NANOS
    scope.require(holds, path, "is not negative, and at most 10,000 years")
