"""What is known of the followed jobs, from their events. Draws nothing."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mistudio import v1
from mistudio.states import JobState


@dataclass
class Row:
    """One job as its last events left it."""

    job: v1.Job
    """The record."""
    name: str
    """How it is called on the screen."""
    diagnosis: str = ""
    """Why it does not run now; empty if it does."""
    metrics: dict[str, float] = field(default_factory=dict)
    """The last value of each metric; of a sweep, the last SAE's."""

    @property
    def state(self) -> JobState:
        """Where it stands."""
        return JobState.of(self.job)


class Board:
    """The followed jobs in their order."""

    def __init__(self, jobs: Iterable[v1.Job]) -> None:
        self.rows = {job.id: Row(_copy(job), job.step or job.display_name or job.kind, job.diagnosis) for job in jobs}
        """By the job's id."""

    def apply(self, event: v1.JobEvent) -> Row:
        """Takes note of an event and returns the row that it changed."""
        row = self.rows[event.job_id]
        match event.WhichOneof("event"):
            case "job":
                row.job.CopyFrom(event.job)
                row.diagnosis = event.job.diagnosis
            case "progress":
                row.job.progress.CopyFrom(event.progress)
                row.diagnosis = ""
            case "metric":
                row.metrics[event.metric.name] = event.metric.value
            case "diagnosis":
                row.diagnosis = event.diagnosis
        return row

    def tells(self, line: v1.LogLine) -> bool:
        """Whether a log line is worth showing: of one job everything but details, of several only what is wrong."""
        return line.level in ("warning", "error") or (len(self.rows) == 1 and line.level == "info")

    def jobs(self) -> list[v1.Job]:
        """Returns the records."""
        return [row.job for row in self.rows.values()]


def _copy(job: v1.Job) -> v1.Job:
    copy = v1.Job()
    copy.CopyFrom(job)
    return copy
