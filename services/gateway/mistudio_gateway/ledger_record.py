"""A job's record as a gateway keeps it in memory: small, because there may be 100,000 that are over."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from google.protobuf.timestamp_pb2 import Timestamp

from mistudio import v1
from mistudio_gateway.state_machine import TERMINAL

NANOS = 1_000_000_000
_NONE: Mapping[str, str] = {}


@dataclass(slots=True, eq=False)
class LedgerRecord:
    """One revision of a record; what lists look at is taken out of it."""

    id: str
    revision: int
    """Its position in the bucket's stream; what compare-and-set expects."""
    data: bytes
    """The serialized Job, deterministic."""
    state: v1.JobState.ValueType
    kind: str
    queue: str
    priority: int
    created: int
    """Nanoseconds since the epoch, UTC, as all times here."""
    updated: int
    ended: int | None
    """None for one that is not over."""
    pipeline_id: str
    labels: Mapping[str, str]
    _job: v1.Job | None = field(repr=False)
    """Kept of those that are not over: these are looked at all the time."""

    @classmethod
    def of(cls, job: v1.Job, data: bytes, revision: int) -> Self:
        """Takes a job that nobody changes any more, and the same serialized."""
        over = job.state in TERMINAL
        return cls(
            id=job.id,
            revision=revision,
            data=data,
            state=job.state,
            kind=sys.intern(job.kind),
            queue=sys.intern(job.queue),
            priority=job.priority,
            created=_nanos(job.create_time),
            updated=_nanos(job.update_time),
            ended=_nanos(job.end_time) if job.HasField("end_time") else None,
            pipeline_id=sys.intern(job.pipeline_id),
            labels=dict(job.labels) if job.labels else _NONE,
            _job=None if over else job,
        )

    @property
    def over(self) -> bool:
        """Tells whether the job is in a terminal state."""
        return self.state in TERMINAL

    @property
    def job(self) -> v1.Job:
        """The job; not to be changed."""
        return self._job if self._job is not None else v1.Job.FromString(self.data)

    def copy(self) -> v1.Job:
        """Returns the job to be changed."""
        return v1.Job.FromString(self.data)


def _nanos(time: Timestamp) -> int:
    return time.seconds * NANOS + time.nanos
