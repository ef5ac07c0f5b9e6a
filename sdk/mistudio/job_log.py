"""A job's log: what it said, and between that how it fared, made from its events. Knows nothing of sockets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from mistudio import v1
from mistudio.states import JobState
from mistudio.watching import Watch

LEVELS = ("debug", "info", "warning", "error")
"""Levels of log lines, the least important first."""

_CHANGES = {
    JobState.PAUSING: "PAUSING: it is asked to write a checkpoint and stop",
    JobState.PAUSED: "PAUSED",
    JobState.CANCELLING: "CANCELLING: it is asked to stop",
    JobState.CANCELLED: "CANCELLED",
}
_STATE_LEVELS = {JobState.FAILED: "error", JobState.CANCELLED: "warning"}


@dataclass(frozen=True)
class JobLogLine:
    """One line of a job's log."""

    sequence: int
    """Position of its event in the event log."""
    time: datetime
    """When it was logged, UTC."""
    level: str
    """One of `LEVELS`."""
    message: str
    """The line."""
    attempt: int
    """The attempt that it is about; 0 if none."""
    worker: str
    """The worker that runs or ran that attempt; empty if none."""
    state: JobState | None = None
    """What the job became, where the line tells a change of state and is none that the job logged."""


class JobLog:
    """Turns a job's events into lines."""

    def __init__(self, job_id: str, *, changes: bool = False, attempt: int = 0, level: str = "debug") -> None:
        """Takes the job, whether changes of its state are lines, too, and which lines are wanted (attempt 0: of all).

        Raises ValueError if there is no such level.
        """
        self._job_id = job_id
        self._changes = changes
        self._attempt = attempt
        if level not in LEVELS:
            raise ValueError(f"there is no level {level!r}: take one of {', '.join(LEVELS)}")
        self._least = LEVELS.index(level)
        self._job = v1.Job()
        self._sequence = 0
        self._diagnosis = ""

    @property
    def over(self) -> bool:
        """Whether the job has ended, as far as it was read."""
        return JobState.of(self._job).is_over

    def watch(self, *, follow: bool) -> Watch:
        """Returns the watch that goes on where reading stopped: to the job's end, or to what there is by now."""
        return Watch(self._job_id, self._sequence, events=("job", "log", "diagnosis"), replay_only=not follow)

    def lines(self, event: v1.JobEvent) -> list[JobLogLine]:
        """Returns the lines that an event is worth."""
        self._sequence = max(self._sequence, event.sequence)
        return [line for line in self._told(event) if self._is_wanted(line)]

    def _told(self, event: v1.JobEvent) -> Iterator[JobLogLine]:
        match event.WhichOneof("event"):
            case "log":
                yield self._line(event, event.log.level, event.log.message, event.attempt)
            case "job":
                before, self._job = self._job, event.job
                yield from self._attempts(event, before)
                yield from self._state(event, before)
            case "diagnosis" if event.diagnosis != self._diagnosis:
                self._diagnosis = event.diagnosis
                yield self._line(event, "warning", event.diagnosis, 0, JobState.of(self._job))

    def _is_wanted(self, line: JobLogLine) -> bool:
        # A level that this SDK does not know is surely no detail.
        important = line.level not in LEVELS or LEVELS.index(line.level) >= self._least
        return important and self._attempt in (0, line.attempt) and (self._changes or line.state is None)

    def _attempts(self, event: v1.JobEvent, before: v1.Job) -> Iterator[JobLogLine]:
        known = {attempt.number: attempt for attempt in before.attempts}
        for attempt in event.job.attempts:
            was = known.get(attempt.number)
            if was is None:
                text = f"RUNNING: claimed by {attempt.worker} as attempt {attempt.number}"
                yield self._line(event, "info", text, attempt.number, JobState.RUNNING)
            if attempt.outcome and (was is None or not was.outcome):
                yield from self._ended(event, attempt)

    def _ended(self, event: v1.JobEvent, attempt: v1.Attempt) -> Iterator[JobLogLine]:
        state = JobState.of(event.job)
        name = f"attempt {attempt.number}"
        match attempt.outcome:
            case v1.ATTEMPT_OUTCOME_FAILED if state is not JobState.FAILED:
                yield self._line(event, "warning", f"{name} FAILED: {_why(attempt.failure)}", attempt.number, state)
            case v1.ATTEMPT_OUTCOME_LOST:
                yield self._line(event, "warning", f"{name} LOST: {attempt.failure.message}", attempt.number, state)
            case v1.ATTEMPT_OUTCOME_RELEASED:
                text = f"{name} RELEASED: {attempt.worker} ends and gave the job back"
                yield self._line(event, "info", text, attempt.number, state)

    def _state(self, event: v1.JobEvent, before: v1.Job) -> Iterator[JobLogLine]:
        state = JobState.of(event.job)
        attempt = event.job.attempts[-1].number if event.job.attempts else 0
        if state not in (JobState.of(before), JobState.RUNNING):
            text = _CHANGES.get(state) or _change(state, event.job)
            yield self._line(event, _STATE_LEVELS.get(state, "info"), text, attempt, state)

    def _line(
        self, event: v1.JobEvent, level: str, message: str, attempt: int, state: JobState | None = None
    ) -> JobLogLine:
        stamp = event.log.time if event.log.HasField("time") else event.time
        workers = {each.number: each.worker for each in self._job.attempts}
        return JobLogLine(
            event.sequence, stamp.ToDatetime(UTC), level, message, attempt, workers.get(attempt, ""), state
        )


def _change(state: JobState, job: v1.Job) -> str:
    if state is JobState.WAITING:
        return f"WAITING for {', '.join(job.depends_on)}" if job.depends_on else "WAITING"
    if state is JobState.QUEUED:
        again = " again" if job.attempts else ""
        return f"QUEUED{again} in {job.queue} with priority {job.priority}"
    if state is JobState.SUCCEEDED:
        return f"SUCCEEDED: {', '.join(job.artifact_ids)}" if job.artifact_ids else "SUCCEEDED"
    return f"FAILED: {_why(job.failure)}" if state is JobState.FAILED else str(state)


def _why(failure: v1.Failure) -> str:
    return f"{failure.reason}: {failure.message}" if failure.message else failure.reason
