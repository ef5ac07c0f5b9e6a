"""Job kind update_metadata: changes what people wrote about an artifact."""

from __future__ import annotations

from dataclasses import replace

from mistudio.v1 import FeatureNote, UpdateMetadata
from mistudio_runtime.artifacts import ArtifactManifest
from mistudio_runtime.artifacts.notes import ArtifactNotes, FeatureNotes, edit_notes
from mistudio_runtime.errors import NotFoundError
from mistudio_runtime.jobs import JobContext, PermanentFailure


def run(spec: UpdateMetadata, context: JobContext) -> list[str]:
    """Writes the notes; makes no artifact. A second delivery writes the same again.

    Raises PermanentFailure if there is no such artifact, or latents are annotated that it does not have.
    """
    try:
        _check_latents(spec, context.store.get(spec.artifact_id))
        edit_notes(context.store, spec.artifact_id, lambda notes: changed(notes, spec))
    except NotFoundError as error:
        raise PermanentFailure(error.message, reason=error.reason) from error
    return []


def changed(notes: ArtifactNotes, spec: UpdateMetadata) -> ArtifactNotes:
    """Returns the notes with a request's changes; what the request does not set stays."""
    kept = {key: value for key, value in notes.labels.items() if key not in spec.remove_labels}
    features = dict(notes.features)
    for note in spec.feature_notes:
        features[note.latent] = _changed_feature(features.get(note.latent, FeatureNotes()), note)
    return replace(
        notes,
        display_name=spec.display_name if spec.HasField("display_name") else notes.display_name,
        description=spec.description if spec.HasField("description") else notes.description,
        labels={**kept, **spec.set_labels},
        features={latent: note for latent, note in features.items() if note != FeatureNotes()},
    )


def _changed_feature(before: FeatureNotes, note: FeatureNote) -> FeatureNotes:
    return FeatureNotes(
        label=note.label if note.HasField("label") else before.label,
        starred=note.starred if note.HasField("starred") else before.starred,
    )


def _check_latents(spec: UpdateMetadata, manifest: ArtifactManifest) -> None:
    if not spec.feature_notes:
        return
    if manifest.kind != "features":
        raise PermanentFailure(
            f"{manifest.id} is of kind {manifest.kind!r} and has no latents; annotate a features artifact"
        )
    # Not by the number of latents: an extraction of some latents only keeps the ids that they have in the SAE.
    d_sae = manifest.summary.get("d_sae")
    worst = max(note.latent for note in spec.feature_notes)
    if d_sae is not None and worst >= d_sae:
        raise PermanentFailure(f"{manifest.id} has no latent {worst}; choose one from 0 to {d_sae - 1}")
