"""The steps of a pipeline: whether they are good, and which jobs they become."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from mistudio import v1
from mistudio_gateway import job_ids
from mistudio_gateway.ledger import utc_now
from mistudio_gateway.quoting import quoted
from mistudio_gateway.records import new_job
from mistudio_gateway.validation import Scope, validate_request
from mistudio_gateway.validation.references import body_of, kind_of, references
from mistudio_runtime.queues import QueueTable

MAX_STEPS = 1_000
MAX_STEP_NAME = 64


def validate_steps(steps: Sequence[v1.PipelineStep], scope: Scope) -> None:
    """Writes down everything that is wrong with steps; a step names only steps before it, so that there is no cycle.

    Raises UnimplementedError for a job kind that this version cannot run.
    """
    scope.require(0 < len(steps) <= MAX_STEPS, "steps", f"name 1 to {MAX_STEPS} steps")
    specs = {step.name: step.job.spec for step in steps[:MAX_STEPS]}
    before: dict[str, v1.JobSpec] = {}
    for index, step in scope.each(steps[:MAX_STEPS]):
        path = f"steps[{index}]"
        scope.require(_is_name(step.name), f"{path}.name", 'is a letter, then letters, digits, "-" or "_"')
        scope.require(step.name not in before, f"{path}.name", f"{quoted(step.name)} stands twice")
        scope.steps, scope.pipeline, scope.step = dict(before), specs, step.name
        validate_request(step.job, f"{path}.job", scope)
        before[step.name] = step.job.spec


def step_jobs(steps: Sequence[v1.PipelineStep], request_id: str, table: QueueTable) -> tuple[str, list[v1.Job]]:
    """Returns the pipeline's id and the records of its jobs, in the order of the steps."""
    pipeline_id = job_ids.pipeline_id(request_id)
    ids = {step.name: job_ids.step_job_id(request_id, step.name) for step in steps}
    whole = v1.SubmitPipelineRequest(steps=steps).SerializeToString(deterministic=True)
    jobs = []
    for step in steps:
        request = v1.JobRequest()
        request.CopyFrom(step.job)
        for ref in references(body_of(request.spec)):
            if ref.WhichOneof("ref") == "step":
                ref.job_id = ids.get(ref.step, "")
        job = new_job(ids[step.name], request, table, utc_now())
        job.pipeline_id, job.step = pipeline_id, step.name
        # Of the whole pipeline: the same request_id with other steps beside this one is refused.
        job.request_digest = hashlib.sha256(whole + step.name.encode()).digest()
        jobs.append(job)
    return pipeline_id, jobs


def step_ids(steps: Sequence[v1.PipelineStep], request_id: str) -> list[str]:
    """Returns the ids of the jobs that steps become; [] if they would be new in any case, or cannot be jobs."""
    names = {step.name for step in steps}
    if not request_id or len(names) != len(steps) or not all(kind_of(step.job.spec) for step in steps):
        return []
    return [job_ids.step_job_id(request_id, name) for name in names]


def _is_name(name: str) -> bool:
    plain = name.replace("-", "").replace("_", "")
    return 0 < len(name) <= MAX_STEP_NAME and name.isascii() and name[0].isalpha() and plain.isalnum()
