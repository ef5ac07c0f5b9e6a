"""A job's events as lines of its log."""

from __future__ import annotations

import pytest

from mistudio import v1
from mistudio.job_log import JobLog, JobLogLine
from mistudio.states import JobState

LOST = v1.Failure(reason="WORKER_LOST", message="worker toy@1 disappeared while it ran the job")


class Told:
    """Events with rising sequences, and the lines that a log makes of them."""

    def __init__(self, **which: object) -> None:
        self.log = JobLog("job-1", **which)  # type: ignore[arg-type]
        self.lines: list[JobLogLine] = []
        self._sequence = 0

    @property
    def messages(self) -> list[str]:
        return [line.message for line in self.lines]

    def event(self, **fields: object) -> None:
        self._sequence += 10
        event = v1.JobEvent(sequence=self._sequence, job_id="job-1", **fields)  # type: ignore[arg-type]
        event.time.seconds = self._sequence
        self.lines += self.log.lines(event)

    def job(self, state: JobState, *attempts: v1.Attempt, **fields: object) -> None:
        job = v1.Job(id="job-1", queue="training", priority=5, attempts=attempts, **fields)  # type: ignore[arg-type]
        job.state = state.to_proto()
        self.event(job=job)

    def says(self, message: str, attempt: int, level: str = "info") -> None:
        self.event(log=v1.LogLine(level=level, message=message), attempt=attempt)


def attempt(
    number: int,
    outcome: v1.AttemptOutcome.ValueType = v1.ATTEMPT_OUTCOME_UNSPECIFIED,
    failure: v1.Failure | None = None,
) -> v1.Attempt:
    return v1.Attempt(number=number, worker=f"toy@{number}", outcome=outcome, failure=failure)


def lost_and_failed(told: Told) -> Told:
    """Tells of a job whose first worker is lost and whose second attempt fails for good."""
    told.job(JobState.QUEUED)
    told.event(diagnosis="No worker serves the queue training.")
    told.event(diagnosis="No worker serves the queue training.")
    told.job(JobState.RUNNING, attempt(1))
    told.says("starts", 1)
    first = attempt(1, v1.ATTEMPT_OUTCOME_LOST, LOST)
    told.job(JobState.RUNNING, first, attempt(2))
    told.says("k is too big", 2, "warning")
    bad = v1.Failure(reason="INVALID_INPUT", message="take a smaller k")
    told.job(JobState.FAILED, first, attempt(2, v1.ATTEMPT_OUTCOME_FAILED, bad), failure=bad)
    return told


def test_the_whole_story_reads_in_order() -> None:
    told = lost_and_failed(Told(changes=True))
    assert told.messages == [
        "QUEUED in training with priority 5",
        "No worker serves the queue training.",
        "RUNNING: claimed by toy@1 as attempt 1",
        "starts",
        "attempt 1 LOST: worker toy@1 disappeared while it ran the job",
        "RUNNING: claimed by toy@2 as attempt 2",
        "k is too big",
        "FAILED: INVALID_INPUT: take a smaller k",
    ]
    assert [(line.attempt, line.worker) for line in told.lines][3:] == [
        (1, "toy@1"),
        (1, "toy@1"),
        (2, "toy@2"),
        (2, "toy@2"),
        (2, "toy@2"),
    ]
    assert told.lines[0].time.timestamp() == 10
    assert told.lines[-1].level == "error"
    assert told.log.over


def test_without_changes_there_is_only_what_the_job_logged() -> None:
    assert lost_and_failed(Told()).messages == ["starts", "k is too big"]


def test_one_attempt_and_what_matters() -> None:
    assert lost_and_failed(Told(attempt=1)).messages == ["starts"]
    assert lost_and_failed(Told(level="warning", changes=True)).messages == [
        "No worker serves the queue training.",
        "attempt 1 LOST: worker toy@1 disappeared while it ran the job",
        "k is too big",
        "FAILED: INVALID_INPUT: take a smaller k",
    ]
    with pytest.raises(ValueError, match="loud"):
        JobLog("job-1", level="loud")


def test_retries_pauses_and_drains() -> None:
    told = Told(changes=True)
    told.job(JobState.WAITING, depends_on=["job-0"])
    told.job(JobState.RUNNING, attempt(1))
    busy = v1.Failure(reason="TRANSIENT", message="the hub is busy")
    first = attempt(1, v1.ATTEMPT_OUTCOME_FAILED, busy)
    told.job(JobState.QUEUED, first)
    told.job(JobState.QUEUED, first)
    second = attempt(2, v1.ATTEMPT_OUTCOME_RELEASED)
    told.job(JobState.QUEUED, first, second)
    told.job(JobState.PAUSED, first, second)
    told.job(JobState.RUNNING, first, second, attempt(3))
    told.job(JobState.CANCELLING, first, second, attempt(3))
    told.job(JobState.CANCELLED, first, second, attempt(3, v1.ATTEMPT_OUTCOME_CANCELLED))
    assert told.messages == [
        "WAITING for job-0",
        "RUNNING: claimed by toy@1 as attempt 1",
        "attempt 1 FAILED: TRANSIENT: the hub is busy",
        "QUEUED again in training with priority 5",
        "RUNNING: claimed by toy@2 as attempt 2",
        "attempt 2 RELEASED: toy@2 ends and gave the job back",
        "PAUSED",
        "RUNNING: claimed by toy@3 as attempt 3",
        "CANCELLING: it is asked to stop",
        "CANCELLED",
    ]


def test_the_watch_goes_on_where_reading_stopped() -> None:
    told = lost_and_failed(Told())
    request = told.log.watch(follow=False).request()
    assert (request.after_sequence, request.replay_only) == (80, True)
    assert list(request.events) == ["job", "log", "diagnosis"]
    assert not told.log.watch(follow=True).request().replay_only
