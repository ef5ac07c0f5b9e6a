"""What is known of each queue without ever counting its jobs anew."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from mistudio import v1
from mistudio_gateway.queues.limits import QueueLimits
from mistudio_gateway.queues.service_rate import ServiceRate
from mistudio_gateway.queues.standing import Standings
from mistudio_runtime.errors import ExhaustedError
from mistudio_runtime.queues import Queue, QueueTable

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def job(
    job_id: str,
    state: v1.JobState.ValueType = v1.JOB_STATE_QUEUED,
    *,
    priority: int = 5,
    age: float = 0,
    enqueue_count: int = 1,
) -> v1.Job:
    record = v1.Job(
        id=job_id, kind="train_sae", queue="training", state=state, priority=priority, enqueue_count=enqueue_count
    )
    record.update_time.FromDatetime(NOW - timedelta(seconds=age))
    if state in (v1.JOB_STATE_SUCCEEDED, v1.JOB_STATE_FAILED):
        record.end_time.CopyFrom(record.update_time)
        attempt = record.attempts.add(number=1, end_time=record.end_time)
        attempt.start_time.FromDatetime(NOW - timedelta(seconds=age + 30))
    return record


def standings(*jobs: v1.Job) -> Standings:
    known = Standings()
    for record in jobs:
        known.hear(record.id, record)
    return known


def test_order_is_priority_then_age() -> None:
    known = standings(job("a"), job("b"), job("high", priority=9), job("low", priority=1), job("c"))
    training = known.of("training")
    assert training.depth == 5
    ahead = {name: training.ahead(name, 5) for name in "abc"}
    assert ahead == {"a": 1, "b": 2, "c": 3}
    assert (training.ahead("high", 9), training.ahead("low", 1)) == (0, 4)
    assert [training.at_least(priority) for priority in (10, 9, 5, 1)] == [0, 1, 4, 5]
    assert training.ahead("unknown", 5) == 4


def test_a_job_that_begins_or_ends_leaves_its_place() -> None:
    known = standings(job("a", age=9), job("b", age=5))
    assert known.of("training").oldest() == job("a", age=9).update_time.ToNanoseconds()
    known.hear("a", job("a", v1.JOB_STATE_RUNNING))
    training = known.of("training")
    assert (training.depth, list(training.active)) == (1, ["a"])
    known.hear("a", job("a", v1.JOB_STATE_SUCCEEDED))
    known.hear("b", None)
    assert (training.depth, training.stock, list(training.active), training.oldest()) == (0, 0, [], None)
    assert not +training.kinds


def test_a_job_that_comes_again_stands_last() -> None:
    known = standings(job("a"), job("b"), job("a", v1.JOB_STATE_RUNNING), job("a", enqueue_count=2))
    assert known.of("training").ahead("a", 5) == 1


def test_news_of_a_queued_job_keep_its_place() -> None:
    known = standings(job("a"), job("b"), job("a"))
    assert known.of("training").ahead("a", 5) == 0


def test_jobs_that_wait_for_others_are_stock() -> None:
    known = standings(job("a"), job("b", v1.JOB_STATE_WAITING), job("c", v1.JOB_STATE_PAUSED))
    assert (known.of("training").depth, known.of("training").stock) == (1, 2)


def test_what_ended_lately_is_the_service_rate() -> None:
    known = standings(*(job(f"job-{n}", v1.JOB_STATE_SUCCEEDED, age=n * 60) for n in range(20)))
    assert known.rate.per_minute("training", NOW.timestamp()) == 1.0
    assert known.rate.per_minute("extraction", NOW.timestamp()) == 0.0
    assert known.durations.typical("train_sae") == 30


def test_the_rate_forgets() -> None:
    rate = ServiceRate()
    for second in range(10_000):
        rate.count("training", float(second))
    assert rate.per_minute("training", 9_999.0) == 60.0
    assert rate.per_minute("training", 20_000.0) == 0.0


def limits(known: Standings, most: int, *, is_paused: bool = False) -> QueueLimits:
    row = Queue("training", 5, 1, "trainer", ("train_sae",), max_queued=most)
    return QueueLimits(QueueTable((row,), {}), known, lambda _queue: is_paused)


def test_a_queue_takes_as_many_as_it_says() -> None:
    known = standings(job("a"), job("b", v1.JOB_STATE_WAITING))
    limits(known, 0).check("training", 1_000_000)
    admitting = limits(known, 4)
    admitting.check("training", 2)
    with admitting.room([job("c"), job("d")]):
        known.hear("c", job("c"))  # recorded, it is not counted twice
        with pytest.raises(ExhaustedError) as full:
            admitting.check("training")
    assert "the queue training is full: 4 jobs wait" in full.value.message
    assert full.value.metadata == {"queue": "training", "max_queued": "4", "queued": "4"}
    assert full.value.retry_after == timedelta(seconds=10)
    admitting.check("training", 1)


def test_the_service_rate_says_when_to_come_again() -> None:
    known = standings(job("a"))
    for _ in range(20):
        known.rate.count("training", datetime.now(UTC).timestamp())
    with pytest.raises(ExhaustedError) as full:
        limits(known, 1).check("training")
    assert full.value.retry_after == timedelta(seconds=30)
    with pytest.raises(ExhaustedError, match="submit fewer at a time"):
        limits(known, 1).check("training", 2)


def test_a_full_queue_that_is_paused_says_so_and_not_when_it_empties() -> None:
    known = standings(job("a"))
    known.rate.count("training", datetime.now(UTC).timestamp())
    with pytest.raises(ExhaustedError, match="`mistudio queues resume training` lets its jobs run") as full:
        limits(known, 1, is_paused=True).check("training")
    assert full.value.retry_after == timedelta(seconds=10)
