"""Archives of jobs: Parquet files of whole records, oldest end first, written and read a page at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
from google.protobuf.json_format import MessageToJson
from google.protobuf.timestamp_pb2 import Timestamp

from mistudio.v1 import Job, JobState
from mistudio_runtime.artifacts import ArtifactManifest, ArtifactStore

KIND = "job_archive"
FILE = "jobs.parquet"
_TIME = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("kind", pa.string()),
        ("display_name", pa.string()),
        ("state", pa.string()),
        ("queue", pa.string()),
        ("priority", pa.int32()),
        ("create_time", _TIME),
        ("start_time", _TIME),
        ("end_time", _TIME),
        ("attempts", pa.int32()),
        ("failure_reason", pa.string()),
        ("artifact_ids", pa.list_(pa.string())),
        ("labels", pa.map_(pa.string(), pa.string())),
        ("pipeline_id", pa.string()),
        ("step", pa.string()),
        ("record", pa.string()),
    ]
)
"""What people ask for by column; `record` is the whole job as JSON, with its spec, attempts and failure."""


class ArchiveWriter:
    """Writes jobs page by page: one row group each, so that memory does not grow with their number."""

    def __init__(self, folder: Path) -> None:
        """Takes the folder for the file."""
        self._writer = pq.ParquetWriter(folder / FILE, SCHEMA)
        self.jobs = 0
        self.first_end = self.last_end = ""
        """When the first and the last of them ended."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.close()

    def write(self, jobs: Sequence[Job]) -> None:
        """Adds jobs, the one that ended first before the others."""
        if not jobs:
            return
        self._writer.write_table(pa.Table.from_pylist([_row(job) for job in jobs], schema=SCHEMA))
        self.jobs += len(jobs)
        self.first_end = self.first_end or end_of(jobs[0]).isoformat()
        self.last_end = end_of(jobs[-1]).isoformat()


def archived(folder: Path, page: int) -> Iterator[dict[str, datetime]]:
    """Yields the jobs of an archive, at most `page` at a time: ids with when they ended."""
    with pq.ParquetFile(folder / FILE) as file:
        for batch in file.iter_batches(page, columns=["id", "end_time"]):
            yield {row["id"]: row["end_time"].astimezone(UTC) for row in batch.to_pylist()}


def holding(store: ArtifactStore, archives: Sequence[ArtifactManifest], jobs: Sequence[Job]) -> set[str]:
    """Returns the jobs that stand in one of these archives already, as they ended."""
    ends = by_end(jobs)
    if not ends:
        return set()
    first, last = min(ends.values()), max(ends.values())
    paths = [store.path(manifest.id) / FILE for manifest in archives if _overlaps(manifest, first, last)]
    among = [("end_time", ">=", first), ("end_time", "<=", last), ("id", "in", [*ends])]
    rows = [row for path in paths for row in pq.read_table(path, columns=["id", "end_time"], filters=among).to_pylist()]
    return {row["id"] for row in rows if row["end_time"] == ends[row["id"]]}


def end_of(job: Job) -> datetime:
    """Returns when a job ended, as archives hold it."""
    return job.end_time.ToDatetime(UTC)


def by_end(jobs: Sequence[Job]) -> dict[str, datetime]:
    """Returns jobs as `archived` yields them."""
    return {job.id: end_of(job) for job in jobs}


def _overlaps(manifest: ArtifactManifest, first: datetime, last: datetime) -> bool:
    begins, ends = (datetime.fromisoformat(manifest.summary[name]) for name in ("first_end", "last_end"))
    return begins <= last and first <= ends


def _row(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "kind": job.kind,
        "display_name": job.display_name,
        "state": JobState.Name(job.state).removeprefix("JOB_STATE_"),
        "queue": job.queue,
        "priority": job.priority,
        "create_time": _time(job.create_time),
        "start_time": _time(job.start_time),
        "end_time": _time(job.end_time),
        "attempts": len(job.attempts),
        "failure_reason": job.failure.reason,
        "artifact_ids": [*job.artifact_ids],
        "labels": [*job.labels.items()],
        "pipeline_id": job.pipeline_id,
        "step": job.step,
        "record": MessageToJson(job, preserving_proto_field_name=True, indent=None),
    }


def _time(time: Timestamp) -> datetime | None:
    return time.ToDatetime(UTC) if time.ToNanoseconds() else None
