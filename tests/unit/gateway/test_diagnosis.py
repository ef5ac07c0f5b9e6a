from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mistudio import v1
from mistudio_gateway.diagnosis import diagnose
from mistudio_runtime.queues import load_queues

NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUEUE = load_queues().queue("training")


def worker(*, running: int = 0) -> v1.WorkerStatus:
    served = v1.ServedQueue(queue="training", slots=1)
    busy = [v1.RunningAttempt(job_id=f"job-{n}", attempt=1, queue="training") for n in range(running)]
    return v1.WorkerStatus(worker=v1.Worker(name="trainer@1", queues=[served]), running=busy)


def job(state: v1.JobState.ValueType) -> v1.Job:
    return v1.Job(id="job-1", kind="train_sae", queue="training", state=state)


def why(record: v1.Job, *workers: v1.WorkerStatus) -> str:
    parent = v1.Job(id="job-0", kind="tokenize_dataset", state=v1.JOB_STATE_RUNNING)
    return diagnose(record, QUEUE, workers, lambda job_id: parent if job_id == "job-0" else None, NOW)


def test_nobody_serves_the_queue() -> None:
    assert why(job(v1.JOB_STATE_QUEUED)).startswith("No worker serves the queue training")


def test_all_slots_are_taken() -> None:
    assert "All slots for the queue training are taken (on trainer@1)" in why(
        job(v1.JOB_STATE_QUEUED), worker(running=1)
    )


def test_a_failure_is_backed_off_from() -> None:
    record = job(v1.JOB_STATE_QUEUED)
    record.attempts.add(number=1, failure=v1.Failure(message="the hub was away"))
    record.not_before.FromDatetime(NOW + timedelta(seconds=7))
    assert "Waits 7 s before attempt 2, because the last one failed: the hub was away" in why(record, worker())


def test_a_dependency_is_not_done() -> None:
    record = job(v1.JOB_STATE_WAITING)
    record.depends_on.append("job-0")
    assert why(record) == "Waits for job-0 (tokenize_dataset, RUNNING)."


def test_it_is_paused() -> None:
    assert "mistudio jobs resume job-1" in why(job(v1.JOB_STATE_PAUSED))


@pytest.mark.parametrize("state", [v1.JOB_STATE_RUNNING, v1.JOB_STATE_SUCCEEDED, v1.JOB_STATE_FAILED])
def test_what_runs_or_is_over_needs_no_reason(state: v1.JobState.ValueType) -> None:
    assert why(job(state)) == ""


def test_a_free_worker_is_about_to_take_it() -> None:
    assert why(job(v1.JOB_STATE_QUEUED), worker()) == ""
