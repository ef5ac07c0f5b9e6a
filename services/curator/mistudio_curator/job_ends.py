"""Asks the gateway whether jobs are over."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from mistudio.blocking.client import Client
from mistudio.errors import InvalidArgumentError, MistudioError, NotFoundError
from mistudio.v1 import JobState
from mistudio_runtime.jobs import TransientFailure

_DEADLINE_SECONDS = 10.0
_OVER = (JobState.JOB_STATE_SUCCEEDED, JobState.JOB_STATE_FAILED, JobState.JOB_STATE_CANCELLED)


class JobEnds:
    """When jobs ended, from the ledger: no age of a file can tell a paused job from a forgotten one."""

    def __init__(self, gateway: str) -> None:
        """Takes the "host:port" of a gateway, or of several with commas; connects at the first question."""
        self._client = Client(gateway, timeout=_DEADLINE_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def ended_at(self, job_id: str) -> float | None:
        """Returns when a job ended, in seconds since the epoch; 0 if nobody knows it; None if it is not over.

        Raises TransientFailure if the gateway does not answer.
        """
        try:
            job = self._client.jobs.get(job_id).proto
        except (NotFoundError, InvalidArgumentError):  # a folder's name that is no job id at all may be refused as such
            return 0.0
        except MistudioError as error:
            raise TransientFailure(
                f"the gateway at {self._client.address} did not say which jobs have ended; check MISTUDIO_GATEWAY",
                reason="GATEWAY_UNAVAILABLE",
            ) from error
        if job.state not in _OVER:
            return None
        return job.end_time.ToNanoseconds() / 1e9 if job.HasField("end_time") else time.time()
