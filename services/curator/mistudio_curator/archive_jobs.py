"""Job kind archive_jobs: takes the records of old, finished jobs out of the ledger, into an artifact."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from google.protobuf.json_format import MessageToDict

from mistudio.v1 import ArchiveJobs, Job
from mistudio_curator.job_archive import KIND, ArchiveWriter, archived, by_end, end_of, holding
from mistudio_curator.ledger import PAGE, Ledger
from mistudio_runtime.artifacts import ArtifactManifest
from mistudio_runtime.jobs import JobContext

DEFAULT_AGE = timedelta(days=30)
_MOST = timedelta(days=36_500)
"""Longer ago than any job: a time that far back can still be written down."""


def run(spec: ArchiveJobs, context: JobContext) -> list[str]:
    """Commits an archive of the jobs that ended long ago, then deletes their records and events.

    Nothing is deleted that no committed archive holds. Returns no artifact if there is nothing to archive, or if
    another job archives at this moment. Raises TransientFailure if the gateway does not answer.
    """
    context.stages({"archive": 2, "delete": 1})
    before = datetime.now(UTC) - _age(spec)
    with Ledger(context.settings.gateway) as ledger:
        if other := _earlier(ledger.archiving(), context.job_id):
            context.log("info", f"{other} archives jobs at this moment, so there is nothing to do")
            return []
        artifact_id = _Archiving(context, ledger, before).commit(spec)
        if not artifact_id:
            context.log("info", f"no job ended before {before:%Y-%m-%d %H:%M} UTC, so there is nothing to archive")
            return []
        _delete(context, ledger, artifact_id)
        return [artifact_id]


class _Archiving:
    """One pass over the jobs that ended before a time."""

    def __init__(self, context: JobContext, ledger: Ledger, before: datetime) -> None:
        self._context = context
        self._ledger = ledger
        self._before = before
        self._needed = ledger.needed()
        self._archives = _archives(context)

    def commit(self, spec: ArchiveJobs) -> str:
        """Commits the archive and returns its id, "" if it would be empty; an attempt before may have done so."""
        own = next((manifest.id for manifest in self._archives if manifest.job_id == self._context.job_id), "")
        if own:
            return own
        parameters = MessageToDict(spec, preserving_proto_field_name=True)
        with self._context.draft(KIND, parents=[], parameters=parameters) as draft:
            with ArchiveWriter(draft.path) as writer:
                self._write(writer)
            if not writer.jobs:
                return ""
            draft.summary |= {
                "jobs": writer.jobs,
                "first_end": writer.first_end,
                "last_end": writer.last_end,
                "ended_before": self._before.isoformat(),
            }
            return draft.commit()

    def _write(self, writer: ArchiveWriter) -> None:
        first: datetime | None = None
        for page in self._ledger.ended(self._before):
            self._context.raise_if_stopped()
            first = first or end_of(page[0])
            writer.write(self._new(page))
            done, total = end_of(page[-1]) - first, self._before - first
            self._context.progress("archive", round(done.total_seconds()), round(total.total_seconds()), "seconds")

    def _new(self, page: Sequence[Job]) -> list[Job]:
        """Returns the jobs that no archive holds; the rest, which a job that was killed left, are deleted."""
        free = [job for job in page if job.id not in self._needed]
        known = holding(self._context.store, self._archives, free)
        self._ledger.delete(by_end([job for job in free if job.id in known]))
        return [job for job in free if job.id not in known]


def _age(spec: ArchiveJobs) -> timedelta:
    if not spec.HasField("older_than"):
        return DEFAULT_AGE
    return min(timedelta(seconds=min(spec.older_than.seconds, _MOST.total_seconds())), _MOST)


def _archives(context: JobContext) -> list[ArtifactManifest]:
    return [manifest for manifest in context.store.list() if manifest.kind == KIND]


def _earlier(archiving: Sequence[Job], job_id: str) -> str:
    """Returns the job that began to archive before this one, or ""."""
    first = min(archiving, key=lambda job: (job.create_time.ToNanoseconds(), job.id), default=None)
    return first.id if first is not None and first.id != job_id else ""


def _delete(context: JobContext, ledger: Ledger, artifact_id: str) -> None:
    total, done, deleted = context.store.get(artifact_id).summary["jobs"], 0, 0
    for ends in archived(context.store.path(artifact_id), PAGE):
        context.raise_if_stopped()
        deleted += ledger.delete(ends)
        done += len(ends)
        context.progress("delete", done, total, "jobs")
    context.log("info", f"archived {total} jobs in {artifact_id}, and deleted {deleted} records")
