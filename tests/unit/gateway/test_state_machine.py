from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mistudio import v1
from mistudio_gateway import state_machine as sm

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TRANSIENT = v1.Failure(reason="T", message="t", failure_class=v1.FAILURE_CLASS_TRANSIENT)
PERMANENT = v1.Failure(reason="P", message="p", failure_class=v1.FAILURE_CLASS_PERMANENT)


def queued(**fields: object) -> v1.Job:
    return v1.Job(id="job-1", state=v1.JOB_STATE_QUEUED, max_attempts=2, enqueue_count=1, **fields)  # type: ignore[arg-type]


def running() -> v1.Job:
    job = queued()
    sm.claim(job, "worker", NOW)
    return job


def test_a_claim_begins_an_attempt_with_the_next_number() -> None:
    job = running()
    assert job.state == v1.JOB_STATE_RUNNING
    assert [attempt.number for attempt in job.attempts] == [1]
    with pytest.raises(sm.IllegalTransitionError):
        sm.claim(job, "other", NOW)


def test_success_ends_with_a_full_fraction() -> None:
    job = running()
    sm.succeed(job, 1, ["sae-1-0"], NOW)
    assert (job.state, job.progress.fraction, list(job.artifact_ids)) == (v1.JOB_STATE_SUCCEEDED, 1.0, ["sae-1-0"])
    assert job.HasField("end_time")


def test_a_transient_failure_backs_off_and_the_last_one_is_final() -> None:
    job = running()
    sm.fail(job, 1, TRANSIENT, NOW)
    assert job.state == v1.JOB_STATE_QUEUED
    assert job.not_before.ToDatetime(UTC) == NOW + sm.backoff(1)
    sm.claim(job, "worker", NOW)
    sm.fail(job, 2, TRANSIENT, NOW)
    assert (job.state, job.failure.reason) == (v1.JOB_STATE_FAILED, "T")


def test_a_permanent_failure_is_final_at_once() -> None:
    job = running()
    sm.fail(job, 1, PERMANENT, NOW)
    assert job.state == v1.JOB_STATE_FAILED


def test_a_lost_worker_counts_and_a_release_does_not() -> None:
    job = running()
    sm.release(job, 1, NOW)
    assert (job.state, job.failed_attempts) == (v1.JOB_STATE_QUEUED, 0)
    sm.claim(job, "worker", NOW)
    sm.lose(job, NOW)
    assert (job.state, job.failed_attempts) == (v1.JOB_STATE_QUEUED, 1)


@pytest.mark.parametrize(
    ("request_stop", "outcome", "ends"),
    [
        (sm.request_cancel, v1.ATTEMPT_OUTCOME_CANCELLED, v1.JOB_STATE_CANCELLED),
        (sm.request_pause, v1.ATTEMPT_OUTCOME_PAUSED, v1.JOB_STATE_PAUSED),
    ],
)
def test_a_running_job_stops_in_two_steps(
    request_stop: Callable[[v1.Job, datetime], None],
    outcome: v1.AttemptOutcome.ValueType,
    ends: v1.JobState.ValueType,
) -> None:
    job = running()
    request_stop(job, NOW)
    request_stop(job, NOW)
    assert job.state in sm.ACTIVE
    sm.stop(job, 1, outcome, NOW)
    assert job.state == ends


@pytest.mark.parametrize("end", [sm.lose, lambda job, now: sm.release(job, 1, now)])
def test_a_worker_that_goes_while_a_job_is_cancelled_ends_it(end: Callable[[v1.Job, datetime], None]) -> None:
    job = running()
    sm.request_cancel(job, NOW)
    end(job, NOW)
    assert job.state == v1.JOB_STATE_CANCELLED


def test_a_job_that_runs_or_is_paused_may_be_asked_to_finish() -> None:
    job = running()
    sm.request_finish(job, NOW)
    assert (job.state, job.finish_requested) == (v1.JOB_STATE_RUNNING, True)
    sm.lose(job, NOW)
    sm.request_finish(job, NOW)  # again, while it waits for its next attempt
    assert (job.state, job.finish_requested) == (v1.JOB_STATE_QUEUED, True)
    sm.request_pause(job, NOW)
    assert (job.state, job.finish_requested) == (v1.JOB_STATE_PAUSED, False)
    count = job.enqueue_count
    sm.request_finish(job, NOW)
    assert (job.state, job.finish_requested, job.enqueue_count) == (v1.JOB_STATE_QUEUED, True, count + 1)
    sm.request_cancel(job, NOW)
    sm.retry(job, NOW, waits=False)
    assert not job.finish_requested
    with pytest.raises(sm.IllegalTransitionError):
        sm.request_finish(job, NOW)


def test_a_stale_attempt_is_refused() -> None:
    job = running()
    sm.lose(job, NOW)
    sm.claim(job, "other", NOW)
    for stale in (lambda: sm.succeed(job, 1, [], NOW), lambda: sm.fail(job, 1, TRANSIENT, NOW)):
        with pytest.raises(sm.StaleAttemptError):
            stale()
    assert job.state == v1.JOB_STATE_RUNNING


def test_a_finished_job_never_runs_again() -> None:
    job = running()
    sm.succeed(job, 1, [], NOW)
    for change in (
        lambda: sm.claim(job, "worker", NOW),
        lambda: sm.request_cancel(job, NOW),
        lambda: sm.retry(job, NOW, waits=False),
    ):
        with pytest.raises(sm.IllegalTransitionError):
            change()


def test_a_retry_keeps_counting_attempts() -> None:
    job = running()
    sm.fail(job, 1, PERMANENT, NOW)
    sm.retry(job, NOW, waits=False)
    assert (job.state, job.enqueue_count, job.failed_attempts) == (v1.JOB_STATE_QUEUED, 2, 0)
    assert sm.claim(job, "worker", NOW) == 2


def test_backoff_doubles_to_its_limit() -> None:
    assert sm.backoff(2) == 2 * sm.backoff(1) == 2 * sm.FIRST_BACKOFF
    assert sm.backoff(60) == sm.MAX_BACKOFF


OPERATIONS: list[Callable[[v1.Job], object]] = [
    lambda job: sm.claim(job, "worker", NOW),
    lambda job: sm.succeed(job, sm.current_attempt(job), [], NOW),
    lambda job: sm.fail(job, sm.current_attempt(job), TRANSIENT, NOW),
    lambda job: sm.fail(job, sm.current_attempt(job), PERMANENT, NOW),
    lambda job: sm.release(job, sm.current_attempt(job), NOW),
    lambda job: sm.stop(job, sm.current_attempt(job), v1.ATTEMPT_OUTCOME_PAUSED, NOW),
    lambda job: sm.request_cancel(job, NOW),
    lambda job: sm.request_pause(job, NOW),
    lambda job: sm.enqueue(job, NOW),
    lambda job: sm.retry(job, NOW, waits=False),
]


@given(st.lists(st.sampled_from(range(len(OPERATIONS))), max_size=40))
def test_no_sequence_of_operations_breaks_the_record(sequence: list[int]) -> None:
    job = queued()
    for number in sequence:
        before = job.state
        try:
            OPERATIONS[number](job)
        except (sm.IllegalTransitionError, sm.StaleAttemptError):
            assert job.state == before
            continue
        assert job.state == before or job.state in sm.LEGAL[before]
    numbers = [attempt.number for attempt in job.attempts]
    assert numbers == list(range(1, len(numbers) + 1))
    open_attempts = [attempt for attempt in job.attempts if not attempt.outcome]
    assert len(open_attempts) == (job.state in sm.ACTIVE)
    assert job.HasField("end_time") == sm.is_terminal(job)
    assert timedelta(0) <= sm.backoff(job.failed_attempts) <= sm.MAX_BACKOFF
