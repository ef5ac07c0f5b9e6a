from __future__ import annotations

from datetime import UTC, datetime, timedelta

from mistudio import v1
from mistudio_gateway.expected_start import Durations, expected_wait

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def job(state: v1.JobState.ValueType, *, began: float = 0, lasted: float = 0, fraction: float = 0) -> v1.Job:
    """Returns a training job whose attempt began so many seconds before NOW and lasted so long."""
    record = v1.Job(id="job-1", kind="train_sae", queue="training", state=state)
    if state in (v1.JOB_STATE_RUNNING, v1.JOB_STATE_SUCCEEDED):
        attempt = record.attempts.add(number=1)
        attempt.start_time.FromDatetime(NOW - timedelta(seconds=began))
        attempt.end_time.FromDatetime(NOW - timedelta(seconds=began - lasted))
        record.end_time.CopyFrom(attempt.end_time)
        record.progress.fraction = fraction
    return record


QUEUED = job(v1.JOB_STATE_QUEUED)


def wait(slots: int, *jobs: v1.Job, ahead: int = 0) -> float | None:
    found = expected_wait("training", slots, jobs, [QUEUED] * ahead, NOW)
    return None if found is None else found.total_seconds()


def done(lasted: float) -> v1.Job:
    return job(v1.JOB_STATE_SUCCEEDED, began=1000, lasted=lasted)


def test_a_free_slot_starts_it_at_once() -> None:
    assert wait(1) == 0
    assert wait(2, job(v1.JOB_STATE_RUNNING)) == 0


def test_without_a_worker_nobody_knows() -> None:
    assert wait(0) is None


def test_without_history_nobody_knows() -> None:
    assert wait(1, job(v1.JOB_STATE_RUNNING)) is None
    assert wait(1, ahead=1) is None


def test_a_running_job_is_judged_by_its_progress() -> None:
    assert wait(1, job(v1.JOB_STATE_RUNNING, began=30, fraction=0.75)) == 10


def test_what_a_running_job_predicts_counts_most() -> None:
    busy = job(v1.JOB_STATE_RUNNING, began=30, fraction=0.75)
    busy.progress.eta.FromSeconds(500)
    assert wait(1, busy) == 500


def test_a_running_job_without_progress_is_judged_by_jobs_of_its_kind() -> None:
    assert wait(1, job(v1.JOB_STATE_RUNNING, began=30), done(50), done(100), done(60)) == 30
    assert wait(1, job(v1.JOB_STATE_RUNNING, began=90), done(60)) == 0


def test_jobs_ahead_are_spread_over_the_slots() -> None:
    busy = job(v1.JOB_STATE_RUNNING, began=10, fraction=0.5)
    assert wait(1, busy, done(100), ahead=2) == 210
    assert wait(2, busy, done(100), ahead=2) == 100
    assert wait(2, busy, done(100), ahead=3) == 110


def test_only_the_newest_durations_count() -> None:
    old = [job(v1.JOB_STATE_SUCCEEDED, began=9000, lasted=1) for _ in range(30)]
    new = [job(v1.JOB_STATE_SUCCEEDED, began=100, lasted=50) for _ in range(20)]
    assert Durations([*old, *new]).typical("train_sae") == 50
    assert Durations([]).typical("train_sae") is None


def test_other_queues_do_not_count() -> None:
    other = job(v1.JOB_STATE_RUNNING)
    other.queue = "extraction"
    assert wait(1, other) == 0
