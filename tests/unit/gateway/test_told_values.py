"""Times and shares that cannot be are left out of what a worker says."""

from __future__ import annotations

import math

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from mistudio import v1
from mistudio_gateway.told_values import mend_end, mend_heartbeat, mend_report, mend_worker

NO_TIMES = [Timestamp(seconds=2**62), Timestamp(seconds=-(2**62)), Timestamp(nanos=-1), Timestamp(nanos=2**31 - 1)]
NO_WAITS = [Duration(seconds=2**62), Duration(seconds=-1), Duration(nanos=-1)]
NOW = Timestamp(seconds=1_700_000_000)


@pytest.mark.parametrize("time", NO_TIMES)
def test_a_time_that_is_none_is_left_out(time: Timestamp) -> None:
    worker, beat = v1.Worker(start_time=time), v1.Heartbeat(rss_bytes=1, host_status=v1.HostStatus(time=time))
    metric = v1.AttemptReport(metric=v1.MetricPoint(value=1, time=time))
    line = v1.AttemptReport(log=v1.LogLine(message="x", time=time))
    mend_worker(worker)
    mend_heartbeat(beat)
    mend_report(metric)
    mend_report(line)
    assert (worker, beat) == (v1.Worker(), v1.Heartbeat(rss_bytes=1))
    assert (metric.metric, line.log) == (v1.MetricPoint(value=1), v1.LogLine(message="x"))


@pytest.mark.parametrize("wait", NO_WAITS)
def test_a_wait_that_is_none_is_left_out(wait: Duration) -> None:
    report = v1.AttemptReport(progress=v1.Progress(fraction=0.5, eta=wait))
    mend_report(report)
    assert report.progress == v1.Progress(fraction=0.5)


@pytest.mark.parametrize("fraction", [-0.1, 1.1, math.inf, -math.inf, math.nan])
def test_a_share_that_is_none_counts_as_nothing_done(fraction: float) -> None:
    report = v1.AttemptReport(progress=v1.Progress(fraction=fraction, stage="train"))
    mend_report(report)
    assert report.progress == v1.Progress(stage="train")


@pytest.mark.parametrize("outcome", [v1.ATTEMPT_OUTCOME_UNSPECIFIED, 99, -1])
def test_an_outcome_that_is_none_is_a_failure(outcome: v1.AttemptOutcome.ValueType) -> None:
    end = v1.AttemptEnd(job_id="job-1", attempt=1, outcome=outcome)
    mend_end(end)
    assert (end.outcome, end.failure.reason) == (v1.ATTEMPT_OUTCOME_FAILED, "UNKNOWN_OUTCOME")
    assert end.failure.failure_class == v1.FAILURE_CLASS_TRANSIENT


@pytest.mark.parametrize("outcome", v1.AttemptOutcome.values()[1:])
def test_an_outcome_stays(outcome: v1.AttemptOutcome.ValueType) -> None:
    end = v1.AttemptEnd(job_id="job-1", attempt=1, outcome=outcome)
    mend_end(end)
    assert end == v1.AttemptEnd(job_id="job-1", attempt=1, outcome=outcome)


def test_what_can_be_stays() -> None:
    reports = [
        v1.AttemptReport(progress=v1.Progress(fraction=1, eta=Duration(seconds=3))),
        v1.AttemptReport(metric=v1.MetricPoint(value=math.inf, time=NOW)),
        v1.AttemptReport(job_id="job-1"),
    ]
    for report in reports:
        before = report.SerializeToString()
        mend_report(report)
        assert report.SerializeToString() == before
    beat = v1.Heartbeat(host_status=v1.HostStatus(time=NOW, clock_offset=Duration(seconds=-1)))
    mend_heartbeat(beat)
    assert beat.host_status.time == NOW
