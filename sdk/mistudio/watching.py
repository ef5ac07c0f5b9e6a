"""Where the watch of a job stands, and when a broken stream is opened again. Knows nothing of sockets."""

from __future__ import annotations

import time
from collections.abc import Sequence

import grpc

from mistudio import v1
from mistudio._status import status_of, to_exception
from mistudio.errors import DeadlineExceededError
from mistudio.retries import RetryPolicy
from mistudio.states import JobState

METHOD = "/mistudio.v1.JobService/WatchJob"

_STREAM_SECONDS = 300.0
"""A stream is opened anew after so long, so that a connection that died without a word is noticed."""

_LIVED_SECONDS = 30.0
"""A stream that was open for so long had a gateway behind it, even if it brought no event."""

_BROKEN = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.DEADLINE_EXCEEDED)


class Watch:
    """Follows one job's events over as many streams as it takes, missing and repeating none."""

    def __init__(
        self,
        job_id: str,
        after_sequence: int = 0,
        timeout: float | None = None,
        *,
        events: Sequence[str] = (),
        replay_only: bool = False,
    ) -> None:
        """Takes after which event to begin (0: the first) and the seconds that it may take in all (None: for ever).

        `events` are those of `JobEvent` that are wanted, all if empty; `replay_only` ends with what there is by now.
        """
        self.job_id = job_id
        self.sequence = after_sequence
        """The last event seen."""
        self.finished = False
        """Whether the job is over and its last event has been seen, or all that was asked for."""
        self.doubtful = False
        """Whether the ledger must be asked if the job is over: the end that a stream replays may since have been undone
        by a retry, and a stream that ran into its own deadline may have been dead for long."""
        self._events = tuple(events)
        self._replay_only = replay_only
        self._closed = False
        self._deadline = None if timeout is None else time.monotonic() + timeout
        self._opened = time.monotonic()
        self._silent_since = self._opened
        self._failures = 0

    def request(self) -> v1.WatchJobRequest:
        """Returns what to ask for next."""
        return v1.WatchJobRequest(
            job_id=self.job_id, after_sequence=self.sequence, events=self._events, replay_only=self._replay_only
        )

    def stream_timeout(self) -> float:
        """Returns the seconds that the next stream may take. Raises DeadlineExceededError if none are left."""
        self._opened = time.monotonic()
        if self._deadline is None:
            return _STREAM_SECONDS
        left = self._deadline - self._opened
        if left <= 0:
            raise DeadlineExceededError(f"job {self.job_id} has not ended in time; it goes on", reason="WAIT_OVER")
        return min(_STREAM_SECONDS, left)

    def accept(self, event: v1.JobEvent) -> bool:
        """Takes note of an event; False if it was seen before."""
        self._failures = 0
        fresh = event.sequence > self.sequence or (event.sequence == self.sequence and _is_not_stored(event))
        self.sequence = max(self.sequence, event.sequence)
        return fresh

    def stream_ended(self, error: grpc.RpcError | None, address: str, policy: RetryPolicy) -> float:
        """Takes note of how a stream ended (None: the server closed it) and returns the seconds before the next.

        Raises the SDK's exception if another stream cannot help.
        """
        now = time.monotonic()
        if now - self._opened > _LIVED_SECONDS or self._failures == 0:
            self._failures, self._silent_since = 0, now
        self._failures += 1
        if error is None and self._replay_only:
            self.finished, self.doubtful = True, False
            return 0.0
        self._closed = error is None
        self.doubtful = error is None or status_of(error) is grpc.StatusCode.DEADLINE_EXCEEDED
        if error is None:
            return 0.0 if self._failures == 1 else policy.delay(self._failures)
        patient = self.doubtful or now - self._silent_since <= policy.patience
        if status_of(error) not in _BROKEN or not patient:
            raise to_exception(error, address) from None
        return policy.delay(self._failures)

    def stored(self, job: v1.Job) -> None:
        """Takes note of the job as the ledger has it, which the caller reads when the watch is doubtful."""
        self.finished = self._closed and JobState.of(job).is_over


def _is_not_stored(event: v1.JobEvent) -> bool:
    # A diagnosis, or an end whose own event was lost, is made as it is sent and carries the last stored sequence.
    return event.HasField("diagnosis") or (event.HasField("job") and JobState.of(event.job).is_over)
