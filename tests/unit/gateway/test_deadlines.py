from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.duration_pb2 import Duration

from mistudio import v1
from mistudio_gateway import state_machine as sm
from mistudio_gateway.deadlines import DEADLINE_PASSED, MAX_LIMIT, deadline_failure
from mistudio_gateway.records import new_job
from mistudio_runtime.queues import load_queues

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def job(*, depends_on: tuple[str, ...] = (), within: Duration | None = None) -> v1.Job:
    request = v1.JobRequest(spec=v1.JobSpec(collect_garbage=v1.CollectGarbage()), depends_on=depends_on)
    request.start_within.CopyFrom(within or Duration(seconds=3600))
    request.timeout.FromTimedelta(2 * HOUR)
    return new_job("job-1", request, load_queues(None), NOW)


def deadline(record: v1.Job) -> datetime:
    return record.start_deadline.ToDatetime(UTC)


def test_it_counts_from_the_queue_and_ends_with_an_attempt() -> None:
    queued = job()
    assert queued.timeout.ToTimedelta() == 2 * HOUR
    assert deadline(queued) == NOW + HOUR
    assert deadline_failure(queued, NOW + HOUR) is None
    late = deadline_failure(queued, NOW + HOUR + timedelta(microseconds=1))
    assert late is not None
    assert (late.reason, late.failure_class) == (DEADLINE_PASSED, v1.FAILURE_CLASS_PERMANENT)
    sm.claim(queued, "worker", NOW)
    sm.release(queued, 1, NOW)
    assert deadline_failure(queued, NOW + 9 * HOUR) is None


def test_waiting_for_others_does_not_count() -> None:
    waiting = job(depends_on=("job-0",))
    assert not waiting.HasField("start_deadline")
    sm.enqueue(waiting, NOW + 5 * HOUR)
    assert deadline(waiting) == NOW + 6 * HOUR


def test_a_pause_gives_no_more_time_and_a_retry_does() -> None:
    record = job()
    sm.request_pause(record, NOW)
    assert deadline_failure(record, NOW + 9 * HOUR) is None
    sm.enqueue(record, NOW + 9 * HOUR)
    failure = deadline_failure(record, NOW + 9 * HOUR)
    assert failure is not None
    sm.fail_unstarted(record, failure, NOW + 9 * HOUR)
    sm.retry(record, NOW + 10 * HOUR, waits=False)
    assert deadline(record) == NOW + 11 * HOUR


@pytest.mark.parametrize("within", [Duration(seconds=2**62), Duration(seconds=-(2**62)), Duration(nanos=-(2**31))])
def test_what_a_repeated_call_may_say_is_kept_within_bounds(within: Duration) -> None:
    assert NOW - HOUR < deadline(job(within=within)) <= NOW + MAX_LIMIT
