"""Which jobs still need an artifact."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mistudio import v1
from mistudio_gateway.validation.references import body_of, references

FindJob = Callable[[str], v1.Job | None]


def jobs_needing(artifact_id: str, unfinished: Iterable[v1.Job], find_job: FindJob) -> list[str]:
    """Returns the unfinished jobs whose specs name an artifact as their input, or the job that has made it."""
    return sorted(job.id for job in unfinished if _needs(job, artifact_id, find_job))


def _needs(job: v1.Job, artifact_id: str, find_job: FindJob) -> bool:
    return any(_leads_to(ref, artifact_id, find_job) for ref in references(body_of(job.spec)))


def _leads_to(ref: v1.ArtifactRef, artifact_id: str, find_job: FindJob) -> bool:
    if ref.WhichOneof("ref") != "job_id":
        return ref.artifact_id == artifact_id
    parent = find_job(ref.job_id)
    return parent is not None and artifact_id in parent.artifact_ids[ref.output_index :][:1]
