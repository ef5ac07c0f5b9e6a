"""What a job waits for: parents that must succeed, and their outputs that its spec names."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mistudio import v1
from mistudio_gateway.state_machine import state_name
from mistudio_gateway.validation.references import body_of, references

FindJob = Callable[[str], v1.Job | None]

DEPENDENCY_FAILED = "DEPENDENCY_FAILED"
OUTPUT_MISSING = "OUTPUT_MISSING"


def ready(job: v1.Job, find_job: FindJob) -> bool:
    """Tells whether every parent has succeeded."""
    parents = [find_job(parent) for parent in job.depends_on]
    return all(parent is not None and parent.state == v1.JOB_STATE_SUCCEEDED for parent in parents)


def failed_parent(job: v1.Job, find_job: FindJob) -> v1.Job | None:
    """Returns a parent that failed or was cancelled."""
    for parent in map(find_job, job.depends_on):
        if parent is not None and parent.state in (v1.JOB_STATE_FAILED, v1.JOB_STATE_CANCELLED):
            return parent
    return None


def may_wait_again(job: v1.Job, find_job: FindJob) -> bool:
    """Tells whether a job has failed only because of jobs that have been put back since."""
    if job.state != v1.JOB_STATE_FAILED or job.failure.reason != DEPENDENCY_FAILED:
        return False
    return all(find_job(parent) is not None for parent in job.depends_on) and failed_parent(job, find_job) is None


def parent_failure(parent: v1.Job) -> v1.Failure:
    """Returns why a child of this parent cannot run."""
    why = f": {parent.failure.message}" if parent.failure.message else ""
    return v1.Failure(
        reason=DEPENDENCY_FAILED,
        message=f"{parent.display_name} ({parent.id}), which it needs, is {state_name(parent.state)}{why}",
        failure_class=v1.FAILURE_CLASS_PERMANENT,
    )


def resolve_outputs(job: v1.Job, find_job: FindJob) -> v1.Failure | None:
    """Replaces references to parents' outputs by artifact ids; returns a failure if an output is missing."""
    for ref in references(body_of(job.spec)):
        if ref.WhichOneof("ref") != "job_id":
            continue
        parent = find_job(ref.job_id)
        outputs = list(parent.artifact_ids) if parent else []
        if ref.output_index >= len(outputs):
            return v1.Failure(
                reason=OUTPUT_MISSING,
                message=f"{ref.job_id} made {len(outputs)} artifacts, so its output {ref.output_index} does not exist",
                failure_class=v1.FAILURE_CLASS_PERMANENT,
            )
        ref.artifact_id = outputs[ref.output_index]
        ref.output_index = 0
    return None


def children_failed_by(job_id: str, jobs: Iterable[v1.Job]) -> list[str]:
    """Returns the jobs that failed only because this one did, and those that failed because of them."""
    everyone = [job for job in jobs if job.failure.reason == DEPENDENCY_FAILED and job.state == v1.JOB_STATE_FAILED]
    found: list[str] = []
    frontier = {job_id}
    while frontier:
        frontier = {job.id for job in everyone if frontier & set(job.depends_on)} - set(found)
        found += sorted(frontier)
    return found
