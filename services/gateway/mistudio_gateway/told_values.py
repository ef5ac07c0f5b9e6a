"""What a worker says, made fit to be kept: what no clock can show and what is no share is left out. Pure.

A session is not ended for it, for its other jobs depend on that.
"""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from mistudio import v1

_NANOS = 1_000_000_000
_FIRST_SECOND, _LAST_SECOND = -62_135_596_800, 253_402_300_799
"""Of the years 1 to 9999, which is what a Timestamp holds."""
_LONGEST_SECONDS = 315_576_000_000
"""What a Duration holds: 10,000 years."""
_OUTCOMES = frozenset(v1.AttemptOutcome.values()) - {v1.ATTEMPT_OUTCOME_UNSPECIFIED}


def mend_worker(worker: v1.Worker) -> None:
    """Leaves out a time of starting that is none."""
    if not _is_time(worker.start_time):
        worker.ClearField("start_time")


def mend_heartbeat(beat: v1.Heartbeat) -> None:
    """Leaves out what is said of a host at no possible time."""
    if beat.HasField("host_status") and not _is_time(beat.host_status.time):
        beat.ClearField("host_status")


def mend_report(report: v1.AttemptReport) -> None:
    """Leaves out times that are none; a share of the work that is none counts as nothing done."""
    which = report.WhichOneof("report")
    if which == "progress":
        progress = report.progress
        if not 0 <= progress.fraction <= 1:  # nor is NaN
            progress.ClearField("fraction")
        if progress.HasField("eta") and not _is_wait(progress.eta):
            progress.ClearField("eta")
    elif which is not None:
        told = report.metric if which == "metric" else report.log
        if told.HasField("time") and not _is_time(told.time):
            told.ClearField("time")


def mend_end(end: v1.AttemptEnd) -> None:
    """Takes an outcome that none is for a failure: it counts as an attempt, so that the job does not run for ever."""
    if end.outcome not in _OUTCOMES:
        text = f"its worker told of an outcome that this gateway does not know (number {end.outcome})"
        failure = v1.Failure(reason="UNKNOWN_OUTCOME", message=text, failure_class=v1.FAILURE_CLASS_TRANSIENT)
        end.failure.CopyFrom(failure)
        end.outcome = v1.ATTEMPT_OUTCOME_FAILED


def _is_time(time: Timestamp) -> bool:
    return _FIRST_SECOND <= time.seconds <= _LAST_SECOND and 0 <= time.nanos < _NANOS


def _is_wait(wait: Duration) -> bool:
    return 0 <= wait.seconds <= _LONGEST_SECONDS and 0 <= wait.nanos < _NANOS
