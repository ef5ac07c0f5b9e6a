"""What a job handle knows without asking."""

from __future__ import annotations

from mistudio import v1
from mistudio.errors import JobCancelledError, JobFailedError
from mistudio.states import JobState


class JobView:
    """A job as it was when it was last heard of."""

    def __init__(self, job: v1.Job) -> None:
        self._job = job

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.kind} {self.state}>"

    @property
    def id(self) -> str:
        """Identifier."""
        return self._job.id

    @property
    def kind(self) -> str:
        """The job kind, e.g. "train_sae"."""
        return self._job.kind

    @property
    def state(self) -> JobState:
        """Where it stands."""
        return JobState.of(self._job)

    @property
    def progress(self) -> v1.Progress:
        """How far it is."""
        return self._job.progress

    @property
    def artifact_ids(self) -> list[str]:
        """Artifacts that it committed."""
        return list(self._job.artifact_ids)

    @property
    def diagnosis(self) -> str:
        """One sentence on why it does not run, with the command that helps; empty if nothing is wrong."""
        return self._job.diagnosis

    @property
    def proto(self) -> v1.Job:
        """The whole record."""
        return self._job

    def _absorb(self, event: v1.JobEvent) -> None:
        if event.HasField("job"):
            self._job = event.job
        elif event.HasField("progress"):
            self._job.progress.CopyFrom(event.progress)
        elif event.HasField("diagnosis"):
            self._job.diagnosis = event.diagnosis

    def _outcome(self) -> list[str]:
        if self.state is JobState.FAILED:
            raise JobFailedError(self._job)
        if self.state is JobState.CANCELLED:
            raise JobCancelledError(self._job)
        return self.artifact_ids
