from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mistudio.v1 import ArtifactRef, AttemptReport, DeleteArtifact, SummarizeDataset, VerifyArtifacts
from mistudio_curator import delete_artifact, summarize_dataset, verify_artifacts
from mistudio_runtime.artifacts.notes import ArtifactNotes, edit_notes, read_notes
from mistudio_runtime.jobs import JobStoppedError, PermanentFailure, Stop
from support.workshop import Workshop


def add_dataset(workshop: Workshop, texts: list[str | None]) -> str:
    with workshop.store.draft("dataset", job_id="job-texts", attempt=1) as draft:
        half = len(texts) // 2
        for number, part in enumerate((texts[:half], texts[half:])):
            table = pa.table({"n": range(len(part)), "text": pa.array(part, pa.string())})
            pq.write_table(table, draft.path / f"data-{number:05d}.parquet")
        draft.summary = {"text_column": "text"}
        return draft.commit()


def test_an_artifact_goes_with_its_notes(workshop: Workshop) -> None:
    artifact_id = workshop.add_dataset()
    edit_notes(workshop.store, artifact_id, lambda _: ArtifactNotes("name"))
    job = workshop.job("job-delete")

    assert delete_artifact.run(DeleteArtifact(artifact_id=artifact_id), job) == []
    assert delete_artifact.run(DeleteArtifact(artifact_id=artifact_id), job) == []

    assert not workshop.store.exists(artifact_id)
    assert read_notes(workshop.store, artifact_id) == ArtifactNotes()
    assert job.logs == [f"{artifact_id} is already gone"]


def test_what_others_need_stays(workshop: Workshop) -> None:
    dataset = workshop.add_dataset()
    with workshop.store.draft("tokens", job_id="job-child", attempt=1, parents=[dataset]) as draft:
        draft.commit()

    with pytest.raises(PermanentFailure, match="tokens-child-0 was made from it") as caught:
        delete_artifact.run(DeleteArtifact(artifact_id=dataset), workshop.job("job-delete"))
    assert caught.value.reason == "HAS_DEPENDANTS"
    assert workshop.store.exists(dataset)


def test_a_summary_counts_exactly(workshop: Workshop) -> None:
    texts = ["x" * length for length in range(1, 101)] + ["", None, "Öl"]
    dataset = add_dataset(workshop, texts)
    job = workshop.job("job-summary")

    artifact_id = summarize_dataset.run(SummarizeDataset(dataset=ArtifactRef(artifact_id=dataset)), job)[0]

    manifest = workshop.store.get(artifact_id)
    assert (manifest.kind, manifest.parents) == ("report", (dataset,))
    assert manifest.summary["rows"] == 103
    assert manifest.summary["bytes"] == workshop.store.get(dataset).bytes
    assert manifest.summary["columns"] == [{"name": "n", "type": "int64"}, {"name": "text", "type": "string"}]
    assert manifest.summary["missing_texts"] == 1
    assert manifest.summary["text_characters"] == {
        "total": 5052,
        "empty": 1,
        "mean": 5052 / 102,
        "min": 0,
        "max": 100,
        "p50": 49,
        "p90": 90,
        "p99": 99,
    }
    assert json.loads((workshop.store.path(artifact_id) / "report.json").read_text()) == manifest.summary
    assert job.progressed[-1].done == 103


def test_a_summary_of_nothing_or_of_rubbish(workshop: Workshop) -> None:
    job = workshop.job("job-summary")
    empty = SummarizeDataset(dataset=ArtifactRef(artifact_id=add_dataset(workshop, [])))
    summary = workshop.store.get(summarize_dataset.run(empty, job)[0]).summary
    assert summary["text_characters"] == {"total": 0, "empty": 0}

    broken = SummarizeDataset(dataset=ArtifactRef(artifact_id=workshop.add_dataset()))
    with pytest.raises(PermanentFailure, match="cannot be read; run verify_artifacts"):
        summarize_dataset.run(broken, workshop.job("job-broken"))
    with pytest.raises(PermanentFailure, match="there is no artifact"):
        summarize_dataset.run(SummarizeDataset(dataset=ArtifactRef(artifact_id="dataset-no-0")), job)
    with pytest.raises(PermanentFailure, match="is of kind report; name one of kind dataset"):
        summarize_dataset.run(SummarizeDataset(dataset=ArtifactRef(artifact_id="report-summary-0")), job)


def test_damage_is_found_and_named(workshop: Workshop) -> None:
    good, bad = add_dataset(workshop, ["a", "b"]), workshop.add_model()
    folder = workshop.store.path(bad)
    (folder / "config.json").write_text("{}")
    (folder / "tokenizer.json").unlink()
    (folder / "stranger.txt").write_text("?")
    job = workshop.job("job-verify")

    artifact_id = verify_artifacts.run(VerifyArtifacts(), job)[0]

    summary = workshop.store.get(artifact_id).summary
    assert (summary["artifacts"], summary["findings"], summary["damaged"]) == (2, 3, [bad])
    found = json.loads((workshop.store.path(artifact_id) / "report.json").read_text())["findings"]
    assert {(row["path"], row["problem"]) for row in found} == {
        ("config.json", "changed"),
        ("tokenizer.json", "missing"),
        ("stranger.txt", "unknown"),
    }
    assert f"{bad}: config.json is changed" in job.logs
    only = verify_artifacts.run(VerifyArtifacts(artifact_ids=[good]), workshop.job("job-one"))[0]
    assert workshop.store.get(only).summary["findings"] == 0


def test_unknown_artifacts_cannot_be_verified(workshop: Workshop) -> None:
    with pytest.raises(PermanentFailure, match="there is no artifact 'sae-gone-0'"):
        verify_artifacts.run(VerifyArtifacts(artifact_ids=["sae-gone-0"]), workshop.job("job-verify"))


def test_verifying_can_be_cancelled(workshop: Workshop) -> None:
    workshop.add_model()
    job = workshop.job("job-verify")

    def cancel(_: AttemptReport) -> None:
        job.request_stop(Stop.CANCEL)

    job.watch = cancel
    with pytest.raises(JobStoppedError):
        verify_artifacts.run(VerifyArtifacts(), job)
    assert not workshop.store.exists("report-verify-0")
