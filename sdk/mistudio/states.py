"""Where a job stands."""

from enum import StrEnum

from mistudio import v1

_PREFIX = "JOB_STATE_"


class JobState(StrEnum):
    """The states of a job under the names that people read; the wire has the same with JOB_STATE_ before them."""

    UNSPECIFIED = "UNSPECIFIED"
    WAITING = "WAITING"
    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    PAUSING = "PAUSING"
    PAUSED = "PAUSED"
    CANCELLING = "CANCELLING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"

    @classmethod
    def of(cls, job: v1.Job) -> "JobState":
        """Returns the state of a job; UNSPECIFIED for one that a newer mesh knows and this SDK does not."""
        if job.state not in v1.JobState.values():
            return cls.UNSPECIFIED
        return cls(v1.JobState.Name(job.state).removeprefix(_PREFIX))

    @property
    def is_over(self) -> bool:
        """Whether the job has ended (it runs again only by a retry)."""
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED)

    def to_proto(self) -> v1.JobState.ValueType:
        """Returns the state as the wire has it."""
        return v1.JobState.Value(_PREFIX + self.value)
