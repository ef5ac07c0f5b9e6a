from __future__ import annotations

import multiprocessing

import pytest
from note_writer import EDITS, label

from mistudio.v1 import FeatureNote, UpdateMetadata
from mistudio_curator import update_metadata
from mistudio_runtime.artifacts.notes import ArtifactNotes, FeatureNotes, edit_notes, read_notes
from mistudio_runtime.errors import NotFoundError
from mistudio_runtime.jobs import PermanentFailure
from support.workshop import Workshop


def add_features(workshop: Workshop) -> str:
    with workshop.store.draft("features", job_id="job-features", attempt=1) as draft:
        draft.summary = {"d_sae": 24, "latents": 2}
        return draft.commit()


def test_no_edit_is_lost_between_processes(workshop: Workshop) -> None:
    artifact_id = add_features(workshop)
    context = multiprocessing.get_context("forkserver")
    writers = [context.Process(target=label, args=(workshop.store.root, artifact_id, number)) for number in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    assert [writer.exitcode for writer in writers] == [0] * 4
    assert len(read_notes(workshop.store, artifact_id).labels) == 4 * EDITS
    assert [file.name for file in (workshop.store.root / ".notes").glob("*.json")] == [f"{artifact_id}.json"]


def test_notes_survive_the_way_to_disk(workshop: Workshop) -> None:
    artifact_id = add_features(workshop)
    notes = ArtifactNotes("Näme", "what\nit is", {"team": "a"}, {3: FeatureNotes("for example", starred=True)})

    assert read_notes(workshop.store, artifact_id) == ArtifactNotes()
    assert edit_notes(workshop.store, artifact_id, lambda _: notes) == notes
    assert read_notes(workshop.store, artifact_id) == notes


def test_notes_about_nothing_are_refused(workshop: Workshop) -> None:
    with pytest.raises(NotFoundError):
        edit_notes(workshop.store, "features-gone-0", lambda notes: notes)
    assert not [*(workshop.store.root / ".notes").glob("*.json")]


def test_only_what_is_set_changes(workshop: Workshop) -> None:
    artifact_id = add_features(workshop)
    job = workshop.job("job-edit")
    first = UpdateMetadata(
        artifact_id=artifact_id,
        display_name="name",
        description="text",
        set_labels={"a": "1", "b": "2"},
        feature_notes=[FeatureNote(latent=3, label="for example", starred=True), FeatureNote(latent=4, starred=True)],
    )
    assert update_metadata.run(first, job) == []
    second = UpdateMetadata(
        artifact_id=artifact_id,
        description="",
        set_labels={"c": "3"},
        remove_labels=["a", "not there"],
        feature_notes=[FeatureNote(latent=3, label="e.g."), FeatureNote(latent=4, starred=False)],
    )
    update_metadata.run(second, job)
    update_metadata.run(second, job)

    assert read_notes(workshop.store, artifact_id) == ArtifactNotes(
        display_name="name",
        description="",
        labels={"b": "2", "c": "3"},
        features={3: FeatureNotes("e.g.", starred=True)},
    )


def test_latents_that_are_not_there_are_refused(workshop: Workshop) -> None:
    artifact_id = add_features(workshop)
    job = workshop.job("job-edit")
    notes = [FeatureNote(latent=24, label="beyond")]
    with pytest.raises(PermanentFailure, match="has no latent 24; choose one from 0 to 23"):
        update_metadata.run(UpdateMetadata(artifact_id=artifact_id, feature_notes=notes), job)
    with pytest.raises(PermanentFailure, match="annotate a features artifact"):
        update_metadata.run(UpdateMetadata(artifact_id=workshop.add_dataset(), feature_notes=notes), job)
    with pytest.raises(PermanentFailure, match="there is no artifact"):
        update_metadata.run(UpdateMetadata(artifact_id="sae-gone-0"), job)
    assert read_notes(workshop.store, artifact_id) == ArtifactNotes()
