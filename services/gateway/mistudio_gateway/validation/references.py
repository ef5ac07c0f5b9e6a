"""References to artifacts: they must exist, or be made by a job that is there, and be of the right kind."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from google.protobuf.message import Message

from mistudio import v1
from mistudio_gateway.quoting import quoted
from mistudio_gateway.state_machine import state_name
from mistudio_gateway.validation.scope import Scope
from mistudio_gateway.validation.step_references import edges_of, step_problem
from mistudio_runtime.paths import resolve_allowed

PRODUCES: dict[str, str] = {
    "download_dataset": "dataset",
    "download_model": "model",
    "import_sae": "sae",
    "tokenize_dataset": "tokens",
    "train_sae": "sae",
    "extract_activations": "activations",
    "extract_features": "features",
    "summarize_dataset": "report",
    "collect_garbage": "report",
    "prune_checkpoints": "report",
    "verify_artifacts": "report",
    "archive_jobs": "job_archive",
}
"""Job kind to the kind of artifact that it makes."""


def kind_of(spec: v1.JobSpec) -> str:
    """Returns the job kind of a spec, or "" if none is set."""
    return spec.WhichOneof("kind") or ""


def body_of(spec: v1.JobSpec) -> Any:
    """Returns the kind's own message."""
    return getattr(spec, kind_of(spec))


def references(body: Message) -> Iterator[v1.ArtifactRef]:
    """Yields the artifact references of a kind's message that are set."""
    for field, value in body.ListFields():
        if field.message_type is not None and field.message_type.full_name == v1.ArtifactRef.DESCRIPTOR.full_name:
            yield value


def references_of(spec: v1.JobSpec) -> Iterator[v1.ArtifactRef]:
    """Yields the artifact references of a spec that are set; none if it has no kind."""
    return references(body_of(spec)) if kind_of(spec) else iter(())


def required_jobs(spec: v1.JobSpec) -> list[str]:
    """Returns the jobs whose outputs a spec names."""
    return [ref.job_id for ref in references(body_of(spec)) if ref.WhichOneof("ref") == "job_id"]


def check_reference(scope: Scope, ref: v1.ArtifactRef, path: str, kind: str) -> None:
    """Checks that a reference leads to an artifact of `kind`, now or when another job has run."""
    how = ref.WhichOneof("ref")
    if how is None:
        scope.refuse(path, f"name {_a(kind)}: an artifact id or the job that makes it")
    elif how == "artifact_id":
        _check_artifact(scope, ref.artifact_id, path, kind)
    elif how == "job_id":
        _check_job(scope, ref.job_id, path, kind)
    elif ref.step not in scope.steps:
        edges = edges_of({name: list(references_of(spec)) for name, spec in scope.pipeline.items()})
        scope.refuse(path, step_problem(scope.step, ref.step, edges))
    else:
        _check_product(scope, kind_of(scope.steps[ref.step]), f"step {ref.step}", path, kind)


def check_optional_reference(scope: Scope, ref: v1.ArtifactRef, path: str, kind: str) -> None:
    """As check_reference, but nothing need be named."""
    if ref.WhichOneof("ref") is not None:
        check_reference(scope, ref, path, kind)


def summary_of(scope: Scope, ref: v1.ArtifactRef) -> dict[str, Any]:
    """Returns what is known of the artifact that a reference leads to; {} if it is not there yet."""
    job = scope.find_job(ref.job_id) if ref.WhichOneof("ref") == "job_id" else None
    artifact_id = _output(job, ref.output_index) if job else ref.artifact_id
    if artifact_id:
        return scope.store.get(artifact_id).summary if scope.store.exists(artifact_id) else {}
    spec = job.spec if job else scope.steps.get(ref.step)
    return _facts_of_local_model(scope, spec.download_model) if spec and kind_of(spec) == "download_model" else {}


def _output(job: v1.Job, index: int) -> str:
    """Returns the artifact that a job has made, "" if it has not yet."""
    return job.artifact_ids[index] if index < len(job.artifact_ids) else ""


def _facts_of_local_model(scope: Scope, spec: v1.DownloadModel) -> dict[str, Any]:
    try:
        config = _local_config(scope, spec) if spec.WhichOneof("source") == "local_path" else {}
    except (OSError, ValueError, RecursionError):
        return {}  # the download job itself says what is wrong with it
    layers = config.get("num_hidden_layers", config.get("n_layer"))
    return {"n_layers": layers} if isinstance(layers, int) else {}


def _local_config(scope: Scope, spec: v1.DownloadModel) -> dict[str, Any]:
    folder = resolve_allowed(spec.local_path, scope.settings.allowed_roots)
    file = resolve_allowed(str(folder / "config.json"), scope.settings.allowed_roots)
    # Reading anything but a file, a named pipe say, could take for ever.
    config = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return config if isinstance(config, dict) else {}


def _check_artifact(scope: Scope, artifact_id: str, path: str, kind: str) -> None:
    if not scope.store.exists(artifact_id):
        scope.refuse(path, f"there is no artifact {quoted(artifact_id)}; `mistudio artifacts list` shows what there is")
    elif (found := scope.store.get(artifact_id).kind) != kind:
        scope.refuse(path, f"{artifact_id} is {_a(found)}, not {_a(kind)}")


def _check_job(scope: Scope, job_id: str, path: str, kind: str) -> None:
    job = scope.find_job(job_id)
    if job is None:
        scope.refuse(path, f"there is no job {quoted(job_id)}; `mistudio jobs list` shows what there is")
    elif job.state in (v1.JOB_STATE_FAILED, v1.JOB_STATE_CANCELLED):
        scope.refuse(path, f"{job_id} is {state_name(job.state)}: `mistudio jobs retry {job_id}` first")
    else:
        _check_product(scope, job.kind, job_id, path, kind)


def _check_product(scope: Scope, job_kind: str, name: str, path: str, kind: str) -> None:
    if (made := PRODUCES.get(job_kind)) != kind:
        makes = _a(made) if made else "no artifact"
        scope.refuse(path, f"{name} is a {job_kind}, which makes {makes}, not {_a(kind)}")


def _a(kind: str) -> str:
    plain = {"tokens": "a tokens artifact", "features": "a features artifact", "activations": "an activations artifact"}
    return plain.get(kind) or ("an SAE" if kind == "sae" else f"a {kind}")
