"""Every bad field is refused at submit, all of them at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from google.protobuf.duration_pb2 import Duration

from mistudio import v1
from mistudio_gateway.validation import Scope, validate_request
from mistudio_gateway.validation.request import VALIDATORS
from mistudio_runtime.artifacts import ArtifactStore
from mistudio_runtime.errors import UnimplementedError
from mistudio_runtime.queues import load_queues
from mistudio_runtime.settings import Settings

MODEL = v1.ArtifactRef(artifact_id="model-given-0")
TOKENS = v1.ArtifactRef(artifact_id="tokens-given-0")
DATASET = v1.ArtifactRef(artifact_id="dataset-given-0")
SAE = v1.SaeSpec(d_sae=64, k=8)


def sae(**fields: Any) -> v1.SaeSpec:
    return v1.SaeSpec(**({"d_sae": 8, "k": 1} | fields))


@pytest.fixture
def scope(tmp_path: Path) -> Scope:
    store = ArtifactStore(tmp_path / "store")
    summaries: dict[str, dict[str, Any]] = {
        "model": {"n_layers": 4, "context_length": 64},
        "tokens": {},
        "dataset": {"columns": {"text": "string", "label": "int64"}},
        "sae": {"d_sae": 64},
        "features": {"d_sae": 64, "latents": 1},
    }
    for kind, summary in summaries.items():
        with store.draft(kind, job_id="job-given", attempt=1) as draft:
            draft.summary = summary
            draft.commit()
    files = tmp_path / "files"
    files.mkdir()
    (files / "a.txt").write_text("text")
    (files / "a.json").write_text("[]")
    (files / "empty").mkdir()
    settings = Settings(home=tmp_path / "home", allowed_roots=[files])
    return Scope(store, settings, load_queues(), lambda _: None)


def refused(scope: Scope, **kind: Any) -> dict[str, str]:
    request = v1.JobRequest(spec=v1.JobSpec(**kind))
    validate_request(request, "job", scope)
    return {violation.field.removeprefix("job.spec."): violation.description for violation in scope.violations}


def train(**fields: Any) -> v1.TrainSae:
    given: dict[str, Any] = {
        "model": MODEL,
        "tokens": TOKENS,
        "hook_points": ["layer.3.resid_post"],
        "saes": [SAE],
        "total_tokens": 10_000,
    }
    return v1.TrainSae(**(given | fields))


def test_a_good_request_passes(scope: Scope) -> None:
    assert refused(scope, train_sae=train()) == {}


@pytest.mark.parametrize(("architecture", "fits"), [("gated", False), ("skip_transcoder", True)])
def test_only_what_sparsify_has_is_exported_to_it(scope: Scope, architecture: str, *, fits: bool) -> None:
    with scope.store.draft("sae", job_id="job-made", attempt=1) as draft:
        draft.summary = {"architecture": architecture}
        made = v1.ArtifactRef(artifact_id=draft.commit())
    folder = str(scope.settings.allowed_roots[0] / "new")
    asked = v1.ExportSae(sae=made, local_path=folder, format=v1.SAE_FORMAT_SPARSIFY)
    found = refused(scope, export_sae=asked)
    assert found == ({} if fits else {"export_sae.format": found.get("export_sae.format", "")})
    assert fits or "sparsify has no gated SAEs" in found["export_sae.format"]


@pytest.mark.parametrize("architecture", [v1.SAE_ARCHITECTURE_TRANSCODER, v1.SAE_ARCHITECTURE_SKIP_TRANSCODER])
def test_a_transcoder_of_an_mlp_passes(scope: Scope, architecture: v1.SaeArchitecture.ValueType) -> None:
    spec = train(hook_points=["layer.3.mlp_in"], saes=[sae(), sae(architecture=architecture)])
    assert refused(scope, train_sae=spec) == {}


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"total_tokens": 0}, "total_tokens", "at least one batch"),
        ({"hook_points": ["layer.4.resid_post"]}, "hook_points[0]", "layers 0 to 3"),
        ({"hook_points": ["layer.x.resid"]}, "hook_points[0]", "no hook point"),
        ({"hook_points": []}, "hook_points", "at least one"),
        ({"saes": []}, "saes", "1 to"),
        ({"saes": [v1.SaeSpec(d_sae=8, k=9)]}, "saes[0].k", "at most d_sae (8)"),
        ({"saes": [v1.SaeSpec(d_sae=8)]}, "saes[0].k", "at least 1"),
        ({"saes": [v1.SaeSpec(k=8)]}, "saes[0].d_sae", "is 1 to"),
        ({"saes": [sae(architecture=99)]}, "saes[0].architecture", "skip_transcoder"),
        (
            {"saes": [sae(), sae(architecture=v1.SAE_ARCHITECTURE_SKIP_TRANSCODER)]},
            "hook_points[0]",
            "a skip_transcoder reads the input of an MLP: name layer.3.mlp_in",
        ),
        (
            {"saes": [sae(architecture=v1.SAE_ARCHITECTURE_TRANSCODER)], "hook_points": ["lm_head"]},
            "hook_points[0]",
            "name layer.<i>.mlp_in",
        ),
        ({"saes": [sae(architecture=v1.SAE_ARCHITECTURE_TRANSCODER, k=0)]}, "saes[0].k", "at least 1"),
        ({"saes": [sae(architecture=v1.SAE_ARCHITECTURE_JUMPRELU)]}, "saes[0].k", "jumprelu takes l0_coefficient"),
        ({"saes": [sae(architecture=v1.SAE_ARCHITECTURE_BATCHTOPK, k=0)]}, "saes[0].k", "at least 1"),
        ({"saes": [sae(l0_coefficient=-1)]}, "saes[0].l0_coefficient", "at least 0"),
        ({"saes": [sae(bandwidth=0)]}, "saes[0].bandwidth", "positive"),
        ({"saes": [sae(jumprelu_penalty=9)]}, "saes[0].jumprelu_penalty", "l0 or tanh"),
        (
            {"saes": [sae(architecture=v1.SAE_ARCHITECTURE_MATRYOSHKA, matryoshka_widths=[4, 4, 8])]},
            "saes[0].matryoshka_widths",
            "end with d_sae (8)",
        ),
        ({"learning_rate": 0.0}, "learning_rate", "positive"),
        ({"device": "tpu"}, "device", "cuda"),
        ({"dtype": "float8"}, "dtype", "float32"),
        ({"wandb_project": "team/project"}, "wandb_project", "1 to 128 characters"),
        ({"wandb_project": "a\x1b"}, "wandb_project", "control characters"),
        ({"wandb_project": "x" * 129}, "wandb_project", "1 to 128"),
        ({"model": v1.ArtifactRef()}, "model", "name a model"),
        ({"model": v1.ArtifactRef(artifact_id="model-gone-0")}, "model", "there is no artifact"),
        ({"model": v1.ArtifactRef(artifact_id="../../etc")}, "model", "there is no artifact"),
        ({"model": TOKENS}, "model", "is a tokens artifact, not a model"),
        ({"tokens": v1.ArtifactRef(job_id="job-none")}, "tokens", "there is no job"),
        ({"tokens": v1.ArtifactRef(step="nowhere")}, "tokens", "no step"),
    ],
)
def test_bad_training_is_refused(scope: Scope, fields: dict[str, Any], field: str, says: str) -> None:
    found = refused(scope, train_sae=train(**fields))
    assert says in found[f"train_sae.{field}"]


@pytest.mark.parametrize(
    ("spec", "field", "says"),
    [
        (v1.DownloadDataset(), "", "name a source"),
        (v1.DownloadDataset(bundled="nope"), ".bundled", "there is python-topics"),
        (v1.DownloadDataset(hub=v1.HubDataset(name="../x")), ".hub.name", "owner/name"),
        (v1.DownloadDataset(local=v1.LocalFiles()), ".local.paths", "at least one"),
        (v1.DownloadDataset(local=v1.LocalFiles(paths=["/etc/passwd"])), ".local.paths[0]", "outside the allowed"),
    ],
)
def test_bad_downloads_are_refused(scope: Scope, spec: v1.DownloadDataset, field: str, says: str) -> None:
    assert says in refused(scope, download_dataset=spec)[f"download_dataset{field}"]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("gone.txt", "does not exist"),
        ("empty", "no text file"),
        ("a.json", "no text file"),
        ("../../x", "outside the allowed"),
        ("\0", "name a path"),
    ],
)
def test_bad_files_are_refused(scope: Scope, path: str, says: str) -> None:
    spec = v1.DownloadDataset(local=v1.LocalFiles(paths=[f"{scope.settings.allowed_roots[0]}/{path}"]))
    assert says in refused(scope, download_dataset=spec)["download_dataset.local.paths[0]"]


def test_good_files_pass(scope: Scope) -> None:
    spec = v1.DownloadDataset(local=v1.LocalFiles(paths=[f"{scope.settings.allowed_roots[0]}/a.txt"]))
    assert refused(scope, download_dataset=spec) == {}


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"context_length": 65}, "context_length", "context length is 64"),
        ({"context_length": 1}, "context_length", "2 to"),
        ({"validation_fraction": 1.0}, "validation_fraction", "less than 1"),
        ({"text_column": "missing"}, "text_column", "no such column; it has text, label"),
        ({"text_column": "label"}, "text_column", "not text"),
    ],
)
def test_bad_tokenization_is_refused(scope: Scope, fields: dict[str, Any], field: str, says: str) -> None:
    spec = v1.TokenizeDataset(dataset=DATASET, model=MODEL, **fields)
    assert says in refused(scope, tokenize_dataset=spec)[f"tokenize_dataset.{field}"]


def test_what_a_finished_job_has_made_is_known(scope: Scope) -> None:
    done = v1.Job(id="job-done", kind="download_model", state=v1.JOB_STATE_SUCCEEDED, artifact_ids=["model-given-0"])
    scope.find_job = {done.id: done}.get
    model = v1.ArtifactRef(job_id="job-done")
    assert refused(scope, train_sae=train(model=model)) == {}
    found = refused(scope, train_sae=train(model=model, hook_points=["layer.4.resid_post"]))
    assert "layers 0 to 3" in found["train_sae.hook_points[0]"]


def test_latents_are_annotated_by_the_id_that_they_have_in_the_sae(scope: Scope) -> None:
    def note(latent: int) -> v1.UpdateMetadata:
        return v1.UpdateMetadata(artifact_id="features-given-0", feature_notes=[v1.FeatureNote(latent=latent)])

    assert refused(scope, update_metadata=note(63)) == {}
    assert "no such feature" in refused(scope, update_metadata=note(64))["update_metadata.feature_notes[0].latent"]


def test_only_a_features_artifact_is_annotated(scope: Scope) -> None:
    spec = v1.UpdateMetadata(artifact_id="sae-given-0", feature_notes=[v1.FeatureNote(latent=0, label="x")])
    assert "of kind sae" in refused(scope, update_metadata=spec)["update_metadata.artifact_id"]


def test_everything_wrong_is_said_at_once(scope: Scope) -> None:
    found = refused(scope, train_sae=v1.TrainSae())
    assert {"train_sae.model", "train_sae.tokens", "train_sae.hook_points", "train_sae.saes"} <= set(found)


def test_the_envelope_is_checked(scope: Scope) -> None:
    request = v1.JobRequest(
        spec=v1.JobSpec(collect_garbage=v1.CollectGarbage()), priority=11, depends_on=["job-none"], max_attempts=1000
    )
    validate_request(request, "job", scope)
    assert {violation.field for violation in scope.violations} == {
        "job.priority",
        "job.depends_on[0]",
        "job.max_attempts",
    }


@pytest.mark.parametrize(
    ("limit", "good"),
    [
        (Duration(nanos=1), True),
        (Duration(seconds=366 * 86_400), True),
        (Duration(seconds=366 * 86_400, nanos=1), False),
        (Duration(), False),
        (Duration(seconds=-1), False),
        (Duration(seconds=5, nanos=-1), False),
        (Duration(seconds=5, nanos=2_000_000_000), False),
    ],
)
def test_limits_in_time_are_more_than_nothing_and_bounded(scope: Scope, limit: Duration, *, good: bool) -> None:
    request = v1.JobRequest(spec=v1.JobSpec(collect_garbage=v1.CollectGarbage()), timeout=limit, start_within=limit)
    validate_request(request, "job", scope)
    assert [bad.field for bad in scope.violations] == ([] if good else ["job.timeout", "job.start_within"])


def test_what_a_job_needs_is_not_deleted(scope: Scope) -> None:
    scope.needing = lambda artifact_id: ["job-a"] if artifact_id == TOKENS.artifact_id else []
    delete = v1.DeleteArtifact(artifact_id=TOKENS.artifact_id)
    assert refused(scope, delete_artifact=delete) == {
        "delete_artifact.artifact_id": "job-a needs it; wait for it or cancel it"
    }


def test_an_empty_spec_is_refused(scope: Scope) -> None:
    assert "set one job kind: download_dataset, " in refused(scope)["job.spec"]


def test_an_unbuilt_kind_says_so(scope: Scope, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(VALIDATORS, "archive_jobs")
    with pytest.raises(UnimplementedError, match="archive_jobs"):
        refused(scope, archive_jobs=v1.ArchiveJobs())


def test_an_age_is_not_negative(scope: Scope) -> None:
    archive = v1.ArchiveJobs(older_than=Duration(seconds=-1))
    assert refused(scope, archive_jobs=archive)["archive_jobs.older_than"].startswith("is not negative")


def test_every_kind_of_the_table_is_validated() -> None:
    kinds = {kind for queue in load_queues().queues for kind in queue.job_kinds}
    assert kinds == VALIDATORS.keys()
    assert kinds == {field.name for field in v1.JobSpec.DESCRIPTOR.fields}
