"""The one place that changes a job's state. Pure: no clock, no broker, only the record.

Every function changes the given `Job` in place or raises; the ledger stores the result by compare-and-set.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from mistudio import v1
from mistudio_gateway.deadlines import begin_waiting
from mistudio_gateway.timestamps import set_time

LEGAL: dict[v1.JobState.ValueType, frozenset[v1.JobState.ValueType]] = {
    v1.JOB_STATE_WAITING: frozenset({v1.JOB_STATE_QUEUED, v1.JOB_STATE_FAILED, v1.JOB_STATE_CANCELLED}),
    v1.JOB_STATE_QUEUED: frozenset(
        {v1.JOB_STATE_RUNNING, v1.JOB_STATE_PAUSED, v1.JOB_STATE_FAILED, v1.JOB_STATE_CANCELLED}
    ),
    v1.JOB_STATE_RUNNING: frozenset(
        {
            v1.JOB_STATE_QUEUED,
            v1.JOB_STATE_PAUSING,
            v1.JOB_STATE_CANCELLING,
            v1.JOB_STATE_SUCCEEDED,
            v1.JOB_STATE_FAILED,
        }
    ),
    v1.JOB_STATE_PAUSING: frozenset(
        {v1.JOB_STATE_PAUSED, v1.JOB_STATE_CANCELLING, v1.JOB_STATE_SUCCEEDED, v1.JOB_STATE_FAILED}
    ),
    v1.JOB_STATE_PAUSED: frozenset({v1.JOB_STATE_QUEUED, v1.JOB_STATE_CANCELLED}),
    v1.JOB_STATE_CANCELLING: frozenset({v1.JOB_STATE_CANCELLED, v1.JOB_STATE_SUCCEEDED}),
    v1.JOB_STATE_SUCCEEDED: frozenset(),
    # Only a person's retry leads out of these two.
    v1.JOB_STATE_FAILED: frozenset({v1.JOB_STATE_QUEUED, v1.JOB_STATE_WAITING}),
    v1.JOB_STATE_CANCELLED: frozenset({v1.JOB_STATE_QUEUED, v1.JOB_STATE_WAITING}),
}
TERMINAL = frozenset({v1.JOB_STATE_SUCCEEDED, v1.JOB_STATE_FAILED, v1.JOB_STATE_CANCELLED})
ACTIVE = frozenset({v1.JOB_STATE_RUNNING, v1.JOB_STATE_PAUSING, v1.JOB_STATE_CANCELLING})
"""States in which a worker runs an attempt."""

FIRST_BACKOFF = timedelta(seconds=2)
MAX_BACKOFF = timedelta(minutes=5)


class IllegalTransitionError(Exception):
    """The job is in a state that the change does not fit."""

    def __init__(self, job: v1.Job, wanted: v1.JobState.ValueType) -> None:
        """Takes the job and the state that it cannot go to."""
        super().__init__(f"a job that is {state_name(job.state)} cannot become {state_name(wanted)}")


class StaleAttemptError(Exception):
    """A report or an end came from an attempt that is no longer the current one."""


def state_name(state: v1.JobState.ValueType) -> str:
    """Returns the short name of a state, e.g. "RUNNING"."""
    return v1.JobState.Name(state).removeprefix("JOB_STATE_")


def is_terminal(job: v1.Job) -> bool:
    """Tells whether a job is over."""
    return job.state in TERMINAL


def move(job: v1.Job, state: v1.JobState.ValueType, now: datetime) -> None:
    """Changes the state, if that is legal. Raises IllegalTransitionError."""
    if state not in LEGAL[job.state]:
        raise IllegalTransitionError(job, state)
    job.state = state
    set_time(job.update_time, now)
    if state in TERMINAL:
        set_time(job.end_time, now)
    else:
        job.ClearField("end_time")


def enqueue(job: v1.Job, now: datetime) -> None:
    """WAITING, PAUSED, FAILED or CANCELLED to QUEUED; a new message with a new deduplication id follows."""
    if job.state in ACTIVE:  # its attempt has to end first
        raise IllegalTransitionError(job, v1.JOB_STATE_QUEUED)
    if job.state != v1.JOB_STATE_PAUSED:  # a pause does not give it more time to start
        begin_waiting(job, now)
    move(job, v1.JOB_STATE_QUEUED, now)
    job.enqueue_count += 1
    job.ClearField("not_before")


def claim(job: v1.Job, worker: str, now: datetime) -> int:
    """QUEUED to RUNNING under a new attempt; returns its number."""
    move(job, v1.JOB_STATE_RUNNING, now)
    number = current_attempt(job) + 1
    attempt = job.attempts.add(number=number, worker=worker)
    set_time(attempt.start_time, now)
    if not job.HasField("start_time"):
        set_time(job.start_time, now)
    job.ClearField("progress")
    job.ClearField("not_before")
    job.ClearField("start_deadline")
    return number


def current_attempt(job: v1.Job) -> int:
    """Returns the number of the newest attempt, 0 before the first."""
    return job.attempts[-1].number if job.attempts else 0


def check_current(job: v1.Job, attempt: int) -> None:
    """Raises StaleAttemptError unless `attempt` is the one that runs the job now."""
    if job.state not in ACTIVE or attempt != current_attempt(job):
        raise StaleAttemptError(f"attempt {attempt} of {job.id} is not the current one")


def succeed(job: v1.Job, attempt: int, artifact_ids: Sequence[str], now: datetime) -> None:
    """The attempt committed its artifacts."""
    _end_attempt(job, attempt, v1.ATTEMPT_OUTCOME_SUCCEEDED, now)
    move(job, v1.JOB_STATE_SUCCEEDED, now)
    job.ClearField("failure")
    job.artifact_ids[:] = artifact_ids
    job.progress.fraction = 1.0
    job.progress.ClearField("eta")


def fail(job: v1.Job, attempt: int, failure: v1.Failure, now: datetime) -> None:
    """The attempt failed: the job is queued again with backoff, or fails for good."""
    _end_attempt(job, attempt, v1.ATTEMPT_OUTCOME_FAILED, now, failure)
    _after_failure(job, failure, now, backs_off=True)


def lose(job: v1.Job, now: datetime) -> None:
    """The worker of the current attempt disappeared."""
    worker = job.attempts[-1].worker
    failure = v1.Failure(
        reason="WORKER_LOST",
        message=f"worker {worker} disappeared while it ran the job",
        failure_class=v1.FAILURE_CLASS_TRANSIENT,
    )
    _end_attempt(job, current_attempt(job), v1.ATTEMPT_OUTCOME_LOST, now, failure)
    _after_failure(job, failure, now, backs_off=False)


def release(job: v1.Job, attempt: int, now: datetime) -> None:
    """The worker gave the job back because it drains; this is no failure."""
    _end_attempt(job, attempt, v1.ATTEMPT_OUTCOME_RELEASED, now)
    move(job, _where_a_stop_leads(job), now)


def stop(job: v1.Job, attempt: int, outcome: v1.AttemptOutcome.ValueType, now: datetime) -> None:
    """The attempt obeyed a cancel or a pause."""
    _end_attempt(job, attempt, outcome, now)
    move(job, _where_a_stop_leads(job), now)


def request_cancel(job: v1.Job, now: datetime) -> None:
    """Cancels: at once if nothing runs, else through CANCELLING. A repeated request changes nothing."""
    if job.state not in (v1.JOB_STATE_CANCELLING, v1.JOB_STATE_CANCELLED):
        move(job, v1.JOB_STATE_CANCELLING if job.state in ACTIVE else v1.JOB_STATE_CANCELLED, now)


def request_pause(job: v1.Job, now: datetime) -> None:
    """Pauses: at once if nothing runs, else through PAUSING. A repeated request changes nothing.

    Whoever pauses wants to go on later, so a request to finish is taken back.
    """
    if job.state not in (v1.JOB_STATE_PAUSING, v1.JOB_STATE_PAUSED):
        move(job, v1.JOB_STATE_PAUSING if job.state in ACTIVE else v1.JOB_STATE_PAUSED, now)
        job.finish_requested = False


def request_finish(job: v1.Job, now: datetime) -> None:
    """Asks to keep what there is: RUNNING stays so; PAUSED is queued, to be finished from its checkpoint.

    A repeated request changes nothing. Raises IllegalTransitionError in every other state.
    """
    again = job.state == v1.JOB_STATE_QUEUED and job.finish_requested  # its attempt got lost in between
    if job.state == v1.JOB_STATE_PAUSED:
        enqueue(job, now)
    elif job.state != v1.JOB_STATE_RUNNING and not again:
        raise IllegalTransitionError(job, v1.JOB_STATE_SUCCEEDED)
    if not job.finish_requested:
        job.finish_requested = True
        set_time(job.update_time, now)


def fail_unstarted(job: v1.Job, failure: v1.Failure, now: datetime) -> None:
    """A job that nobody runs fails: a job that it needs did, or it waited for too long."""
    move(job, v1.JOB_STATE_FAILED, now)
    job.failure.CopyFrom(failure)


def retry(job: v1.Job, now: datetime, *, waits: bool) -> None:
    """A person puts a failed or cancelled job back. Attempt numbers go on, so old attempts stay fenced."""
    if job.state not in (v1.JOB_STATE_FAILED, v1.JOB_STATE_CANCELLED):
        raise IllegalTransitionError(job, v1.JOB_STATE_QUEUED)
    job.failed_attempts = 0
    job.finish_requested = False
    job.ClearField("failure")
    job.ClearField("start_deadline")
    if waits:
        move(job, v1.JOB_STATE_WAITING, now)
    else:
        enqueue(job, now)


def backoff(failures: int) -> timedelta:
    """Returns how long to wait after so many failures, at least 1: doubling from FIRST_BACKOFF to MAX_BACKOFF."""
    return min(MAX_BACKOFF, FIRST_BACKOFF * float(1 << min(max(failures, 1) - 1, 16)))


def _end_attempt(
    job: v1.Job, number: int, outcome: v1.AttemptOutcome.ValueType, now: datetime, failure: v1.Failure | None = None
) -> None:
    check_current(job, number)
    attempt = job.attempts[-1]
    attempt.outcome = outcome
    set_time(attempt.end_time, now)
    if failure is not None:
        attempt.failure.CopyFrom(failure)


def _after_failure(job: v1.Job, failure: v1.Failure, now: datetime, *, backs_off: bool) -> None:
    job.failed_attempts += 1
    if job.state == v1.JOB_STATE_CANCELLING:
        move(job, v1.JOB_STATE_CANCELLED, now)
        return
    final = failure.failure_class == v1.FAILURE_CLASS_PERMANENT or job.failed_attempts >= job.max_attempts
    if final:
        move(job, v1.JOB_STATE_FAILED, now)
        job.failure.CopyFrom(failure)
        return
    move(job, _where_a_stop_leads(job), now)
    if job.state == v1.JOB_STATE_QUEUED and backs_off:
        set_time(job.not_before, now + backoff(job.failed_attempts))


def _where_a_stop_leads(job: v1.Job) -> v1.JobState.ValueType:
    leads = {v1.JOB_STATE_PAUSING: v1.JOB_STATE_PAUSED, v1.JOB_STATE_CANCELLING: v1.JOB_STATE_CANCELLED}
    return leads.get(job.state, v1.JOB_STATE_QUEUED)
