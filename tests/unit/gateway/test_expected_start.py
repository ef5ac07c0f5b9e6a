from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mistudio import v1
from mistudio_gateway.expected_start import Durations, Outlook

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


def durations(*jobs: v1.Job) -> Durations:
    known = Durations()
    for record in jobs:
        if record.state == v1.JOB_STATE_SUCCEEDED:
            known.add(record)
    return known


def wait(slots: int, *jobs: v1.Job, ahead: int = 0, queued: int | None = None) -> float | None:
    """Returns the seconds until a job starts that stands behind `ahead` of the `queued` ones."""
    active = [record for record in jobs if record.state == v1.JOB_STATE_RUNNING]
    depth = ahead if queued is None else queued
    outlook = Outlook(
        slots,
        active,
        queued=["train_sae"] * depth,
        kinds={"train_sae": depth},
        typical=durations(*jobs).typical,
        now=NOW,
    )
    found = outlook.wait(ahead)
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


def test_jobs_behind_do_not_count() -> None:
    busy = job(v1.JOB_STATE_RUNNING, began=10, fraction=0.5)
    assert wait(1, busy, done(100), ahead=1, queued=5) == 110


def test_far_behind_the_mean_counts() -> None:
    busy = job(v1.JOB_STATE_RUNNING, began=10, fraction=0.5)
    assert wait(2, busy, done(100), ahead=100_000) == pytest.approx(5_000_000, rel=0.01)


def test_a_kind_without_history_hides_only_what_stands_behind_it() -> None:
    known = durations(done(60))
    outlook = Outlook(
        1,
        [],
        queued=["train_sae", "bake_cake", "train_sae"],
        kinds={"train_sae": 2, "bake_cake": 1},
        typical=known.typical,
        now=NOW,
    )
    assert outlook.wait(1) == timedelta(seconds=60)
    assert outlook.wait(2) is None


def test_only_the_newest_durations_count() -> None:
    old = [job(v1.JOB_STATE_SUCCEEDED, began=9000, lasted=1) for _ in range(30)]
    new = [job(v1.JOB_STATE_SUCCEEDED, began=100, lasted=50) for _ in range(20)]
    assert durations(*new, *old).typical("train_sae") == 50
    assert durations().typical("train_sae") is None
