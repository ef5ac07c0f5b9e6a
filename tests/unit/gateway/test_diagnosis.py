from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mistudio import v1
from mistudio_gateway.diagnosis import Slots, Surroundings, queued, says_the_same, unstarted
from mistudio_gateway.queues.pauses import Pause
from mistudio_runtime.queues import load_queues

NOW = datetime(2026, 1, 1, tzinfo=UTC)
QUEUE = load_queues().queue("training")


def worker(*, running: int = 0, slots: int = 1) -> v1.WorkerStatus:
    served = v1.ServedQueue(queue="training", slots=slots)
    busy = [v1.RunningAttempt(job_id=f"job-{n}", attempt=1, queue="training") for n in range(running)]
    return v1.WorkerStatus(worker=v1.Worker(name="trainer@1", queues=[served]), running=busy)


def job(state: v1.JobState.ValueType = v1.JOB_STATE_QUEUED, *, age: float = 60) -> v1.Job:
    record = v1.Job(id="job-1", kind="train_sae", queue="training", state=state)
    record.update_time.FromDatetime(NOW - timedelta(seconds=age))
    return record


def why(
    record: v1.Job,
    *workers: v1.WorkerStatus,
    pause: Pause | None = None,
    ahead: int = 0,
    start: float | None = None,
    device: str = "",
) -> str:
    wait = None if start is None else timedelta(seconds=start)
    around = Surroundings(QUEUE, pause, Slots.of(QUEUE.name, workers), ahead, lambda: wait, device)
    return queued(record, around, NOW)


def unstarted_because_of(state: v1.JobState.ValueType) -> str:
    parent = v1.Job(id="job-0", kind="tokenize_dataset", state=state)
    record = job(v1.JOB_STATE_WAITING)
    record.depends_on.append("job-0")
    return unstarted(record, {"job-0": parent}.get)


def test_the_queue_is_paused() -> None:
    pause = Pause("the disk is full", NOW)
    assert why(job(), pause=pause) == (
        "The queue training is paused since 2026-01-01 00:00 UTC (the disk is full): `mistudio queues resume training` "
        "lets its jobs run."
    )


def test_nobody_serves_the_queue() -> None:
    assert why(job()) == "No worker serves the queue training: start one with `python -m mistudio_trainer`."


def test_all_slots_are_taken() -> None:
    assert why(job(), worker(running=1)) == (
        "The one slot for the queue training is taken (by job-0 on trainer@1); it starts when a slot is "
        "free: `python -m mistudio_trainer` starts one more worker."
    )


def test_it_says_how_many_go_before_it_and_when_it_starts() -> None:
    found = why(job(), worker(running=2, slots=2), ahead=3, start=600)
    assert "All 2 slots" in found
    assert "(by job-0 on trainer@1 and job-1 on trainer@1); 3 jobs go before it, it starts in about 10 min: " in found


def test_a_failure_is_backed_off_from() -> None:
    record = job()
    record.attempts.add(number=1, failure=v1.Failure(message="the hub was away"))
    record.not_before.FromDatetime(NOW + timedelta(seconds=7))
    found = why(record, worker())
    assert found.startswith("Waits 7 s before attempt 2, because the last one failed: the hub was away")
    assert "mistudio jobs logs job-1" in found


def test_it_waits_for_a_device() -> None:
    assert why(job(), worker(), device="cuda:0 is held by job-9.") == "cuda:0 is held by job-9."


def test_it_fails_at_its_deadline() -> None:
    record = job()
    record.start_deadline.FromDatetime(NOW + timedelta(minutes=5))
    assert why(record).endswith("; it fails at 2026-01-01 00:05:00 UTC if it has not begun by then.")


def test_a_dependency_is_not_done() -> None:
    assert unstarted_because_of(v1.JOB_STATE_RUNNING) == (
        "Waits for job-0 (tokenize_dataset, RUNNING): `mistudio jobs watch job-0` follows it."
    )
    assert "`mistudio jobs get job-0` says why" in unstarted_because_of(v1.JOB_STATE_QUEUED)


def test_it_is_paused() -> None:
    assert "mistudio jobs resume job-1" in unstarted(job(v1.JOB_STATE_PAUSED), lambda _: None)


@pytest.mark.parametrize("state", [v1.JOB_STATE_RUNNING, v1.JOB_STATE_SUCCEEDED, v1.JOB_STATE_FAILED])
def test_what_runs_or_is_over_needs_no_reason(state: v1.JobState.ValueType) -> None:
    assert unstarted(job(state), lambda _: None) == ""


def test_a_free_worker_is_about_to_take_it() -> None:
    assert why(job(age=1), worker()) == ""
    assert why(job(), worker(), start=0) == (
        "A slot is free on trainer@1; it starts in a moment: `mistudio doctor` says more if it stays so."
    )


def test_numbers_alone_are_no_news() -> None:
    three, two = (why(job(), worker(running=1), ahead=ahead, start=ahead * 300) for ahead in (3, 2))
    assert three != two
    assert says_the_same(three, two)
    assert not says_the_same(three, why(job()))
