"""A whole job request: the spec of its kind, and how it is to be run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message

from mistudio import v1
from mistudio_gateway.quoting import quoted
from mistudio_gateway.validation import extraction, ingest, training, upkeep
from mistudio_gateway.validation.limits import check_limit
from mistudio_gateway.validation.references import body_of, kind_of
from mistudio_gateway.validation.scope import Scope
from mistudio_runtime.errors import UnimplementedError
from mistudio_runtime.queues import PRIORITIES

MAX_ATTEMPTS = 100
MAX_REQUEST_BYTES = 256 * 1024
"""The record of a job, with its attempts, has to fit into one message of the broker (1 MiB by default)."""

VALIDATORS: dict[str, Callable[[Any, str, Scope], None]] = {
    "download_dataset": ingest.download_dataset,
    "download_model": ingest.download_model,
    "import_sae": ingest.import_sae,
    "export_sae": ingest.export_sae,
    "tokenize_dataset": ingest.tokenize_dataset,
    "summarize_dataset": ingest.summarize_dataset,
    "train_sae": training.train_sae,
    "extract_activations": extraction.extract_activations,
    "extract_features": extraction.extract_features,
    "update_metadata": upkeep.update_metadata,
    "delete_artifact": upkeep.delete_artifact,
    "collect_garbage": upkeep.collect_garbage,
    "prune_checkpoints": upkeep.prune_checkpoints,
    "verify_artifacts": upkeep.verify_artifacts,
    "archive_jobs": upkeep.archive_jobs,
}
"""Job kind to the function that checks its message; a kind that is missing cannot be run by this version."""


_LOOK_AT_NOTHING = frozenset({"collect_garbage", "prune_checkpoints", "archive_jobs"})


def looks_at_files(spec: v1.JobSpec) -> bool:
    """Tells whether to validate a spec takes a look at artifacts or other files, which may be on a slow disk."""
    return kind_of(spec) not in _LOOK_AT_NOTHING


def validate_request(request: v1.JobRequest, path: str, scope: Scope) -> None:
    """Writes down everything that is wrong with a request; `path` names it, e.g. "job".

    Raises UnimplementedError for a job kind that this version cannot run.
    """
    if fits(request, path, scope) and validate_spec(request.spec, f"{path}.spec", scope):
        _envelope(request, path, scope)


def fits(message: Message, path: str, scope: Scope) -> bool:
    """Whether a message is small enough to be recorded; what is not need not be looked into."""
    size = message.ByteSize()
    holds = size <= MAX_REQUEST_BYTES
    scope.require(holds, path, f"takes {size} bytes, and at most {MAX_REQUEST_BYTES} are recorded")
    return holds


def validate_spec(spec: v1.JobSpec, path: str, scope: Scope) -> bool:
    """Writes down everything that is wrong with a spec; False if it has no kind to be checked by.

    Raises UnimplementedError for a job kind that this version cannot run.
    """
    kind = kind_of(spec)
    if not kind:
        scope.refuse(path, f"set one job kind: {', '.join(VALIDATORS)}")
        return False
    if kind not in VALIDATORS:
        raise UnimplementedError(f"jobs of kind {kind} are not built yet: no service of this version runs them")
    VALIDATORS[kind](body_of(spec), f"{path}.{kind}", scope)
    return True


def _envelope(request: v1.JobRequest, path: str, scope: Scope) -> None:
    scope.require(
        request.priority == 0 or request.priority in PRIORITIES,
        f"{path}.priority",
        "is 1 to 10, 10 first, or 0 for the queue's own",
    )
    scope.require(request.max_attempts <= MAX_ATTEMPTS, f"{path}.max_attempts", f"is at most {MAX_ATTEMPTS}")
    scope.require(
        len(request.display_name) <= upkeep.MAX_NAME, f"{path}.display_name", f"is at most {upkeep.MAX_NAME} characters"
    )
    upkeep.check_labels(dict(request.labels), f"{path}.labels", scope)
    for limit in ("timeout", "start_within"):
        if request.HasField(limit):
            check_limit(getattr(request, limit), f"{path}.{limit}", scope)
    for index, job_id in scope.each(request.depends_on):
        job = scope.find_job(job_id)
        scope.require(job is not None, f"{path}.depends_on[{index}]", f"there is no job {quoted(job_id)}")
        ended_badly = job is not None and job.state in (v1.JOB_STATE_FAILED, v1.JOB_STATE_CANCELLED)
        scope.require(not ended_badly, f"{path}.depends_on[{index}]", f"{job_id} did not succeed: retry it first")
