"""When calls are made again, and what their errors become."""

from __future__ import annotations

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.rpc import error_details_pb2, status_pb2

import mistudio
from mistudio import errors, v1
from mistudio._status import to_exception
from mistudio.calls import jobs, queues
from mistudio.retries import RetryPolicy, Trial
from mistudio.watching import Watch


class Failed(grpc.RpcError):
    """A failed call as gRPC reports it."""

    def __init__(self, code: grpc.StatusCode, details: str | None = "why", *packed: object) -> None:
        super().__init__()
        self._code, self._details, self._packed = code, details, packed

    def code(self) -> grpc.StatusCode:
        return self._code

    def details(self) -> str | None:
        return self._details

    def trailing_metadata(self) -> tuple[tuple[str, bytes], ...]:
        status = status_pb2.Status()
        for detail in self._packed:
            status.details.append(Any())
            status.details[-1].Pack(detail)
        return (("grpc-status-details-bin", status.SerializeToString()),)


UNAVAILABLE = Failed(grpc.StatusCode.UNAVAILABLE)


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_every_status_has_an_exception_of_our_own(code: grpc.StatusCode) -> None:
    error = to_exception(Failed(code), "here:1")
    assert type(error) is not errors.MistudioError
    assert type(error).__name__ in mistudio.__all__
    assert error.message


def test_what_the_server_says_wins_over_what_we_guess() -> None:
    info = error_details_pb2.ErrorInfo(reason="UNAVAILABLE", domain="mistudio")
    error = to_exception(Failed(grpc.StatusCode.UNAVAILABLE, "no extractor answers", info), "here:1")
    assert (error.message, error.reason) == ("no extractor answers", "UNAVAILABLE")


def test_without_an_answer_the_address_is_named() -> None:
    error = to_exception(UNAVAILABLE, "here:1")
    assert (error.message, error.reason) == ("no gateway answers at here:1", errors.NO_GATEWAY)


def test_details_that_are_none_leave_the_status() -> None:
    failed = Failed(grpc.StatusCode.NOT_FOUND, None)
    failed.trailing_metadata = lambda: (("grpc-status-details-bin", b"\xff\xff"),)  # type: ignore[method-assign]
    assert to_exception(failed, "here:1").message == "NOT_FOUND"


def test_delays_grow_to_a_bound_and_vary() -> None:
    policy = RetryPolicy(first_delay=0.1, largest_delay=1.0)
    assert [policy.delay(n, lambda: 1.0) for n in (1, 2, 3, 9, 5000)] == pytest.approx([0.1, 0.2, 0.4, 1.0, 1.0])
    assert policy.delay(1, lambda: 0.0) == pytest.approx(0.05)


def test_a_trial_ends_with_its_attempts() -> None:
    trial = Trial(queues.list_(), "here:1", RetryPolicy(attempts=3, first_delay=0.001), timeout=30)
    assert trial.delay_after(UNAVAILABLE) > 0
    assert trial.delay_after(UNAVAILABLE) > 0
    with pytest.raises(errors.UnavailableError):
        trial.delay_after(UNAVAILABLE)


def test_a_trial_with_several_gateways_asks_each_so_often() -> None:
    trial = Trial(queues.list_(), "here:1,there:1", RetryPolicy(attempts=2, first_delay=0.001), timeout=30)
    for _ in range(3):
        trial.delay_after(UNAVAILABLE)
    with pytest.raises(errors.UnavailableError):
        trial.delay_after(UNAVAILABLE)


def test_a_trial_never_waits_beyond_its_deadline() -> None:
    trial = Trial(queues.list_(timeout=0.01), "here:1", RetryPolicy(first_delay=5.0), timeout=30)
    with pytest.raises(errors.UnavailableError):
        trial.delay_after(UNAVAILABLE)


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (jobs.cancel("job-1"), UNAVAILABLE),
        (queues.list_(), Failed(grpc.StatusCode.RESOURCE_EXHAUSTED)),
        (queues.list_(), Failed(grpc.StatusCode.DEADLINE_EXCEEDED)),
    ],
)
def test_other_failures_are_final(call: object, error: Failed) -> None:
    with pytest.raises(errors.MistudioError):
        Trial(call, "here:1", RetryPolicy(), timeout=30).delay_after(error)  # type: ignore[arg-type]


def test_submits_carry_an_id_and_are_repeatable() -> None:
    first, second = jobs.submit(v1.CollectGarbage()), jobs.submit(v1.CollectGarbage())
    assert first.repeatable
    assert first.request.request_id != second.request.request_id  # type: ignore[attr-defined]


def ended(watch: Watch, error: grpc.RpcError | None) -> float:
    return watch.stream_ended(error, "here:1", RetryPolicy(first_delay=0.1))


def test_a_watch_drops_what_it_has_seen_but_no_sentence_on_why_a_job_waits() -> None:
    watch = Watch("job-1", 3)
    assert not watch.accept(v1.JobEvent(sequence=3, progress=v1.Progress()))
    assert watch.accept(v1.JobEvent(sequence=3, diagnosis="nobody serves it"))
    assert watch.accept(v1.JobEvent(sequence=7, log=v1.LogLine()))
    assert watch.request().after_sequence == 7


def test_a_watch_takes_an_end_that_has_no_number_of_its_own() -> None:
    watch = Watch("job-1", 3)
    assert watch.accept(v1.JobEvent(sequence=3, job=v1.Job(state=v1.JOB_STATE_FAILED)))


def test_a_watch_ends_when_the_ledger_says_so() -> None:
    watch = Watch("job-1")
    watch.accept(v1.JobEvent(sequence=1, job=v1.Job(state=v1.JOB_STATE_FAILED)))
    assert ended(watch, None) == 0.0
    assert watch.doubtful
    watch.stored(v1.Job(state=v1.JOB_STATE_QUEUED))
    assert not watch.finished
    assert ended(watch, None) > 0, "a server that closes again and again is not asked in a hot loop"
    watch.stored(v1.Job(state=v1.JOB_STATE_FAILED))
    assert watch.finished


def test_a_watch_does_not_end_by_a_broken_stream() -> None:
    watch = Watch("job-1")
    assert ended(watch, UNAVAILABLE) > 0
    assert not watch.doubtful
    assert ended(watch, Failed(grpc.StatusCode.DEADLINE_EXCEEDED)) > 0
    assert watch.doubtful
    watch.stored(v1.Job(state=v1.JOB_STATE_SUCCEEDED))
    assert not watch.finished


def test_a_watch_of_nothing_is_an_error() -> None:
    with pytest.raises(errors.NotFoundError):
        ended(Watch("job-1"), Failed(grpc.StatusCode.NOT_FOUND))


def test_a_watch_keeps_to_its_time() -> None:
    with pytest.raises(errors.DeadlineExceededError):
        Watch("job-1", timeout=0.0).stream_timeout()
    assert Watch("job-1", timeout=20.0).stream_timeout() <= 20
    assert Watch("job-1").stream_timeout() > 20
